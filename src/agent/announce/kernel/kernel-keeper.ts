/**
 * Keeps a door to the kernel open: where its child ends another is begun, at once and then with growing pauses, until
 * it is closed. What a child says after another has taken its place concerns nobody.
 */
import type { Clock } from '../../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../../core/errors.ts';
import type { Spawn } from '../../tool.ts';
import { Kernel, type KernelHearer } from './kernel.ts';

export interface KernelKeeperOptions {
  readonly start: Spawn;
  readonly clock: Clock;
  readonly hearer: Omit<KernelHearer, 'ended'>;
  /** A new one; where this rejects it is closed again. */
  readonly opened: (kernel: Kernel) => Promise<void>;
  /** There is another one after one that ended. */
  readonly again: () => void;
  /** The child has ended, or another one could not be begun: it is tried again. */
  readonly lost: (error: SluiceError) => void;
}

const longestPauseMs = 2_000;

export class KernelKeeper {
  readonly #options: KernelKeeperOptions;
  #kernel: Kernel | undefined;
  #pauseMs = 0;
  #cancel: () => void = () => undefined;
  #closed = false;

  constructor(options: KernelKeeperOptions) {
    this.#options = options;
  }

  /** The one that is open now. */
  get kernel(): Kernel | undefined {
    return this.#kernel;
  }

  /** @throws SluiceError as `Kernel.open`, and where `opened` rejects. */
  async open(): Promise<void> {
    const { start, clock, hearer, opened } = this.#options;
    let mine: Kernel | undefined;
    const ended = (error: SluiceError): void => {
      if (this.#kernel !== mine) return;
      this.#lost(error);
    };
    const kernel = await Kernel.open({ start, clock, hearer: { ...hearer, ended } });
    mine = kernel;
    if (this.#closed) return kernel.close();
    this.#kernel = kernel;
    try {
      await opened(kernel);
    } catch (error) {
      // Where it has ended meanwhile, another is on its way.
      if (this.#kernel !== kernel) return;
      this.#kernel = undefined;
      void kernel.close();
      throw error;
    }
    this.#pauseMs = 0;
  }

  /** For good. Resolves when the child is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    const kernel = this.#kernel;
    this.#kernel = undefined;
    await kernel?.close();
  }

  #lost(error: SluiceError): void {
    this.#kernel = undefined;
    this.#options.lost(error);
    if (this.#closed) return;
    const pause = this.#pauseMs;
    this.#pauseMs = Math.min(longestPauseMs, pause * 2 + 50);
    this.#cancel = this.#options.clock.schedule(pause, () => void this.#begin());
  }

  async #begin(): Promise<void> {
    try {
      await this.open();
    } catch (thrown) {
      this.#lost(asSluiceError(thrown));
      return;
    }
    this.#options.again();
  }
}
