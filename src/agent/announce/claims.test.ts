import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { beats, ClaimTable, type Claim, type ClaimState } from './claims.ts';
import type { MemberId } from './rank.ts';

const [a, b] = ['aaaaaaaaaaaa', 'bbbbbbbbbbbb'] as MemberId[] as [MemberId, MemberId];
const address = '192.0.2.1';

const anyClaim = fc.record({
  address: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1'),
  member: fc.constantFrom(a, b),
  epoch: fc.integer({ min: 1, max: 5 }),
  state: fc.constantFrom<ClaimState>('taking', 'held', 'leaving', 'free', 'unable', 'able'),
});

function content(table: ClaimTable): readonly string[] {
  return [...table.after(0)].map(({ claim }) => JSON.stringify(claim)).toSorted();
}

describe('a table of claims', () => {
  property.prop([fc.array(anyClaim), fc.integer()])(
    'is the same in whatever order the same claims are heard',
    (claims, seed) => {
      const one = new ClaimTable();
      const other = new ClaimTable();
      for (const claim of claims) one.hear(claim);
      const shuffled = claims.map((claim, index) => ({ claim, key: (index * 7919 + seed) % 1_000 }));
      for (const { claim } of shuffled.toSorted((x, y) => x.key - y.key)) other.hear(claim);
      expect(content(other)).toEqual(content(one));
    },
  );

  property.prop([anyClaim, anyClaim])('has one of two different claims stand, never both', (one, other) => {
    if (one.address !== other.address) return;
    if (JSON.stringify(one) === JSON.stringify(other)) expect(beats(one, other)).toBe(false);
    else expect(beats(one, other)).toBe(!beats(other, one));
  });

  test('gives a word of our own a greater epoch than all that was heard', () => {
    const table = new ClaimTable();
    table.hear({ address, member: b, epoch: 41, state: 'held' });
    expect(table.say(address, a, 'taking')).toMatchObject({ epoch: 42, member: a });
    expect(table.of(address)).toMatchObject({ member: a, state: 'taking' });
  });

  test('gives only what is new since a version, the latest word once', () => {
    const table = new ClaimTable();
    table.say(address, a, 'taking');
    const { version } = table;
    table.say('192.0.2.2', a, 'taking');
    table.say('192.0.2.2', a, 'held');
    expect([...table.after(version)].map(({ claim }) => claim.state)).toEqual(['held']);
    expect([...table.after(table.version)]).toEqual([]);
  });

  test('sends its own word again where a peer is behind', () => {
    const table = new ClaimTable();
    table.hear({ address, member: b, epoch: 9, state: 'free' });
    const { version } = table;
    expect(table.hear({ address, member: a, epoch: 1, state: 'taking' })).toBe(false);
    expect([...table.after(version)].map(({ claim }) => claim.epoch)).toEqual([9]);
  });

  test('keeps who cannot apart from who holds', () => {
    const table = new ClaimTable();
    table.say(address, a, 'unable');
    table.say(address, b, 'held');
    expect(table.unable(address, a)).toBe(true);
    expect(table.unable(address, b)).toBe(false);
    expect(table.of(address)?.member).toBe(b);
    table.say(address, a, 'able');
    expect(table.unable(address, a)).toBe(false);
    expect([...table.addresses()]).toEqual([address]);
    table.forget(address);
    expect(table.size).toBe(0);
  });

  test('what a member said can be made news again, and nothing of others', () => {
    const table = new ClaimTable();
    table.say(address, a, 'held');
    table.say('192.0.2.2', a, 'unable');
    table.say('192.0.2.3', b, 'held');
    const { version } = table;
    table.retell(a);
    expect([...table.after(version)].map(({ claim }) => claim.address)).toEqual([address, '192.0.2.2']);
  });

  test('does not grow with what happens to it', () => {
    const table = new ClaimTable();
    for (let round = 0; round < 1_000; round += 1) table.say(address, a, round % 2 === 0 ? 'held' : 'free');
    expect([...table.after(0)]).toHaveLength(1);
    expect([...table.after(999)]).toHaveLength(1);
    expect([...table.after(1_000)]).toEqual([]);
  });

  test('a claim that is heard twice is no news', () => {
    const table = new ClaimTable();
    const claim: Claim = { address, member: b, epoch: 2, state: 'held' };
    expect(table.hear(claim)).toBe(true);
    const { version } = table;
    expect(table.hear(claim)).toBe(false);
    expect(table.version).toBe(version);
  });
});
