/**
 * The table of cases and the stories held against the real kube-proxy in both modes: what they say is what a cluster
 * does today, but for the rows that say otherwise.
 */
import { afterAll, beforeAll } from 'vitest';
import { PacketCluster } from './cluster.ts';
import { kubeProxyReference } from './reference.ts';
import { packetSuite } from './suite.ts';

let cluster: PacketCluster;

beforeAll(async () => {
  cluster = await PacketCluster.start();
});
afterAll(() => cluster.stop());

for (const mode of ['nftables', 'iptables'] as const) {
  packetSuite({
    name: `kube-proxy ${mode}`,
    reference: `kube-proxy ${mode}`,
    ...(mode === 'iptables' ? { iptables: 'nft' } : {}),
    make: (bed, settings) => kubeProxyReference(cluster, mode)(bed, settings),
    prepare: (bed) => cluster.join(bed),
  });
}
