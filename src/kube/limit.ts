/**
 * One abort signal for a call, from the caller's and from a time limit that each sign of life starts again.
 *
 * undici has time limits of its own, but on a clock that cannot be handed in.
 */
import type { Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';

export class Limit {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #makeError: () => SluiceError;
  readonly #outer: AbortSignal | undefined;
  readonly #onOuter = (): void => this.#controller.abort(this.#outer?.reason);
  #cancel: () => void = () => undefined;
  #touched: number;
  #expired: SluiceError | undefined;

  constructor(clock: Clock, outer: AbortSignal | undefined, ms: number, makeError: () => SluiceError) {
    this.#clock = clock;
    this.#ms = ms;
    this.#makeError = makeError;
    this.#outer = outer;
    this.#touched = clock.now();
    if (outer?.aborted === true) this.#onOuter();
    else outer?.addEventListener('abort', this.#onOuter, { once: true });
    this.#arm(ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The error, once the time is over. */
  expired(): SluiceError | undefined {
    return this.#expired;
  }

  /** Cheap enough for every chunk: the timer looks at this when it fires. */
  restart(): void {
    this.#touched = this.#clock.now();
  }

  [Symbol.dispose](): void {
    this.#cancel();
    this.#outer?.removeEventListener('abort', this.#onOuter);
    // A body that nobody reads to its end would hold the socket.
    if (!this.#controller.signal.aborted) this.#controller.abort(finished);
  }

  #arm(ms: number): void {
    this.#cancel = this.#clock.schedule(ms, () => {
      const left = this.#touched + this.#ms - this.#clock.now();
      if (left > 0) {
        this.#arm(left);
        return;
      }
      this.#expired = this.#makeError();
      this.#controller.abort(this.#expired);
    });
  }
}

const finished = new SluiceError('transient', 'the call is over', { code: 'Finished' });

/** The same bytes; each chunk starts the limit again. */
export async function* watched(
  body: AsyncIterable<Uint8Array>,
  limit: Limit,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of body) {
    limit.restart();
    yield chunk;
  }
}
