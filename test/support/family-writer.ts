/** A family writer over a kernel that is a map, for the tests of the writer. */
import { VirtualClock } from './virtual-clock.ts';
import { seededRandom } from '../../src/core/clock.ts';
import { FakeBackend, FakeSource } from '../../src/agent/fixtures.ts';
import { syncTimings, type SyncReport, type SyncTimings } from '../../src/agent/sync-report.ts';
import { FamilySync } from '../../src/agent/sync.ts';

export interface Bench {
  readonly clock: VirtualClock;
  readonly backend: FakeBackend;
  readonly source: FakeSource;
  readonly sync: FamilySync;
  readonly reports: SyncReport[];
}

export function bench(timings: Partial<SyncTimings> = {}, seed = 1): Bench {
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

/** The same, idle after its first write. */
export async function started(timings: Partial<SyncTimings> = {}): Promise<Bench> {
  const made = bench(timings);
  made.sync.start();
  await made.clock.advance(1_000);
  made.backend.calls.length = 0;
  made.reports.length = 0;
  return made;
}
