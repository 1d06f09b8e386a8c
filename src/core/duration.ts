/** Lengths of time as people write them: `500ms`, `30s`, `10m`, `1h30m`. The form of Go's `time.Duration`. */

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const form = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/u;
const part = /(\d+(?:\.\d+)?)(ms|s|m|h)/gu;

/** What the forms look like, for messages. */
export const durationForms = 'a number with a unit, such as 500ms, 30s, 10m or 1h30m';

/** @returns milliseconds, or undefined when the text is not a duration. A bare number is none: it hides its unit. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!form.test(text)) return undefined;
  const ms = [...text.matchAll(part)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN),
    0,
  );
  return Math.round(ms);
}

/** The shortest exact form: `600000` → `10m`, `5400000` → `1h30m`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  const parts: string[] = [];
  let left = ms;
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = unitMs[unit] ?? 1;
    const count = Math.floor(left / size);
    if (count > 0) parts.push(`${count}${unit}`);
    left -= count * size;
  }
  return parts.join('');
}
