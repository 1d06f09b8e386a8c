import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import {
  agentPacket,
  changed,
  decided,
  worldChange,
  worldWithPackets,
} from '../../../test/support/agent-worlds.ts';
import type { AgentWorld, DecidedWorld } from '../../../test/support/agent-worlds.ts';
import type { Decision } from '../decision.ts';
import { evaluate } from '../evaluate.ts';
import type { Packet } from '../packet.ts';
import { layoutOf } from './layout.ts';
import { Ledger } from './ledger.ts';
import { readRule, readRuleset } from './ruleset.ts';
import { allFeatures, tableShape } from './table.ts';
import { commands, render, tableText, wholeTable } from './text.ts';
import { agrees, trace } from './tracer.ts';

/** Localhost node ports are the other backend's. */
function ours(world: AgentWorld): AgentWorld {
  return { ...world, settings: { ...world.settings, backend: 'nftables', localhostNodePorts: false } };
}

function compare(lines: Iterable<string>, at: DecidedWorld, packets: readonly Packet[]): void {
  const ruleset = readRuleset(lines);
  for (const packet of packets) {
    const outcome = evaluate(at.node, at.index, at.facts, packet);
    const traced = trace(ruleset, at.facts, packet);
    if (!agrees(traced, outcome)) expect({ packet, traced }).toEqual({ packet, traced: outcome });
  }
}

test.prop([worldWithPackets(25)], { numRuns: 300 })(
  'the rules of a random world do with random packets what the decisions mean',
  ({ world, at, packets }) => {
    const again = decided(ours(world), at.node.family);
    if (again !== undefined) compare(render(again.node, again.decisions), again, packets);
  },
);

test.prop([worldWithPackets(10), fc.array(worldChange, { minLength: 1, maxLength: 8 })], { numRuns: 200 })(
  'after any history of changes the rules do what the decisions mean, and hold what a cold start would',
  ({ world, at, packets }, history) => {
    const { family } = at.node;
    let now = ours(world);
    let state = decided(now, family);
    if (state === undefined) return;
    const shape = tableShape(state.node, allFeatures);
    const ledger = new Ledger(layoutOf(state.node));
    const lines = [...wholeTable(shape, ledger, state.decisions, () => undefined)];
    for (const change of history) {
      now = changed(now, change);
      const next = decided(now, family);
      // Another node decision is a replacement, not a change.
      if (next === undefined || JSON.stringify(next.node) !== JSON.stringify(state.node)) return;
      const plan = ledger.plan(wishes(state.decisions, next.decisions));
      lines.push(...commands(tableText(shape), plan.transaction));
      plan.commit();
      state = next;
    }
    compare(lines, state, packets);
    const warm = readRuleset(lines);
    const cold = readRuleset(render(state.node, state.decisions));
    for (const name of ledger.unusedChains()) {
      warm.chains.delete(name);
      warm.sets.get('shapes')?.elements.delete(ledger.layout.chains.get(name)?.number ?? '');
    }
    expect(new Map(warm.chains)).toEqual(new Map(cold.chains));
    for (const [name, { elements }] of cold.sets) {
      expect(normal(name, warm.sets.get(name)?.elements), name).toEqual(normal(name, elements));
    }
  },
);

function wishes(
  before: readonly Decision[],
  after: readonly Decision[],
): { key: Decision['key']; after: Decision | undefined }[] {
  const old = new Map(before.map((decision) => [decision.key, JSON.stringify(decision)]));
  const kept = new Set(after.map(({ key }) => key));
  return [
    ...before.filter(({ key }) => !kept.has(key)).map(({ key }) => ({ key, after: undefined })),
    ...after
      .filter((decision) => old.get(decision.key) !== JSON.stringify(decision))
      .map((decision) => ({ key: decision.key, after: decision })),
  ];
}

/** Elements without the numbers that history may choose: buckets and slots. */
function normal(name: string, elements: ReadonlyMap<string, string> | undefined): string[] {
  const numbered = /endpoints|sticky/.test(name);
  return [...(elements ?? [])]
    .map(([key, value]) =>
      numbered
        ? `${key.slice(0, key.lastIndexOf(' . '))} ${name.includes('buckets') ? '' : value}`
        : `${key} ${value}`,
    )
    .toSorted();
}

test('a rule of unknown form is refused', () => {
  for (const rule of ['return', 'ip saddr 10.0.0.1 drop', 'meta mark set 0x1', 'counter drop']) {
    expect(() => readRule(rule), rule).toThrow(/cannot read the rule text/);
  }
});

test.prop([worldWithPackets(5)], { numRuns: 50 })(
  'a lost row sends the packet to bucket 0 or drops it, and never lets it through untranslated',
  ({ world, at }) => {
    const again = decided(ours(world), at.node.family);
    if (again === undefined) return;
    const ruleset = readRuleset(render(again.node, again.decisions));
    const rows = [...ruleset.sets].filter(([name]) => name.includes('endpoints'));
    for (const [, { elements }] of rows) elements.clear();
    for (const packet of fc.sample(agentPacket(at.node.family), { numRuns: 10, seed: 1 })) {
      const outcome = evaluate(again.node, again.index, again.facts, packet);
      const sticky = again.decisions.some(({ affinitySeconds }) => affinitySeconds !== undefined);
      if (outcome.kind === 'deliver' && !sticky) {
        expect(trace(ruleset, again.facts, packet)).toEqual({ kind: 'drop' });
      }
    }
  },
);
