/**
 * SCTP by name, through the evaluator and the tracers of what each backend writes: kernels without SCTP sockets can show
 * no more of it by packets than its first one (test/packets/stories-sctp.ts). TCP and UDP have the same numbers (O13).
 */
import { describe, expect, test } from 'vitest';
import { planTopology } from '../sandbox/bed/topology.ts';
import { agentSettings, decide, factsOf, packetOf } from '../../test/packets/meaning.ts';
import { Atlas, type World } from '../../test/packets/world.ts';
import { indexDestinations } from './decide/destinations.ts';
import type { Decision, NodeDecision } from './decision.ts';
import { evaluate } from './evaluate.ts';
import { render as renderIptables } from './iptables/render.ts';
import { Tracer } from './iptables/tracer.ts';
import { readRuleset } from './nftables/ruleset.ts';
import { render as renderNftables } from './nftables/text.ts';
import { agrees, trace } from './nftables/tracer.ts';
import type { NodeFacts, Outcome, Packet } from './packet.ts';

const protocols = ['TCP', 'UDP', 'SCTP'] as const;
const ports = protocols.map((protocol, at) => ({
  name: protocol.toLowerCase(),
  protocol,
  port: 5000,
  targetPort: 8080 + at,
}));
const world: World = [
  { name: 'web', balancerIPs: 1, externalIPs: 1, ports, endpoints: [{ at: 'n1-a' }, { at: 'n2-a' }] },
  {
    name: 'local',
    balancerIPs: 1,
    ports,
    externalTrafficPolicy: 'Local',
    internalTrafficPolicy: 'Local',
    endpoints: [{ at: 'n2-a' }],
  },
  { name: 'sticky', ports, affinitySeconds: 60, endpoints: [{ at: 'n1-a' }] },
  { name: 'none', type: 'NodePort', ports, endpoints: [] },
];

/** The kind of outcome, and the ports of the endpoints. */
function short(outcome: Outcome): string {
  if (outcome.kind !== 'deliver') return outcome.kind;
  return [...new Set(outcome.to.map(({ endpoint }) => endpoint.port))].join();
}

/** Whether what a backend writes does with a packet what was decided. */
type Agrees = (packet: Packet, wanted: Outcome, facts: NodeFacts) => boolean;

const writers = {
  nftables: (node: NodeDecision, decisions: readonly Decision[]): Agrees => {
    const lines = [...renderNftables(node, decisions)].join('').split('\n');
    const ruleset = readRuleset(lines.map((line) => `${line}\n`));
    return (packet, wanted, facts) =>
      Array.from({ length: 8 }, () => trace(ruleset, facts, packet)).every((met) => agrees(met, wanted));
  },
  iptables: (node: NodeDecision, decisions: readonly Decision[]): Agrees => {
    const { sets, rules } = renderIptables(node, decisions);
    const tracer = new Tracer(node.family, rules, sets);
    const plain = (to: readonly { readonly address: string; readonly port: number }[]): string =>
      to
        .map(({ address, port }) => `${address} ${port}`)
        .toSorted()
        .join();
    return (packet, wanted, facts) => {
      const met = tracer.trace(packet, facts);
      return met.kind === 'deliver' && wanted.kind === 'deliver'
        ? plain(met.to) === plain(wanted.to.map(({ endpoint }) => endpoint))
        : met.kind === wanted.kind;
    };
  },
} as const;

describe.each(['nftables', 'iptables'] as const)('%s', (backend) => {
  const atlas = new Atlas(planTopology(), world, 0);
  const { nodes, decisions } = decide(atlas, agentSettings({}, backend));

  describe.each(nodes)('$family', (node) => {
    const { family } = node;
    const own = decisions.filter((one) => one.family === family);
    const index = indexDestinations(own, family);
    const agreed = writers[backend](node, own);
    const facts = factsOf(atlas);

    test.each(protocols.map((protocol, at) => [protocol, at] as const))(
      '%s goes to its own endpoints, is refused or dropped, beside the others at the same number',
      (protocol, at) => {
        const own8080 = String(8080 + at);
        for (const [from, of, spot, expected] of [
          ['n1-b', 'web', 'V', own8080],
          ['x1', 'web', 'V', own8080],
          ['n1', 'web', 'E', own8080],
          ['x1', 'web', 'L', own8080],
          ['x1', 'web', 'node port', own8080],
          ['n1-b', 'sticky', 'V', own8080],
          ['n1-b', 'local', 'V', 'drop'],
          ['x1', 'local', 'L', 'drop'],
          ['n1', 'local', 'L', own8080],
          ['n1-b', 'none', 'V', 'reject'],
          ['x1', 'none', 'node port', 'reject'],
        ] as const) {
          const to = { at: spot, of, port: at };
          const row = { rule: '', says: '', from, to, expect: { kind: 'silence' } } as const;
          const packet: Packet = { ...packetOf(atlas, row, family), protocol };
          const outcome = evaluate(node, index, facts, packet);
          const what = `${from} to ${of} ${spot}`;
          expect(`${what} ${short(outcome)}`).toBe(`${what} ${expected}`);
          expect(agreed(packet, outcome, facts), what).toBe(true);
        }
      },
    );
  });
});
