import { fc } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { evaluateFully } from '../../src/agent/evaluate.ts';
import type { Branch } from '../../src/agent/evaluate.ts';
import { worldWithPackets } from './agent-worlds.ts';

const every: readonly Branch[] = [
  'not-ours',
  'internal',
  'external-cluster',
  'local-pod',
  'local-process',
  'local-other',
  'guard',
  'undefined-port',
  'unallocated',
];

test('random packets to random worlds reach every clause of the evaluator', () => {
  const reached = new Map<Branch, number>();
  const outcomes = new Map<string, number>();
  for (const { at, packets } of fc.sample(worldWithPackets(30), { numRuns: 300, seed: 7 })) {
    for (const packet of packets) {
      const { branch, outcome } = evaluateFully(at.node, at.index, at.facts, packet);
      reached.set(branch, (reached.get(branch) ?? 0) + 1);
      outcomes.set(outcome.kind, (outcomes.get(outcome.kind) ?? 0) + 1);
      if (outcome.kind === 'deliver') expect(outcome.to).not.toHaveLength(0);
    }
  }

  for (const branch of every) expect(reached.get(branch) ?? 0, branch).toBeGreaterThan(20);
  for (const kind of ['untouched', 'reject', 'drop', 'deliver']) {
    expect(outcomes.get(kind) ?? 0, kind).toBeGreaterThan(200);
  }
});
