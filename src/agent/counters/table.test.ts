/** What a change of decisions costs, what it keeps, and that any history ends as a cold start does. */
import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { agentWorld, changed, decided, worldChange } from '../../../test/support/agent-worlds.ts';
import { diffDecisions } from '../decide/changes.ts';
import type { Decision } from '../decision.ts';
import { testDecision, testNode } from '../fixtures.ts';
import { ListingReader } from '../nftables/listing.ts';
import { counterShape } from './layout.ts';
import { countsOf, rowOf } from './rows.ts';
import { changesOf, tableName, wantedOf, wholeCounterTable } from './table.ts';
import { readCounterRules, type CounterRules } from './tracer.ts';

const endpoint = { address: '10.244.1.2', port: 8080, local: true, weight: 1 };
const other = { ...endpoint, address: '10.244.1.3' };
const toAll = { kind: 'balance', to: 'cluster' } as const;
const served = { cluster: [endpoint], internal: toAll, external: toAll } as const;

function linesOf(
  before: Partial<Decision> | undefined,
  after: Partial<Decision> | undefined,
): readonly string[] {
  const is = after && testDecision('web', after);
  const was = before && testDecision('web', before);
  const key = testDecision('web').key;
  const { edits } = changesOf([{ key, before: was, after: is }], 'connections');
  return edits.lines('T').map((line) => line.replace(' element T', ''));
}

describe('a change', () => {
  test('of endpoints writes nothing', () => {
    expect(linesOf(served, { ...served, cluster: [endpoint, other] })).toEqual([]);
  });

  test('to no endpoint at all turns one number, and what was counted stays', () => {
    expect(linesOf(served, {})).toEqual([
      'delete destinations { 10.96.0.10 . 6 . 80 }',
      'add destinations { 10.96.0.10 . 6 . 80 : 0:2 }',
      'add no-endpoints { 10.96.0.10 . 6 . 80 }',
    ]);
    expect(linesOf({}, served)).not.toContain('delete no-endpoints { 10.96.0.10 . 6 . 80 }');
  });

  test('of one source range writes that range', () => {
    const guarded = { ...served, clusterIP: undefined, balancerIPs: ['203.0.113.1'] };
    expect(
      linesOf(
        { ...guarded, sourceRanges: ['192.0.2.0/24', '198.51.100.0/24'] },
        { ...guarded, sourceRanges: ['192.0.2.0/24'] },
      ),
    ).toEqual(['delete allowed { 203.0.113.1 . 6 . 80 . 198.51.100.0/24 }']);
  });

  test('that ends a Service takes all of it away, made or not', () => {
    const lines = linesOf({ ...served, nodePort: 30_080 }, undefined);
    for (const set of ['connections', 'no-endpoints', 'no-local-endpoints', 'outside-ranges']) {
      expect(lines).toContain(`add ${set} { 10.96.0.10 . 6 . 80 }`);
      expect(lines).toContain(`delete ${set} { 10.96.0.10 . 6 . 80 }`);
      expect(lines).toContain(`delete nodeport-${set} { 6 . 30080 }`);
    }
  });

  test('of hands begins a count anew', () => {
    const [old, young] = [testDecision('old', served), testDecision('young', served)];
    const { edits } = changesOf(
      [
        { key: old.key, before: old, after: undefined },
        { key: young.key, before: undefined, after: young },
      ],
      'connections',
    );
    const lines = edits.lines('T');
    const gone = lines.indexOf('delete element T connections { 10.96.0.10 . 6 . 80 }');
    expect(gone).toBeGreaterThanOrEqual(0);
    expect(lines.indexOf('add element T connections { 10.96.0.10 . 6 . 80 }', gone)).toBeGreaterThan(gone);
  });

  test('names the destinations that leave a Service which stays', () => {
    const was = testDecision('web', { ...served, balancerIPs: ['203.0.113.1'] });
    const is = testDecision('web', served);
    const { leaving } = changesOf([{ key: is.key, before: was, after: is }], 'connections');
    expect(leaving.map(({ owner, destination }) => [owner, destination.key])).toEqual([
      [is.key, '203.0.113.1 . 6 . 80'],
    ]);
  });
});

test('rows add up the destinations of a port, by reason, and leave out what is nobody’s', () => {
  const reader = new ListingReader();
  reader.push(`table ip sluice-counters {
	set connections {
		type ipv4_addr . inet_proto . inet_service
		counter
		elements = { 10.96.0.10 . 6 . 80 counter packets 3 bytes 180,
			     203.0.113.1 . 6 . 80 counter packets 4 bytes 240, 10.96.0.99 . 6 . 80 counter packets 9 bytes 540 }
	}

	set nodeport-no-local-endpoints {
		type inet_proto . inet_service
		counter
		elements = { 6 . 30080 counter packets 2 bytes 120 }
	}
}
`);
  const web = testDecision('web', { ...served, balancerIPs: ['203.0.113.1'], nodePort: 30_080 });
  const counts = countsOf(reader.end(), wantedOf([web], 'connections'), 'connections').get(web.key);
  expect(counts && rowOf(web, counts, 'connections')).toEqual({
    service: 'default/web',
    port: { name: '', number: 80, protocol: 'TCP' },
    family: 'IPv4',
    connections: 7,
    dropped: { NoEndpoints: 0, NoLocalEndpoints: 2, OutsideSourceRanges: 0 },
    bytes: null,
  });
});

test('bytes are counted in both directions, each packet once', () => {
  const text = [
    ...wholeCounterTable(counterShape(testNode, 'bytes'), wantedOf([testDecision('web', served)], 'bytes')),
  ].join('');
  const { chains } = readCounterRules(text);
  const hooks = [...chains.values()].flatMap(({ hook }) => hook ?? []);
  expect(hooks.toSorted()).toEqual([
    'filter input',
    'filter output',
    'filter postrouting',
    'filter prerouting',
    'nat output',
    'nat prerouting',
  ]);
  expect(chains.get('bytes-input')?.rules).toEqual([
    'iifname != "lo" ct direction reply ct status dnat goto bytes-back',
  ]);
});

const elements = (rules: CounterRules, name: string): readonly string[] =>
  [...(rules.sets.get(name)?.elements ?? [])].map((pair) => pair.join(' : ')).toSorted();

property.prop([agentWorld, fc.array(worldChange, { minLength: 1, maxLength: 12 })], { numRuns: 60 })(
  'any history ends as a cold start does, but for reasons that once counted',
  (begin, history) => {
    const [family = 'IPv4'] = begin.settings.families;
    let world = begin;
    let at = decided(world, family);
    if (at === undefined) return;
    const shape = counterShape(at.node, 'connections');
    let text = [...wholeCounterTable(shape, wantedOf(at.decisions, 'connections'))].join('');
    for (const change of history) {
      world = changed(world, change);
      const next = decided(world, family);
      if (next === undefined) return;
      const { edits } = changesOf(diffDecisions(at.decisions, next.decisions), 'connections');
      text += edits
        .lines(tableName(shape))
        .map((line) => `${line}\n`)
        .join('');
      at = next;
    }
    const after = readCounterRules(text);
    const wanted = wantedOf(at.decisions, 'connections');
    const cold = readCounterRules([...wholeCounterTable(shape, wanted)].join(''));
    for (const place of ['', 'nodeport-']) {
      expect(elements(after, `${place}destinations`)).toEqual(elements(cold, `${place}destinations`));
      expect(elements(after, `${place}allowed`)).toEqual(elements(cold, `${place}allowed`));
      const keys = new Set(cold.sets.get(`${place}destinations`)?.elements.keys());
      for (const set of ['connections', 'no-endpoints', 'no-local-endpoints', 'outside-ranges']) {
        const held = after.sets.get(`${place}${set}`)?.elements ?? new Map<string, string>();
        for (const key of cold.sets.get(`${place}${set}`)?.elements.keys() ?? [])
          expect(held.has(key)).toBe(true);
        for (const key of held.keys()) expect(keys.has(key)).toBe(true);
      }
    }
  },
);
