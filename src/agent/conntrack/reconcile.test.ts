import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { seededRandom, sleep } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { ConntrackEntry } from './entries.ts';
import { ConntrackReconciler, type ConntrackReport } from './reconcile.ts';
import type { Served, StaleFlows } from './stale.ts';
import type { ConntrackTable } from './table.ts';

const flow: ConntrackEntry = {
  source: '10.244.1.9',
  destination: '10.96.0.10',
  sourcePort: 40_000,
  port: 53,
  replySource: '10.244.0.5',
  replyPort: 53,
  zone: undefined,
};
const served: Served = {
  addresses: ['10.96.0.10'],
  port: 53,
  nodePort: 0,
  answering: new Set(),
  untranslated: true,
};

function bench(over: { readonly served?: readonly Served[]; readonly ms?: number } = {}) {
  const clock = new VirtualClock();
  const reports: ConntrackReport[] = [];
  const failures: SluiceError[] = [];
  let entries: ConntrackEntry[] = [flow];
  let dumps = 0;
  const { ms = 0 } = over;
  const table: ConntrackTable = {
    dump: async (_family, _protocol, see) => {
      dumps += 1;
      if (ms > 0) await sleep(clock, ms);
      const failure = failures.shift();
      if (failure) throw failure;
      for (const entry of entries) see(entry);
    },
    remove: async (_family, _protocol, flows: StaleFlows) => {
      const before = entries.length;
      entries = entries.filter(({ replySource }) => replySource !== flows.replySource);
      return before - entries.length;
    },
  };
  let written: (() => void)[] = [];
  const reconciler = new ConntrackReconciler({
    family: 'IPv4',
    protocol: 'udp',
    table,
    served: () => over.served ?? [served],
    isNodePortAddress: () => false,
    whenWritten: (then) => written.push(then),
    clock,
    random: seededRandom(1),
    report: (event) => reports.push(event),
  });
  /** A write takes with it who waits now, and calls them when it ends. */
  const begin = () => {
    const waiting = written;
    written = [];
    return async (): Promise<void> => {
      for (const then of waiting) then();
      await clock.settle();
    };
  };
  return {
    clock,
    begin,
    write: () => begin()(),
    reports,
    failures,
    reconciler,
    left: () => entries,
    come: (entry: ConntrackEntry) => entries.push(entry),
    dumps: () => dumps,
  };
}

describe('reconciliation', () => {
  test('what is asked while a write is under way waits for the next one', async () => {
    const { reconciler, begin, write, dumps, clock, left, come } = bench();
    reconciler.request();
    const end = begin();
    reconciler.request();
    await end();
    await clock.advance(60_000);
    expect([dumps(), left()]).toEqual([1, []]);
    // Old rules, until the second write ends, make the entry anew.
    come(flow);
    await write();
    await clock.advance(60_000);
    expect([dumps(), left()]).toEqual([2, []]);
  });

  test('waits for the rules, then looks once for all that was asked meanwhile', async () => {
    const { reconciler, write, dumps, left, reports, clock } = bench();
    reconciler.request();
    reconciler.request();
    await clock.advance(60_000);
    expect(dumps()).toBe(0);
    await write();
    expect(dumps()).toBe(1);
    expect(left()).toEqual([]);
    expect(reports).toMatchObject([{ kind: 'reconciled', seen: 1, removed: 1 }]);
    await write();
    expect(dumps()).toBe(1);
  });

  test('a failed round comes again, with the destinations that were to be forgotten', async () => {
    const { reconciler, write, failures, left, reports, clock } = bench({ served: [] });
    failures.push(new SluiceError('transient', 'busy', { code: 'ConntrackFailed' }));
    reconciler.retire(served);
    await write();
    expect(reports).toMatchObject([{ kind: 'failed' }]);
    expect(left()).toHaveLength(1);
    await clock.advance(2_000);
    await write();
    expect(left()).toEqual([]);
  });

  test('without the tool it is told once and given up', async () => {
    const { reconciler, write, failures, reports, clock, dumps } = bench();
    failures.push(new SluiceError('invalid', 'there is no program conntrack', { code: 'ToolMissing' }));
    reconciler.request();
    await write();
    reconciler.request();
    await clock.advance(100_000);
    await write();
    expect(reports).toMatchObject([{ kind: 'failed', retryInMs: undefined }]);
    expect(dumps()).toBe(1);
  });

  test('after a long look it rests, so that a large table does not take the node', async () => {
    const { reconciler, write, dumps, clock } = bench({ ms: 300 });
    reconciler.request();
    await write();
    await clock.advance(400);
    reconciler.request();
    await write();
    expect(dumps()).toBe(1);
    await clock.advance(600);
    await write();
    expect(dumps()).toBe(2);
    await clock.advance(1_000);
  });

  test('does not read the table while nothing of its protocol is served', async () => {
    const { reconciler, write, dumps } = bench({ served: [] });
    reconciler.request();
    await write();
    expect(dumps()).toBe(0);
  });
});
