/**
 * What a bench is: a name, and rows of figures of ours, each beside a peer's figure or a limit from the
 * same run, with the goal it is held to.
 *
 * A bench only measures. Ratio and verdict are computed here, from the figures, the same way for all.
 */

export type Goal =
  | { readonly kind: 'at most'; readonly value: number }
  | { readonly kind: 'at least'; readonly value: number }
  /** As many times better than the peer as this. */
  | { readonly kind: 'times better'; readonly value: number };

export interface Row {
  /** What was measured: `time to list 5,000 nodes`. */
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** The peer's or the limit's figure from the same run, in the same unit. */
  readonly peer?: { readonly name: string; readonly value: number };
  /** Which way is better; lower where nothing is said. */
  readonly better?: 'lower' | 'higher';
  readonly goal?: Goal;
}

export interface BenchOptions {
  /** What stood behind `--`. */
  readonly args: readonly string[];
  /** The cloud to measure, where the bench knows more than one. */
  readonly provider: string;
  /** Says where a long run is, on standard error. */
  readonly progress: (text: string) => void;
  /** Aborted on Ctrl-C: clean up and end. */
  readonly signal: AbortSignal;
}

export interface Bench {
  readonly name: string;
  /** One line for the list. */
  readonly summary: string;
  /** The goal in words, with its conditions. */
  readonly goal: string;
  /** Versions of the peers that it runs, by name. */
  readonly versions?: () => Promise<Readonly<Record<string, string>>>;
  /** Clouds that it can measure; AWS alone where nothing is said. */
  readonly providers?: readonly string[];
  readonly run: (options: BenchOptions) => Promise<readonly Row[]>;
}

export interface JudgedRow extends Row {
  /** How many times better than the peer we are; below 1 is worse. */
  readonly ratio: number | undefined;
  /** Undefined where there is no goal. */
  readonly met: boolean | undefined;
}

/** Adds ratio and verdict. A goal against a peer that has no figure is missed, never met by default. */
export function judge(row: Row): JudgedRow {
  const { ours, peer, goal } = row;
  const higher = row.better === 'higher';
  const ratio = peer === undefined ? undefined : higher ? ours / peer.value : peer.value / ours;
  const meets = (each: Goal): boolean => {
    switch (each.kind) {
      case 'at most':
        return ours <= each.value;
      case 'at least':
        return ours >= each.value;
      case 'times better':
        return ratio !== undefined && ratio >= each.value;
    }
  };
  return { ...row, ratio, met: goal === undefined ? undefined : meets(goal) };
}

/** `quantile(times, 0.99)`: the smallest value that this share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
