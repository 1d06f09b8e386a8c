/**
 * Taking an address where a majority may be on the other side of a cut: first the link is asked, and who answers there
 * has it.
 */
import type { Clock } from '../../core/clock.ts';
import type { Announcer } from './announcer.ts';

export interface LastResortOptions {
  readonly announcer: Pick<Announcer, 'probe'>;
  readonly clock: Clock;
  /** An address that somebody answers for is left alone for so long. */
  readonly retryMs: number;
  readonly ended: AbortSignal;
}

export class LastResort {
  readonly #options: LastResortOptions;
  /** Until when: infinite while the link is asked. */
  readonly #restsUntil = new Map<string, number>();

  constructor(options: LastResortOptions) {
    this.#options = options;
  }

  /** When the address may be asked about again (monotonic); undefined: now, or when the answer has come. */
  retryAt(address: string): number | undefined {
    const at = this.#restsUntil.get(address);
    return at === undefined || !Number.isFinite(at) ? undefined : at;
  }

  /** Somebody else has it. */
  rest(address: string): void {
    this.#restsUntil.set(address, this.#options.clock.now() + this.#options.retryMs);
  }

  /** Asks, one question at a time; `free` says whether it took the address. */
  ask(address: string, link: string, free: () => boolean, after: () => void): void {
    const { announcer, clock, ended } = this.#options;
    if ((this.#restsUntil.get(address) ?? 0) > clock.now()) return;
    this.#restsUntil.set(address, Number.POSITIVE_INFINITY);
    void announcer.probe(address, link, ended).then((answer) => {
      if (ended.aborted) return;
      if (answer.kind === 'free' && free()) this.#restsUntil.delete(address);
      else this.rest(address);
      after();
    });
  }

  /** Of addresses that are not wanted any more. */
  keepOnly(wanted: { has(address: string): boolean }): void {
    for (const address of this.#restsUntil.keys()) if (!wanted.has(address)) this.#restsUntil.delete(address);
  }
}
