/**
 * The Lease `sluice-announce`: decides where heartbeats alone cannot, because just half of the agents is heard.
 *
 * It is contended for only then, and given back as soon as there is a majority, so that it is free when it is needed:
 * taking it costs two calls. Only where its holder crashed does the next one wait for its duration.
 */
import { sleep, type Clock, type Random } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import type { Api } from '../../kube/api.ts';
import { Elector, type LeaseTimings, type Term } from '../../kube/lease.ts';
import type { Arbiter } from './ownership-port.ts';

export const arbiterLease = 'sluice-announce';

/** A holder that cannot renew stops after 2 s; nobody else takes it before 3 s. */
export const arbiterTimings: LeaseTimings = { durationMs: 3_000, renewDeadlineMs: 2_000, retryMs: 500 };

export interface LeaseArbiterOptions {
  readonly api: Api;
  readonly namespace: string;
  /** Of this process. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timings?: LeaseTimings;
  /** It was got or lost. */
  readonly onChange: () => void;
  readonly report?: (error: SluiceError) => void;
}

export class LeaseArbiter implements Arbiter {
  readonly #options: LeaseArbiterOptions;
  readonly #elector: Elector;
  #stop: AbortController | undefined;
  /** Of this stretch of contending: one that is being given back counts no more. */
  #term: Term | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: LeaseArbiterOptions) {
    this.#options = options;
    this.#elector = new Elector({
      api: options.api,
      lease: { namespace: options.namespace, name: arbiterLease },
      identity: options.identity,
      clock: options.clock,
      random: options.random,
      timings: options.timings ?? arbiterTimings,
      report: (event) => {
        if (event.kind === 'failed') options.report?.(event.error);
        if (event.kind === 'lost') options.onChange();
      },
    });
  }

  held(): boolean {
    return this.#term?.held() ?? false;
  }

  want(wanted: boolean): void {
    if (wanted === (this.#stop !== undefined)) return;
    if (!wanted) {
      this.#stop?.abort();
      this.#stop = undefined;
      this.#term = undefined;
      return;
    }
    const stop = new AbortController();
    this.#stop = stop;
    // One at a time: what an earlier stretch holds is given back first.
    this.#running = this.#running.then(() => this.#contend(stop.signal));
  }

  async stop(): Promise<void> {
    this.want(false);
    await this.#running;
  }

  async #contend(stop: AbortSignal): Promise<void> {
    const { clock, onChange, report } = this.#options;
    while (!stop.aborted) {
      try {
        await this.#elector.run(async (term) => {
          if (stop.aborted) return;
          this.#term = term;
          onChange();
          const end = AbortSignal.any([stop, term.signal]);
          if (!end.aborted)
            await new Promise<void>((resolve) => {
              end.addEventListener('abort', () => resolve(), { once: true });
            });
          if (this.#term === term) this.#term = undefined;
        }, stop);
      } catch (thrown) {
        report?.(asSluiceError(thrown));
        await sleep(clock, this.#retryMs(), stop).catch(() => undefined);
      }
    }
  }

  #retryMs(): number {
    return (this.#options.timings ?? arbiterTimings).retryMs;
  }
}
