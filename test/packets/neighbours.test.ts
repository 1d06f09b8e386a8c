/**
 * The agent in its default scope beside the real kube-proxy, on one node: each serves its own Services, keeps its hands
 * off the other's, and neither notices when the other restarts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { cleanUp, logOf, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Destination } from '../../src/sandbox/bed/traffic.ts';
import { clusterRange } from '../../src/sandbox/bed/topology.ts';
import { forgetEarlier, prepareBed, until } from './check.ts';
import { PacketCluster } from './cluster.ts';
import { startKubeProxy } from './kube-proxy.ts';
import { Atlas, type World, type WorldService } from './world.ts';

let bed: Bed;
let cluster: PacketCluster;

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
  await prepareBed(bed);
});
afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

const labels = { 'service.kubernetes.io/service-proxy-name': 'sluice' };

/** The same Services twice: `ours` and `theirs`. */
function world(at: readonly string[]): World {
  const endpoints = at.map((place) => ({ at: place }));
  const of = (name: string, more: Partial<WorldService>): WorldService[] => [
    { name: `ours-${name}`, labels, endpoints, ...more },
    { name: `theirs-${name}`, endpoints, ...more },
  ];
  return [
    ...of('web', { type: 'NodePort' }),
    ...of('local', { balancerIPs: 1, externalTrafficPolicy: 'Local' }),
    ...of('none', { type: 'NodePort', endpoints: [] }),
  ];
}

const modes = [
  { mode: 'nftables', backend: ['--backend=nftables'] },
  { mode: 'iptables', backend: ['--backend=iptables', '--iptables-variant=nft'] },
  { mode: 'iptables', backend: ['--backend=nftables'] },
] as const;

describe.each(modes)('kube-proxy in $mode mode beside $backend', ({ mode, backend }) => {
  const block = 20 + modes.findIndex((one) => one.mode === mode && one.backend === backend);
  const atlas = (at: readonly string[]): Atlas => new Atlas(bed.topology, world(at), block);
  const clusterIP = (of: string, family: 'IPv4' | 'IPv6' = 'IPv4'): Destination => ({
    address: atlas([]).address(of, 'V', family),
    port: 80,
  });
  const nodePort = (of: string): Destination => ({
    address: bed.node('n1').address.IPv4,
    port: atlas([]).nodePort(of),
  });
  const balancerIP = (of: string): Destination => ({
    address: atlas([]).address(of, 'L', 'IPv4'),
    port: 80,
  });

  /** Everything that is served by either is what it should be. */
  async function bothServe(who: readonly string[]): Promise<void> {
    const local = who.filter((place) => place.startsWith('n1-'));
    for (const owner of ['ours', 'theirs']) {
      for (const family of ['IPv4', 'IPv6'] as const) {
        await reached('n1-b', clusterIP(`${owner}-web`, family), who);
      }
      await reached('x1', nodePort(`${owner}-web`), who);
      await reached('x1', balancerIP(`${owner}-local`), local);
      await reached('n1', balancerIP(`${owner}-local`), who);
      for (const [from, to] of [
        ['n1-b', clusterIP(`${owner}-none`)],
        ['x1', nodePort(`${owner}-none`)],
      ] as const) {
        expect((await bed.dial(from, to, { timeoutMs: 300 })).kind, `${owner} ${from}`).toBe('refused');
      }
    }
  }

  async function reached(from: string, to: Destination, who: readonly string[]): Promise<void> {
    let last = '';
    const wanted = JSON.stringify(who.toSorted());
    await until(
      `${from} reaches ${wanted} at ${to.address}:${to.port}`,
      async () => {
        const { self, kinds } = await bed.many(from, to, 40, { timeoutMs: 300 });
        last = JSON.stringify(Object.keys(self).toSorted());
        return last === wanted && kinds.answered === 40;
      },
      undefined,
      50,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; it reached ${last}`, { cause: error });
    });
  }

  test('both serve, follow, and outlive a restart of the other', async () => {
    await cluster.become(atlas(['n1-a', 'n2-a']).manifests());
    const proxyOptions = { mode, kubeconfig: cluster.kubeconfig };
    const args = [...backend, `--cluster-cidr=${Object.values(clusterRange).join()}`];
    const running: ManagedProcess[] = [];
    let proxy = await startKubeProxy(bed, 'n1', proxyOptions);
    let agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args });
    running.push(proxy, agent);
    try {
      for (const of of ['ours-web', 'theirs-web']) {
        for (const [from, to] of [
          ['n1-b', clusterIP(of, 'IPv4')],
          ['n1-b', clusterIP(of, 'IPv6')],
          ['x1', nodePort(of)],
        ] as const) {
          const asked = async (): Promise<boolean> =>
            (await bed.many(from, to, 8)).kinds.answered !== undefined;
          await until(`${of} is served`, asked);
          await forgetEarlier(bed, 'n1', to.address);
        }
      }
      await bothServe(['n1-a', 'n2-a']);

      const watched = await Promise.all(
        ['ours-web', 'theirs-web'].flatMap((of) => [
          bed.probe('n1-b', clusterIP(of), { everyMs: 10 }),
          bed.probe('x1', nodePort(of), { everyMs: 10 }),
        ]),
      );
      await agent.stop(0);
      agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args });
      running.push(agent);
      await until('the agent has looked', async () => {
        const lines = (await logOf(agent)).filter(({ msg }) => msg === 'wrote everything');
        return lines.length >= 2 && lines.every(({ operations }) => operations === 0);
      });
      await proxy.stop(5_000);
      proxy = await startKubeProxy(bed, 'n1', proxyOptions);
      running.push(proxy);
      await sleep(1_500);
      const lost = (await Promise.all(watched.map((prober) => prober.close()))).map((attempts) => {
        expect(attempts.length).toBeGreaterThan(50);
        return attempts.filter(({ kind }) => kind !== 'answered');
      });
      expect(lost).toEqual([[], [], [], []]);
      // What kube-proxy writes anew at its start is not taken for a change of ours.
      expect((await logOf(agent)).filter(({ msg }) => msg.startsWith('rules of ours'))).toEqual([]);

      await cluster.become(atlas(['n1-a', 'n3-a']).manifests());
      await bothServe(['n1-a', 'n3-a']);
    } catch (error) {
      throw new Error(`${String(error)}\n${await agent.tail(10)}\n${await proxy.tail(10)}`, { cause: error });
    } finally {
      for (const one of running) await one.stop(5_000);
      await cleanUp(bed, 'n1');
    }
    // Ours is gone, theirs is not.
    expect((await bed.dial('n1-b', clusterIP('ours-web'), { timeoutMs: 300 })).kind).not.toBe('answered');
    await reached('n1-b', clusterIP('theirs-web'), ['n1-a', 'n3-a']);
    await bed.run('n1', 'nft', ['flush', 'ruleset']);
    await bed.run('n1', 'conntrack', ['-F']);
  });
});
