/** What wakes whom: a change costs what it concerns. */
import { describe, expect, test } from 'vitest';
import { aNode, aService } from '../../src/core/fixtures.ts';
import type { ObjectKey, ServiceObject } from '../../src/core/objects.ts';
import { MemoryCluster } from '../../test/support/memory-cluster.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { aPool } from './allocator/fixtures.ts';
import { Ledger } from './ledger.ts';
import { parseService } from './settings.ts';
import { wantedOf } from './wanted.ts';

const rack = (value: string): { readonly labels: Readonly<Record<string, string>> } => ({
  labels: { rack: value },
});

const config = { probe: true, noAgentAfter: 10_000, rest: 600_000, remember: 0 };

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

test('an address of a node is given to nobody, however it is written, and to everybody once the node has gone', () => {
  const clock = new VirtualClock();
  const cluster = new MemoryCluster(clock);
  cluster.setPool(aPool('a', ['2001:db8::1-2001:db8::2'], { createdAt: 1 }));
  cluster.setNodes([aNode('n1', { internalIPs: ['2001:DB8:0::1'] })]);
  const ledger = new Ledger({ cluster, config, clock, wake: () => undefined, serves: () => true });
  ledger.start();
  const ask = (name: string, annotations: Readonly<Record<string, string>> = {}) => {
    const service = aService({ name, ipFamilies: ['IPv6'], annotations });
    cluster.setService(service);
    const { grants, lack } = ledger.ask(wantedOf(parseService(service).settings, service));
    return grants.map(({ address }) => address).join() || lack?.reason;
  };
  expect(ask('one')).toBe('2001:db8::2');
  expect(ask('two')).toBe('PoolExhausted');
  expect(ask('by-name', { 'sluice.dev/addresses': '2001:db8::1' })).toBe('AddressTaken');
  cluster.removeService('default/by-name' as ObjectKey);
  cluster.setNodes([]);
  expect(ask('two')).toBe('2001:db8::1');
});

test('a node that comes with the address of a Service: it gets another one, and is told why', () => {
  const { cluster, ledger } = world();
  const service = cluster.service('default/one' as ObjectKey);
  if (service === undefined) throw new Error('there is no Service one');
  const ask = () => ledger.ask(wantedOf(parseService(service).settings, service)).grants[0]?.address;
  expect(ask()).toBe('192.0.2.0');
  cluster.setNodes([aNode('n1', { ...rack('a'), internalIPs: ['192.0.2.0'] })]);
  expect(ask()).toBe('192.0.2.2');
  expect(ledger.passedOver(service.uid)).toEqual(['192.0.2.0 was passed over: it is an address of node n1']);
  cluster.setNodes([aNode('n1', rack('a'))]);
  expect(ledger.passedOver(service.uid)).toEqual([]);
});

test('a pool more wakes nobody who has what he asks for', () => {
  const { cluster, woken } = world();
  cluster.setPool(aPool('c', ['203.0.113.0/28'], { createdAt: 3 }));
  expect(woken).toEqual([]);
});

describe('the labels of a namespace', () => {
  const forTeam = (team: string) => ({
    namespaceSelectors: [{ matchLabels: { team }, matchExpressions: [] }],
  });

  function teams() {
    const clock = new VirtualClock();
    const cluster = new MemoryCluster(clock);
    const woken: ObjectKey[] = [];
    const ledger = new Ledger({ cluster, config, clock, wake: (key) => woken.push(key), serves: () => true });
    cluster.setPool(aPool('of-shop', ['192.0.2.0/31'], { ...forTeam('shop'), createdAt: 1 }));
    ledger.start();
    const ask = (name: string, namespace: string, since: number) => {
      const service = aService({ name, namespace, createdAt: since });
      cluster.setService(service);
      return ledger.ask(wantedOf(parseService(service).settings, service));
    };
    const held = () =>
      Object.fromEntries(
        [...ledger.allocator.inUse()].map(({ text, holders }) => [
          text,
          [...holders.values()].map(({ key }) => key).join(),
        ]),
      );
    return { cluster, ledger, woken, ask, held };
  }

  test('once they fit a pool, those who wait there are served in the order in which they came', () => {
    const { cluster, woken, ask, held } = teams();
    expect(ask('late', 'one', 20).lack?.reason).toBe('NoPool');
    ask('early', 'one', 10);
    ask('elsewhere', 'two', 1);
    woken.length = 0;
    cluster.setNamespace('one', { team: 'shop' });
    expect(held()).toEqual({ '192.0.2.0': 'one/early', '192.0.2.1': 'one/late' });
    expect(new Set(woken)).toEqual(new Set(['one/early', 'one/late']));
  });

  test('a newcomer of the same namespace does not go before those who wait', () => {
    const { cluster, ask, held } = teams();
    ask('first', 'one', 10);
    ask('second', 'one', 11);
    cluster.setNamespace('one', { team: 'shop' });
    expect(ask('third', 'one', 12).lack?.reason).toBe('PoolExhausted');
    expect(Object.values(held()).toSorted()).toEqual(['one/first', 'one/second']);
  });

  test('labels that no pool chooses by wake nobody, and are known to the pool that comes later', () => {
    const { cluster, woken, ask, held } = teams();
    ask('first', 'one', 10);
    woken.length = 0;
    cluster.setNamespace('one', { team: 'lab' });
    expect(woken).toEqual([]);
    cluster.setPool(aPool('of-lab', ['198.51.100.0/31'], { ...forTeam('lab'), createdAt: 2 }));
    expect(held()).toEqual({ '198.51.100.0': 'one/first' });
  });

  test('they go: what was given out stays, its holders look again, and others of the pool are left in peace', () => {
    const { cluster, woken, ask, held } = teams();
    for (const name of ['one', 'two']) cluster.setNamespace(name, { team: 'shop' });
    ask('web', 'one', 1);
    ask('api', 'two', 2);
    woken.length = 0;
    cluster.setNamespace('one', {});
    expect(held()).toEqual({ '192.0.2.0': 'one/web', '192.0.2.1': 'two/api' });
    expect(woken).toEqual(['one/web']);
    // From now on it is given to nobody of that namespace, also where a pool is seen anew.
    expect(ask('more', 'one', 3).lack?.reason).toBe('NoPool');
  });
});

describe('an address that a Service of another controller shows', () => {
  const theirs = (more: Partial<ServiceObject> = {}) =>
    aService({
      name: 'theirs',
      loadBalancerClass: 'example.com/other',
      ingress: [{ ip: '192.0.2.0' }],
      ...more,
    });

  function neighbour() {
    const clock = new VirtualClock();
    const cluster = new MemoryCluster(clock);
    const serves = ({ loadBalancerClass }: ServiceObject) => loadBalancerClass !== 'example.com/other';
    const ledger = new Ledger({ cluster, config, clock, wake: () => undefined, serves });
    cluster.setPool(aPool('a', ['192.0.2.0/31'], { createdAt: 1 }));
    const ask = (name: string) => {
      const service = aService({ name });
      cluster.setService(service);
      const { grants, lack } = ledger.ask(wantedOf(parseService(service).settings, service));
      return grants.map(({ address }) => address).join() || lack?.reason;
    };
    return { cluster, ledger, ask };
  }

  test.each(['before we start', 'while we run'])('is given to nobody, whether it came %s', (when) => {
    const { cluster, ledger, ask } = neighbour();
    if (when === 'before we start') cluster.setService(theirs());
    ledger.start();
    if (when === 'while we run') cluster.setService(theirs());
    expect(ask('one')).toBe('192.0.2.1');
    expect(ask('two')).toBe('PoolExhausted');
  });

  test('is free once that Service shows another one, is no balancer any more, or is gone', () => {
    const { cluster, ledger, ask } = neighbour();
    ledger.start();
    cluster.setService(theirs({ ingress: [{ ip: '192.0.2.1' }, { ip: '198.51.100.7' }] }));
    expect(ask('one')).toBe('192.0.2.0');
    expect(ask('two')).toBe('PoolExhausted');
    cluster.setService(theirs({ type: 'ClusterIP' }));
    expect(ask('two')).toBe('192.0.2.1');
    expect(ask('three')).toBe('PoolExhausted');
    cluster.removeService(theirs().key);
    expect(ask('three')).toBe('PoolExhausted');
  });

  test('takes nothing from a Service of ours that has it', () => {
    const { cluster, ledger, ask } = neighbour();
    ledger.start();
    expect(ask('one')).toBe('192.0.2.0');
    cluster.setService(theirs());
    expect(ask('one')).toBe('192.0.2.0');
  });

  test('is kept for a Service of ours that waited when the other controller was quicker', () => {
    const { cluster, ledger, ask } = neighbour();
    ledger.start();
    const mine = { name: 'mine', loadBalancerClass: undefined };
    cluster.setService(
      aService({ ...mine, ingress: [{ ip: '192.0.2.1' }], ingressManagers: ['controller'] }),
    );
    expect(ask('other')).toBe('192.0.2.0');
    expect(ask('mine')).toBe('192.0.2.1');
  });

  test('stays with that Service when it becomes ours', () => {
    const { cluster, ledger, ask } = neighbour();
    cluster.setService(theirs());
    ledger.start();
    expect(ask('theirs')).toBe('192.0.2.0');
  });
});
