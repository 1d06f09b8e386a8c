/** The agent, as its own process in place of kube-proxy, as a programmer of n1: what a cluster would run. */
import { cleanUp, startAgent } from './agent-process.ts';
import { clusterRange } from '../../src/sandbox/bed/topology.ts';
import type { Settings } from './cases/row.ts';
import { until, type MakeProgrammer, type Programmer } from './check.ts';
import { serviceRange, type PacketCluster } from './cluster.ts';
import { newSign } from './reference.ts';

export function agentProgrammer(cluster: PacketCluster, backend: readonly string[]): MakeProgrammer {
  return async (bed, settings): Promise<Programmer> => {
    const ranges = `--service-cidr=${Object.values(serviceRange).join()}`;
    const args = ['--scope=all', ranges, ...backend, ...flagsOf(settings)];
    const agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args });
    return {
      name: `agent ${backend.join(' ')}`,
      become: async (atlas) => {
        // Sets of the iptables backend change entry by entry, so the first sign may answer while the round that brought
        // it still goes on; rounds follow each other, so by the second it is over.
        for (const sign of [newSign(bed), newSign(bed)]) {
          await cluster.become([...atlas.manifests(), ...sign.manifests]);
          await until('the agent serves', sign.answers).catch(async (error: unknown) => {
            throw new Error(`${String(error)}\n${await agent.tail(30)}`, { cause: error });
          });
        }
      },
      close: async () => {
        await agent.stop(5_000);
        await cleanUp(bed, 'n1');
      },
    };
  };
}

/** The settings of a case as the agent is told them. */
function flagsOf({
  local = { kind: 'cluster' },
  masqueradeAll,
  nodePortAddresses,
}: Settings): readonly string[] {
  return [
    ...localFlags(local),
    ...(masqueradeAll === true ? ['--masquerade-all'] : []),
    ...(nodePortAddresses === undefined ? [] : [`--nodeport-addresses=${nodePortAddresses.join()}`]),
  ];
}

function localFlags(local: NonNullable<Settings['local']>): readonly string[] {
  switch (local.kind) {
    case 'cluster':
      return [`--cluster-cidr=${clusterRange.IPv4},${clusterRange.IPv6}`];
    case 'none':
      return ['--detect-local=none'];
    case 'bridge':
      return ['--detect-local=bridge', `--pod-interface=${local.name}`];
    case 'prefix':
      return ['--detect-local=interface-prefix', `--pod-interface=${local.prefix}`];
  }
}
