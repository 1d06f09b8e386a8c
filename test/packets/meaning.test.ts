/** The table of cases through the pure decision and evaluator: the first of three ways, without any packet. */
import { describe, expect, test } from 'vitest';
import { indexDestinations } from '../../src/agent/decide/destinations.ts';
import { evaluate } from '../../src/agent/evaluate.ts';
import { planTopology } from '../../src/sandbox/bed/topology.ts';
import { cases } from './cases.ts';
import { agentSettings, compareOutcome, decide, factsOf, packetOf } from './meaning.ts';
import { Atlas } from './world.ts';

describe.each(['nftables', 'iptables'] as const)('the decisions for %s', (backend) => {
  test.each(cases)('$name', (given) => {
    const atlas = new Atlas(planTopology(), given.world, 0);
    const { nodes, decisions } = decide(atlas, agentSettings(given.settings ?? {}, backend), given.owns);
    const wrong = nodes.flatMap((node) => {
      const { family } = node;
      const index = indexDestinations(decisions, family);
      return given.rows
        .filter((row) => row.families?.includes(family) ?? true)
        .flatMap((row) => {
          const packet = packetOf(atlas, row, family, given.owns);
          const outcome = evaluate(node, index, factsOf(atlas, given.owns), packet);
          const found = compareOutcome(atlas, row, family, row.expect, outcome);
          return found.map((text) => `${row.rule} ${family} ${row.from}: ${row.says}: ${text}`);
        });
    });
    expect(wrong).toEqual([]);
  });
});
