/**
 * Are the proofs worth anything? Bugs are planted in what is decided and in what each writer writes, and every one of
 * them has to be noticed: the first by the table of cases, whose expectations are written by hand, the others by the
 * comparison of tracer and evaluator on random worlds.
 *
 * What no tracer can see has planted faults of its own, with packets (test/packets/check.test.ts).
 */
import { fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { planTopology } from '../sandbox/bed/topology.ts';
import { cases } from '../../test/packets/cases.ts';
import type { Case } from '../../test/packets/cases/row.ts';
import { agentSettings, compareOutcome, decide, factsOf, packetOf } from '../../test/packets/meaning.ts';
import { Atlas } from '../../test/packets/world.ts';
import { decided, worldWithPackets } from '../../test/support/agent-worlds.ts';
import type { DecidedWorld } from '../../test/support/agent-worlds.ts';
import { indexDestinations } from './decide/destinations.ts';
import { SluiceError } from '../core/errors.ts';
import type { Decision, Fate, NodeDecision } from './decision.ts';
import { evaluate } from './evaluate.ts';
import { render as renderIptables } from './iptables/render.ts';
import { Tracer } from './iptables/tracer.ts';
import { readRuleset } from './nftables/ruleset.ts';
import { render as renderNftables } from './nftables/text.ts';
import { agrees, trace } from './nftables/tracer.ts';
import type { Outcome, Packet } from './packet.ts';

// ── the decision layer ──

interface WrongDecision {
  readonly name: string;
  readonly decision?: (right: Decision) => Partial<Decision>;
  readonly node?: (right: NodeDecision) => Partial<NodeDecision>;
}

const swap = (from: Fate['kind'], to: 'reject' | 'drop'): ((fate: Fate) => Fate) => {
  return (fate) => (fate.kind === from ? { kind: to } : fate);
};
const rejectForDrop = swap('drop', 'reject');
const dropForReject = swap('reject', 'drop');

const wrongDecisions: readonly WrongDecision[] = [
  {
    name: 'what the policy forbids is refused and not dropped',
    decision: ({ internal, external }) => ({
      internal: rejectForDrop(internal),
      external: rejectForDrop(external),
    }),
  },
  {
    name: 'what has no endpoint is dropped and not refused',
    decision: ({ internal, external }) => ({
      internal: dropForReject(internal),
      external: dropForReject(external),
    }),
  },
  {
    name: 'policy Local is taken for Cluster at the external destinations',
    decision: ({ shortcut, cluster }) =>
      shortcut === undefined || cluster.length === 0
        ? {}
        : { external: { kind: 'balance', to: 'cluster' }, shortcut: undefined },
  },
  {
    name: 'pods and processes have no way around policy Local',
    decision: ({ external, shortcut }) => (shortcut ? { shortcut: external } : {}),
  },
  {
    name: 'the internal policy is ignored',
    decision: ({ internal, cluster, local }) =>
      internal.kind === 'balance' && internal.to === 'local' && cluster.length > local.length
        ? { internal: { kind: 'balance', to: 'cluster' } }
        : {},
  },
  {
    name: 'an endpoint is forgotten',
    decision: ({ cluster }) => (cluster.length > 1 ? { cluster: cluster.slice(1) } : {}),
  },
  {
    name: 'every endpoint has the port of the first',
    decision: ({ cluster }) => ({
      cluster: cluster.map((one) => ({ ...one, port: cluster[0]?.port ?? one.port })),
    }),
  },
  { name: 'external IPs are forgotten', decision: () => ({ externalIPs: [] }) },
  { name: 'balancer IPs are forgotten', decision: () => ({ balancerIPs: [] }) },
  { name: 'node ports are forgotten', decision: () => ({ nodePort: 0 }) },
  { name: 'source ranges are forgotten', decision: () => ({ sourceRanges: undefined }) },
  { name: 'source ranges guard node ports too', decision: () => ({ guardEverything: true }) },
  {
    name: 'nobody is let in by source ranges',
    decision: ({ sourceRanges }) => (sourceRanges ? { sourceRanges: [] } : {}),
  },
  { name: 'nobody is taken for a pod', node: () => ({ localSource: { kind: 'none' } }) },
  { name: 'node ports answer everywhere', node: () => ({ nodePortAddresses: 'all' }) },
  { name: 'node ports answer nowhere', node: () => ({ nodePortAddresses: [] }) },
  { name: 'everything is masqueraded', node: () => ({ masqueradeAll: true }) },
  { name: 'a wish to masquerade everything is not heard', node: () => ({ masqueradeAll: false }) },
  { name: 'the service ranges are not known', node: () => ({ serviceRanges: [] }) },
];

function wrongRows(given: Case, { decision, node: nodeBug }: WrongDecision): readonly string[] {
  const atlas = new Atlas(planTopology(), given.world, 0);
  const right = decide(atlas, agentSettings(given.settings ?? {}, 'nftables'), given.owns);
  const decisions = right.decisions.map((one) => ({ ...one, ...decision?.(one) }));
  return right.nodes.flatMap((node) => {
    const index = indexDestinations(decisions, node.family);
    const told = { ...node, ...nodeBug?.(node) };
    return given.rows
      .filter((row) => row.families?.includes(node.family) ?? true)
      .flatMap((row) => {
        const packet = packetOf(atlas, row, node.family, given.owns);
        const outcome = evaluate(told, index, factsOf(atlas, given.owns), packet);
        return compareOutcome(atlas, row, node.family, row.expect, outcome).map(
          (text) => `${given.name}: ${row.says}: ${text}`,
        );
      });
  });
}

test.each(wrongDecisions)('the table of cases notices when $name', (bug) => {
  expect(cases.flatMap((given) => wrongRows(given, bug))).not.toEqual([]);
});

// ── the writers ──

interface PlantedText {
  readonly name: string;
  readonly change: (text: string) => string;
}

/** Without the lines that match. */
const without =
  (pattern: RegExp) =>
  (text: string): string =>
    text
      .split('\n')
      .filter((line) => !pattern.test(line))
      .join('\n');
const replaced =
  (pattern: RegExp, by: string) =>
  (text: string): string =>
    text.replaceAll(pattern, by);

const nftablesBugs: readonly PlantedText[] = [
  { name: 'refusals are drops', change: replaced(/^(add rule \S+ sluice refuse) reject$/gmu, '$1 drop') },
  { name: 'the mark for masquerading is never set', change: without(/meta mark set meta mark \|/u) },
  { name: 'marked packets are not masqueraded', change: without(/goto masquerade-now/u) },
  { name: 'pods are masqueraded too', change: replaced(/ip6? saddr != @pods meta mark/gu, 'meta mark') },
  {
    name: 'hairpin connections are not masqueraded',
    change: without(/@same-digit/u),
  },
  {
    name: 'the rows of node ports are missing',
    change: without(/^add element \S+ sluice nodeport-endpoints/u),
  },
  {
    name: 'the first row of a Service is another endpoint',
    change: replaced(/( \. none : \S+ \. )8080/gu, '$18089'),
  },
  { name: 'numbers of shapes lead nowhere', change: without(/^add element \S+ sluice shapes/u) },
  { name: 'source ranges are not checked', change: without(/saddr != @(nodeport-)?source-ranges drop/u) },
  { name: 'other ports of a cluster IP are let through', change: without(/daddr @cluster-ips/u) },
  { name: 'free cluster IPs are let through', change: without(/daddr @service-ranges/u) },
  {
    name: 'processes of the node are not served',
    change: replaced(/(hook output priority -105; policy accept;\n)\s+jump services\n/gu, '$1'),
  },
  {
    name: 'node ports answer at every address',
    change: replaced(/ip6? daddr @nodeport-ips (meta priority set meta l4proto)/gu, '$1'),
  },
  {
    name: 'node ports go before addresses',
    change: replaced(
      /(\n\s+meta priority set ip6? daddr .* map @service-ips .*)(\n\s+.* map @service-nodeports .*)/gu,
      '$2$1',
    ),
  },
  { name: 'UDP is written as TCP', change: replaced(/ \. 17 \. /gu, ' . 6 . ') },
  { name: 'policy Local has no way around for processes', change: without(/fib saddr type local goto/u) },
  { name: 'the last row of two is missing', change: replaced(/, [^,{}]+ \. 0:1 : [^,{}]+ \. \d+/gu, '') },
];

const iptablesBugs: readonly PlantedText[] = [
  { name: 'refusals are drops', change: replaced(/-j REJECT --reject-with \S+/gu, '-j DROP') },
  {
    name: 'drops are refusals',
    change: replaced(
      /^(-A SLUICE-DROP(?:-NP)?) -j DROP$/gmu,
      '$1 -j REJECT --reject-with icmp-port-unreachable',
    ),
  },
  {
    name: 'the mark for masquerading is never set',
    change: without(/^-A SLUICE-(?:EXT|DISPATCH).*--or-mark/u),
  },
  { name: 'marked packets are not masqueraded', change: without(/-j MASQUERADE/u) },
  {
    name: 'hairpin connections are not masqueraded',
    change: without(/^-A SLUICE-POSTROUTING .*--ctstate DNAT/u),
  },
  {
    name: 'the last endpoint of a Service is left out',
    change: without(/^-A SLUICE-SVC-\S+ -p \S+ -j DNAT/u),
  },
  { name: 'source ranges are open', change: replaced(/^(-A SLUICE-FW-\S+) -s \S+ /gmu, '$1 ') },
  { name: 'no source range lets anybody in', change: without(/^-A SLUICE-FW-/u) },
  { name: 'the dispatch of node ports is empty', change: without(/^-A SLUICE-NODEPORTS/u) },
  {
    name: 'node ports answer at every address',
    change: replaced(
      / -m set --match-set SLUICE-\d-NODE dst|^-A SLUICE-SERVICES .*-OUR dst -j RETURN$/gmu,
      '',
    ),
  },
  {
    name: 'node ports go before addresses',
    change: replaced(/^(-A SLUICE-SERVICES .*-g SLUICE-DISPATCH\n)(-A SLUICE-SERVICES .*\n)/gmu, '$2$1'),
  },
  { name: 'processes of the node are not served', change: without(/^-A SLUICE-PROCESSES/u) },
  { name: 'other ports of a cluster IP are let through', change: without(/-CIP dst -j REJECT/u) },
  { name: 'UDP is written as TCP', change: replaced(/-p udp -m udp/gu, '-p tcp -m tcp') },
  {
    name: 'a destination is missing in the set of destinations',
    change: without(/^add SLUICE-\d-DST .*:80$/u),
  },
  { name: 'what the policy forbids is in no set', change: without(/^add SLUICE-\d-DRP/u) },
];

/** Worlds with packets, the same in every run. */
const worlds = fc.sample(worldWithPackets(40), { numRuns: 150, seed: 20_260 });

type Compare = (at: DecidedWorld, change: PlantedText['change']) => (packet: Packet) => boolean;

/** Whether the written rules do with a packet what was decided; a rule that cannot be read throws. */
const withNftables: Compare = (at, change) => {
  const ruleset = readRuleset(
    change([...renderNftables(at.node, at.decisions)].join(''))
      .split('\n')
      .map((line) => `${line}\n`),
  );
  return (packet) => agrees(trace(ruleset, at.facts, packet), evaluate(at.node, at.index, at.facts, packet));
};

const withIptables: Compare = (at, change) => {
  const { sets, rules } = renderIptables(at.node, at.decisions);
  const tracer = new Tracer(at.node.family, change(rules), change(sets));
  return (packet) =>
    plain(tracer.trace(packet, at.facts)) === plain(evaluate(at.node, at.index, at.facts, packet));
};

function plain(outcome: Outcome | ReturnType<Tracer['trace']>): string {
  if (outcome.kind !== 'deliver') return outcome.kind;
  const ends = outcome.to.map((one) => {
    const { address, port } = 'endpoint' in one ? one.endpoint : one;
    return `${address} ${port} ${one.masquerade}`;
  });
  return ends.toSorted().join();
}

const writers = [
  { writer: 'nftables', bugs: nftablesBugs, compare: withNftables },
  { writer: 'iptables', bugs: iptablesBugs, compare: withIptables },
] as const;

describe.each(writers)('$writer', ({ writer, bugs, compare }) => {
  const asked = worlds.flatMap(({ world, packets, at }) => {
    const settings = {
      ...world.settings,
      backend: writer,
      ...(writer === 'nftables' ? { localhostNodePorts: false } : {}),
    };
    const again = decided({ ...world, settings }, at.node.family);
    return again === undefined ? [] : [{ at: again, packets }];
  });
  /**
   * How many worlds notice: by an outcome that is another one, or because the tracer refuses what it met on the way (a
   * mark that leaves the node, a packet with two fates, an element that is there twice).
   */
  const noticed = (change: PlantedText['change']): number =>
    asked.filter(({ at, packets }) => {
      try {
        const right = compare(at, change);
        return packets.some((packet) => !right(packet));
      } catch (error) {
        if (error instanceof SluiceError) return true;
        throw error;
      }
    }).length;

  test('nothing is noticed where nothing is wrong', () => {
    expect(noticed((text) => text)).toBe(0);
  });

  test.each(bugs)('it is noticed when $name', ({ change }) => {
    expect(noticed(change)).toBeGreaterThan(0);
  });
});
