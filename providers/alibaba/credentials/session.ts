/**
 * The credentials in use, and when they are renewed.
 *
 * The vendor's package fetches once per waiting caller, on every call where a token lives 15 minutes or less,
 * and hands out ended tokens when it cannot renew them; so it is given ours.
 *
 * Invariants: at most one request for credentials is under way; a token that has ended is never handed out;
 * while one lives, nobody waits for its successor; a source that fails is asked again after growing pauses, not
 * by every call; nothing but the one source is ever asked.
 */
import type { Clock } from '../../../src/core/clock.ts';
import { asSluiceError, SluiceError } from '../../../src/core/errors.ts';
import type { Credentials, CredentialSource, Issued } from './source.ts';

/** Renewed when this long is left, or a quarter of their life where that is less: never at every call. Milliseconds. */
const renewBeforeMs = 15 * 60_000;
const renewShare = 0.25;
/** With less than this left they count as ended: a call takes its time to arrive. Milliseconds. */
const safetyMs = 30_000;
/** What was just issued is used for this long, whatever the clock of this machine thinks of its end. Milliseconds. */
const trustMs = 60_000;
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

interface Held {
  readonly issued: Issued;
  /** Wall-clock milliseconds. */
  readonly renewAt: number;
  readonly endsAt: number;
}

export class CredentialSession {
  readonly name: string;
  readonly renewable: boolean;
  readonly #source: CredentialSource;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  #held: Held | undefined;
  #underWay: Promise<Issued> | undefined;
  #failure: { readonly error: SluiceError; readonly until: number; readonly pauseMs: number } | undefined;

  constructor(source: CredentialSource, clock: Clock) {
    this.name = source.name;
    this.renewable = source.renewable;
    this.#source = source;
    this.#clock = clock;
  }

  /**
   * Credentials that are good for a call now. Throws what the source throws; an abort ends the waiting, not
   * the request that others may wait for.
   */
  async get(signal?: AbortSignal): Promise<Credentials> {
    const now = this.#clock.wall();
    const held = this.#held;
    if (held !== undefined && now < held.endsAt) {
      if (now >= held.renewAt && this.#mayAsk()) this.#renew().catch(() => {});
      return held.issued;
    }
    if (this.#underWay === undefined && !this.#mayAsk() && this.#failure !== undefined)
      throw this.#failure.error;
    return orGivenUp(this.#renew(), signal);
  }

  /** These were not accepted: the next call gets new ones. */
  drop(credentials: Credentials): void {
    if (this.#held?.issued.accessKeyId === credentials.accessKeyId) this.#held = undefined;
  }

  /** Ends a renewal that is under way. */
  close(): void {
    this.#closed.abort();
  }

  #mayAsk(): boolean {
    return this.#failure === undefined || this.#clock.now() >= this.#failure.until;
  }

  #renew(): Promise<Issued> {
    this.#underWay ??= this.#issue().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #issue(): Promise<Issued> {
    try {
      const issued = await this.#source.issue(this.#closed.signal);
      const now = this.#clock.wall();
      const endsAt = Math.max(now + trustMs, (issued.expiresAt ?? Number.POSITIVE_INFINITY) - safetyMs);
      const lead = Math.min(renewBeforeMs, (endsAt - now) * renewShare);
      this.#held = { issued, renewAt: endsAt - lead, endsAt };
      this.#failure = undefined;
      return issued;
    } catch (thrown) {
      const error = asSluiceError(thrown);
      const pauseMs = Math.min(longestPauseMs, (this.#failure?.pauseMs ?? firstPauseMs / 2) * 2);
      this.#failure = { error, until: this.#clock.now() + pauseMs, pauseMs };
      throw error;
    }
  }
}

function orGivenUp<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void =>
      reject(new SluiceError('transient', 'given up while waiting for credentials', { code: 'Aborted' }));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
