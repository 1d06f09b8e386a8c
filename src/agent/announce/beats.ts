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
  /** The process runs: said twice for each heartbeat. */
  readonly awake: () => void;
}

const answerGapMs = 20;
const mostStrangers = 256;
const strangerMs = 3_000;
const tidyMs = 10_000;

export class Beats {
  readonly #options: BeatsOptions;
  readonly #answeredAt = new Map<MemberId, number>();
  /** Agents that nobody has told us of, and when we last heard them. */
  readonly #strangers = new Map<MemberId, number>();
  #sentVersion = 0;
  #tidiedAt = Number.NEGATIVE_INFINITY;
  #ended = false;
  #cancel: () => void = () => undefined;

  constructor(options: BeatsOptions) {
    this.#options = options;
  }

  /** From now on until `stop`. */
  start(): void {
    if (this.#ended) return;
    const { clock, timings, liveness, awake } = this.#options;
    awake();
    this.#tidy();
    const half = timings.beatMs / 2;
    this.#cancel = clock.schedule(half, () => {
      awake();
      // Between two heartbeats only those are asked that are overdue.
      const now = clock.now();
      for (const member of liveness.quiet(now)) this.#sendTo(member, now);
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
    this.#sendTo(member, now);
  }

  /** To those that have not been told something yet. */
  sendNews(): void {
    const { table, liveness, clock } = this.#options;
    if (table.version === this.#sentVersion) return;
    this.#sentVersion = table.version;
    const now = clock.now();
    for (const member of this.#hearers()) if (liveness.owes(member, table)) this.#sendTo(member, now);
  }

  sendAll(goodbyeMs?: number): void {
    this.#sentVersion = this.#options.table.version;
    const now = this.#options.clock.now();
    for (const member of this.#hearers()) this.#sendTo(member, now, goodbyeMs);
  }

  /** What is kept of members that are no more. */
  #tidy(): void {
    const { known, clock, liveness } = this.#options;
    const now = clock.now();
    if (now - this.#tidiedAt < tidyMs) return;
    this.#tidiedAt = now;
    const members = new Set([...known().members, ...this.#strangers.keys()]);
    liveness.keepOnly(members, now);
    for (const member of this.#answeredAt.keys()) if (!members.has(member)) this.#answeredAt.delete(member);
  }

  *#hearers(): Iterable<MemberId> {
    const { known, clock, me } = this.#options;
    const { members } = known();
    const now = clock.now();
    for (const member of members) if (member !== me) yield member;
    for (const [member, heardAt] of this.#strangers) {
      if (members.has(member) || now - heardAt > strangerMs) this.#strangers.delete(member);
      else yield member;
    }
  }

  /** @param now the same for all that goes out in one go. */
  #sendTo(member: MemberId, now: number, goodbyeMs?: number): void {
    const { keys, send, liveness, table, own, port } = this.#options;
    const [key] = keys();
    if (key === undefined) return;
    const said = { ...own(), goodbyeMs, port: port?.() ?? 0 };
    for (const beat of liveness.compose(member, said, table, now)) send(member, seal(beat, key));
  }
}
