/** What wakes whom: a change costs what it concerns. */
import { expect, test } from 'vitest';
import { aNode, aService } from '../../src/core/fixtures.ts';
import type { ObjectKey } from '../../src/core/objects.ts';
import { MemoryCluster } from '../../test/support/memory-cluster.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { aPool } from './allocator/fixtures.ts';
import { Ledger } from './ledger.ts';
import { parseService } from './settings.ts';
import { wantedOf } from './wanted.ts';

const rack = (value: string): { readonly labels: Readonly<Record<string, string>> } => ({
  labels: { rack: value },
});

function world() {
  const clock = new VirtualClock();
  const cluster = new MemoryCluster(clock);
  const woken: ObjectKey[] = [];
  cluster.setNodes([aNode('n1', rack('a')), aNode('n2', rack('b'))]);
  const ofRack = (value: string) => ({
    nodeSelectors: [{ matchLabels: { rack: value }, matchExpressions: [] }],
  });
  cluster.setPool(aPool('a', ['192.0.2.0/28'], { ...ofRack('a'), createdAt: 1 }));
  cluster.setPool(aPool('b', ['198.51.100.0/28'], { ...ofRack('b'), createdAt: 2 }));
  const config = { probe: true, noAgentAfter: 10_000, rest: 600_000, remember: 0 };
  const ledger = new Ledger({ cluster, config, clock, wake: (key) => woken.push(key), serves: () => true });
  ledger.start();
  for (const [name, pool] of [
    ['one', 'a'],
    ['two', 'a'],
    ['three', 'b'],
  ] as const) {
    const service = aService({ name, annotations: { 'sluice.dev/address-pool': pool } });
    cluster.setService(service);
    ledger.ask(wantedOf(parseService(service).settings, service));
  }
  for (const pool of ['a', 'b']) expect(ledger.isHomeless(pool)).toBe(false);
  woken.length = 0;
  return { cluster, ledger, woken };
}

test('a node that changes nothing for a pool wakes nobody', () => {
  const { cluster, woken } = world();
  cluster.setNodes([aNode('n1', rack('a')), aNode('n2', rack('b')), aNode('n3', rack('a'))]);
  expect(woken).toEqual([]);
});

test('the last node of a pool goes: those with its addresses look again, and again when one comes back', () => {
  const { cluster, ledger, woken } = world();
  cluster.setNodes([aNode('n2', rack('b'))]);
  expect(ledger.isHomeless('a')).toBe(true);
  expect(woken.splice(0).toSorted()).toEqual(['default/one', 'default/two']);
  cluster.setNodes([aNode('n2', rack('b')), aNode('n4', rack('a'))]);
  expect(woken.toSorted()).toEqual(['default/one', 'default/two']);
});

test('a node that has an address of a pool wakes only its holder', () => {
  const { cluster, woken } = world();
  cluster.setNodes([aNode('n1', { ...rack('a'), internalIPs: ['192.0.2.1'] }), aNode('n2', rack('b'))]);
  expect(woken).toEqual(['default/two']);
});

test('a pool more wakes nobody who has what he asks for', () => {
  const { cluster, woken } = world();
  cluster.setPool(aPool('c', ['203.0.113.0/28'], { createdAt: 3 }));
  expect(woken).toEqual([]);
});
