import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../core/errors.ts';
import { testDecision } from './fixtures.ts';
import { bench, started } from '../../test/support/family-writer.ts';

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

  test.each([
    [50, 50],
    [51, 153],
    [400, 300],
  ])('where removals do not wait, a write of %i ms is followed by a window of %i', async (ms, windowMs) => {
    const { clock, backend, source, sync } = await started();
    backend.hastens = true;
    backend.ms = ms;
    const start = clock.now();
    sync.changed(source.put(testDecision('a')));
    await clock.advance(1);
    sync.changed(source.put(testDecision('b')));
    await clock.advance(1_000);
    expect(backend.calls.map(({ at }) => at - start)).toEqual([0, ms + windowMs]);
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
