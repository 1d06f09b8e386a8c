/** Contenders for one Lease in virtual time: what each was told, and when its work began and ended. */
import { expect } from 'vitest';
import { seededRandom, type Clock } from '../../src/core/clock.ts';
import type { Method } from '../../src/kube/api.ts';
import { Elector, type LeaseReport, type Term } from '../../src/kube/lease.ts';
import { MemoryLeases, type Fault } from './memory-leases.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface Contender {
  readonly id: string;
  readonly stop: AbortController;
  readonly reports: LeaseReport[];
  readonly done: Promise<void>;
  /** When work began and ended, on the virtual clock. */
  readonly work: { readonly from: number; to: number | undefined }[];
  term: Term | undefined;
}

export interface ContenderOptions {
  readonly fault?: (method: Method) => Fault;
  readonly clock?: Clock;
  /** How long work takes to wind down on a clean stop. */
  readonly drainMs?: number;
}

export class Contest {
  readonly time = new VirtualClock();
  readonly server = new MemoryLeases(this.time);

  enter(id: string, options: ContenderOptions = {}): Contender {
    const stop = new AbortController();
    const clock = options.clock ?? this.time;
    const reports: LeaseReport[] = [];
    const work: Contender['work'] = [];
    const elector = new Elector({
      api: this.server.as(id, options.fault),
      lease: { namespace: 'sluice-system', name: 'sluice-controller' },
      identity: id,
      clock,
      random: seededRandom(id.length),
      report: (event) => reports.push(event),
    });
    const lead = async (term: Term): Promise<void> => {
      const stretch: { from: number; to: number | undefined } = { from: clock.now(), to: undefined };
      work.push(stretch);
      made.term = term;
      await new Promise<void>((resolve) => {
        term.signal.addEventListener('abort', () => resolve());
        stop.signal.addEventListener('abort', () => clock.schedule(options.drainMs ?? 0, resolve));
      });
      stretch.to = clock.now();
    };
    const made: Contender = {
      id,
      stop,
      reports,
      work,
      term: undefined,
      done: elector.run(lead, stop.signal),
    };
    return made;
  }

  /** Ends them; nothing of them may be left on the clock. */
  async stopAll(...contenders: readonly Contender[]): Promise<void> {
    for (const one of contenders) one.stop.abort();
    await this.time.advance(60_000);
    await Promise.all(contenders.map((one) => one.done));
    expect(this.time.pending).toBe(0);
  }
}

/** What it was told, by kind. */
export function kinds(one: Contender): readonly string[] {
  return one.reports.map((event) => event.kind);
}
