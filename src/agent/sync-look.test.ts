/** The slow looks of a family writer, in virtual time. */
import { expect, test } from 'vitest';
import { testDecision } from './fixtures.ts';
import { started } from '../../test/support/family-writer.ts';
import type { SyncReport } from './sync-report.ts';

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
