/**
 * The real kube-proxy as a programmer of n1. A world is in force once a Service that was made after it answers: both
 * of kube-proxy's watches deliver in order.
 */
import { readFile } from 'node:fs/promises';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import type { MakeProgrammer, Programmer } from './check.ts';
import { until } from './check.ts';
import type { PacketCluster } from './cluster.ts';
import { startKubeProxy, type KubeProxyOptions } from './kube-proxy.ts';
import { pathOf, read, type Manifest } from '../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { Atlas } from './world.ts';

/** The last block of addresses is for Services that tell that a world is in force. */
const block = 80;
const zoneLabel = 'topology.kubernetes.io/zone';
let count = 0;

export function kubeProxyReference(cluster: PacketCluster, mode: KubeProxyOptions['mode']): MakeProgrammer {
  return async (bed, settings): Promise<Programmer> => {
    const options = { mode, kubeconfig: cluster.kubeconfig, ...settings };
    // At 4 it writes down which zone it takes the node to be in.
    const proxy = await startKubeProxy(bed, 'n1', { ...options, verbosity: 4 });
    await tellZone(cluster, proxy);
    return {
      name: `kube-proxy ${mode}`,
      become: async (atlas) => {
        const sign = newSign(bed);
        await cluster.become([...atlas.manifests(), ...sign.manifests]);
        await until(`kube-proxy in ${mode} mode serves`, sign.answers).catch(async (error: unknown) => {
          throw new Error(`${String(error)}\n${await proxy.tail(30)}`, { cause: error });
        });
      },
      close: async () => {
        await proxy.stop(5_000);
        await clean(bed, mode);
      },
    };
  };
}

/**
 * Waits until a kube-proxy knows the zone of n1. It hears of its node as soon as it listens, and tells those that have
 * registered by then: where that is nobody yet, it does without zones until the label changes (1.36,
 * `NodeTopologyConfig`). So the label is changed, and back, while nothing is heard.
 */
async function tellZone(cluster: PacketCluster, proxy: ManagedProcess): Promise<void> {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } };
  const zone = (await read(cluster.api, node))?.metadata?.labels?.[zoneLabel] ?? '';
  const heard = async (): Promise<boolean> => {
    const told = (await readFile(proxy.logFile, 'utf8')).match(/Updated proxier node topology labels.*/g);
    return told?.at(-1)?.includes(zone) === true;
  };
  for (let tries = 0; !(await holdsWithin(heard, 3_000)); tries += 1) {
    if (tries === 10) throw new Error(`kube-proxy does not learn its zone\n${await proxy.tail(30)}`);
    for (const value of ['elsewhere', zone]) {
      await cluster.patch(pathOf(node), { metadata: { labels: { [zoneLabel]: value } } });
    }
  }
}

async function holdsWithin(holds: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  return until('heard', holds, limitMs, 20).then(
    () => true,
    () => false,
  );
}

/** A Service with a name and addresses of its own each time, so that its answer cannot be an old one. */
export function newSign(bed: Bed): {
  readonly manifests: readonly Manifest[];
  readonly answers: () => Promise<boolean>;
} {
  count += 1;
  // Services of a world are numbered from 0: the place in the list makes the addresses.
  const name = `sign-${count}`;
  const padding = Array.from({ length: count % 8 }, (_, index) => ({ name: `no-${index}`, endpoints: [] }));
  const atlas = new Atlas(bed.topology, [...padding, { name, endpoints: [{ at: 'n1-a' }] }], block);
  const manifests = atlas.manifests().filter((object) => !object.metadata?.name?.startsWith('no-'));
  return {
    manifests,
    answers: async () => {
      const outcomes = await Promise.all(
        (['IPv4', 'IPv6'] as const).map((family) =>
          bed.dial('n1-b', { address: atlas.address(name, 'V', family), port: 80 }, { timeoutMs: 100 }),
        ),
      );
      return outcomes.every(({ kind }) => kind === 'answered');
    },
  };
}

/** kube-proxy leaves its rules when it ends; the next one shall begin with nothing. */
async function clean(bed: Bed, mode: KubeProxyOptions['mode']): Promise<void> {
  if (mode === 'nftables') {
    for (const family of ['ip', 'ip6']) await bed.run('n1', 'nft', ['delete', 'table', family, 'kube-proxy']);
    return;
  }
  for (const tool of ['iptables', 'ip6tables']) {
    for (const table of ['filter', 'nat', 'mangle', 'raw']) {
      await bed.run('n1', tool, ['-w', '5', '-t', table, '-F']);
      await bed.run('n1', tool, ['-w', '5', '-t', table, '-X']);
    }
  }
}
