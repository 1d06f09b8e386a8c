/** When the neighbours are told again whose an address is: often enough to heal a cut, and never in a storm. */
import type { Clock } from '../../core/clock.ts';
import type { Announcer } from './announcer.ts';
import type { MemberId } from './rank.ts';

const gapMs = 1_000;

export class Repeats {
  readonly #clock: Clock;
  readonly #announcer: Pick<Announcer, 'repeat'>;
  #live: ReadonlySet<MemberId> = new Set();
  #at = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, announcer: Pick<Announcer, 'repeat'>) {
    this.#clock = clock;
    this.#announcer = announcer;
  }

  /** Was there at the last look. */
  has(member: MemberId): boolean {
    return this.#live.has(member);
  }

  /**
   * Who is there now. After a cut, neighbours that ask meanwhile may have been told something else, so what we hold is
   * told again when somebody has come. True where others are there than before.
   */
  see(live: ReadonlySet<MemberId>, held: () => readonly string[]): boolean {
    const came = [...live].some((member) => !this.#live.has(member));
    const same = !came && live.size === this.#live.size;
    this.#live = live;
    if (came) this.tell(held());
    return !same;
  }

  tell(addresses: readonly string[]): void {
    const now = this.#clock.now();
    if (addresses.length === 0 || now - this.#at < gapMs) return;
    this.#at = now;
    this.#announcer.repeat(addresses);
  }
}
