/**
 * The right to hold addresses, over time: `quorum.ts` judges one moment, this remembers since when there was no right,
 * and who has no grace.
 */
import type { View } from './liveness.ts';
import { standing, type Known, type Standing } from './quorum.ts';
import type { MemberId } from './rank.ts';
import type { AnnounceTimings } from './timings.ts';

/** After a stand-still there is no grace for so long. */
const wokenMs = 1_000;

export class Rights {
  readonly #me: MemberId;
  readonly #graceMs: number;
  #standing: Standing = { right: { kind: 'none' }, contend: false, seen: 1, known: 1 };
  #withoutSince: number | undefined;
  #stoodStillAt = Number.NEGATIVE_INFINITY;

  constructor(me: MemberId, { graceMs }: Pick<AnnounceTimings, 'graceMs'>) {
    this.#me = me;
    this.#graceMs = graceMs;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** May take addresses. */
  get good(): boolean {
    const { kind } = this.#standing.right;
    return kind !== 'none' && kind !== 'grace';
  }

  /** For how long addresses may not be taken, in milliseconds; 0: they may. */
  withoutMs(now: number): number {
    return this.good || this.#withoutSince === undefined ? 0 : now - this.#withoutSince;
  }

  /** This process has not run for a while: meanwhile somebody else may have got the Lease. */
  stoodStill(now: number): void {
    this.#stoodStillAt = now;
  }

  /** Judges anew. True where people should hear of it. */
  judge(view: View, known: Known, now: number): boolean {
    const before = this.#standing;
    this.#standing = standing(this.#me, view, known, this.#times(now));
    if (this.good) this.#withoutSince = undefined;
    else if (before.right.kind === 'lease' || before.right.kind === 'last-resort') {
      // The Lease has a grace of its own, and it is over: others may have it a second later.
      this.#withoutSince = now - this.#graceMs;
      this.#standing = standing(this.#me, view, known, this.#times(now));
    } else this.#withoutSince ??= now;
    const next = this.#standing;
    return (
      before.right.kind !== next.right.kind ||
      before.known !== next.known ||
      before.seen !== next.seen ||
      before.contend !== next.contend
    );
  }

  #times(now: number): Parameters<typeof standing>[3] {
    const woken = now - this.#stoodStillAt < wokenMs;
    // The grace is for those who were there all along.
    const withoutSince = woken ? now - this.#graceMs : this.#withoutSince;
    return { now, withoutSince, graceMs: this.#graceMs };
  }
}
