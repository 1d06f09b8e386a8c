/** What a stream of tries says of an interruption. Pure. */
import type { Attempt } from './traffic.ts';

/** Milliseconds from the first try that got no answer to the next that got one, for the longest gap. */
export function blackout(attempts: readonly Attempt[]): number {
  const sorted = attempts.toSorted((a, b) => a.atUs - b.atUs);
  let longest = 0;
  let since: number | undefined;
  for (const { atUs, kind } of sorted) {
    if (kind === 'answered') {
      if (since !== undefined) longest = Math.max(longest, (atUs - since) / 1000);
      since = undefined;
    } else since ??= atUs;
  }
  const last = sorted.at(-1);
  if (since !== undefined && last !== undefined) longest = Math.max(longest, (last.atUs - since) / 1000 + 10);
  return Math.round(longest);
}
