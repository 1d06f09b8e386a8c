/**
 * When the neighbours are told again whose an address is: often enough to heal a cut, and never in a storm.
 *
 * Invariant: whatever is to be told is told, once; where it was told a moment ago, or this process has slept and does not
 * know yet whose the address is, that waits. What is not held any more by then the announcer passes over.
 */
import type { Clock } from '../../core/clock.ts';
import type { Announcer } from './announcer.ts';
import type { MemberId } from './rank.ts';

/** Between two times for one address. */
const gapMs = 1_000;
/** Until it is asked again whether this process has listened. */
const unheardMs = 25;

export interface RepeatsOptions {
  readonly clock: Clock;
  readonly announcer: Pick<Announcer, 'repeat'>;
  /** This process has listened since it last slept: what it believes to hold is its own. */
  readonly mayTell: () => boolean;
}

export class Repeats {
  readonly #options: RepeatsOptions;
  #live: ReadonlySet<MemberId> = new Set();
  /** When an address was told last; only of the last moment. */
  readonly #toldAt = new Map<string, number>();
  readonly #waiting = new Set<string>();
  #cancel: (() => void) | undefined;
  #ended = false;

  constructor(options: RepeatsOptions) {
    this.#options = options;
  }

  /** Was there at the last look. */
  has(member: MemberId): boolean {
    return this.#live.has(member);
  }

  /** Who is there now. */
  see(live: ReadonlySet<MemberId>): 'the same' | 'fewer' | 'somebody came' {
    const came = [...live].some((member) => !this.#live.has(member));
    const same = !came && live.size === this.#live.size;
    this.#live = live;
    return came ? 'somebody came' : same ? 'the same' : 'fewer';
  }

  tell(addresses: readonly string[]): void {
    if (this.#ended) return;
    for (const address of addresses) this.#waiting.add(address);
    this.#round();
  }

  stop(): void {
    this.#ended = true;
    this.#cancel?.();
  }

  #round(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#waiting.size === 0) return;
    const { clock, announcer, mayTell } = this.#options;
    if (!mayTell()) {
      this.#again(unheardMs);
      return;
    }
    const now = clock.now();
    for (const [address, at] of this.#toldAt) if (now - at >= gapMs) this.#toldAt.delete(address);
    const due = [...this.#waiting].filter((address) => !this.#toldAt.has(address));
    for (const address of due) {
      this.#waiting.delete(address);
      this.#toldAt.set(address, now);
    }
    if (due.length > 0) announcer.repeat(due);
    const next = Math.min(...[...this.#waiting].map((address) => (this.#toldAt.get(address) ?? now) + gapMs));
    if (this.#waiting.size > 0) this.#again(Math.max(1, next - now));
  }

  #again(ms: number): void {
    this.#cancel = this.#options.clock.schedule(ms, () => this.#round());
  }
}
