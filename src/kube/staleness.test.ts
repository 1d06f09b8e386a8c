import { expect, test } from 'vitest';

import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { OwnWrites } from './staleness.ts';
import { Store } from './store.ts';
import type { Slim } from './kinds.ts';

function object(version: string): Slim {
  return { uid: 'u' as Slim['uid'], resourceVersion: version };
}

test('a key is stale from our write until the cache holds that version or a later one', () => {
  const time = new VirtualClock();
  const store = new Store<'a' | 'b', Slim>();
  const writes = new OwnWrites(store, time);
  store.replace(new Map([['a', object('5')]]), '10');
  expect(writes.fresh('a')).toBe(true);

  writes.wrote('a', '12');
  expect(writes.fresh('a')).toBe(false);
  expect(writes.fresh('b')).toBe(true);
  store.put('a', object('11'));
  expect(writes.fresh('a')).toBe(false);
  store.put('a', object('12'));
  expect(writes.fresh('a')).toBe(true);
  expect(writes.counts).toEqual({ held: 2, givenUp: 0, pending: 0 });
});

test('a later version of the whole collection is enough, for the object may be gone', () => {
  const store = new Store<'a', Slim>();
  const writes = new OwnWrites(store, new VirtualClock());
  writes.wrote('a', '12');
  store.advance('13');

  expect(writes.fresh('a')).toBe(true);
});

test('a version that never comes is given up after a minute', async () => {
  const time = new VirtualClock();
  const writes = new OwnWrites(new Store<'a', Slim>(), time);
  writes.wrote('a', '999');
  await time.advance(59_000);
  expect(writes.fresh('a')).toBe(false);
  await time.advance(1_000);
  expect(writes.fresh('a')).toBe(true);
  expect(writes.counts.givenUp).toBe(1);
});
