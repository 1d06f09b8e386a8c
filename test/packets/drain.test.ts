/**
 * Draining with real connections, for each backend: new ones go elsewhere, open ones stay until they end, and whoever
 * waits is told when. The agent is its own process; the command is run on the node as a person would.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { cleanUp, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Held } from '../../src/sandbox/bed/ongoing.ts';
import type { Attempt, Destination } from '../../src/sandbox/bed/traffic.ts';
import { forgetEarlier, until } from './check.ts';
import { PacketCluster } from './cluster.ts';

let bed: Bed;
let cluster: PacketCluster;

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
  for (const pod of ['n1-a', 'n2-a']) {
    await bed.serve(pod, { port: 8080 });
    await bed.serve(pod, { port: 8080, protocol: 'UDP' });
  }
  await bed.route('x1', 'n1');
});

afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

const main = fileURLToPath(new URL('src/main.ts', packageRoot));
const ip = '10.96.9.1';
const newIP = '10.96.9.2';
const web: Destination = { address: ip, port: 80 };
// Of the range that the API server leaves for people's own choice: elsewhere it may give them to another port.
const nodePort = 30_080;
const healthPort = 30_081;

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
    clusterIP: ip,
    ports: [
      { name: 'web', port: 80, targetPort: 8080, nodePort },
      { name: 'dns', port: 53, targetPort: 8080, protocol: 'UDP' },
    ],
  },
};

function slice(...pods: readonly string[]): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [
      { name: 'web', port: 8080, protocol: 'TCP' },
      { name: 'dns', port: 8080, protocol: 'UDP' },
    ],
    endpoints: pods.map((pod) => ({
      addresses: [bed.pod(pod).address.IPv4],
      nodeName: bed.pod(pod).node,
      conditions: { ready: true },
      targetRef: { kind: 'Pod', namespace: 'default', name: pod },
    })),
  };
}

/** Who answers; none of the tries may fail, so it is for what is served. */
async function answers(times = 30, to = web): Promise<readonly string[]> {
  const { self, kinds: came, failures } = await bed.many('n1-b', to, times);
  const lost = failures.map((one) => `${one.kind} from ${one.source ?? ''}: ${one.error ?? ''}`);
  if (lost.length > 0) {
    const tracked = await bed.succeed('n1', 'conntrack', ['-L', '--orig-dst', to.address]);
    const ports = failures.map(({ source = '' }) => `sport=${source.split(':').at(-1)} `);
    const lines = tracked.split('\n').filter((line) => ports.some((port) => line.includes(port)));
    throw new Error([JSON.stringify(came), ...lost, 'n1 tracks:', ...lines].join('\n'));
  }
  return Object.keys(self).toSorted();
}

/** Waits until new connections get there, to these; tries from before that are forgotten. */
async function untilServed(to: Destination, names: readonly string[]): Promise<void> {
  await until('it is served', async () => {
    const { kinds: came, self } = await bed.many('n1-b', to, 30);
    return came.answered !== undefined && names.every((name) => name in self);
  });
  await forgetEarlier(bed, 'n1', to.address);
}

/** What a test has open; whatever is left of it when it fails would be counted by the next. */
const open: { readonly close: () => Promise<unknown> }[] = [];

afterEach(async () => {
  // Most are closed already.
  for (const one of open.splice(0)) await one.close().catch(() => undefined);
});

/** Ten open connections and more, of which some are to n1-a and others are not. */
async function holdTen(): Promise<{ readonly held: readonly Held[]; readonly atFirst: number }> {
  const held: Held[] = [];
  let atFirst = 0;
  while (held.length < 10 || atFirst === 0 || atFirst === held.length) {
    const one = await bed.hold('n1-b', web);
    held.push(one);
    open.push(one);
    if ((await one.check()).self === 'n1-a') atFirst += 1;
  }
  return { held, atFirst };
}

/** The same Service under another name, with a cluster IP of its own. */
function another(): readonly Manifest[] {
  const renamed = (manifest: Manifest): Manifest =>
    JSON.parse(JSON.stringify(manifest).replaceAll('"web', '"new')) as Manifest;
  const late = renamed({
    ...service,
    spec: { clusterIP: newIP, ports: [{ name: 'web', port: 80, targetPort: 8080 }] },
  });
  const made = slice('n1-a', 'n2-a');
  const ports = (made['ports'] as readonly object[]).slice(0, 1);
  return [late, renamed({ ...made, ports })];
}

const dns: Destination = { address: ip, port: 53, protocol: 'UDP' };

/** Who has answered since the last look. */
async function selvesOf(flow: { peek: () => Promise<readonly Attempt[]> }): Promise<string> {
  return [
    ...new Set((await flow.peek()).filter(({ kind }) => kind === 'answered').map(({ self }) => self)),
  ].join();
}

/** What a balancer hears of n1. */
async function health(): Promise<string> {
  const url = `http://${bed.node('n1').address.IPv4}:${healthPort}/`;
  const { stdout } = await bed.run('n1', 'curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', url]);
  return stdout;
}

async function drain(...args: readonly string[]): ReturnType<Bed['run']> {
  return bed.run('n1', process.execPath, [main, 'drain', ...args, `--kubeconfig=${cluster.kubeconfig}`]);
}

const kinds = [
  ['nftables', ['--backend=nftables']],
  ['iptables-nft', ['--backend=iptables', '--iptables-variant=nft']],
  ['iptables-legacy', ['--backend=iptables', '--iptables-variant=legacy']],
] as const;

describe.each(kinds)('with %s', (_name, backend) => {
  test('an endpoint gets nothing new, keeps what is open, and is drained when that has ended', async () => {
    await cluster.become([service, slice('n1-a', 'n2-a')]);
    const agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args: backend });
    try {
      await untilServed(web, ['n1-a', 'n2-a']);
      await until('the health check counts it', async () => (await health()) === '200');

      const { held, atFirst } = await holdTen();
      // Four clients that send datagrams from ports of their own, each to one endpoint.
      const flows = await Promise.all(Array.from({ length: 4 }, () => bed.flow('n1-b', dns)));
      open.push(...flows);
      const before = flows.map(() => '');
      await until('each is answered', async () => {
        for (const [index, flow] of flows.entries()) before[index] ||= await selvesOf(flow);
        return before.every((self) => self !== '');
      });
      const marked = await drain('pod/n1-a', '--mark-only', '-o', 'json');
      expect([marked.code, marked.stderr]).toEqual([0, '']);
      expect(JSON.parse(marked.stdout)).toMatchObject({
        services: ['default/web'],
        drained: null,
        notes: [],
      });
      await until('nothing new comes to it', async () => (await answers()).join() === 'n2-a');
      expect(await answers(150)).toEqual(['n2-a']);
      expect(await health()).toBe('503');
      // Open ones still carry data, and datagrams go on to who has had them.
      expect(await Promise.all(flows.map(selvesOf))).toEqual(before);
      for (const flow of flows) await flow.close();
      for (const one of held) expect((await one.check()).kind).toBe('answered');

      // Not drained while they are open; drained when they have ended (datagrams: when the kernel forgets them).
      const short = await drain('pod/n1-a', '--wait-only', '--timeout=1s', '--every=200ms', '-o', 'json');
      expect(short.code).toBe(2);
      const { left } = JSON.parse(short.stdout) as { readonly left: number };
      expect(left).toBe(atFirst + before.filter((self) => self === 'n1-a').length);
      await bed.succeed('n1', 'conntrack', ['-D', '-p', 'udp', '--orig-dst', ip]);
      const waiting = drain('pod/n1-a', '--wait-only', '--timeout=60s', '--every=200ms');
      for (const one of held) expect((await one.check()).kind).toBe('answered');
      for (const one of held) await one.close();
      const done = await waiting;
      expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('pod/n1-a is drained')]);

      // Back again; the annotation goes as a whole.
      expect((await drain('pod/n1-a', '--undo')).code).toBe(0);
      await until('both serve again', async () => (await answers()).join() === 'n1-a,n2-a');

      // All endpoints of a node, and a slice that comes later.
      expect((await drain('node/n2', '--mark-only')).code).toBe(0);
      await until('the other node gets nothing', async () => (await answers()).join() === 'n1-a');
      // The last one is not drained: it says so and keeps serving.
      const last = await drain('node/n1', '--mark-only');
      expect(last.stderr).toContain('default/web has no other ready endpoint');
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await answers(120)).length).toBeGreaterThan(0);
    } catch (error) {
      throw new Error(`${String(error)}\n${await agent.tail(20)}`, { cause: error });
    } finally {
      await agent.stop(5_000);
      await cluster.become([]);
      await cleanUp(bed, 'n1');
    }
  });
});

test('a Service that appears while a node is drained sends nothing there either, and is waited for', async () => {
  await cluster.become([service, slice('n1-a', 'n2-a')]);
  const agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args: ['--backend=nftables'] });
  try {
    await untilServed(web, ['n1-a', 'n2-a']);
    const { held } = await holdTen();
    const draining = drain('node/n1', '--timeout=60s', '--every=200ms', '-o', 'json');
    await until('nothing new comes to the node', async () => (await answers()).join() === 'n2-a');
    await cluster.become([service, slice('n1-a', 'n2-a'), ...another()]);
    const fresh: Destination = { address: newIP, port: 80 };
    await untilServed(fresh, []);
    await until('and not by the node', async () => (await answers(60, fresh)).join() === 'n2-a');
    expect(await answers(150, fresh)).toEqual(['n2-a']);
    for (const one of held) await one.close();
    const done = await draining;
    expect([done.code, JSON.parse(done.stdout)]).toMatchObject([
      0,
      { services: ['default/web', 'default/new'], drained: true, left: 0 },
    ]);
    expect(done.stderr).toContain('default/new has node/n1 among its endpoints since then');

    // The node's pods have gone by now; the annotation goes all the same.
    await cluster.become([service, slice('n2-a'), ...another().slice(0, 1)]);
    const undone = await drain('node/n1', '--undo', '-o', 'json');
    expect([undone.code, JSON.parse(undone.stdout)]).toMatchObject([
      0,
      { services: expect.arrayContaining(['default/web', 'default/new']), annotation: 'removed' },
    ]);
  } catch (error) {
    throw new Error(`${String(error)}\n${await agent.tail(20)}`, { cause: error });
  } finally {
    await agent.stop(5_000);
    await cluster.become([]);
    await cleanUp(bed, 'n1');
  }
});
