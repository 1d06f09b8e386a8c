import { describe, expect, test } from 'vitest';
import { Rounds } from './rounds.ts';

/** Times at which something was told, over some seconds. */
function told(key: string, seconds: number, random = 0): number[] {
  const rounds = new Rounds(() => random);
  rounds.start([key], 0);
  const times: number[] = [];
  for (;;) {
    const at = rounds.next() ?? Infinity;
    if (at > seconds * 1_000) return times;
    times.push(...rounds.due(at).map(() => at));
  }
}

describe('neighbours are told', () => {
  test('at once, after 1.1 and 2.2 seconds, and every minute', () => {
    expect(told('192.0.2.1%eth0', 130)).toEqual([0, 1_100, 2_200, 62_200, 122_200]);
  });

  test('never more than a minute apart, however the dice fall', () => {
    expect(told('192.0.2.1%eth0', 60, 0.999).at(-1)).toBeGreaterThan(56_000);
  });

  test('anew when they are begun anew, and not after they are stopped', () => {
    const rounds = new Rounds(() => 0);
    rounds.start(['a', 'b'], 0);
    expect(rounds.due(0)).toEqual(['a', 'b']);
    expect(rounds.due(500)).toEqual([]);
    rounds.start(['a'], 600);
    expect(rounds.due(600)).toEqual(['a']);
    rounds.stop('b');
    expect(rounds.due(1_100)).toEqual([]);
    expect(rounds.due(1_700)).toEqual(['a']);
    rounds.stop('a');
    expect(rounds.next()).toBeUndefined();
  });
});
