/**
 * Announcing against a real API server, with real heartbeats on loopback: registration, probes, status, hand-over,
 * addresses that are shared or come later.
 */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { announceTimings } from '../../src/agent/announce/timings.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { addressesPath } from '../../src/kube/address-kinds.ts';
import { AnnounceGround, FakeAnnouncer, holders, ports, waitMs } from './announce-ground.ts';

let ground: AnnounceGround;

beforeAll(async () => {
  ground = await AnnounceGround.start();
}, 600_000);

afterEach(() => ground.rest());

afterAll(async () => {
  await ground?.stop();
});

test('one of three holds an address, says so, and hands it over when it is released', async () => {
  const object = await ground.announced('first', '192.0.2.10');
  const agents = [await ground.agent('node-1'), await ground.agent('node-2'), await ground.agent('node-3')];
  await vi.waitFor(() => expect(holders('192.0.2.10', agents)).toHaveLength(1), waitMs);
  await vi.waitFor(() => {
    for (const { part } of agents)
      expect(part.standing).toMatchObject({ right: { kind: 'majority' }, seen: 3 });
  }, waitMs);
  const [first] = holders('192.0.2.10', agents);
  await vi.waitFor(async () => {
    const { holder, conditions } = await ground.live(object);
    expect(holder).toMatchObject({ node: first, interface: 'eth0', mac: '02:00:00:00:00:01' });
    expect(conditions).toMatchObject([{ type: 'Announced', status: 'True', reason: 'Announced' }]);
  }, waitMs);
  const leaving = agents.find(({ name }) => name === first);
  const rest = agents.filter((one) => one !== leaving);
  await leaving?.end('release');
  expect(holders('192.0.2.10', rest)).toHaveLength(1);
  await vi.waitFor(async () => {
    expect((await ground.live(object)).holder?.node).toBe(holders('192.0.2.10', rest)[0]);
  }, waitMs);
  expect(agents.flatMap(({ troubles }) => troubles)).toEqual([]);
});

test('an agent that comes back within the lifetime keeps what it held, and nobody else takes it meanwhile', async () => {
  await ground.announced('second', '192.0.2.11');
  const agents = [await ground.agent('node-1'), await ground.agent('node-2')];
  await vi.waitFor(() => expect(holders('192.0.2.11', agents)).toHaveLength(1), waitMs);
  await vi.waitFor(() => {
    for (const { part } of agents) expect(part.standing.seen).toBe(2);
  }, waitMs);
  const [first] = holders('192.0.2.11', agents);
  const restarted = agents.find(({ name }) => name === first);
  const other = agents.find((one) => one !== restarted);
  if (restarted === undefined || other === undefined) throw new Error('nobody holds it');
  await restarted.end('keep');
  const ended = ground.clock.now();
  expect(restarted.announcer.stopped).toBe('keep');
  const next = await ground.agent(restarted.name);
  await vi.waitFor(() => expect(holders('192.0.2.11', [next])).toEqual([restarted.name]), waitMs);
  expect(ground.clock.now() - ended).toBeLessThan(announceTimings.lifetimeMs);
  expect(other.announcer.held).toEqual([]);
});

test.each(['keep', 'release'] as const)(
  'an agent that has ended (%s) waits for nothing more, whatever stood in the way of its addresses',
  async (how) => {
    const one = await ground.agent('node-1');
    const address = `192.0.2.${how === 'keep' ? 61 : 62}`;
    await ground.announced(`ends-${how}`, address);
    await vi.waitFor(() => expect(holders(address, [one])).toEqual(['node-1']), waitMs);
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
  const agents = [await ground.agent('node-1', taken), await ground.agent('node-2', taken)];
  for (const address of ['192.0.2.30', '192.0.2.31'])
    // An hour ahead: the clocks of controller and agents need not agree.
    await ground.address(address, 'none', { probeAfter: new Date(Date.now() + 3_600_000).toISOString() });
  await vi.waitFor(async () => {
    expect((await ground.live('v4-192-0-2-30')).probe).toMatchObject({ outcome: 'free' });
    expect((await ground.live('v4-192-0-2-31')).probe).toMatchObject({
      outcome: 'taken',
      mac: '02:99:99:99:99:99',
    });
  }, waitMs);
  expect(agents).toHaveLength(2);
});

test('policy Local without an endpoint: nobody holds it, and the condition says why', async () => {
  const object = await ground.announced('third', '192.0.2.12', { externalTrafficPolicy: 'Local' });
  const one = await ground.agent('node-1');
  await vi.waitFor(async () => {
    const { conditions = [] } = await ground.live(object);
    expect(conditions).toMatchObject([{ type: 'Announced', status: 'False', reason: 'NoEligibleNode' }]);
  }, waitMs);
  expect(one.announcer.held.map(({ address }) => address)).not.toContain('192.0.2.12');
});

test('two Services on one address are on one node, with the ports of both, and stay there when one goes', async () => {
  const address = '192.0.2.40';
  const agents = await ground.three();
  const object = await ground.announced('shares-a', address);
  await ground.service('shares-b', [address], { ports: [{ port: 81 }] });
  const shared = (...names: readonly string[]): Promise<unknown> =>
    ground.writer.patch(`${addressesPath}/${object}`, {
      spec: { services: names.map((name) => ({ service: `default/${name}`, uid: name })) },
    });
  await shared('shares-a', 'shares-b');
  await vi.waitFor(() => expect(ports(address, agents)).toEqual([80, 81]), waitMs);
  const [holder, ...others] = holders(address, agents);
  expect(others).toEqual([]);
  await shared('shares-a');
  await ground.api.request('DELETE', '/api/v1/namespaces/default/services/shares-b');
  await vi.waitFor(() => expect(ports(address, agents)).toEqual([80]), waitMs);
  expect(holders(address, agents)).toEqual([holder]);
});

test('an address of the other family that comes later stands beside the first; neither moves when the pool shrinks', async () => {
  const [first, second] = ['192.0.2.41', '2001:db8::41'];
  const agents = await ground.three();
  await ground.announced('grows', first);
  await vi.waitFor(() => expect(holders(first, agents)).toHaveLength(1), waitMs);
  const held = holders(first, agents);
  await ground.ingress('grows', [first, second]);
  await ground.address(second, 'grows');
  await vi.waitFor(() => expect(holders(second, agents)).toHaveLength(1), waitMs);
  const both = [first, second].map((address) => holders(address, agents));
  await ground.pool(['192.0.2.0/28']);
  // Something that every agent hears of after the pool.
  await ground.announced('later', '192.0.2.9');
  await vi.waitFor(() => expect(holders('192.0.2.9', agents)).toHaveLength(1), waitMs);
  expect([first, second].map((address) => holders(address, agents))).toEqual(both);
  expect(holders(first, agents)).toEqual(held);
  for (const { moves } of agents)
    expect(moves.filter((move) => move.includes(first) || move.includes(second))).toEqual([]);
});
