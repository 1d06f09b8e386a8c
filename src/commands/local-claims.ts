/**
 * How long the claim of a machine on its Services holds: as long as others see it renewed.
 *
 * Each machine that runs `sluice local` renews a time on one of the Services that it serves, which stands for all of
 * them. The time is for people: another machine asks only when it last saw a change, by its own clock, so clocks need
 * not agree and a machine that has just started waits in full. Nothing is taken over before the API server itself has
 * said that nothing has changed: a watch may lag, and a laptop may have slept. Where a machine has written no time at
 * all, nobody can tell whether it lives, and taking over stays a person's to say.
 */
import type { ClusterView } from '../controller/cluster.ts';
import { servedAtAnnotation, servedOnAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import { sleep, type Clock } from '../core/clock.ts';
import { asSluiceError, isSluiceError } from '../core/errors.ts';
import type { ServiceObject, Uid } from '../core/objects.ts';
import type { Writer } from '../kube/writer.ts';
import { elsewhere } from './local-elsewhere.ts';

/** Milliseconds. */
export interface ClaimTimings {
  readonly renewMs: number;
  /** Of another machine nothing has been seen for so long: its Services are free. */
  readonly expiredMs: number;
  /** Between two looks; also until a failed renewal is tried again. */
  readonly lookMs: number;
}

export const claimTimings: ClaimTimings = { renewMs: 30_000, expiredMs: 120_000, lookMs: 5_000 };

/** For the picture to show what was taken over. */
const shownMs = 8_000;

export interface ClaimsOptions {
  /** What this machine calls itself. */
  readonly machine: string;
  /** All Services, those of other machines too. */
  readonly view: Pick<ClusterView, 'services'>;
  readonly writer: Pick<Writer, 'getService' | 'patchAnnotations'>;
  readonly clock: Clock;
  readonly timings?: ClaimTimings;
  /** Something was taken over because its machine was not heard of; one line each, for people. */
  readonly onTaken: (lines: readonly string[]) => void;
}

/** What was seen of another machine. */
interface Sighting {
  /** The times on its Services. */
  readonly times: ReadonlyMap<Uid, string>;
  /** When one of them last changed; monotonic milliseconds. */
  readonly at: number;
}

export class Claims {
  readonly #options: ClaimsOptions;
  readonly #timings: ClaimTimings;
  readonly #ended = new AbortController();
  #others: ReadonlyMap<string, Sighting> = new Map();
  /** The Service that bears the time for all of ours. */
  #bearer: Uid | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #cancel: (() => void) | undefined;

  constructor(options: ClaimsOptions) {
    this.#options = options;
    this.#timings = options.timings ?? claimTimings;
  }

  /** Renews from now on, and takes over what has expired. */
  start(): void {
    const look = (): void => {
      this.#looking = this.look().finally(() => {
        if (!this.#ended.signal.aborted)
          this.#cancel = this.#options.clock.schedule(this.#timings.lookMs, look);
      });
    };
    look();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    this.#cancel?.();
    await this.#looking;
  }

  /** One round: never rejects, what failed is tried again in the next. */
  async look(): Promise<void> {
    this.#sight();
    try {
      await this.#renew();
    } catch {
      // The next look tries again, long before anybody believes that this machine is gone.
    }
    try {
      for (const [machine, sighting] of this.#others) await this.#takeExpired(machine, sighting);
    } catch {
      // Nothing is known for certain while the API server does not answer.
    }
  }

  /** Whatever other machines serve is ours from now on; ends when the picture shows it. @returns what, and whose it was. */
  async takeAll(signal: AbortSignal): Promise<readonly string[]> {
    const taken: string[] = [];
    for (const [on, service] of this.#elsewhere()) {
      try {
        await this.#options.writer.patchAnnotations(service, this.#marks(), { signal });
        taken.push(`${service.key} from ${on}`);
      } catch (error) {
        if (asSluiceError(error).kind !== 'gone') throw error;
      }
    }
    const { clock } = this.#options;
    const until = clock.now() + shownMs;
    while (this.#elsewhere().length > 0 && clock.now() < until) await sleep(clock, 20, signal);
    return taken.toSorted();
  }

  /** The marks of this machine, renewed now. */
  #marks(): Readonly<Record<string, string>> {
    return {
      [servedOnAnnotation]: this.#options.machine,
      [servedAtAnnotation]: timeNow(this.#options.clock),
    };
  }

  #elsewhere(): readonly (readonly [machine: string, service: ServiceObject])[] {
    return [...this.#options.view.services()].flatMap((service) => {
      const on = elsewhere(service, this.#options.machine);
      return on === undefined ? [] : [[on, service] as const];
    });
  }

  #sight(): void {
    const now = this.#options.clock.now();
    const found = Map.groupBy(this.#elsewhere(), ([machine]) => machine);
    this.#others = new Map(
      [...found].map(([machine, of]) => {
        const times = new Map(of.map(([, service]) => [service.uid, timeOf(service)]));
        const before = this.#others.get(machine);
        const same =
          before !== undefined && [...times].every(([uid, time]) => before.times.get(uid) === time);
        return [machine, { times, at: same ? before.at : now }];
      }),
    );
  }

  async #renew(): Promise<void> {
    const { clock, view, writer } = this.#options;
    if (clock.now() - this.#renewedAt < this.#timings.renewMs) return;
    const ours = [...view.services()]
      .filter(
        ({ annotations, finalizers }) =>
          annotations[servedOnAnnotation] === this.#options.machine && finalizers.includes(finalizer),
      )
      .toSorted((one, other) => (one.key < other.key ? -1 : 1));
    // As long as it can be the same one: others see that it changes, and nothing else has to be asked.
    const bearer = ours.find(({ uid }) => uid === this.#bearer) ?? ours[0];
    if (bearer === undefined) return;
    await writer.patchAnnotations(
      bearer,
      { [servedAtAnnotation]: timeNow(clock) },
      // Another machine may have taken it meanwhile, and nothing is written on what is theirs.
      { unchanged: true, signal: this.#ended.signal },
    );
    this.#bearer = bearer.uid;
    this.#renewedAt = clock.now();
  }

  async #takeExpired(machine: string, { times, at }: Sighting): Promise<void> {
    const { clock, writer } = this.#options;
    const silentMs = clock.now() - at;
    if (silentMs <= this.#timings.expiredMs || [...times.values()].every((time) => time === '')) return;
    const { signal } = this.#ended;
    const found = this.#elsewhere().filter(([on]) => on === machine);
    const live: ServiceObject[] = [];
    for (const [, { key }] of found) live.push(await writer.getService(key, { signal }));
    const unchanged = live.every(
      (service) =>
        elsewhere(service, this.#options.machine) === machine && times.get(service.uid) === timeOf(service),
    );
    if (!unchanged) {
      const seen = new Map(live.map((service) => [service.uid, timeOf(service)]));
      this.#others = new Map([...this.#others, [machine, { times: seen, at: clock.now() }]]);
      return;
    }
    const taken: string[] = [];
    for (const service of live) {
      try {
        await writer.patchAnnotations(service, this.#marks(), { unchanged: true, signal });
        taken.push(
          `${service.key} from ${machine}, of which nothing was heard for ${Math.round(silentMs / 1000)} s`,
        );
      } catch (error) {
        // Somebody was quicker, or it has gone: the next look sees which.
        if (!isSluiceError(error) || (error.kind !== 'conflict' && error.kind !== 'gone')) throw error;
      }
    }
    if (taken.length > 0) this.#options.onTaken(taken);
  }
}

/** For people who read the annotation. */
export function timeNow(clock: Pick<Clock, 'wall'>): string {
  return new Date(clock.wall()).toISOString();
}

function timeOf({ annotations }: Pick<ServiceObject, 'annotations'>): string {
  return annotations[servedAtAnnotation] ?? '';
}
