/**
 * The end of a run: faults cease, users mend what is broken, and then everything must become as it should.
 *
 * Compares the account and the status of Services with the naive truth (I3, I6), demands silence once all is
 * well, a restart included (I4), and nothing left when every Service is gone (I1).
 */
import { differencesOf } from './compare.ts';
import { heal } from './heal.ts';
import { nameOf } from './people.ts';
import { fullEveryMs } from './process.ts';
import type { World } from './world.ts';

/** 60 s, the longest retry, and a full drift pass with its jitter. */
const boundMs = 60_000 + 600_000 + fullEveryMs * 1.2;
/** The reader lists anew about once an hour. */
const relistMs = 3_600_000 * 1.1;
/** A survey and a full comparison happen in it. */
const longQuietMs = fullEveryMs * 1.2 + 60_000;

/**
 * How a history ends. `short`: things are as they should be, then a quiet minute. `long`: a full drift pass
 * and a restart of everything in silence as well, which takes much of the time.
 */
export type Ending = 'short' | 'long';

export async function judge(world: World, ending: Ending): Promise<void> {
  const { clock, monitor } = world;
  const differences = await untilEmpty(world, heal, workMs, () => differencesOf(world));
  for (const difference of differences) monitor.report('I3', difference);
  if (differences.length > 0) return;
  if (ending === 'long') {
    // A difference that the comparison forgives (old targets where none is wanted) may wait for the next list.
    if (world.missed) await clock.advance(relistMs);
    // What was changed behind the controller's back shows at the next pass over everything.
    await clock.advance(longQuietMs);
    await silence(world, longQuietMs, 'between drift passes');
    world.coldRestart();
    await silence(world, longQuietMs, 'after a restart');
  }
  for (const difference of differencesOf(world)) monitor.report('I3', `after a quiet time: ${difference}`);
  const left = await untilEmpty(world, deleteAll, 0, () => [
    ...[...world.server.all('services')].map((service) => `Service ${nameOf(service)}`),
    ...monitor.marked().map(({ kind, name, uid }) => `${kind} ${name} of ${uid}`),
  ]);
  for (const one of left) monitor.report('I1', `left after every Service was deleted: ${one}`);
}

/** I1 speaks of a cluster in which every Service is gone: whatever is there by now has to go. */
async function deleteAll(world: World, again: boolean): Promise<void> {
  if (again) await heal(world);
  world.trace('── every Service is deleted');
  world.monitor.eventHappened();
  for (const service of world.server.all('services')) world.people.deleteService(nameOf(service));
}

/** Nobody at work for so long: targets that settle are looked at again within a minute, and then a quiet one. */
const workMs = 130_000;

/** The longest of the faults that a sweep lets fall while a run is judged, and a little more. */
const lateFaultMs = 80_000;

/**
 * Runs until `look` finds nothing and nobody has been at work for `stillMs`, or the bound is passed: what it
 * finds then. `mend` comes first. A fault that falls meanwhile (the sweep's, for calls of this phase) has its
 * time, what it left is mended again, and the bound counts from there: I3 speaks of the last fault.
 */
async function untilEmpty(
  world: World,
  mend: (world: World, again: boolean) => Promise<void>,
  stillMs: number,
  look: () => readonly string[],
): Promise<readonly string[]> {
  const { clock, monitor } = world;
  let { blows } = world;
  await mend(world, false);
  const deadlineNow = (): number => clock.now() + boundMs + (world.missed ? relistMs : 0);
  let deadline = deadlineNow();
  let stepMs = 2_000;
  let calmSince = clock.now();
  for (;;) {
    if (world.blows !== blows) {
      await clock.advance(lateFaultMs);
      ({ blows } = world);
      await mend(world, true);
      deadline = deadlineNow();
      stepMs = 2_000;
      calmSince = clock.now();
    }
    const writes = monitor.writes;
    await clock.advance(stepMs);
    if (monitor.writes !== writes) calmSince = clock.now();
    const found = look();
    if (found.length === 0 && clock.now() - calmSince >= stillMs) return [];
    if (clock.now() >= deadline) return found;
    stepMs = Math.min(stepMs * 1.5, 60_000, Math.max(1_000, deadline - clock.now()));
  }
}

async function silence(world: World, ms: number, when: string): Promise<void> {
  const { clock, monitor, account } = world;
  const before = monitor.writes;
  const seq = account.calls().at(-1)?.seq ?? 0;
  const apiBefore = world.apiWrites.length;
  await clock.advance(ms);
  if (monitor.writes === before) return;
  const calls = account
    .calls(seq)
    .filter(({ mutating }) => mutating)
    .map(({ operation }) => operation);
  monitor.report(
    'I4',
    `writes ${when}: ${[...calls, ...world.apiWrites.slice(apiBefore)].slice(0, 12).join(', ')}`,
  );
}
