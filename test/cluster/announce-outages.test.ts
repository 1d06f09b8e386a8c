/** Announcing while what it leans on changes or fails: the key of the heartbeats, the API server, agents for good. */
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { memberId } from '../../src/agent/announce/rank.ts';
import { Registry } from '../../src/agent/announce/registry.ts';
import type { NodeName } from '../../src/core/objects.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { AnnounceGround, holders, keyOf, waitMs } from './announce-ground.ts';

let ground: AnnounceGround;
/** Tries at retiring an agent: each has a namespace of its own. */
let retirements = 0;

beforeAll(async () => {
  ground = await AnnounceGround.start();
}, 600_000);

afterEach(() => ground.rest());

afterAll(async () => {
  await ground?.stop();
});

test('a new key is rolled out in three steps: nobody is lost from sight, no address moves', async () => {
  await ground.announced('fourth', '192.0.2.13');
  const agents = await ground.three();
  await vi.waitFor(() => expect(holders('192.0.2.13', agents)).toHaveLength(1), waitMs);
  const before = holders('192.0.2.13', agents);
  for (const { moves } of agents) moves.length = 0;
  // First it opens, then it seals, then the old one goes.
  for (const data of [
    { key: keyOf(1), previous: keyOf(2) },
    { key: keyOf(2), previous: keyOf(1) },
    { key: keyOf(2), previous: null },
  ]) {
    await ground.key(data);
    // Long enough for the API server to tell everybody, busy or not: the promise is that of rolling it out in steps.
    await ground.clock.pause(3_000);
    for (const { part } of agents) expect(part.standing.seen).toBe(3);
  }
  expect(agents.flatMap(({ moves }) => moves)).toEqual([]);
  expect(holders('192.0.2.13', agents)).toEqual(before);
  // An agent that starts with the new key alone is heard.
  await agents[2]?.end('keep');
  await ground.agent('node-3');
  await vi.waitFor(() => expect(agents[0]?.part.standing.seen).toBe(3), waitMs);
});

test('a key that is exchanged at once costs moments, and one holder is left', async () => {
  await ground.announced('fifth', '192.0.2.14');
  const agents = await ground.three();
  await vi.waitFor(() => expect(holders('192.0.2.14', agents)).toHaveLength(1), waitMs);
  await ground.key({ key: keyOf(3), previous: null });
  await ground.clock.pause(2_000);
  await vi.waitFor(() => {
    for (const { part } of agents) expect(part.standing).toMatchObject({ right: { kind: 'majority' } });
    expect(holders('192.0.2.14', agents)).toHaveLength(1);
  }, waitMs);
});

test('the API server goes away for longer than registrations last: nothing moves, and all is told after', async () => {
  const object = await ground.announced('sixth', '192.0.2.15');
  const agents = await ground.three();
  await vi.waitFor(() => expect(holders('192.0.2.15', agents)).toHaveLength(1), waitMs);
  const [first] = holders('192.0.2.15', agents);
  await vi.waitFor(async () => expect((await ground.live(object)).holder?.node).toBe(first), waitMs);
  for (const { moves } of agents) moves.length = 0;
  await ground.plane.apiServer.stop('kill');
  const leaving = agents.find(({ name }) => name === first);
  const rest = agents.filter((one) => one !== leaving);
  let ended: Promise<void> | undefined;
  try {
    for (let at = 0; at < 25; at += 1) {
      await ground.clock.pause(1_000);
      expect(holders('192.0.2.15', agents)).toEqual([first]);
    }
    expect(agents.flatMap(({ moves }) => moves)).toEqual([]);
    // A holder goes meanwhile: the others need no API server for what follows.
    ended = leaving?.end('release');
    await vi.waitFor(() => expect(holders('192.0.2.15', rest)).toHaveLength(1), waitMs);
  } finally {
    // What comes after needs it, a second try too.
    await ground.plane.restartApiServer('kill');
  }
  await ended;
  await vi.waitFor(async () => {
    expect((await ground.live(object)).holder?.node).toBe(holders('192.0.2.15', rest)[0]);
  }, waitMs);
  // One line for what stood still, not one for each try.
  for (const { troubles } of rest) expect(troubles.length).toBeLessThanOrEqual(6);
});

test('an agent of which nothing is heard for five minutes is retired, and counts again when it is back', async () => {
  const clock = scaledClock(60, ground.clock);
  retirements += 1;
  const namespace = `retire-${retirements}`;
  const registry = async (name: string): Promise<Registry> => {
    const made = new Registry({
      api: ground.api,
      namespace,
      nodeName: name as NodeName,
      node: () => undefined,
      heartbeat: () => ({ host: '127.0.0.1', port: 10_272 }),
      clock,
      random: Math.random,
      onChange: () => undefined,
      report: () => undefined,
      failed: () => undefined,
    });
    onTestFinished(() => made.stop('stays'));
    await made.start();
    return made;
  };
  await ground.writer.create('/api/v1/namespaces', { metadata: { name: namespace } });
  const [one, two] = [await registry('node-1'), await registry('node-2')];
  const [first, second] = [memberId('node-1' as NodeName), memberId('node-2' as NodeName)];
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first, second])), waitMs);
  // Its machine is gone: it does not say goodbye.
  await two.stop('stays');
  const since = clock.now();
  while (clock.now() - since < 270_000) {
    await one.retire(new Set([first]));
    expect(one.known().members.has(second), 'not before its time').toBe(true);
    await ground.clock.pause(100);
  }
  expect(one.known().lapsed).toEqual(new Set([second]));
  // Somebody hears it although its registration stands still: it stays.
  while (clock.now() - since < 330_000) {
    await one.retire(new Set([first, second]));
    await ground.clock.pause(100);
  }
  expect(one.known().members.has(second)).toBe(true);
  await one.retire(new Set([first]));
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first])), waitMs);
  const back = await registry('node-2');
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first, second])), waitMs);
  // One that says goodbye for good does not count from then on.
  await back.stop('gone');
  await vi.waitFor(() => expect(one.known().members).toEqual(new Set([first])), waitMs);
  await one.stop('gone');
});
