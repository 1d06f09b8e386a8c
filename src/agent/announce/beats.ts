/**
 * The heartbeats that one agent sends: to every known member in time, at once where there is news or somebody asks, and
 * to those that we have not read of yet and that speak to us.
 */
import type { ClaimTable } from './claims.ts';
import type { Liveness } from './liveness.ts';
import type { OwnershipOptions } from './ownership-port.ts';
import { seal, type Beat } from './packet.ts';
import type { MemberId } from './rank.ts';
import type { AnnounceTimings } from './timings.ts';

export interface BeatsOptions extends Pick<
  OwnershipOptions,
  'keys' | 'clock' | 'send' | 'port' | 'met' | 'known'
> {
  readonly me: MemberId;
  readonly liveness: Liveness;
  readonly table: ClaimTable;
  readonly own: () => { readonly ready: boolean; readonly arbiter: boolean };
  readonly timings: Pick<AnnounceTimings, 'beatMs'>;
  /** Before each round of heartbeats. */
  readonly onBeat: () => void;
}

const answerGapMs = 20;
const mostStrangers = 256;
const strangerMs = 3_000;

export class Beats {
  readonly #options: BeatsOptions;
  readonly #answeredAt = new Map<MemberId, number>();
  /** Agents that nobody has told us of, and when we last heard them. */
  readonly #strangers = new Map<MemberId, number>();
  #sentVersion = 0;
  #ended = false;
  #cancel: () => void = () => undefined;

  constructor(options: BeatsOptions) {
    this.#options = options;
  }

  /** From now on until `stop`. */
  start(): void {
    if (this.#ended) return;
    const { clock, timings, liveness, onBeat } = this.#options;
    onBeat();
    const half = timings.beatMs / 2;
    this.#cancel = clock.schedule(half, () => {
      // Between two heartbeats only those are asked that are overdue.
      for (const member of liveness.quiet(clock.now())) this.#sendTo(member);
      this.#cancel = clock.schedule(half, () => this.start());
    });
    this.sendAll();
  }

  stop(): void {
    this.#ended = true;
    this.#cancel();
  }

  /**
   * Who has registered while we could not read of it is answered all the same: two that cannot both reach the API
   * server must still hear each other, or both would hold.
   */
  meet({ from, to, port }: Beat, host: string, now: number): void {
    const { me, known, met } = this.#options;
    if (to !== me || from === me || known().members.has(from)) return;
    if (this.#strangers.size >= mostStrangers && !this.#strangers.has(from)) return;
    this.#strangers.set(from, now);
    met?.(from, port, host);
  }

  /** At once, but not to each of many packets. */
  answer(member: MemberId, now: number): void {
    if (now - (this.#answeredAt.get(member) ?? -1_000) < answerGapMs) return;
    this.#answeredAt.set(member, now);
    this.#sendTo(member);
  }

  /** Where there is something that not everybody has been told. */
  sendNews(): void {
    if (this.#options.table.version !== this.#sentVersion) this.sendAll();
  }

  sendAll(goodbyeMs?: number): void {
    const { known, clock, me, table } = this.#options;
    this.#sentVersion = table.version;
    const { members } = known();
    const now = clock.now();
    for (const member of members) if (member !== me) this.#sendTo(member, goodbyeMs);
    for (const [member, heardAt] of this.#strangers) {
      if (members.has(member) || now - heardAt > strangerMs) this.#strangers.delete(member);
      else this.#sendTo(member, goodbyeMs);
    }
  }

  #sendTo(member: MemberId, goodbyeMs?: number): void {
    const { keys, clock, send, liveness, table, own, port } = this.#options;
    const [key] = keys();
    if (key === undefined) return;
    const said = { ...own(), goodbyeMs, port: port?.() ?? 0 };
    for (const beat of liveness.compose(member, said, table, clock.now())) send(member, seal(beat, key));
  }
}
