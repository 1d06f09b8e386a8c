import { beforeEach, describe, expect, test } from 'vitest';

import { seededRandom } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { ErrorKind } from '../core/errors.ts';
import type { ObjectKey, Uid } from '../core/objects.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import type { Api, Method } from './api.ts';
import { cutToBytes } from './cut.ts';
import { EventRecorder } from './events.ts';
import type { Note } from './events.ts';

interface Body {
  readonly metadata?: { readonly name: string; readonly namespace: string };
  readonly note?: string;
  readonly series?: { readonly count: number };
}

let time: VirtualClock;
let calls: { readonly method: Method; readonly path: string; readonly body: Body }[];
let failures: (SluiceError | undefined)[];
let reported: SluiceError[];
let recorder: EventRecorder;

const web = { key: 'shop/web' as ObjectKey, uid: 'u1' as Uid };
const failed: Note = {
  type: 'Warning',
  reason: 'SyncFailed',
  action: 'Provision',
  note: 'the quota is reached',
};

beforeEach(() => {
  time = new VirtualClock();
  [calls, failures, reported] = [[], [], []];
  const api: Api = {
    server: 'memory',
    stream: () => {
      throw new Error('no streams here');
    },
    request: async (method, path, options = {}) => {
      calls.push({ method, path, body: options.body as Body });
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return {};
    },
  };
  recorder = new EventRecorder({
    api,
    instance: 'sluice-controller-0',
    clock: time,
    random: seededRandom(1),
    report: (error) => reported.push(error),
  });
});

function refusal(kind: ErrorKind, code: string): SluiceError {
  return new SluiceError(kind, code, { code });
}

describe('what goes out', () => {
  test('an event names the Service, the reason, the action and who we are', async () => {
    recorder.event(web, failed);
    await time.settle();

    expect(calls).toHaveLength(1);
    expect(calls[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/shop/events');
    expect(calls[0]?.body).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace: 'shop' },
      reportingController: 'sluice.dev/controller',
      reportingInstance: 'sluice-controller-0',
      regarding: { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web', uid: 'u1' },
      ...failed,
    });
    expect(calls[0]?.body.metadata?.name).toMatch(/^web\.[0-9a-f]{16}$/);
    expect(calls[0]?.body).toHaveProperty('eventTime', '2026-01-01T00:00:00.000000Z');
  });

  test('an event about a Node is kept in namespace default', async () => {
    recorder.record({ apiVersion: 'v1', kind: 'Node', namespace: '', name: 'n1', uid: 'n' }, failed);
    await time.settle();

    expect(calls[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/default/events');
  });

  test('a note is cut to the API’s 1024 bytes', async () => {
    recorder.event(web, { ...failed, note: '€'.repeat(2_000) });
    await time.settle();

    expect(Buffer.byteLength(calls[0]?.body.note ?? '')).toBeLessThanOrEqual(1024);
    expect(calls[0]?.body.note).toMatch(/^€+…$/);
  });
});

describe('repeats', () => {
  test('the same event again becomes a series, written at growing intervals', async () => {
    for (let round = 0; round < 60; round += 1) {
      recorder.event(web, failed);
      await time.advance(30_000);
    }

    const patches = calls.filter((call) => call.method === 'PATCH');
    expect(calls.filter((call) => call.method === 'POST')).toHaveLength(1);
    // Half an hour of it: after 1, 2, 4, 6, 6, 6 minutes.
    expect(patches.length).toBeGreaterThan(3);
    expect(patches.length).toBeLessThan(9);
    const counts = patches.map((call) => call.body.series?.count ?? 0);
    expect(counts).toEqual(counts.toSorted((one, other) => one - other));
    expect(recorder.counts.repeated).toBe(59);
  });

  test('a quiet time after a series writes nothing more', async () => {
    recorder.event(web, failed);
    recorder.event(web, failed);
    await time.advance(60_000);
    const before = calls.length;
    await time.advance(3_600_000);

    expect(calls).toHaveLength(before);
    expect(time.pending).toBe(0);
  });

  test('after ten minutes of silence the same event is a new one', async () => {
    recorder.event(web, failed);
    await time.advance(601_000);
    recorder.event(web, failed);
    await time.settle();

    expect(calls.map((call) => call.method)).toEqual(['POST', 'POST']);
  });

  test('an event that the API server has dropped is begun again with its count', async () => {
    recorder.event(web, failed);
    await time.settle();
    recorder.event(web, failed);
    failures.push(refusal('gone', 'NotFound'));
    await time.advance(61_000);

    expect(calls.map((call) => call.method)).toEqual(['POST', 'PATCH', 'POST']);
    expect(calls[2]?.body).toMatchObject({ series: { count: 2 } });
    expect(calls[2]?.body.metadata?.name).not.toBe(calls[0]?.body.metadata?.name);
  });
});

describe('limits and failures', () => {
  test('what every replica says is one event, whoever comes first, and is not counted up', async () => {
    const shared = { ...failed, shared: true };
    const other = new EventRecorder({
      api: {
        server: 'memory',
        stream: () => {
          throw new Error('no streams here');
        },
        request: async (method, path, options = {}) => {
          calls.push({ method, path, body: options.body as Body });
          throw refusal('conflict', 'AlreadyExists');
        },
      },
      instance: 'agent-2',
      clock: time,
      random: seededRandom(2),
      report: (error) => reported.push(error),
    });
    recorder.event(web, shared);
    other.event(web, shared);
    await time.advance(120_000);
    recorder.event(web, shared);
    other.event(web, shared);
    await time.advance(120_000);
    expect(calls.map(({ method }) => method)).toEqual(['POST', 'POST']);
    expect(calls[0]?.body.metadata?.name).toBe(calls[1]?.body.metadata?.name);
    expect(reported).toEqual([]);
    recorder.event(web, { ...shared, note: 'something else' });
    await time.settle();
    expect(calls[2]?.body.metadata?.name).not.toBe(calls[0]?.body.metadata?.name);
  });

  test('an object has ten events at once and then one in half a minute; others are not held back', async () => {
    for (let number = 0; number < 15; number += 1) recorder.event(web, { ...failed, note: String(number) });
    recorder.event({ key: 'shop/other' as ObjectKey, uid: 'u2' as Uid }, failed);
    await time.settle();
    expect(calls).toHaveLength(11);
    expect(recorder.counts.dropped.rate).toBe(5);

    await time.advance(30_000);
    recorder.event(web, { ...failed, note: 'later' });
    await time.settle();
    expect(calls).toHaveLength(12);
  });

  test('a passing failure is tried again, and a lost answer that went through is success', async () => {
    failures.push(
      refusal('transient', 'ECONNREFUSED'),
      refusal('ambiguous', 'Timeout'),
      refusal('conflict', 'AlreadyExists'),
    );
    recorder.event(web, failed);
    await time.advance(60_000);

    expect(new Set(calls.map((call) => call.body.metadata?.name)).size).toBe(1);
    expect(recorder.counts).toMatchObject({ sent: 1, dropped: { failed: 0 } });
  });

  test('a lasting failure is given up, counted and reported, and the caller never hears of it', async () => {
    failures.push(refusal('denied', 'Forbidden'));
    recorder.event(web, failed);
    await time.settle();

    expect(recorder.counts).toMatchObject({ sent: 0, dropped: { failed: 1 } });
    expect(reported).toHaveLength(1);
  });

  test('stop writes what is waiting and then nothing', async () => {
    recorder.event(web, failed);
    await time.settle();
    recorder.event(web, failed);
    recorder.event(web, failed);
    await recorder.stop();
    recorder.event(web, { ...failed, note: 'too late' });
    await time.advance(3_600_000);

    expect(calls.map((call) => call.body.series?.count ?? 1)).toEqual([1, 3]);
  });

  test('a repeat while the first is still on its way does not begin the series twice', async () => {
    for (let round = 0; round < 3; round += 1) recorder.event(web, failed);
    await recorder.stop();

    expect(calls.map((call) => [call.method, call.body.series?.count])).toEqual([
      ['POST', undefined],
      ['PATCH', 3],
    ]);
  });

  test('stop does not wait for ever', async () => {
    failures.push(...Array.from({ length: 9 }, () => refusal('transient', 'ECONNREFUSED')));
    recorder.event(web, failed);
    await time.settle();
    let stopped = false;
    const stopping = recorder.stop(2_000).then(() => (stopped = true));
    await time.advance(2_000);

    expect(stopped).toBe(true);
    await stopping;
  });
});

test.each<[string, number, string]>([
  ['short', 10, 'short'],
  ['exactly ten', 11, 'exactly ten'],
  ['too long by far', 10, 'too lon…'],
  ['ééééé', 8, 'éé…'],
  ['😀😀😀', 11, '😀😀…'],
  ['😀😀😀', 10, '😀…'],
])('%j in %d bytes is %j', (text, bytes, cut) => {
  expect(cutToBytes(text, bytes)).toBe(cut);
  expect(Buffer.byteLength(cutToBytes(text, bytes))).toBeLessThanOrEqual(bytes);
});
