/** Machines that claim Services of one cluster, in virtual time: who is believed to live, and who takes what over. */
import { beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { servedAtAnnotation, servedOnAnnotation } from '../core/annotations.ts';
import type { Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { aService } from '../core/fixtures.ts';
import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import { Claims, claimTimings } from './local-claims.ts';

let time: VirtualClock;
let services: Map<ObjectKey, ServiceObject>;
let writes: { readonly by: string; readonly key: ObjectKey; readonly at: number }[];

beforeEach(() => {
  time = new VirtualClock();
  services = new Map();
  writes = [];
});

const second = 1_000;
const { renewMs, expiredMs, lookMs } = claimTimings;

/** A Service that a machine has marked. */
function claimed(name: string, on: string, at = 'first'): ObjectKey {
  const annotations = {
    'sluice.dev/served-by': 'local',
    [servedOnAnnotation]: on,
    ...(at === '' ? {} : { [servedAtAnnotation]: at }),
  };
  const made = aService({ name, finalizers: ['sluice.dev/balancer'], annotations, resourceVersion: '1' });
  services.set(made.key, made);
  return made.key;
}

function owner(key: ObjectKey): string | undefined {
  return services.get(key)?.annotations[servedOnAnnotation];
}

function patched(by: string, key: ObjectKey, annotations: object): ServiceObject {
  const live = services.get(key);
  if (live === undefined) throw new SluiceError('gone', 'it has gone', { code: 'NotFound' });
  const after = {
    ...live,
    annotations: { ...live.annotations, ...annotations },
    resourceVersion: String(Number(live.resourceVersion) + 1),
  };
  services.set(key, after);
  writes.push({ by, key, at: time.now() });
  return after;
}

interface Machine {
  readonly claims: Claims;
  readonly taken: string[];
  /** Its watch stands still: it goes on to see what was there. */
  lag(on: boolean): void;
  /** The API server does not answer it. */
  cut(on: boolean): void;
}

const running: Claims[] = [];

function machine(name: string, clock: Clock = time): Machine {
  let old: readonly ServiceObject[] | undefined;
  let unreachable = false;
  const taken: string[] = [];
  const reached = (): void => {
    if (unreachable) throw new SluiceError('transient', 'no answer', { code: 'ECONNREFUSED' });
  };
  const claims = new Claims({
    machine: name,
    clock,
    view: { services: () => old ?? services.values() },
    writer: {
      getService: async (key) => {
        reached();
        const live = services.get(key);
        if (live === undefined) throw new SluiceError('gone', 'it has gone', { code: 'NotFound' });
        return live;
      },
      patchAnnotations: async (service, annotations, options) => {
        reached();
        if (
          options?.unchanged === true &&
          services.get(service.key)?.resourceVersion !== service.resourceVersion
        )
          throw new SluiceError('conflict', 'it was changed', { code: 'Conflict' });
        return patched(name, service.key, annotations);
      },
    },
    onTaken: (lines) => taken.push(...lines),
  });
  running.push(claims);
  return {
    claims,
    taken,
    lag: (on) => (old = on ? [...services.values()] : undefined),
    cut: (on) => (unreachable = on),
  };
}

const timesOf = (name: string): readonly number[] =>
  writes.filter(({ by }) => by === name).map(({ at }) => at);

test('a machine writes once in thirty seconds, however many Services it serves', async () => {
  for (const name of ['a', 'b', 'c', 'd']) claimed(name, 'desk');
  machine('desk').claims.start();
  await time.advance(600 * second);
  const times = timesOf('desk');
  expect(times.length).toBeGreaterThanOrEqual(600_000 / (renewMs + lookMs));
  expect(times.length).toBeLessThanOrEqual(600_000 / renewMs + 1);
  expect(new Set(writes.map(({ key }) => key)).size).toBe(1);
});

test('where the Service that bears the time goes, another one bears it from then on', async () => {
  const [first, next] = [claimed('a', 'desk'), claimed('b', 'desk')];
  machine('desk').claims.start();
  await time.advance(60 * second);
  services.delete(first);
  await time.advance(60 * second);
  expect(writes.at(-1)?.key).toBe(next);
});

test('as long as a machine renews, no other takes anything over, whatever its clock says', async () => {
  const keys = [claimed('a', 'desk'), claimed('b', 'desk')];
  const ahead: Clock = {
    now: () => time.now(),
    wall: () => 4_000_000_000_000 + time.now(),
    schedule: (ms, run) => time.schedule(ms, run),
  };
  machine('desk', ahead).claims.start();
  const lap = machine('lap');
  lap.claims.start();
  await time.advance(3_600 * second);
  expect(lap.taken).toEqual([]);
  expect(keys.map(owner)).toEqual(['desk', 'desk']);
  expect(timesOf('lap')).toEqual([]);
});

test('a machine that died loses everything two minutes after it was last heard of, and not before', async () => {
  const keys = [claimed('a', 'desk'), claimed('b', 'desk')];
  const [desk, lap] = [machine('desk'), machine('lap')];
  desk.claims.start();
  lap.claims.start();
  await time.advance(300 * second);
  await desk.claims.stop();
  const last = timesOf('desk').at(-1) ?? 0;
  await time.advance(last + expiredMs - time.now());
  expect(keys.map(owner)).toEqual(['desk', 'desk']);
  await time.advance(3 * lookMs);
  expect(keys.map(owner)).toEqual(['lap', 'lap']);
  expect(lap.taken).toEqual([
    expect.stringMatching(/^default\/a from desk, of which nothing was heard for 1[23]\d s$/u),
    expect.stringMatching(/^default\/b from desk, /u),
  ]);
  // From now on it is the one that renews.
  await time.advance(60 * second);
  expect(timesOf('lap').length).toBeGreaterThan(2);
});

test('a machine that has just started waits in full, however old the time is', async () => {
  const key = claimed('a', 'desk', '2001-01-01T00:00:00.000Z');
  const lap = machine('lap');
  lap.claims.start();
  await time.advance(expiredMs);
  expect(owner(key)).toBe('desk');
  await time.advance(2 * lookMs);
  expect(owner(key)).toBe('lap');
});

test('a mark without any time is left alone: nobody can tell', async () => {
  const key = claimed('a', 'desk', '');
  const lap = machine('lap');
  lap.claims.start();
  await time.advance(3_600 * second);
  expect(owner(key)).toBe('desk');
  expect(await lap.claims.takeAll(new AbortController().signal)).toEqual(['default/a from desk']);
  expect(owner(key)).toBe('lap');
});

describe('what a machine sees may be old', () => {
  test('a watch that stands still is no reason to take over: the API server is asked first', async () => {
    const key = claimed('a', 'desk');
    machine('desk').claims.start();
    const lap = machine('lap');
    lap.claims.start();
    await time.advance(60 * second);
    lap.lag(true);
    await time.advance(1_200 * second);
    expect(owner(key)).toBe('desk');
    expect(timesOf('lap')).toEqual([]);
    lap.lag(false);
    await time.advance(300 * second);
    expect(owner(key)).toBe('desk');
  });

  test('while the API server does not answer nothing is taken, and what lives is seen to live afterwards', async () => {
    const key = claimed('a', 'desk');
    machine('desk').claims.start();
    const lap = machine('lap');
    lap.claims.start();
    lap.lag(true);
    lap.cut(true);
    await time.advance(600 * second);
    lap.cut(false);
    await time.advance(10 * second);
    lap.lag(false);
    await time.advance(300 * second);
    expect(owner(key)).toBe('desk');
    expect(lap.taken).toEqual([]);
  });

  test('one that comes back from a long sleep writes nothing on what another took meanwhile', async () => {
    const key = claimed('a', 'desk');
    const [desk, lap] = [machine('desk'), machine('lap')];
    desk.claims.start();
    lap.claims.start();
    await time.advance(60 * second);
    desk.lag(true);
    desk.cut(true);
    await time.advance(200 * second);
    expect(owner(key)).toBe('lap');
    const before = timesOf('desk').length;
    // Its own picture is still that of before.
    desk.cut(false);
    await time.advance(60 * second);
    expect(timesOf('desk')).toHaveLength(before);
    desk.lag(false);
    await time.advance(600 * second);
    expect(owner(key)).toBe('lap');
    expect(desk.taken).toEqual([]);
  });
});

test('of two that wait for the same one, one takes each Service', async () => {
  const keys = ['a', 'b', 'c'].map((name) => claimed(name, 'desk'));
  const others = [machine('one'), machine('two')];
  for (const { claims } of others) claims.start();
  await time.advance(expiredMs + 3 * lookMs);
  expect(others.flatMap(({ taken }) => taken)).toHaveLength(keys.length);
  for (const key of keys) expect(['one', 'two']).toContain(owner(key));
});
