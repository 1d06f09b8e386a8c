import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { handOver } from './hand-over.ts';
import type { HandOver, RegisteredTarget, TargetHealth, UnwantedCause } from './hand-over.ts';

type Registered = Readonly<Record<string, readonly [TargetHealth, UnwantedCause?]>>;

/** One look at group `g`; `age` is how long everything unwanted has been so. */
function look(wanted: readonly string[], registered: Registered, age?: number): HandOver {
  const memory = Object.fromEntries(
    age === undefined ? [] : Object.keys(registered).map((key) => [`g|${key}`, 1_000_000 - age]),
  );
  return handOver({
    group: 'g',
    wanted: wanted.map((key) => ({ key })),
    registered: Object.entries(registered).map(([key, [health, cause = 'other']]): RegisteredTarget => ({
      key,
      health,
      cause,
    })),
    now: 1_000_000,
    memory,
  });
}

describe('what is added', () => {
  test('all that is wanted and not registered, at once', () => {
    expect(look(['b', 'a', 'c'], { a: ['initial'] }).add).toEqual(['b', 'c']);
  });
  test('a target that drains and is wanted again', () => {
    expect(look(['a'], { a: ['draining'] }).add).toEqual(['a']);
  });
  test('nothing when all is in place', () => {
    expect(look(['a'], { a: ['healthy'] })).toMatchObject({ add: [], remove: [], waits: [], memory: {} });
  });
});

describe('what is removed', () => {
  const minute = 60_000;
  const rows: readonly [string, Registered, number, readonly string[]][] = [
    ['gone, beside a healthy one: at once', { a: ['healthy'], x: ['healthy', 'gone'] }, 0, ['x']],
    ['gone, nothing else healthy: not yet', { a: ['initial'], x: ['healthy', 'gone'] }, 4.9 * minute, []],
    [
      'gone, nothing else healthy for five minutes: now',
      { a: ['initial'], x: ['healthy', 'gone'] },
      5 * minute,
      ['x'],
    ],
    ['gone and unhealthy itself: at once', { a: ['initial'], x: ['unhealthy', 'gone'] }, 0, ['x']],
    ['gone and never checked: at once', { a: ['initial'], x: ['unused', 'gone'] }, 0, ['x']],
    ['gone and of unknown health: not yet', { a: ['initial'], x: ['unknown', 'gone'] }, 0, []],
    ['old port, new one healthy: at once', { a: ['healthy'], x: ['healthy', 'port'] }, 0, ['x']],
    ['old port, new one not yet healthy', { a: ['initial'], x: ['healthy', 'port'] }, 4.9 * minute, []],
    ['old port, bound reached', { a: ['unhealthy'], x: ['healthy', 'port'] }, 5 * minute, ['x']],
    ['no endpoint, within the grace period', { a: ['healthy'], x: ['healthy', 'endpoint'] }, 59_999, []],
    ['no endpoint, grace period over', { a: ['healthy'], x: ['healthy', 'endpoint'] }, minute, ['x']],
    ['no endpoint and unhealthy, within grace', { a: ['healthy'], x: ['unhealthy', 'endpoint'] }, 59_999, []],
    ['no endpoint, no healthy successor: never', { a: ['initial'], x: ['healthy', 'endpoint'] }, 1e9, []],
    ['no longer selected: like gone', { a: ['healthy'], x: ['healthy', 'other'] }, 0, ['x']],
    ['draining already: not again', { a: ['healthy'], x: ['draining', 'gone'] }, 1e9, []],
    ['another unwanted one is no successor', { x: ['healthy', 'gone'], y: ['healthy', 'gone'] }, 0, []],
  ];
  test.each(rows)('%s', (_idea, registered, age, removed) => {
    expect(look(['a'], registered, age).remove).toEqual(removed);
  });

  test('nothing at all while nothing is wanted, however old and whatever the cause', () => {
    const answer = look([], { x: ['healthy', 'gone'], y: ['unhealthy', 'port'] }, 1e9);
    expect(answer.remove).toEqual([]);
    expect(answer.waits).toMatchObject([
      {
        reason: 'UnAvailableLoadBalancer',
        message: 'g: no node can be a target; the 2 registered targets stay',
      },
    ]);
  });

  test('in the same order, however the cloud lists them', () => {
    const [x, y] = [{ x: ['healthy', 'gone'] as const }, { y: ['healthy', 'gone'] as const }];
    const a = { a: ['healthy'] as const };
    expect(look(['a'], { ...a, ...y, ...x }).remove).toEqual(['x', 'y']);
    expect(look(['a'], { ...x, ...a, ...y }).remove).toEqual(['x', 'y']);
  });

  test('the guard is told how many healthy there were and which of them go', () => {
    const answer = look(['a'], { a: ['healthy'], x: ['healthy', 'gone'], y: ['unhealthy', 'gone'] });
    expect(answer).toMatchObject({ remove: ['x', 'y'], healthyBefore: 2, healthyRemoved: ['x'] });
  });
});

describe('memory', () => {
  test('holds when a target was first unwanted, and forgets it when it is wanted again', () => {
    const first = look(['a'], { a: ['healthy'], x: ['healthy', 'endpoint'] });
    expect(first.memory).toEqual({ 'g|x': 1_000_000 });
    expect(look(['a', 'x'], { a: ['healthy'], x: ['healthy', 'endpoint'] }, 5_000).memory).toEqual({});
  });
  test('counts on while nothing is wanted', () => {
    expect(look([], { x: ['healthy', 'endpoint'] }, 5_000).memory).toEqual({ 'g|x': 995_000 });
  });
  test('of other groups is left out', () => {
    const memory = { 'other|x': 1 };
    expect(handOver({ group: 'g', wanted: [], registered: [], now: 5, memory }).memory).toEqual({});
  });
});

describe('waits', () => {
  test('name the old targets and come back when the grace period ends', () => {
    expect(look(['a'], { a: ['healthy'], x: ['healthy', 'endpoint'] }, 20_000).waits).toEqual([
      { reason: 'HandingOver', message: 'g: x stays until the grace period is over', recheckMs: 40_000 },
    ]);
  });
  test('look for a healthy successor every ten seconds at first', () => {
    expect(look(['a'], { a: ['initial'], x: ['healthy', 'port'] }, 0).waits).toEqual([
      { reason: 'HandingOver', message: 'g: x stays until a new target is healthy', recheckMs: 10_000 },
    ]);
  });
  test('come back exactly at the bound', () => {
    expect(look(['a'], { a: ['initial'], x: ['healthy', 'port'] }, 299_000).waits[0]?.recheckMs).toBe(1_000);
  });
  test('ask ever more slowly when a successor never gets healthy', () => {
    const looks = [60_000, 600_000, 1e9].map((age) =>
      look(['a'], { a: ['unhealthy'], x: ['healthy', 'endpoint'] }, age),
    );
    expect(looks.map(({ waits }) => waits[0]?.recheckMs)).toEqual([10_000, 100_000, 300_000]);
  });
  test('name a few and count the rest', () => {
    const many = Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`x${n}`, ['healthy', 'port'] as const]));
    expect(look(['a'], many).waits[0]?.message).toBe(
      'g: x1, x2, x3 and 2 more stay until a new target is healthy',
    );
  });
});

const health = fc.constantFrom<TargetHealth>(
  'healthy',
  'unhealthy',
  'initial',
  'unused',
  'draining',
  'unknown',
);
const cause = fc.constantFrom<UnwantedCause>('gone', 'endpoint', 'port', 'other');
const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');

describe('whatever happens', () => {
  test.prop([
    fc.uniqueArray(key),
    fc.uniqueArray(fc.record({ key, health, cause }), { selector: (target) => target.key }),
    fc.dictionary(key, fc.nat({ max: 600_000 })),
  ])(
    'a wanted target is never removed, a present one never added, and nothing goes when nothing is wanted',
    (wantedKeys, registered, ages) => {
      const now = 1_000_000;
      const memory = Object.fromEntries(Object.entries(ages).map(([name, age]) => [`g|${name}`, now - age]));
      const wanted = wantedKeys.map((name) => ({ key: name }));
      const answer = handOver({ group: 'g', wanted, registered, now, memory });
      const present = registered.filter((target) => target.health !== 'draining').map((target) => target.key);
      for (const added of answer.add) {
        expect(wantedKeys).toContain(added);
        expect(present).not.toContain(added);
      }
      for (const removed of answer.remove) {
        expect(wantedKeys).not.toContain(removed);
        expect(present).toContain(removed);
      }
      if (wantedKeys.length === 0) expect(answer.remove).toEqual([]);
      const left = present.filter((name) => !wantedKeys.includes(name) && !answer.remove.includes(name));
      expect(answer.waits.length > 0).toBe(left.length > 0 || wantedKeys.length === 0);
    },
  );

  /**
   * A group behind a balancer that needs 120 s to accept a target and whose pods move from node to node:
   * edge case 9. The new node is wanted from the moment its pod is there; the old pod serves on for `overlap`.
   */
  test.prop([
    fc.array(fc.record({ to: key, afterMs: fc.integer({ min: 1_000, max: 400_000 }) }), { maxLength: 6 }),
  ])('moving pods never leave a group without a healthy target', (moves) => {
    let memory = {};
    let wantedKey = 'a';
    const since = new Map([['a', -120_000]]);
    let next = moves[0] === undefined ? Infinity : moves[0].afterMs;
    let index = 0;
    for (let now = 0; now < 3_000_000; now += 5_000) {
      if (now >= next) {
        wantedKey = moves[index]?.to ?? wantedKey;
        index += 1;
        next = now + (moves[index]?.afterMs ?? Infinity);
      }
      const registered = [...since].map(([name, at]): RegisteredTarget => ({
        key: name,
        health: now - at >= 120_000 ? 'healthy' : 'initial',
        cause: 'endpoint',
      }));
      const answer = handOver({ group: 'g', wanted: [{ key: wantedKey }], registered, now, memory });
      memory = answer.memory;
      for (const name of answer.add) since.set(name, now);
      for (const name of answer.remove) since.delete(name);
      expect([...since.values()].some((at) => now - at >= 120_000)).toBe(true);
    }
    // Long after the last move only the wanted one is left.
    if (moves.reduce((sum, { afterMs }) => sum + afterMs, 0) < 2_500_000) {
      expect([...since.keys()]).toEqual([wantedKey]);
    }
  });
});
