import { describe, expect, test } from 'vitest';
import { standing } from './quorum.ts';
import type { MemberId } from './rank.ts';

const ids = (text: string): Set<MemberId> => new Set(text.split('') as MemberId[]);

describe('the right to hold addresses', () => {
  test.each<
    [
      string,
      { known: string; live: string; paused?: string; lapsed?: string; arbiter?: boolean; since?: number },
      string,
      boolean,
    ]
  >([
    ['a single node owns', { known: 'a', live: 'a' }, 'majority', false],
    ['two of three', { known: 'abc', live: 'ab' }, 'majority', false],
    ['one of three', { known: 'abc', live: 'a' }, 'none', false],
    ['one of two, at first', { known: 'ab', live: 'a' }, 'grace', true],
    ['one of two, with the Lease', { known: 'ab', live: 'a', arbiter: true }, 'lease', true],
    ['one of two, too long without the Lease', { known: 'ab', live: 'a', since: -2_000 }, 'none', true],
    ['two of four, the first contends', { known: 'abcd', live: 'ab' }, 'grace', true],
    ['two of four, another one contends', { known: '0abc', live: '0a' }, 'grace', false],
    ['two of five with the Lease', { known: 'abcde', live: 'ab', arbiter: true }, 'none', false],
    [
      'one of two, the other has no agent for a moment',
      { known: 'ab', live: 'a', paused: 'b' },
      'majority',
      false,
    ],
    [
      'one of three, the others lapsed, without the Lease',
      { known: 'abc', live: 'a', lapsed: 'bc' },
      'none',
      true,
    ],
    [
      'one of three, the others lapsed, with the Lease',
      { known: 'abc', live: 'a', lapsed: 'bc', arbiter: true },
      'last-resort',
      true,
    ],
    [
      'one of three, one of the others lapsed',
      { known: 'abc', live: 'a', lapsed: 'b', arbiter: true },
      'none',
      false,
    ],
    ['who is heard counts before he is known', { known: 'a', live: 'ab' }, 'majority', false],
  ])('%s', (_name, { known, live, paused = '', lapsed = '', arbiter = false, since }, kind, contend) => {
    const got = standing(
      'a' as MemberId,
      { live: ids(live), paused: ids(paused), arbiter },
      { members: ids(known), lapsed: ids(lapsed) },
      { now: 0, withoutSince: since, graceMs: 1_500 },
    );
    expect(got.right.kind).toBe(kind);
    expect(got.contend).toBe(contend);
  });

  test('two parts of one cluster never both have a majority, whatever the cut', () => {
    const all = 'abcdefg'.split('') as MemberId[];
    for (let size = 1; size <= all.length; size += 1) {
      const members = all.slice(0, size);
      for (let cut = 0; cut < 2 ** size; cut += 1) {
        const parts = [0, 1].map((bit) => members.filter((_, index) => ((cut >> index) & 1) === bit));
        const rights = parts.map((part) =>
          part[0] === undefined
            ? 'none'
            : standing(
                part[0],
                { live: new Set(part), paused: new Set(), arbiter: false },
                { members: new Set(members), lapsed: new Set() },
                { now: 0, withoutSince: -10_000, graceMs: 1_500 },
              ).right.kind,
        );
        expect(rights.filter((kind) => kind !== 'none').length).toBeLessThanOrEqual(1);
      }
    }
  });
});
