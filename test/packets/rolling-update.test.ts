/**
 * A rolling update of a policy-Local Service over three nodes under load. The balancer of this test is as simple as real
 * ones: it asks the health-check node port of each node, sends new connections to every node whose last answer was 200,
 * and pods that leave serve for a while (a preStop that waits). No connection to a node that is called healthy may
 * fail.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apply, type Manifest } from '../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { cleanUp, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Ongoing } from '../../src/sandbox/bed/ongoing.ts';
import { monotonicUs } from '../../src/sandbox/bed/traffic.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';

let bed: Bed;
let cluster: PacketCluster;

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
});
afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

const nodes = ['n1', 'n2', 'n3'];
const nodePort = 30_700;
const healthPort = 30_701;

const service: Manifest = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    namespace: 'default',
    name: 'web',
    labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' },
  },
  spec: {
    type: 'LoadBalancer',
    loadBalancerClass: 'example.com/none',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: healthPort,
    clusterIP: '10.96.7.7',
    ports: [{ name: 'web', port: 80, targetPort: 8080, nodePort }],
  },
};

type State = 'ready' | 'starting' | 'leaving';

function slice(pods: ReadonlyMap<string, State>): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'web', port: 8080, protocol: 'TCP' }],
    endpoints: [...pods].map(([pod, state]) => ({
      addresses: [bed.pod(pod).address.IPv4],
      nodeName: bed.pod(pod).node,
      conditions: {
        ready: state === 'ready',
        serving: state !== 'starting',
        terminating: state === 'leaving',
      },
    })),
  };
}

/** From when to when (microseconds) the balancer sends connections to a node. */
interface Spell {
  readonly from: number;
  to: number;
}

class Balancer {
  readonly spells = new Map<string, Spell[]>(nodes.map((node) => [node, []]));
  #stopped = false;
  readonly #rounds = nodes.map((node) => this.#ask(node));

  healthy(node: string): boolean {
    return this.spells.get(node)?.at(-1)?.to === Number.POSITIVE_INFINITY;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#rounds);
  }

  async #ask(node: string): Promise<void> {
    const url = `http://${bed.node(node).address.IPv4}:${healthPort}/`;
    while (!this.#stopped) {
      // The answer is 200 or 503; anything else counts as ill.
      const text = await bed.run('x1', process.execPath, [
        '-e',
        'fetch(process.argv[1], { signal: AbortSignal.timeout(2000) }).then((a) => console.log(a.status), () => console.log(0))',
        url,
      ]);
      const well = text.stdout.trim() === '200';
      const spells = this.spells.get(node) ?? [];
      const now = monotonicUs();
      if (well && !this.healthy(node)) spells.push({ from: now, to: Number.POSITIVE_INFINITY });
      const last = spells.at(-1);
      if (!well && last !== undefined && this.healthy(node)) last.to = now;
      await sleep(100);
    }
  }
}

const backends = [
  ['nftables', ['--backend=nftables']],
  ['iptables', ['--backend=iptables', '--iptables-variant=nft']],
] as const;

test.each(backends)('with %s, no connection to a node that is called healthy fails', async (_, args) => {
  const pods = new Map<string, State>(nodes.map((node) => [`${node}-a`, 'ready']));
  const servers = new Map<string, Ongoing<unknown>>();
  const agents: ManagedProcess[] = [];
  const publish = (): Promise<void> => apply(cluster.api, slice(pods));
  await cluster.become([service, slice(pods)]);
  for (const pod of pods.keys()) servers.set(pod, await bed.serve(pod, { port: 8080 }));
  for (const node of nodes) {
    agents.push(await startAgent(bed, node, { kubeconfig: cluster.kubeconfig, args }));
  }
  const balancer = new Balancer();
  try {
    const all = async (): Promise<boolean> => Promise.resolve(nodes.every((node) => balancer.healthy(node)));
    await until('every node is called healthy', all);
    const probers = await Promise.all(
      nodes.map((node) =>
        bed.probe('x1', { address: bed.node(node).address.IPv4, port: nodePort }, { everyMs: 3 }),
      ),
    );

    for (const node of nodes) {
      const [old, young] = [`${node}-a`, `${node}-b`];
      // One after the other, as with maxUnavailable 1: the old pod leaves before the new one is ready.
      pods.set(old, 'leaving').set(young, 'starting');
      await publish();
      await until(`${node} is called ill`, async () => Promise.resolve(!balancer.healthy(node)));
      // Connections on their way when the balancer made up its mind: as long as a try of one may take.
      await sleep(1_000);
      await servers.get(old)?.close();
      pods.delete(old);
      await publish();
      servers.set(young, await bed.serve(young, { port: 8080 }));
      pods.set(young, 'ready');
      await publish();
      await until(`${node} is called healthy again`, async () => Promise.resolve(balancer.healthy(node)));
    }
    await sleep(300);

    for (const [index, node] of nodes.entries()) {
      const attempts = (await probers[index]?.close()) ?? [];
      const spells = balancer.spells.get(node) ?? [];
      expect(spells).toHaveLength(2);
      const sent = attempts.filter(({ atUs }) => spells.some(({ from, to }) => atUs >= from && atUs < to));
      expect(sent.length, node).toBeGreaterThan(200);
      expect(
        sent.filter(({ kind }) => kind !== 'answered'),
        node,
      ).toEqual([]);
      // Only its own pods, and both of them.
      expect([...new Set(sent.map(({ self }) => self))].toSorted(), node).toEqual([`${node}-a`, `${node}-b`]);
      // The node that was called ill had a gap: the test would have noticed one.
      expect(attempts.some(({ kind }) => kind !== 'answered')).toBe(true);
    }
  } catch (error) {
    const said = await Promise.all(agents.map((agent) => agent.tail(5)));
    throw new Error(`${String(error)}\n${said.join('\n')}`, { cause: error });
  } finally {
    await balancer.stop();
    for (const agent of agents) await agent.stop(5_000);
    for (const server of servers.values()) await server.close().catch(() => undefined);
    await cluster.become([]);
    for (const node of nodes) {
      await cleanUp(bed, node);
      await bed.run(node, 'conntrack', ['-F']);
    }
  }
});
