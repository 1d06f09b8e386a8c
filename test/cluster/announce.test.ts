/**
 * Announcing against a real API server, with real heartbeats on loopback: registration, key, probes, status, hand-over.
 * Only the kernels are stand-ins.
 */
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Announcer, AnnouncerEvents, Holding } from '../../src/agent/announce/announcer.ts';
import { AnnouncePart } from '../../src/agent/announce/part.ts';
import { memberId } from '../../src/agent/announce/rank.ts';
import { Registry } from '../../src/agent/announce/registry.ts';
import { SluiceError } from '../../src/core/errors.ts';
import type { NodeName } from '../../src/core/objects.ts';
import { addressesPath, poolsPath } from '../../src/kube/address-kinds.ts';
import { serviceAddressName } from '../../src/core/address-objects.ts';
import { connect, type Connection } from '../../src/kube/connection.ts';
import { Writer } from '../../src/kube/writer.ts';
import { startControlPlane, type ControlPlane } from '../../src/sandbox/control-plane.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { watchedClock, type WatchedClock } from '../support/watched-clock.ts';

const namespace = 'sluice-system';
const leaseNamespace = 'sluice-agent';
let plane: ControlPlane;
let api: Connection;
let writer: Writer;
const running: StandIn[] = [];

class FakeAnnouncer implements Announcer {
  held: readonly Holding[] = [];
  stopped: string | undefined;
  taken = new Set<string>();
  events: AnnouncerEvents | undefined;

  async start(events: AnnouncerEvents): Promise<void> {
    this.events = events;
  }

  links(): ReturnType<Announcer['links']> {
    return [
      {
        name: 'eth0',
        mac: '02:00:00:00:00:01',
        up: true,
        usable: true,
        networks: ['192.0.2.250/24', '2001:db8::250/64'],
        defaultRoute: { ipv4: true, ipv6: false },
      },
    ];
  }

  async hold(holdings: readonly Holding[]): Promise<void> {
    this.held = holdings;
  }

  repeat(): void {}

  async probe(address: string): ReturnType<Announcer['probe']> {
    return this.taken.has(address) ? { kind: 'taken', mac: '02:99:99:99:99:99' } : { kind: 'free' };
  }

  async stop(how: 'release' | 'keep'): Promise<void> {
    this.stopped = how;
    if (how === 'release') this.held = [];
  }
}

interface StandIn {
  readonly name: string;
  readonly announcer: FakeAnnouncer;
  readonly part: AnnouncePart;
  readonly troubles: string[];
  /** Addresses that it let go, and rights that it had, in order. */
  readonly moves: string[];
  readonly clock: WatchedClock;
  end(how: 'keep' | 'release'): Promise<void>;
}

async function agent(name: string, announcer = new FakeAnnouncer()): Promise<StandIn> {
  const own = await connect({ path: plane.admin.path });
  const clock = watchedClock();
  const troubles: string[] = [];
  const moves: string[] = [];
  const part = new AnnouncePart({
    api: own,
    nodeName: name as NodeName,
    namespace,
    leaseNamespace,
    bind: { host: '127.0.0.1', port: 0 },
    announcer,
    slices: { slices: () => [], onSlice: () => () => undefined },
    slicesComplete: Promise.resolve(),
    clock,
    random: Math.random,
    telemetry: {
      event: (event) => {
        if (event.kind === 'given-up') moves.push(`given up ${event.address}: ${event.reason}`);
        if (event.kind === 'standing') moves.push(`${event.standing.right.kind} ${event.standing.seen}`);
      },
      asked: () => undefined,
      trouble: (what, error: SluiceError) => troubles.push(`${what}: ${error.message}`),
      reader: () => undefined,
    },
  });
  await part.start();
  let ended: Promise<void> | undefined;
  const standIn: StandIn = {
    name,
    announcer,
    part,
    troubles,
    moves,
    clock,
    end: (how) => (ended ??= part.end(how).then(() => own.close())),
  };
  running.push(standIn);
  return standIn;
}

function holders(address: string, agents: readonly StandIn[]): readonly string[] {
  return agents
    .filter(({ announcer }) => announcer.held.some((one) => one.address === address))
    .map(({ name }) => name);
}

interface LiveAddress {
  readonly status?: {
    readonly holder?: { readonly node: string; readonly interface: string; readonly mac: string };
    readonly probe?: { readonly outcome: string; readonly mac?: string; readonly at: string };
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
    }[];
  };
}

async function live(name: string): Promise<NonNullable<LiveAddress['status']>> {
  return ((await api.request('GET', `${addressesPath}/${name}`)) as LiveAddress).status ?? {};
}

/** A Service with an address in its status, and the object of the address. */
async function announced(name: string, address: string, spec: object = {}): Promise<string> {
  await writer.create('/api/v1/namespaces/default/services', {
    metadata: { name },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/local', ports: [{ port: 80 }], ...spec },
  });
  await writer.patch(`/api/v1/namespaces/default/services/${name}/status`, {
    status: { loadBalancer: { ingress: [{ ip: address, ipMode: 'VIP' }] } },
  });
  const object = `v4-${address.replaceAll('.', '-')}`;
  await writer.create(addressesPath, {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'ServiceAddress',
    metadata: { name: object },
    spec: { address, pool: 'office', services: [{ service: `default/${name}`, uid: 'any' }] },
  });
  return object;
}

beforeAll(async () => {
  plane = await startControlPlane();
  api = await connect({ path: plane.admin.path });
  writer = new Writer(api);
  const folder = new URL('../../manifests/crds/', import.meta.url);
  for (const file of await readdir(folder)) {
    if (file === 'kustomization.yaml') continue;
    for (const document of parseAllDocuments(await readFile(new URL(file, folder), 'utf8')))
      if (document.toJS() !== null)
        await writer.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', document.toJS());
  }
  for (const name of [namespace, leaseNamespace])
    await writer.create('/api/v1/namespaces', { metadata: { name } });
  await writer.create(`/api/v1/namespaces/${namespace}/secrets`, {
    metadata: { name: 'sluice-heartbeat' },
    data: { key: Buffer.alloc(32, 1).toString('base64') },
  });
  for (const name of ['node-1', 'node-2', 'node-3'])
    await writer.create('/api/v1/nodes', { metadata: { name } });
  await vi.waitFor(async () => {
    await writer.create(poolsPath, {
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'AddressPool',
      metadata: { name: 'office' },
      spec: { addresses: ['192.0.2.0/25'] },
    });
  }, 20_000);
}, 600_000);

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.end('release')));
});

afterAll(async () => {
  await api?.close();
  await plane?.stop();
});

test('one of three holds an address, says so, and hands it over when it is released', async () => {
  const object = await announced('first', '192.0.2.10');
  const agents = [await agent('node-1'), await agent('node-2'), await agent('node-3')];
  await vi.waitFor(() => expect(holders('192.0.2.10', agents)).toHaveLength(1), 10_000);
  await vi.waitFor(() => {
    for (const { part } of agents)
      expect(part.standing).toMatchObject({ right: { kind: 'majority' }, seen: 3 });
  }, 10_000);
  const [first] = holders('192.0.2.10', agents);
  await vi.waitFor(async () => {
    const { holder, conditions } = await live(object);
    expect(holder).toMatchObject({ node: first, interface: 'eth0', mac: '02:00:00:00:00:01' });
    expect(conditions).toMatchObject([{ type: 'Announced', status: 'True', reason: 'Announced' }]);
  }, 10_000);
  const leaving = agents.find(({ name }) => name === first);
  const rest = agents.filter((one) => one !== leaving);
  await leaving?.end('release');
  expect(holders('192.0.2.10', rest)).toHaveLength(1);
  await vi.waitFor(async () => {
    expect((await live(object)).holder?.node).toBe(holders('192.0.2.10', rest)[0]);
  }, 10_000);
  expect(agents.flatMap(({ troubles }) => troubles)).toEqual([]);
}, 60_000);

test('an agent that comes back within the lifetime keeps what it held, and nobody else takes it meanwhile', async () => {
  await announced('second', '192.0.2.11');
  const agents = [await agent('node-1'), await agent('node-2')];
  await vi.waitFor(() => expect(holders('192.0.2.11', agents)).toHaveLength(1), 10_000);
  await vi.waitFor(() => {
    for (const { part } of agents) expect(part.standing.seen).toBe(2);
  }, 10_000);
  const [first] = holders('192.0.2.11', agents);
  const restarted = agents.find(({ name }) => name === first);
  const other = agents.find((one) => one !== restarted);
  if (restarted === undefined || other === undefined) throw new Error('nobody holds it');
  await restarted.end('keep');
  expect(restarted.announcer.stopped).toBe('keep');
  const next = await agent(restarted.name);
  await vi.waitFor(() => expect(holders('192.0.2.11', [next])).toEqual([restarted.name]), 1_800);
  expect(other.announcer.held).toEqual([]);
}, 60_000);

test.each(['keep', 'release'] as const)(
  'an agent that has ended (%s) waits for nothing more, whatever stood in the way of its addresses',
  async (how) => {
    const one = await agent('node-1');
    const address = `192.0.2.${how === 'keep' ? 61 : 62}`;
    await announced(`ends-${how}`, address);
    await vi.waitFor(() => expect(holders(address, [one])).toEqual(['node-1']), 10_000);
    // As where its child was struck by the signal that ends the agent.
    const error = new SluiceError('transient', 'the child ended', { code: 'RelayEnded' });
    one.announcer.events?.held(address, error);
    expect(one.clock.pending()).not.toEqual([]);
    await one.end(how);
    expect(one.clock.pending()).toEqual([]);
  },
);

test('what the controller asks is answered by one agent: free, or taken with the MAC', async () => {
  const taken = new FakeAnnouncer();
  taken.taken.add('192.0.2.31');
  const agents = [await agent('node-1', taken), await agent('node-2', taken)];
  for (const address of ['192.0.2.30', '192.0.2.31'])
    await writer.create(addressesPath, {
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'ServiceAddress',
      metadata: { name: `v4-${address.replaceAll('.', '-')}` },
      // An hour ahead: the clocks of controller and agents need not agree.
      spec: {
        address,
        pool: 'office',
        services: [{ service: 'default/none', uid: 'any' }],
        probeAfter: new Date(Date.now() + 3_600_000).toISOString(),
      },
    });
  await vi.waitFor(async () => {
    expect((await live('v4-192-0-2-30')).probe).toMatchObject({ outcome: 'free' });
    expect((await live('v4-192-0-2-31')).probe).toMatchObject({ outcome: 'taken', mac: '02:99:99:99:99:99' });
  }, 15_000);
  expect(agents).toHaveLength(2);
}, 60_000);

test('policy Local without an endpoint: nobody holds it, and the condition says why', async () => {
  const object = await announced('third', '192.0.2.12', { externalTrafficPolicy: 'Local' });
  const one = await agent('node-1');
  await vi.waitFor(async () => {
    const { conditions = [] } = await live(object);
    expect(conditions).toMatchObject([{ type: 'Announced', status: 'False', reason: 'NoEligibleNode' }]);
  }, 15_000);
  expect(one.announcer.held.map(({ address }) => address)).not.toContain('192.0.2.12');
}, 60_000);

async function threeAgents(): Promise<readonly StandIn[]> {
  const agents = [await agent('node-1'), await agent('node-2'), await agent('node-3')];
  await vi.waitFor(() => {
    for (const { part } of agents)
      expect(part.standing).toMatchObject({ right: { kind: 'majority' }, seen: 3 });
  }, 10_000);
  return agents;
}

/** Ports of a held address, wherever it is held. */
function ports(address: string, agents: readonly StandIn[]): readonly number[] {
  const held = agents.flatMap(({ announcer }) => announcer.held).find((one) => one.address === address);
  return (held?.ports ?? []).map(({ port }) => port).toSorted((a, b) => a - b);
}

test('two Services on one address are on one node, with the ports of both, and stay there when one goes', async () => {
  const address = '192.0.2.40';
  const services = '/api/v1/namespaces/default/services';
  const agents = await threeAgents();
  const object = await announced('shares-a', address);
  await writer.create(services, {
    metadata: { name: 'shares-b' },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/local', ports: [{ port: 81 }] },
  });
  await writer.patch(`${services}/shares-b/status`, {
    status: { loadBalancer: { ingress: [{ ip: address, ipMode: 'VIP' }] } },
  });
  const shared = (...names: readonly string[]): Promise<unknown> =>
    writer.patch(`${addressesPath}/${object}`, {
      spec: { services: names.map((name) => ({ service: `default/${name}`, uid: name })) },
    });
  await shared('shares-a', 'shares-b');
  await vi.waitFor(() => expect(ports(address, agents)).toEqual([80, 81]), 10_000);
  const [holder, ...others] = holders(address, agents);
  expect(others).toEqual([]);
  await shared('shares-a');
  await api.request('DELETE', `${services}/shares-b`);
  await vi.waitFor(() => expect(ports(address, agents)).toEqual([80]), 10_000);
  expect(holders(address, agents)).toEqual([holder]);
}, 60_000);

test('an address of the other family that comes later stands beside the first; neither moves when the pool shrinks', async () => {
  const [first, second] = ['192.0.2.41', '2001:db8::41'];
  const agents = await threeAgents();
  await announced('grows', first);
  await vi.waitFor(() => expect(holders(first, agents)).toHaveLength(1), 10_000);
  const held = holders(first, agents);
  await writer.patch('/api/v1/namespaces/default/services/grows/status', {
    status: { loadBalancer: { ingress: [first, second].map((ip) => ({ ip, ipMode: 'VIP' })) } },
  });
  await writer.create(addressesPath, {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'ServiceAddress',
    metadata: { name: serviceAddressName(second) },
    spec: { address: second, pool: 'office', services: [{ service: 'default/grows', uid: 'any' }] },
  });
  await vi.waitFor(() => expect(holders(second, agents)).toHaveLength(1), 10_000);
  const both = [first, second].map((address) => holders(address, agents));
  const shrink = (addresses: readonly string[]): Promise<unknown> =>
    writer.patch(`${poolsPath}/office`, { spec: { addresses } });
  await shrink(['192.0.2.0/28']);
  // Something that every agent hears of after the pool.
  await announced('later', '192.0.2.9');
  await vi.waitFor(() => expect(holders('192.0.2.9', agents)).toHaveLength(1), 10_000);
  expect([first, second].map((address) => holders(address, agents))).toEqual(both);
  expect(holders(first, agents)).toEqual(held);
  for (const { moves } of agents)
    expect(moves.filter((move) => move.includes(first) || move.includes(second))).toEqual([]);
  await shrink(['192.0.2.0/25']);
}, 60_000);

const secretPath = `/api/v1/namespaces/${namespace}/secrets/sluice-heartbeat`;
const keyOf = (number: number): string => Buffer.alloc(32, number).toString('base64');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a new key is rolled out in three steps: nobody is lost from sight, no address moves', async () => {
  await announced('fourth', '192.0.2.13');
  const agents = await threeAgents();
  await vi.waitFor(() => expect(holders('192.0.2.13', agents)).toHaveLength(1), 10_000);
  const before = holders('192.0.2.13', agents);
  for (const { moves } of agents) moves.length = 0;
  // First it opens, then it seals, then the old one goes.
  for (const data of [
    { key: keyOf(1), previous: keyOf(2) },
    { key: keyOf(2), previous: keyOf(1) },
    { key: keyOf(2), previous: null },
  ]) {
    await writer.patch(secretPath, { data });
    await pause(1_500);
    for (const { part } of agents) expect(part.standing.seen).toBe(3);
  }
  expect(agents.flatMap(({ moves }) => moves)).toEqual([]);
  expect(holders('192.0.2.13', agents)).toEqual(before);
  // An agent that starts with the new key alone is heard.
  await agents[2]?.end('keep');
  await agent('node-3');
  await vi.waitFor(() => expect(agents[0]?.part.standing.seen).toBe(3), 5_000);
}, 60_000);

test('a key that is exchanged at once costs moments, and one holder is left', async () => {
  await announced('fifth', '192.0.2.14');
  const agents = await threeAgents();
  await vi.waitFor(() => expect(holders('192.0.2.14', agents)).toHaveLength(1), 10_000);
  await writer.patch(secretPath, { data: { key: keyOf(3), previous: null } });
  await pause(2_000);
  await vi.waitFor(() => {
    for (const { part } of agents) expect(part.standing).toMatchObject({ right: { kind: 'majority' } });
    expect(holders('192.0.2.14', agents)).toHaveLength(1);
  }, 5_000);
}, 60_000);

test('the API server goes away for longer than registrations last: nothing moves, and all is told after', async () => {
  const object = await announced('sixth', '192.0.2.15');
  const agents = await threeAgents();
  await vi.waitFor(() => expect(holders('192.0.2.15', agents)).toHaveLength(1), 10_000);
  const [first] = holders('192.0.2.15', agents);
  await vi.waitFor(async () => expect((await live(object)).holder?.node).toBe(first), 10_000);
  for (const { moves } of agents) moves.length = 0;
  await plane.apiServer.stop('kill');
  for (let at = 0; at < 25; at += 1) {
    await pause(1_000);
    expect(holders('192.0.2.15', agents)).toEqual([first]);
  }
  expect(agents.flatMap(({ moves }) => moves)).toEqual([]);
  // A holder goes meanwhile: the others need no API server for what follows.
  const leaving = agents.find(({ name }) => name === first);
  const rest = agents.filter((one) => one !== leaving);
  const ended = leaving?.end('release');
  await vi.waitFor(() => expect(holders('192.0.2.15', rest)).toHaveLength(1), 5_000);
  await plane.restartApiServer('kill');
  await ended;
  await vi.waitFor(async () => {
    expect((await live(object)).holder?.node).toBe(holders('192.0.2.15', rest)[0]);
  }, 30_000);
  // One line for what stood still, not one for each try.
  for (const { troubles } of rest) expect(troubles.length).toBeLessThanOrEqual(6);
}, 120_000);

test('an agent of which nothing is heard for five minutes is retired, and counts again when it is back', async () => {
  const clock = scaledClock(60);
  const registry = async (name: string): Promise<Registry> => {
    const made = new Registry({
      api,
      namespace: 'retire',
      nodeName: name as NodeName,
      node: () => undefined,
      heartbeat: () => ({ host: '127.0.0.1', port: 10_272 }),
      clock,
      random: Math.random,
      onChange: () => undefined,
      report: () => undefined,
      failed: () => undefined,
    });
    await made.start();
    return made;
  };
  await writer.create('/api/v1/namespaces', { metadata: { name: 'retire' } });
  const [one, two] = [await registry('node-1'), await registry('node-2')];
  const [first, second] = [memberId('node-1' as NodeName), memberId('node-2' as NodeName)];
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first, second])), 5_000);
  // Its machine is gone: it does not say goodbye.
  await two.stop('stays');
  const since = clock.now();
  while (clock.now() - since < 270_000) {
    await one.retire(new Set([first]));
    expect(one.known().members.has(second), 'not before its time').toBe(true);
    await pause(100);
  }
  expect(one.known().lapsed).toEqual(new Set([second]));
  // Somebody hears it although its registration stands still: it stays.
  while (clock.now() - since < 330_000) {
    await one.retire(new Set([first, second]));
    await pause(100);
  }
  expect(one.known().members.has(second)).toBe(true);
  await one.retire(new Set([first]));
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first])), 5_000);
  const back = await registry('node-2');
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first, second])), 5_000);
  // One that says goodbye for good does not count from then on.
  await back.stop('gone');
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first])), 5_000);
  await one.stop('gone');
}, 60_000);
