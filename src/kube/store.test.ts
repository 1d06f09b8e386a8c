import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';

import { Store } from './store.ts';
import type { Slim } from './kinds.ts';

interface Thing extends Slim {
  readonly key?: string;
  readonly group: string | undefined;
}

function thing(version: number, group: string | undefined = 'g', uid = 'u1'): Thing {
  return { uid: uid as Thing['uid'], resourceVersion: String(version), group };
}

describe('indexes', () => {
  test('an object that changes its group is filed under the new one only', () => {
    const store = new Store<string, Thing>({ group: (one) => one.group });
    store.put('a', thing(1, 'old'));
    store.put('a', thing(2, 'new'));

    expect(store.by('group', 'old')).toEqual([]);
    expect(store.by('group', 'new')).toHaveLength(1);
  });

  test('an unknown index and an unknown value hold nothing', () => {
    const store = new Store<string, Thing>();

    expect(store.by('group', 'g')).toEqual([]);
  });
});

test('the list is the same array until something changes', () => {
  const store = new Store<string, Thing>();
  store.put('a', thing(1));
  const first = store.list();
  expect(store.list()).toBe(first);
  store.replace(new Map([['a', thing(1)]]), '5');
  expect(store.list()).toBe(first);
  store.put('a', thing(6));
  expect(store.list()).not.toBe(first);
});

const keys = fc.constantFrom('a', 'b', 'c');
const groups = fc.option(fc.constantFrom('x', 'y'), { nil: undefined });
const entry = fc.record({
  key: keys,
  version: fc.integer({ min: 1, max: 30 }),
  group: groups,
  uid: fc.constantFrom('u1', 'u2'),
});
const step = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), entry }),
  fc.record({ kind: fc.constant('remove' as const), entry }),
  fc.record({ kind: fc.constant('replace' as const), entries: fc.array(entry, { maxLength: 4 }) }),
);

property.prop([fc.array(step, { maxLength: 40 })])(
  'after any history the changes told add up to the content, and the indexes hold exactly it',
  (steps) => {
    const store = new Store<string, Thing>({ group: (one) => one.group });
    const told = new Map<string, Thing>();
    let version = 0;
    for (const one of steps) {
      version += 1;
      const changes =
        one.kind === 'replace'
          ? store.replace(
              new Map(one.entries.map((each) => [each.key, named(each)] as const)),
              String(version),
            )
          : one.kind === 'put'
            ? store.put(one.entry.key, named(one.entry))
            : store.remove(one.entry.key, named(one.entry));
      for (const change of changes) {
        const key = change.object.key ?? '';
        if (change.kind === 'added') expect(told.has(key)).toBe(false);
        if (change.kind === 'updated') expect(told.get(key)).toBe(change.before);
        if (change.kind === 'deleted') expect(told.get(key)?.uid).toBe(change.object.uid);
        if (change.kind === 'deleted') told.delete(key);
        else told.set(key, change.object);
      }
    }
    expect([...store.keys()].toSorted()).toEqual([...told.keys()].toSorted());
    for (const [key, object] of told) expect(store.get(key)).toBe(object);
    for (const group of ['x', 'y']) {
      const naive = [...store.values()].filter((one) => one.group === group);
      expect(new Set(store.by('group', group))).toEqual(new Set(naive));
    }
  },
);

function named(from: {
  readonly key: string;
  readonly version: number;
  readonly group: string | undefined;
  readonly uid: string;
}): Thing & { readonly key: string } {
  return { ...thing(from.version, from.group, from.uid), key: from.key };
}
