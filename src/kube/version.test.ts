import { expect, test } from 'vitest';

import { compareVersions, reaches } from './version.ts';
import type { Order } from './version.ts';

test.each<[string, string, Order, string]>([
  ['9', '10', 'older', 'by number, not by text'],
  ['10', '9', 'newer', 'by number, not by text'],
  ['10', '10', 'same', 'equal'],
  ['18446744073709551615', '18446744073709551614', 'newer', 'beyond what a double can tell apart'],
  ['', '', 'unknown', 'nothing is known of nothing'],
  ['', '5', 'unknown', 'no version'],
  ['0', '5', 'unknown', 'zero means any version'],
  ['007', '5', 'unknown', 'leading zeros are not a version of Kubernetes'],
  ['abc', '5', 'unknown', 'not a number'],
  ['abc', 'abc', 'same', 'equal, whatever it is'],
  ['-5', '5', 'unknown', 'a sign'],
])('%s against %s is %s: %s', (one, other, order) => {
  expect(compareVersions(one, other)).toBe(order);
});

test('an unknown order never counts as reached', () => {
  expect(reaches('abc', '5')).toBe(false);
  expect(reaches('5', '5')).toBe(true);
  expect(reaches('6', '5')).toBe(true);
});
