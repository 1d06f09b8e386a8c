/** The first test of all: everything else relies on a Node that runs `.ts` files by itself. */
import { expect, test } from 'vitest';

test('the tests run on Node 24 or newer, whatever the machine itself has', () => {
  expect(Number(process.versions.node.split('.')[0])).toBeGreaterThanOrEqual(24);
});
