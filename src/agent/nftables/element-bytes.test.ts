/** Elements as bytes: against the kernel's header by a reader of their own, and a few by hand. */
import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { changed, decided, worldChange, worldWithPackets } from '../../../test/support/agent-worlds.ts';
import type { AgentWorld } from '../../../test/support/agent-worlds.ts';
import { batchCommands } from '../../../test/support/netlink-batches.ts';
import { formatAddress } from '../../core/cidr.ts';
import { testDecision, testNode } from '../fixtures.ts';
import { changeBatch, ElementBatches } from './element-bytes.ts';
import { layoutOf } from './layout.ts';
import { Ledger } from './ledger.ts';
import { packingOf, packingsOf, type Packing } from './packing.ts';
import { allFeatures, tableShape } from './table.ts';
import { commands, markCommands, tableText } from './text.ts';
import { wordsOf } from './words.ts';

const packing = (line: string, kind: 'map' | 'set' = 'map'): Packing | undefined =>
  packingOf({ kind, lines: [line] });

test('one element of a map, byte by byte', () => {
  const batches = new ElementBatches(wordsOf('IPv4'));
  const rows = packing('type ipv4_addr . inet_proto . inet_service . classid : ipv4_addr . inet_service');
  if (rows === undefined) throw new Error('not packed');
  batches.add('endpoints-cluster', rows, ['10.96.0.1 . 6 . 443 . 0:1f', '10.244.255.7 . 8080']);
  const [batch = Buffer.alloc(0)] = [...batches.take(() => 'afee:1')];
  // Behind the begin (20), the headers (20), the names (12 and 24) and the head of the list.
  expect(batch.subarray(80, 124).toString('hex').match(/.{8}/gu)?.join(' ')).toBe(
    [
      '2c000180', // an element of 44 bytes
      '18000180 14000100 0a600001 06000000 01bb0000 1f000000', // its key
      '10000280 0c000100 0af4ff07 1f900000', // its value
    ].join(' '),
  );
});

test.each(['IPv4', 'IPv6'] as const)(
  'more than a message holds is several, in batches that a socket takes (%s)',
  (family) => {
    const shape = tableShape({ ...testNode, family, nodePortAddresses: 'all' }, allFeatures);
    const rows = shape.sets.find(({ name }) => name === 'endpoints-local');
    const packed = rows && packingOf(rows);
    if (packed === undefined) throw new Error('not packed');
    const address = family === 'IPv4' ? '10.0.0.1' : 'fd00::1';
    const items = Array.from({ length: 5_000 }, (_, at) => [
      `${address} . 6 . 80 . ${at === 0 ? 'none' : `0:${at.toString(16)}`}`,
      `${address} . ${at + 1}`,
    ]);
    const batches = new ElementBatches(shape.words);
    batches.add('endpoints-local', packed, items.flat());
    const all = [...batches.take(() => 'afee:1')];
    expect(all.length).toBeGreaterThan(1);
    for (const batch of all) expect(batch.length).toBeLessThan(200_000);
    const lines = all
      .flatMap((batch) => batchCommands(batch, shape))
      .filter((line) => line.includes('-local'));
    expect(lines.length).toBeGreaterThan(all.length);
    expect(lines.flatMap((line) => line.split('{ ')[1]?.replace(' }', '').split(', '))).toEqual(
      items.map((item) => item.join(' : ')),
    );
  },
);

test('sets that are not plain are left to nft', () => {
  expect(packing('type classid : verdict')).toBeUndefined();
  expect(packing('typeof numgen random mod 2 : meta priority')).toBeUndefined();
  expect(packing('type ipv4_addr : classid', 'set')).toBeUndefined();
  expect(packing('type ipv4_addr')).toBeUndefined();
  expect(packingOf({ kind: 'set', lines: ['type ipv4_addr', 'flags interval'] })).toBeUndefined();
  expect(packing('type ipv4_addr', 'set')).toEqual({ key: ['ipv4_addr'], value: [] });
});

test.each([
  ['ipv4_addr', ['10.0.0', '10.0.0.256', '10.0.0.1.2', '', '10.0.0.1 . 6', '1o.0.0.1', '10..0.1']],
  ['ipv6_addr', ['1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '12345::', 'g::', '::1.2.3.4']],
  ['inet_proto', ['256', '-1', '6.', '', 'tcp']],
  ['inet_service', ['65536', '0x50', '', '80 ']],
  ['classid', ['1', '10000:0', '0:g', ':1', '0:', 'root', '0:A']],
])('what is no %s is refused, before anything leaves', (type, texts) => {
  const one = packing(`type ${type}`, 'set');
  if (one === undefined) throw new Error('not packed');
  for (const text of texts) {
    const batches = new ElementBatches(wordsOf('IPv4'));
    expect(() => batches.add('some', one, [text, '']), text).toThrow('is no element of its set');
  }
});

const number = (max: number): fc.Arbitrary<string> => fc.nat({ max }).map(String);
const classids = fc
  .tuple(fc.nat({ max: 0xff_ff }), fc.nat({ max: 0xff_ff }))
  .map(([high, low]) => (high + low === 0 ? 'none' : `${high.toString(16)}:${low.toString(16)}`));
const address = (family: 'IPv4' | 'IPv6'): fc.Arbitrary<string> =>
  (family === 'IPv4'
    ? fc.bigInt(0n, 2n ** 32n - 1n)
    : fc.oneof(
        fc.bigInt(0n, 2n ** 128n - 1n),
        // Long rows of zeros, at any place.
        fc.tuple(fc.bigInt(0n, 0xff_ffn), fc.bigInt(0n, 127n)).map(([bits, by]) => (bits << by) % 2n ** 128n),
      )
  ).map((value) => formatAddress({ family, value }));

property.prop([
  fc.constantFrom('IPv4' as const, 'IPv6' as const).chain((family) =>
    fc.record({
      family: fc.constant(family),
      rows: fc.array(
        fc.tuple(address(family), number(255), number(65_535), classids, address(family), number(65_535)),
        { maxLength: 40 },
      ),
      draws: fc.array(fc.tuple(address(family), number(255), number(65_535), classids, classids), {
        maxLength: 10,
      }),
      ips: fc.array(address(family), { maxLength: 10 }),
    }),
  ),
  fc.integer({ min: 1, max: 3_000 }),
])('what goes in as text comes out as the same text, in batches of any size', (given, most) => {
  const shape = tableShape({ ...testNode, family: given.family, nodePortAddresses: 'all' }, allFeatures);
  const batches = new ElementBatches(shape.words, most);
  const lists: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    'endpoints-cluster': given.rows.map(([ip, proto, port, bucket, to, target]) => [
      `${ip} . ${proto} . ${port} . ${bucket}`,
      `${to} . ${target}`,
    ]),
    'sticky-buckets-local': given.draws.map(([ip, proto, port, bucket, slot]) => [
      `${ip} . ${proto} . ${port} . ${bucket}`,
      slot,
    ]),
    'cluster-ips': given.ips.map((ip) => [ip, '']),
  };
  for (const set of shape.sets) {
    const items = lists[set.name];
    const packed = packingOf(set);
    if (items === undefined || packed === undefined) continue;
    for (const one of items) batches.add(set.name, packed, one);
  }
  let marks = 0;
  const lines = [...batches.take(() => `afee:${(marks += 1).toString(16)}`)].flatMap((batch) => {
    expect(batch.length).toBeLessThanOrEqual(most + 400);
    return batchCommands(batch, shape);
  });
  expect(batches.isEmpty).toBe(true);
  const texts = (set: string): string[] =>
    (lists[set] ?? []).map(([key, value]) => (value === '' ? key : `${key} : ${value}`));
  for (const set of Object.keys(lists))
    expect(lines.filter((line) => line.includes(` ${set} {`))).toEqual(
      texts(set).map((one) => `add element ${shape.words.header} sluice ${set} { ${one} }`),
    );
  expect(lines.filter((line) => line.includes('last-write {'))).toHaveLength(marks);
});

/** A command for each element. */
function eachAlone(command: string): string[] {
  const [, head = command, items] = /^(.*) \{ (.*) \}$/u.exec(command) ?? [];
  return items === undefined ? [head] : items.split(', ').map((item) => `${head} { ${item} }`);
}

property.prop([worldWithPackets(0), fc.array(worldChange, { minLength: 1, maxLength: 8 })], { numRuns: 150 })(
  'a change as bytes is the change that nft would read, or is left to nft',
  ({ world, at }, history) => {
    const nftables: AgentWorld = {
      ...world,
      settings: { ...world.settings, backend: 'nftables', localhostNodePorts: false },
    };
    const first = decided(nftables, at.node.family);
    if (first === undefined) return;
    const shape = tableShape(first.node, allFeatures);
    const packings = packingsOf(shape);
    const table = tableText(shape);
    const ledger = new Ledger(layoutOf(first.node));
    ledger.plan(first.decisions.map((after) => ({ key: after.key, after }))).commit();
    let now = nftables;
    for (const step of history) {
      now = changed(now, step);
      const next = decided(now, at.node.family);
      if (next === undefined) return;
      const left = new Set(ledger.entries.keys());
      for (const { key } of next.decisions) left.delete(key);
      const plan = ledger.plan([
        ...[...left].map((key) => ({ key, after: undefined })),
        ...next.decisions.map((after) => ({ key: after.key, after })),
      ]);
      const { transaction } = plan;
      if (transaction.operations === 0) continue;
      const batch = changeBatch(shape.words, packings, transaction, 'afee:1');
      const plain = [...transaction.sets.keys()].every((set) => packings.get(set) !== undefined);
      // What is more than a batch holds goes to nft as well.
      if (transaction.operations < 1_000)
        expect(batch !== undefined).toBe(transaction.chains.length === 0 && plain);
      if (batch !== undefined) {
        const text = [...commands(table, transaction), ...markCommands(table, 'afee:1')];
        expect(batchCommands(batch, shape).flatMap(eachAlone)).toEqual(text.flatMap(eachAlone));
      }
      plan.commit();
    }
  },
);

test('a change is one transaction, or nft makes it', () => {
  const ledger = new Ledger(layoutOf(testNode));
  const shape = tableShape(testNode, allFeatures);
  const endpoints = (count: number, from = 0) =>
    Array.from({ length: count }, (_, at) => ({
      address: `10.${1 + ((from + at) >> 16)}.${((from + at) >> 8) & 255}.${(from + at) & 255}`,
      port: 80,
      node: 'b',
      local: false,
      weight: 1,
    }));
  const batchOf = (count: number, from?: number): Buffer | undefined => {
    const after = testDecision('a', {
      cluster: endpoints(count, from),
      internal: { kind: 'balance', to: 'cluster' },
    });
    const plan = ledger.plan([{ key: after.key, after }]);
    plan.commit();
    return changeBatch(shape.words, packingsOf(shape), plan.transaction, 'afee:1');
  };
  // A chain for so many is made first.
  expect(batchOf(5_000)).toBeUndefined();
  expect(batchOf(5_000, 1)?.length).toBeLessThan(10_000);
  // More than a socket takes at once.
  expect(batchOf(5_000, 20_000)).toBeUndefined();
});
