import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { seededRandom } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { FakeBackend, FakeSource, testDecision } from './fixtures.ts';
import { syncTimings, type SyncReport, type SyncTimings } from './sync-report.ts';
import { FamilySync } from './sync.ts';

interface Bench {
  readonly clock: VirtualClock;
  readonly backend: FakeBackend;
  readonly source: FakeSource;
  readonly sync: FamilySync;
  readonly reports: SyncReport[];
}

function bench(timings: Partial<SyncTimings> = {}, seed = 1): Bench {
  const clock = new VirtualClock();
  const backend = new FakeBackend(clock);
  const source = new FakeSource();
  const reports: SyncReport[] = [];
  const sync = new FamilySync({
    backend,
    source,
    clock,
    random: seededRandom(seed),
    timings: { ...syncTimings, verifyMs: 0, ...timings },
    report: (event) => reports.push(event),
    soon: (run) => void clock.schedule(0, run),
  });
  return { clock, backend, source, sync, reports };
}

async function started(timings: Partial<SyncTimings> = {}): Promise<Bench> {
  const made = bench(timings);
  made.sync.start();
  await made.clock.advance(1_000);
  made.backend.calls.length = 0;
  made.reports.length = 0;
  return made;
}

const failure = new SluiceError('transient', 'the lock is held', { code: 'LockHeld' });

describe('a family writer', () => {
  test('writes nothing before it is started, then everything at once', async () => {
    const { clock, backend, source, sync } = bench();
    sync.changed(source.put(testDecision('a')));
    sync.changed(source.put(testDecision('b')));
    await clock.advance(60_000);
    expect(backend.calls).toEqual([]);
    sync.start();
    await clock.settle();
    expect(backend.calls.map(({ kind }) => kind)).toEqual(['replace']);
    expect([...backend.kernel.keys()].toSorted()).toEqual([...source.held.keys()].toSorted());
  });

  test('writes a change at once when it is idle', async () => {
    const { clock, backend, source, sync } = await started();
    sync.changed(source.put(testDecision('a')));
    await clock.settle();
    expect(backend.calls).toMatchObject([{ kind: 'apply', changes: 1, at: clock.now() }]);
  });

  test('gathers what comes while it writes and in the window after it, 10 ms at least', async () => {
    const { clock, backend, source, sync } = await started();
    backend.ms = 2;
    const start = clock.now();
    sync.changed(source.put(testDecision('a')));
    await clock.advance(1);
    sync.changed(source.put(testDecision('b')));
    await clock.advance(4);
    sync.changed(source.put(testDecision('c')));
    await clock.advance(100);
    expect(backend.calls.map(({ changes, at }) => [changes, at - start])).toEqual([
      [1, 0],
      [2, 12],
    ]);
  });

  test('gathers for as long as a slow write took, 50 ms at most', async () => {
    const { clock, backend, source, sync } = await started();
    backend.ms = 400;
    const start = clock.now();
    sync.changed(source.put(testDecision('a')));
    await clock.advance(1);
    sync.changed(source.put(testDecision('b')));
    await clock.advance(1_000);
    expect(backend.calls.map(({ at }) => at - start)).toEqual([0, 450]);
  });

  test('a change that is undone before it is written is not written', async () => {
    const { clock, backend, source, sync } = await started();
    sync.changed(source.put(testDecision('a')));
    sync.changed(source.remove(testDecision('a').key));
    await clock.advance(100);
    expect(backend.calls).toEqual([]);
    expect(sync.state).toMatchObject({ pending: 0, waitingSince: undefined });
  });

  test('after a failed partial write it writes everything, and waits longer each time, 30 s at most', async () => {
    const { clock, backend, source, sync, reports } = await started();
    backend.failNext(20, failure);
    sync.changed(source.put(testDecision('a')));
    await clock.advance(400_000);
    expect(backend.calls.map(({ kind }) => kind).slice(0, 4)).toEqual([
      'apply',
      'replace',
      'replace',
      'replace',
    ]);
    const waits = reports.flatMap((event) => (event.kind === 'failed' ? [event.retryInMs] : []));
    expect(waits[0]).toBeGreaterThanOrEqual(100);
    expect(waits[0]).toBeLessThanOrEqual(200);
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(15_000);
    expect(new Set(waits).size).toBe(waits.length);
    expect(sync.state.problem).toBeUndefined();
    expect(backend.kernel.size).toBe(1);
  });

  test('changes that come during a back-off do not shorten it', async () => {
    const { clock, backend, source, sync } = await started();
    backend.failNext(6, failure);
    sync.changed(source.put(testDecision('a')));
    await clock.advance(2_000);
    const before = backend.calls.length;
    for (let i = 0; i < 50; i += 1) {
      sync.changed(source.put(testDecision(`x${i}`)));
      await clock.advance(1);
    }
    expect(backend.calls.length - before).toBeLessThanOrEqual(1);
  });

  test('says since when something has been waiting, through failures', async () => {
    const { clock, backend, source, sync } = await started();
    const since = clock.now();
    backend.failNext(3, failure);
    sync.changed(source.put(testDecision('a')));
    await clock.advance(150);
    expect(sync.state).toMatchObject({ waitingSince: since, problem: failure });
    await clock.advance(5_000);
    expect(sync.state).toMatchObject({ waitingSince: undefined, problem: undefined });
  });

  test('repairs a foreign change at once and names the process; the next ones at a growing distance', async () => {
    const { clock, backend, source, sync, reports } = await started();
    sync.changed(source.put(testDecision('a')));
    await clock.advance(1_000);
    backend.calls.length = 0;
    const start = clock.now();
    backend.flush({ message: 'table removed', process: 'nft (4711)' });
    await clock.settle();
    expect(backend.calls).toMatchObject([{ kind: 'replace', at: start }]);
    expect(backend.kernel.size).toBe(1);
    expect(reports).toContainEqual({
      kind: 'foreign',
      family: 'IPv4',
      change: { message: 'table removed', process: 'nft (4711)' },
    });
    for (let i = 0; i < 100; i += 1) {
      backend.flush({ message: 'again', process: undefined });
      await clock.advance(100);
    }
    expect(backend.calls.length).toBeLessThan(15);
  });

  test('a foreign change during a back-off does not shorten it', async () => {
    const { clock, backend, source, sync } = await started();
    backend.failNext(8, failure);
    sync.changed(source.put(testDecision('a')));
    await clock.advance(5_000);
    const before = backend.calls.length;
    for (let i = 0; i < 20; i += 1) backend.flush({ message: 'flushed', process: undefined });
    await clock.advance(20);
    expect(backend.calls.length).toBe(before);
  });

  test('a refused decision is told once, kept out, offered again slowly, and told when it is taken', async () => {
    const { clock, backend, source, sync, reports } = await started({ quarantineMs: 300_000 });
    const bad = testDecision('bad');
    backend.refuse.set(bad.key, 'Error: conflicting intervals');
    sync.changed([...source.put(bad), ...source.put(testDecision('good'))]);
    await clock.advance(1_000);
    expect([...backend.kernel.keys()]).toEqual([testDecision('good').key]);
    expect(sync.state.quarantined.get(bad.key)).toBe('Error: conflicting intervals');
    await clock.advance(1_000_000);
    expect(backend.calls.length).toBe(4);
    expect(reports.filter(({ kind }) => kind === 'quarantined')).toHaveLength(1);
    backend.refuse.clear();
    await clock.advance(400_000);
    expect(backend.kernel.size).toBe(2);
    expect(reports.filter(({ kind }) => kind === 'released')).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test('a refused decision that is deleted is no longer offered', async () => {
    const { clock, backend, source, sync } = await started();
    const bad = testDecision('bad');
    backend.refuse.set(bad.key, 'no');
    sync.changed(source.put(bad));
    await clock.advance(100);
    sync.changed(source.remove(bad.key));
    await clock.advance(10_000_000);
    expect(sync.state.quarantined.size).toBe(0);
    expect(backend.calls.length).toBe(2);
  });

  test('calls back when what is known is in the kernel, not before', async () => {
    const { clock, backend, source, sync } = await started();
    backend.ms = 20;
    const told: string[] = [];
    sync.whenWritten(() => told.push('idle'));
    expect(told).toEqual(['idle']);
    sync.changed(source.put(testDecision('a')));
    sync.whenWritten(() => told.push('a'));
    await clock.advance(5);
    sync.whenWritten(() => told.push('during'));
    expect(told).toEqual(['idle']);
    await clock.advance(100);
    expect(told).toEqual(['idle', 'a', 'during']);
    backend.failNext(2, failure);
    sync.changed(source.put(testDecision('b')));
    sync.whenWritten(() => told.push('b'));
    await clock.advance(60);
    expect(told).not.toContain('b');
    await clock.advance(5_000);
    expect(told).toContain('b');
  });

  test('looks at the kernel now and then, repairs what differs, and counts bad looks in a row', async () => {
    const { clock, backend, source, sync, reports } = await started({ verifyMs: 300_000 });
    sync.changed(source.put(testDecision('a')));
    const looks = (): readonly SyncReport[] => reports.filter(({ kind }) => kind === 'verified');
    // Soon after the first write, since nobody listened while it was made; then at its pace.
    await clock.advance(15_000);
    expect(looks()).toMatchObject([{ differences: [] }, { differences: [] }]);
    await clock.advance(340_000);
    expect(looks()).toMatchObject([{ differences: [] }, { differences: [] }, { differences: [] }]);
    backend.kernel.clear();
    await clock.advance(331_000);
    expect(backend.kernel.size).toBe(1);
    await clock.advance(15_000);
    expect(sync.state.badLooks).toBe(0);
    backend.deaf = true;
    backend.kernel.clear();
    await clock.advance(400_000);
    expect(sync.state.badLooks).toBeGreaterThan(1);
    await sync.stop();
  });

  test('a look that a write has crossed is thrown away', async () => {
    const { clock, backend, source, sync, reports } = await started({ verifyMs: 300_000 });
    backend.verifyMs = 1_000;
    for (let at = 0; at < 360_000; at += 500) {
      sync.changed(source.put(testDecision('a', { port: 1 + at / 500 })));
      await clock.advance(500);
    }
    const verified = reports.filter((event) => event.kind === 'verified');
    expect(verified.length).toBeGreaterThan(0);
    expect(verified.every(({ differences }) => differences.length === 0)).toBe(true);
    await sync.stop();
  });

  test('lone changes one after the other do not wait for the first looks, which they cross', async () => {
    const { clock, backend, source, sync } = await started({ verifyMs: 300_000 });
    backend.verifyMs = 1_000;
    const told: number[] = [];
    for (let turn = 0; turn < 100; turn += 1) {
      told.push(clock.now());
      sync.changed(source.put(testDecision('a', { port: 1 + turn })));
      await clock.advance(200);
    }
    expect(backend.calls.map(({ at }) => at)).toEqual(told);
    const stopped = sync.stop();
    await clock.advance(2_000);
    await stopped;
  });

  test('a look that holds beside writes counts although they cross it, and none ever waits for one', async () => {
    const { clock, backend, source, sync, reports } = await started({ verifyMs: 300_000 });
    backend.verifiesBesideWrites = true;
    backend.verifyMs = 1_000;
    const lost = testDecision('lost');
    sync.changed(source.put(lost));
    await clock.advance(100);
    backend.kernel.delete(lost.key);
    const told: number[] = [];
    const bad: number[] = [];
    for (let turn = 0; turn < 400; turn += 1) {
      told.push(clock.now());
      sync.changed(source.put(testDecision('a', { port: 1 + turn })));
      await clock.advance(200);
      bad.push(sync.state.badLooks);
    }
    // The first look repairs it, the second finds it repaired.
    expect(backend.kernel.has(lost.key)).toBe(true);
    expect(bad).toContain(1);
    const found = reports.flatMap((event) => (event.kind === 'verified' ? [event.differences] : []));
    expect(found.filter(({ length }) => length > 0)).toMatchObject([[{ key: lost.key }]]);
    expect(found.at(-1)).toEqual([]);
    const applied = backend.calls.filter(({ kind }) => kind === 'apply').slice(1);
    // One of them went with the repair.
    expect(applied.length).toBeGreaterThanOrEqual(told.length - 1);
    expect(applied.every(({ at }) => told.includes(at))).toBe(true);
    await sync.stop();
  });

  test('a look that was crossed comes again after a rest, and is no failure', async () => {
    const { clock, backend, reports } = await started({ verifyMs: 300_000 });
    backend.verifiesBesideWrites = true;
    backend.crossed = 2;
    await clock.advance(40_000);
    const kinds = reports.map(({ kind }) => kind).filter((kind) => kind.startsWith('verif'));
    expect(backend.crossed).toBe(0);
    expect(kinds.length).toBeGreaterThan(0);
    expect(new Set(kinds)).toEqual(new Set(['verified']));
  });

  test('where writes let no look end, the writer waits for one after an hour, and not before', async () => {
    const { clock, backend, source, sync, reports } = await started({ verifyMs: 300_000 });
    backend.verifiesBesideWrites = true;
    backend.verifyMs = 1_000;
    backend.crossed = Number.POSITIVE_INFINITY;
    const late: number[] = [];
    for (let turn = 0; turn < 10 * 3_600; turn += 1) {
      const told = clock.now();
      sync.changed(source.put(testDecision('a', { port: 1 + (turn % 60_000) })));
      await clock.advance(400);
      const written = backend.calls.at(-1)?.at ?? 0;
      if (written !== told) late.push(told);
    }
    // About an hour after the start, and again with each look that still comes to nothing.
    expect(late[0]).toBeGreaterThan(3_000_000);
    expect(late[0]).toBeLessThan(5_000_000);
    backend.crossed = 0;
    await clock.advance(600_000);
    expect(reports.some(({ kind }) => kind === 'verify-failed')).toBe(false);
    expect(reports.at(-1)).toMatchObject({ kind: 'verified', differences: [] });
    await sync.stop();
  });

  test('stops after the write under way and leaves the kernel as it is', async () => {
    const { clock, backend, source, sync } = await started();
    backend.ms = 50;
    sync.changed(source.put(testDecision('a')));
    await clock.advance(10);
    const stopped = sync.stop();
    sync.changed(source.put(testDecision('b')));
    await clock.advance(1_000);
    await stopped;
    expect(backend.kernel.size).toBe(1);
    expect(backend.closed).toBe(true);
  });
});

/** What happens to a writer, one step a moment. */
type Step =
  | { readonly kind: 'put'; readonly name: number; readonly port: number }
  | { readonly kind: 'remove'; readonly name: number }
  | { readonly kind: 'fail'; readonly times: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'rewrite' }
  | { readonly kind: 'pass'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('put' as const), name: fc.nat(7), port: fc.nat(3) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), name: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), times: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'flush' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'rewrite' as const }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(120) }) },
);

describe('any history', () => {
  property.prop([fc.array(step, { maxLength: 60 }), fc.nat(40), fc.nat()], { numRuns: 300 })(
    'of changes, failures, flushes and pauses ends with the kernel as the source says: no change is ever lost',
    async (steps, ms, seed) => {
      const { clock, backend, source, sync } = bench({}, seed);
      backend.ms = ms;
      sync.start();
      for (const one of steps) {
        switch (one.kind) {
          case 'put':
            sync.changed(source.put(testDecision(`s${one.name}`, { port: one.port })));
            break;
          case 'remove':
            sync.changed(source.remove(testDecision(`s${one.name}`).key));
            break;
          case 'fail':
            backend.failNext(one.times, failure);
            break;
          case 'flush':
            backend.flush({ message: 'flushed', process: undefined });
            break;
          case 'rewrite':
            sync.rewrite();
            break;
          case 'pass':
            await clock.advance(one.ms);
            break;
        }
      }
      let written = false;
      sync.whenWritten(() => (written = true));
      await clock.advance(600_000);
      expect(written).toBe(true);
      expect(backend.kernel).toEqual(source.held);
      expect(backend.overlapping).toBe(false);
      expect(sync.state).toMatchObject({ pending: 0, waitingSince: undefined, writing: false });
    },
  );
});
