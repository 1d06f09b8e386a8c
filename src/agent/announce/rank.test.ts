import { expect, test } from 'vitest';
import type { NodeName } from '../../core/objects.ts';
import { memberId, outranks, placeOf, ranked } from './rank.ts';

const members = ['a', 'b', 'c', 'd', 'e'].map((name) => memberId(name as NodeName));
const addresses = Array.from({ length: 5_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);

test('addresses spread evenly, of both families', () => {
  for (const form of [(one: string) => one, (one: string) => `2001:db8::${one.replaceAll('.', ':')}`]) {
    const counts = new Map<string, number>();
    for (const address of addresses) {
      const [first = ''] = ranked(members, form(address));
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    for (const member of members) {
      expect(counts.get(member)).toBeGreaterThan(900);
      expect(counts.get(member)).toBeLessThan(1_100);
    }
  }
});

test('a member that goes moves only its own addresses, and they spread over all others', () => {
  const [gone, ...rest] = members;
  const heirs = new Set<string>();
  for (const address of addresses) {
    const [before] = ranked(members, address);
    const [after = ''] = ranked(rest, address);
    if (before === gone) heirs.add(after);
    else expect(after).toBe(before);
  }
  expect(heirs.size).toBe(rest.length);
});

test('the order does not depend on the order of the list, and agrees with outranks', () => {
  for (const address of addresses.slice(0, 200)) {
    const order = ranked(members, address);
    expect(ranked(members.toReversed(), address)).toEqual(order);
    order.slice(1).forEach((member, index) => {
      expect(outranks(order[index] ?? member, member, address)).toBe(true);
    });
    for (const [place, member] of order.entries()) expect(placeOf(member, members, address)).toBe(place);
    expect(placeOf(memberId('z' as NodeName), members, address)).toBe(-1);
  }
});

test('the id of a node is the same on every machine', () => {
  expect(memberId('node-1' as NodeName)).toBe('35971be6e9bb');
});
