/** A drain while the cluster changes: what appears is covered, and "drained" is said of nothing else. */
import { expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { parseEntry } from '../agent/conntrack/entries.ts';
import type { DrainedService } from '../agent/drain.ts';
import { SluiceError } from '../core/errors.ts';
import type { ObjectKey } from '../core/objects.ts';
import { untilDrained, type Drained } from './drain-wait.ts';

const pod = '10.244.1.5';

function serviceOf(name: string, change: Partial<DrainedService> = {}): DrainedService {
  return {
    service: `shop/${name}` as ObjectKey,
    entries: ['node:n1'],
    sockets: { TCP: [`${pod} 8080`], UDP: [], SCTP: [] },
    others: true,
    unmarked: [],
    ...change,
  };
}

/** Flows that are answered at a port of the pod. */
const flow = (port: number): string =>
  `tcp      6 431999 ESTABLISHED src=10.244.0.9 dst=10.96.0.1 sport=4000 dport=80 src=${pod} dst=10.244.0.9 sport=${port} dport=4000 [ASSURED] mark=0 use=1`;

interface Told {
  readonly result: Drained | SluiceError;
  readonly notes: readonly string[];
  readonly marked: readonly string[];
}

/** Drains `web` in a world that is a function of the seconds that have passed. */
async function drain(
  world: (seconds: number) => {
    readonly flows: readonly string[];
    readonly found: readonly DrainedService[] | 'away';
  },
  { waitOnly = false, timeoutMs = 60_000 } = {},
): Promise<Told> {
  const clock = new VirtualClock();
  const seconds = (): number => clock.now() / 1000;
  const notes: string[] = [];
  const marked: string[] = [];
  let result: Drained | SluiceError | undefined;
  untilDrained({
    word: 'node/n1',
    first: [serviceOf('web')],
    find: async () => {
      const { found } = world(seconds());
      if (found === 'away') throw new SluiceError('transient', 'the API server is away', { code: 'Away' });
      return found.map((one) => (marked.includes(one.service) ? { ...one, unmarked: [] } : one));
    },
    mark: waitOnly
      ? undefined
      : async ({ service }) => {
          marked.push(service);
        },
    table: {
      dump: async (family, protocol, see) => {
        if (family !== 'IPv4' || protocol !== 'tcp') return;
        for (const entry of world(seconds()).flows.map(parseEntry)) if (entry) see(entry);
      },
    },
    clock,
    timeoutMs,
    everyMs: 1_000,
    shown: () => undefined,
    note: (text) => notes.push(text),
  }).then(
    (value) => {
      result = value;
    },
    (error: SluiceError) => {
      result = error;
    },
  );
  await clock.run(120_000);
  if (result === undefined) throw new Error('it never ended');
  return { result, notes, marked };
}

const fresh = serviceOf('fresh', {
  unmarked: ['node:n1'],
  sockets: { TCP: [`${pod} 9090`], UDP: [], SCTP: [] },
});

test('a Service that appears while flows are open is marked, told, and waited for', async () => {
  const { result, notes, marked } = await drain((seconds) => ({
    flows: [...(seconds < 10 ? [flow(8080)] : []), ...(seconds < 30 ? [flow(9090)] : [])],
    found: seconds < 5 ? [serviceOf('web')] : [serviceOf('web'), fresh],
  }));
  expect(marked).toEqual(['shop/fresh']);
  expect(notes).toEqual(['shop/fresh has node/n1 among its endpoints since then: it is covered too']);
  expect(result).toMatchObject({ left: 0, unmarked: [], services: ['shop/web', 'shop/fresh'] });
  expect((result as Drained).seconds).toBeGreaterThanOrEqual(30);
});

test('the cluster is looked at once more before it is said that all is drained', async () => {
  const { result, marked } = await drain(() => ({ flows: [], found: [serviceOf('web'), fresh] }));
  expect(marked).toEqual(['shop/fresh']);
  expect(result).toMatchObject({ left: 0, services: ['shop/web', 'shop/fresh'] });
});

test('a further endpoint of a Service that is covered already is waited for', async () => {
  const more = serviceOf('web', { sockets: { TCP: [`${pod} 8080`, `${pod} 9090`], UDP: [], SCTP: [] } });
  const { result, notes } = await drain((seconds) => ({
    flows: [...(seconds < 3 ? [flow(8080)] : []), ...(seconds < 20 ? [flow(9090)] : [])],
    found: [seconds < 1 ? serviceOf('web') : more],
  }));
  expect(notes).toEqual([]);
  expect((result as Drained).seconds).toBeGreaterThanOrEqual(20);
});

test('an endpoint that has gone is still waited for while its flows are open', async () => {
  const { result } = await drain((seconds) => ({ flows: seconds < 20 ? [flow(8080)] : [], found: [] }));
  expect((result as Drained).seconds).toBeGreaterThanOrEqual(20);
});

test('with --wait-only nothing is written: it is told, and not drained before somebody marks it', async () => {
  const { result, notes, marked } = await drain(
    (seconds) => ({
      flows: [],
      found: [serviceOf('web'), seconds < 20 ? fresh : { ...fresh, unmarked: [] }],
    }),
    { waitOnly: true },
  );
  expect(marked).toEqual([]);
  expect(notes[0]).toContain('run `sluice drain node/n1 --mark-only` again');
  expect(notes).toHaveLength(2);
  expect((result as Drained).seconds).toBeGreaterThanOrEqual(20);
});

test('and at the timeout it is named', async () => {
  const { result } = await drain(() => ({ flows: [], found: [serviceOf('web'), fresh] }), {
    waitOnly: true,
    timeoutMs: 5_000,
  });
  expect(result).toMatchObject({ left: 0, unmarked: ['shop/fresh'] });
});

test('who takes the annotation away calls the drain off', async () => {
  const { result, marked } = await drain((seconds) => ({
    flows: [flow(8080)],
    found: [serviceOf('web', seconds < 5 ? {} : { unmarked: ['node:n1'] })],
  }));
  expect(result).toMatchObject({ code: 'CalledOff', message: expect.stringContaining('shop/web') });
  expect(marked).toEqual([]);
});

test('a target that becomes the only endpoint of a Service is told once', async () => {
  const { notes } = await drain((seconds) => ({
    flows: seconds < 30 ? [flow(8080)] : [],
    found: [serviceOf('web', { others: seconds < 5 })],
  }));
  expect(notes).toEqual([expect.stringContaining('shop/web has no other ready endpoint')]);
});

test('while the API server is away the wait goes on, and nothing counts as drained', async () => {
  const { result } = await drain((seconds) => ({
    flows: [],
    found: seconds < 25 ? 'away' : [serviceOf('web')],
  }));
  expect((result as Drained).seconds).toBeGreaterThanOrEqual(25);
  const late = await drain(() => ({ flows: [], found: 'away' }), { timeoutMs: 5_000 });
  expect(late.result).toMatchObject({ code: 'Away' });
});
