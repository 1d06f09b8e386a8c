import { expect, test } from 'vitest';
import { PendingChanges } from './pending-changes.ts';

test('a change is pending until every family has been written by a write that began after it', () => {
  const pending = new PendingChanges(['IPv4', 'IPv6']);
  pending.heard('services', 1, 10);
  pending.heard('slices', 3, 12);
  pending.heard('slices', 1, 20);
  const counts = (): readonly number[] => [pending.count('services'), pending.count('slices')];
  expect(counts()).toEqual([1, 4]);
  pending.written('IPv4', 12);
  expect(counts()).toEqual([1, 4]);
  pending.written('IPv6', 15);
  expect(counts()).toEqual([0, 1]);
  pending.written('IPv4', 21);
  pending.written('IPv6', 21);
  expect(counts()).toEqual([0, 0]);
});

test('what leads to no write is not pending once nothing waits', () => {
  const pending = new PendingChanges(['IPv4']);
  pending.heard('services', 2, 1);
  pending.settled();
  expect(pending.count('services')).toBe(0);
});

test('while a family cannot be written none is forgotten, and no more memory is taken', () => {
  const pending = new PendingChanges(['IPv4']);
  for (let at = 0; at < 10_000; at += 1) pending.heard(at % 10 === 0 ? 'services' : 'slices', 1, at);
  expect([pending.count('services'), pending.count('slices')]).toEqual([1_000, 9_000]);
  pending.written('IPv4', 9_989);
  expect([pending.count('services'), pending.count('slices')]).toEqual([1, 9]);
});
