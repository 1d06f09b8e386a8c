/** What changes take away is taken out ahead of the window, where the backend can. */
import { expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { seededRandom, sleep } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { DecisionChange } from './decision.ts';
import { FakeBackend, FakeSource, testDecision } from './fixtures.ts';
import { syncTimings } from './sync-report.ts';
import { FamilySync } from './sync.ts';

class HastyBackend extends FakeBackend {
  readonly hastened: { readonly changes: number; readonly at: number }[] = [];
  readonly clock: VirtualClock;
  takesOut = true;
  failure: SluiceError | undefined;

  constructor(clock: VirtualClock) {
    super(clock);
    this.clock = clock;
  }

  async hasten(changes: readonly DecisionChange[]): Promise<boolean> {
    this.hastened.push({ changes: changes.length, at: this.clock.now() });
    await sleep(this.clock, 1);
    if (this.failure !== undefined) throw this.failure;
    return this.takesOut;
  }
}

async function started() {
  const clock = new VirtualClock();
  const backend = new HastyBackend(clock);
  const source = new FakeSource();
  const sync = new FamilySync({
    backend,
    source,
    clock,
    random: seededRandom(1),
    timings: { ...syncTimings, verifyMs: 0 },
    report: () => undefined,
    soon: (run) => void clock.schedule(0, run),
  });
  sync.changed(source.put(testDecision('a')));
  sync.start();
  await clock.advance(1_000);
  backend.calls.length = 0;
  backend.ms = 40;
  const start = clock.now();
  const told = () => ({
    hastened: backend.hastened.map(({ changes, at }) => [changes, at - start]),
    written: backend.calls.map(({ kind, changes, at }) => [kind, changes, at - start]),
  });
  return { clock, backend, source, sync, told };
}

const a = (port: number) => testDecision('a', { port });

test('an idle writer writes at once, and takes nothing out ahead', async () => {
  const { clock, source, sync, told } = await started();
  sync.changed(source.put(a(81)));
  sync.changed(source.put(testDecision('b')));
  await clock.advance(1_000);
  expect(told()).toEqual({ hastened: [], written: [['apply', 2, 0]] });
});

test('in the window each change is hastened as it comes, and written at its end', async () => {
  const { clock, source, sync, told } = await started();
  sync.changed(source.put(a(81)));
  await clock.advance(50);
  sync.changed(source.put(a(82)));
  await clock.advance(10);
  sync.changed(source.put(testDecision('b')));
  await clock.advance(1_000);
  expect(told()).toEqual({
    hastened: [
      [1, 50],
      [1, 60],
    ],
    written: [
      ['apply', 1, 0],
      ['apply', 2, 80],
    ],
  });
});

test('what came during a write is hastened when that has ended', async () => {
  const { clock, source, sync, told } = await started();
  sync.changed(source.put(a(81)));
  await clock.advance(10);
  sync.changed(source.put(a(82)));
  sync.changed(source.put(testDecision('b')));
  await clock.advance(1_000);
  expect(told()).toEqual({
    hastened: [[2, 40]],
    written: [
      ['apply', 1, 0],
      ['apply', 2, 80],
    ],
  });
});

test('where something was taken out, a write comes though the change has been undone', async () => {
  const { clock, backend, source, sync, told } = await started();
  const first = a(81);
  sync.changed(source.put(first));
  await clock.advance(50);
  sync.changed(source.put(a(82)));
  await clock.advance(10);
  let written = false;
  sync.changed(source.put(first));
  sync.whenWritten(() => (written = true));
  expect(written).toBe(false);
  await clock.advance(1_000);
  expect(told().written).toEqual([
    ['apply', 1, 0],
    ['apply', 0, 80],
  ]);
  expect(written).toBe(true);

  backend.takesOut = false;
  const second = a(83);
  sync.changed(source.put(second));
  await clock.advance(50);
  sync.changed(source.put(a(84)));
  await clock.advance(10);
  sync.changed(source.put(second));
  await clock.advance(1_000);
  expect(told().written).toHaveLength(3);
});

test('where nobody knows what was taken out, everything is written anew', async () => {
  const { clock, backend, source, sync, told } = await started();
  sync.changed(source.put(a(81)));
  await clock.advance(50);
  backend.failure = new SluiceError('ambiguous', 'the tool was killed', { code: 'ToolKilled' });
  sync.changed(source.put(a(82)));
  await clock.advance(2);
  expect(sync.state.problem).toBe(backend.failure);
  await clock.advance(1_000);
  expect(told().written.map(([kind]) => kind)).toEqual(['apply', 'replace']);
  expect(backend.kernel.get(a(82).key)).toEqual(a(82));
  expect(sync.state.problem).toBeUndefined();
});
