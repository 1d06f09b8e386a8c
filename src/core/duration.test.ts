import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['0', 0],
    ['0s', 0],
  ])('%s is read in milliseconds', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '10', '10 m', '-5s', '10 minutes', 'm', '1d', '1e3s', 'NaNs'])(
    '"%s" is not a duration',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test.each(['500ms', '30s', '10m', '1h30m', '0', '1m1ms'])('%s is written as it was read', (text) => {
    expect(formatDuration(parseDuration(text) ?? -1)).toBe(text);
  });
});
