import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import type { Holding } from '../announcer.ts';
import {
  guardChange,
  guardElements,
  readListing,
  sameElements,
  wholeGuard,
  type GuardElements,
} from './guard-text.ts';

const one: Holding['ports'] = [
  { protocol: 'TCP', port: 80 },
  { protocol: 'UDP', port: 53 },
];

test('the whole guard is one transaction whose hook comes after its rules', () => {
  const text = wholeGuard(guardElements(new Map([['192.0.2.1', one]])));
  const lines = text.trim().split('\n');
  expect(lines.slice(0, 2)).toEqual(['add table inet sluice-guard', 'delete table inet sluice-guard']);
  const at = (part: string): number => lines.findIndex((line) => line.includes(part));
  expect(at('type filter hook input')).toBeGreaterThan(at('check reject'));
  expect(text).toContain('add element inet sluice-guard open4 { 192.0.2.1 . 6 . 80, 192.0.2.1 . 17 . 53 }');
  expect(text).toContain('add element inet sluice-guard held4 { 192.0.2.1 }');
});

test('a change of ports touches nothing but the ports', () => {
  const before = guardElements(new Map([['2001:db8::1', one]]));
  const after = guardElements(new Map([['2001:db8::1', [{ protocol: 'TCP', port: 443 }]]]));
  expect(guardChange(before, after)).toBe(
    'delete element inet sluice-guard open6 { 2001:db8::1 . 6 . 80, 2001:db8::1 . 17 . 53 }\n' +
      'add element inet sluice-guard open6 { 2001:db8::1 . 6 . 443 }\n',
  );
  expect(guardChange(after, after)).toBe('');
});

const state = fc
  .dictionary(
    fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'),
    fc.uniqueArray(
      fc.record({
        protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
        port: fc.integer({ min: 1, max: 4 }),
      }),
      { selector: ({ protocol, port }) => `${protocol}${port}`, maxLength: 4 },
    ),
  )
  .map((made) => guardElements(new Map(Object.entries(made))));

property.prop([state, state])('changes lead from any state to any other', (before, after) => {
  const sets: Record<string, Set<string>> = Object.fromEntries(
    Object.entries(before).map(([name, elements]) => [name, new Set(elements)]),
  );
  for (const line of guardChange(before, after).split('\n').filter(Boolean)) {
    const match = /^(add|delete) element inet sluice-guard (\w+) \{ (.+) \}$/u.exec(line);
    const set = sets[match?.[2] ?? ''];
    for (const item of (match?.[3] ?? '').split(', ')) {
      // The kernel refuses to delete what is not there.
      if (match?.[1] === 'delete') expect(set?.delete(item)).toBe(true);
      else set?.add(item);
    }
  }
  expect(sameElements(sets as unknown as GuardElements, after)).toBe(true);
});

test('a listing is read: sets over several lines, and rules apart', () => {
  const listing = `table inet sluice-guard {
	set held4 {
		type ipv4_addr
		elements = { 192.0.2.1, 192.0.2.2,
			     192.0.2.3 }
	}

	set open4 {
		type ipv4_addr . inet_proto . inet_service
		elements = { 192.0.2.1 . 6 . 80 }
	}

	set held6 {
		type ipv6_addr
	}

	chain check {
		reject
	}
}
`;
  const { rules, elements } = readListing(listing);
  expect([...elements.held4]).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
  expect([...elements.open4]).toEqual(['192.0.2.1 . 6 . 80']);
  expect([elements.held6.size, elements.open6.size]).toEqual([0, 0]);
  expect(rules).toContain('reject');
});
