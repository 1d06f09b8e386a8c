/**
 * Tells the neighbours whose addresses are: in the rhythm of `Rounds`, by frames made when they are due, so that they
 * bear the MAC that the link has then. A process that has slept claims nothing before it has listened: the address may
 * be another's by now, and neighbours believe whoever spoke last.
 */
import type { Clock, Random } from '../../../core/clock.ts';
import { gratuitousArps } from './arp.ts';
import { unsolicitedAdvertisement } from './neighbours6.ts';
import { Rounds } from './rounds.ts';

/** Where an address stands now. */
export interface Standing {
  readonly address: Buffer;
  readonly link: number;
  readonly mac: Buffer;
}

export interface HeraldOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined where it stands nowhere. */
  readonly where: (id: string) => Standing | undefined;
  /** Sends a frame out of a link, but not later than a time of the clock. */
  readonly send: (link: number, frame: Buffer, until: number) => void;
  /** This process has listened since it last slept: what it believes to hold is its own. */
  readonly mayTell: () => boolean;
}

const tellWithinMs = 500;
/** Until it is asked again whether this process has listened. */
const unheardMs = 25;

export class Herald {
  readonly #options: HeraldOptions;
  readonly #rounds: Rounds;
  #cancel: () => void = () => undefined;
  #ended = false;

  constructor(options: HeraldOptions) {
    this.#options = options;
    this.#rounds = new Rounds(options.random);
  }

  /** Tells at once, and goes on. */
  tell(ids: readonly string[]): void {
    if (ids.length === 0) return;
    this.#rounds.start(ids, this.#options.clock.now());
    this.#round();
  }

  stop(id: string): void {
    this.#rounds.stop(id);
  }

  /** Nothing is told any more. */
  end(): void {
    this.#ended = true;
    this.#cancel();
  }

  #round(): void {
    this.#cancel();
    if (this.#ended) return;
    const { clock, where, send, mayTell } = this.#options;
    const now = clock.now();
    const next = this.#rounds.next();
    if (next === undefined) return;
    if (!mayTell()) {
      this.#again(Math.max(unheardMs, next - now));
      return;
    }
    for (const id of this.#rounds.due(now)) {
      const standing = where(id);
      if (standing === undefined || standing.mac.length !== 6) continue;
      const { address, link, mac } = standing;
      const frames =
        address.length === 4 ? gratuitousArps(mac, address) : [unsolicitedAdvertisement(mac, address)];
      for (const frame of frames) send(link, frame, now + tellWithinMs);
    }
    const after = this.#rounds.next();
    if (after !== undefined) this.#again(Math.max(1, after - clock.now()));
  }

  #again(ms: number): void {
    this.#cancel = this.#options.clock.schedule(ms, () => this.#round());
  }
}
