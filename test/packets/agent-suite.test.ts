/** All cases and stories against the agent as a user runs it: its own process, fed by a real API server. */
import { afterAll, beforeAll } from 'vitest';
import { agentProgrammer } from './agent-programmer.ts';
import { PacketCluster } from './cluster.ts';
import { packetSuite } from './suite.ts';

let cluster: PacketCluster;

beforeAll(async () => {
  cluster = await PacketCluster.start();
});
afterAll(() => cluster.stop());

const backends = [
  ['nftables', undefined, ['--backend=nftables']],
  ['iptables-nft', 'nft', ['--backend=iptables', '--iptables-variant=nft']],
  ['iptables-legacy', 'legacy', ['--backend=iptables', '--iptables-variant=legacy']],
] as const;

for (const [name, iptables, flags] of backends) {
  packetSuite({
    name: `agent ${name}`,
    ...(iptables === undefined ? {} : { iptables }),
    make: (bed, settings) => agentProgrammer(cluster, flags)(bed, settings),
    prepare: (bed) => cluster.join(bed),
  });
}
