/**
 * Random worlds with real packets: for each packet, what the pure evaluator says, what each backend's tracer reads in
 * its written rules, and what comes of it in a bed where the backend has written them, are the same.
 *
 * A bounded number of worlds, the same in every run but for the seed, which SLUICE_SEED changes and every failure names.
 * Each world follows the one before as a change, so the rules have a history too.
 */
import { fc } from '@fast-check/vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { indexDestinations } from '../../src/agent/decide/destinations.ts';
import { evaluate } from '../../src/agent/evaluate.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import { render as renderIptables } from '../../src/agent/iptables/render.ts';
import { Tracer } from '../../src/agent/iptables/tracer.ts';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import { readRuleset } from '../../src/agent/nftables/ruleset.ts';
import { render as renderNftables } from '../../src/agent/nftables/text.ts';
import { agrees, trace } from '../../src/agent/nftables/tracer.ts';
import type { NodeDecision } from '../../src/agent/decision.ts';
import type { Outcome, Packet } from '../../src/agent/packet.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import { cleanUp } from './agent-process.ts';
import { backendProgrammer } from './backends.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Expectation, PacketRow, Target } from './cases/row.ts';
import { checkRow, prepareBed, type MakeProgrammer } from './check.ts';
import { agentSettings, decide, factsOf, packetOf, type Decided } from './meaning.ts';
import { Atlas, type World, type WorldEndpoint, type WorldService } from './world.ts';

const seed = Number(process.env['SLUICE_SEED'] ?? 41);
const worldsPerBackend = 6;
const packetsPerWorld = 14;

const places = ['n1-a', 'n1-b', 'n2-a', 'n2-b', 'n3-a', 'n1', 'n2'];
const names = ['red', 'green', 'blue', 'grey'];
const ports = [
  { name: 'http', port: 80 },
  { name: 'dns', port: 53, protocol: 'UDP' as const },
];

const endpoint: fc.Arbitrary<WorldEndpoint> = fc
  .oneof(
    { weight: 5, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.constant({ ready: false }) },
    { weight: 1, arbitrary: fc.constant({ ready: false, serving: true, terminating: true }) },
    { weight: 1, arbitrary: fc.constant({ slice: '2' }) },
  )
  .chain((more) => fc.constantFrom(...places).map((at) => ({ at, ...more })));

const policy = fc.constantFrom('Cluster' as const, 'Local' as const);

function serviceCalled(name: string): fc.Arbitrary<WorldService> {
  return fc
    .record({
      endpoints: fc.uniqueArray(endpoint, { maxLength: 4, selector: ({ at }) => at }),
      type: fc.constantFrom('ClusterIP' as const, 'NodePort' as const, 'LoadBalancer' as const),
      externalIPs: fc.integer({ min: 0, max: 1 }),
      internalTrafficPolicy: policy,
      externalTrafficPolicy: policy,
      both: fc.boolean(),
      ranges: fc.constantFrom(
        undefined,
        ['172.31.0.201/32', 'fd00:172:31::c9/128'],
        ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      ),
      sticky: fc.integer({ min: 0, max: 5 }),
    })
    .map(({ both, ranges, sticky, ...rest }) => ({
      name,
      ...rest,
      ports: both ? ports : ports.slice(0, 1),
      ...(rest.type === 'LoadBalancer'
        ? { balancerIPs: 1, ...(ranges ? { sourceRanges: ranges } : {}) }
        : {}),
      ...(sticky === 0 ? { affinitySeconds: 60 } : {}),
    }));
}

const world: fc.Arbitrary<World> = fc.tuple(...names.map(serviceCalled));

/** Where a client may aim, and who it is. */
const aim = fc.record({
  from: fc.constantFrom('n1', 'n1-a', 'n1-b', 'x1', 'x2'),
  of: fc.constantFrom(...names),
  at: fc.constantFrom('V' as const, 'V' as const, 'E' as const, 'L' as const, 'node port' as const),
  second: fc.boolean(),
  odd: fc.integer({ min: 0, max: 7 }),
});

function rowFor(
  given: World,
  wish: { from: string; of: string; at: 'V' | 'E' | 'L' | 'node port'; second: boolean; odd: number },
): PacketRow {
  const service = given.find(({ name }) => name === wish.of);
  const offered: ('V' | 'E' | 'L' | 'node port')[] = [
    'V',
    ...(service?.externalIPs === 1 ? (['E'] as const) : []),
    ...(service?.balancerIPs === 1 ? (['L'] as const) : []),
    ...(service?.type === 'ClusterIP' ? [] : (['node port'] as const)),
  ];
  const at = offered.includes(wish.at) ? wish.at : 'V';
  const port = wish.second && service?.ports?.length === 2 ? 1 : 0;
  const to: Target =
    wish.odd === 0
      ? { at: 'free cluster IP' }
      : wish.odd === 1
        ? { at: 'V', of: wish.of, portNumber: 4444 }
        : { at, of: wish.of, port };
  const protocol = port === 1 && wish.odd > 1 ? 'UDP' : 'TCP';
  return {
    rule: 'random',
    says: JSON.stringify(to),
    from: wish.from,
    to,
    protocol,
    expect: { kind: 'untouched' },
  };
}

const sample = fc.sample(
  fc.tuple(world, fc.array(aim, { minLength: packetsPerWorld, maxLength: packetsPerWorld })),
  { seed, numRuns: worldsPerBackend },
);

// ── the three ways ──

/** What is to be seen of an outcome in the bed. */
function expectationOf(
  atlas: Atlas,
  row: PacketRow,
  family: IpFamily,
  outcome: Outcome,
  sticky: boolean,
): Expectation {
  switch (outcome.kind) {
    case 'drop':
      return { kind: 'silence' };
    case 'reject':
      return { kind: 'refused' };
    case 'untouched':
      // At its own address the node refuses what nobody translates; the rest leaves, and is told so.
      return { kind: row.to.at === 'node port' ? 'refused' : 'untouched' };
    case 'deliver': {
      const { nodes, pods } = atlas.topology;
      const nameOf = (address: string): string =>
        [...nodes, ...pods].find((place) => place.address[family] === address)?.name ?? address;
      const who = outcome.to.map(({ endpoint: { address } }) => nameOf(address));
      const others = outcome.to.filter(({ endpoint: { address } }) => nameOf(address) !== row.from);
      const source = (others[0] ?? outcome.to[0])?.masquerade === true ? 'node' : 'kept';
      return sticky ? { kind: 'sticks', who } : { kind: 'reaches', who, source };
    }
  }
}

function tracers(node: NodeDecision, { decisions }: Decided, atlas: Atlas): (packet: Packet) => string[] {
  const own = decisions.filter(({ family }) => family === node.family);
  const facts = factsOf(atlas);
  const ruleset = readRuleset(renderNftables(node, own));
  const { rules, sets } = renderIptables(node, own);
  const tracer = new Tracer(node.family, rules, sets);
  const index = indexDestinations(own, node.family);
  return (packet) => {
    const outcome = evaluate(node, index, facts, packet);
    const traced = trace(ruleset, facts, packet);
    const other = tracer.trace(packet, facts);
    const ends = (found: Outcome | typeof other): string =>
      found.kind === 'deliver'
        ? found.to
            .map((one) => {
              const { address, port } = 'endpoint' in one ? one.endpoint : one;
              return `${address} ${port} ${one.masquerade}`;
            })
            .toSorted()
            .join()
        : found.kind;
    return [
      ...(agrees(traced, outcome) ? [] : [`nftables tracer: ${JSON.stringify(traced)}`]),
      ...(ends(other) === ends(outcome) ? [] : [`iptables tracer: ${JSON.stringify(other)}`]),
    ];
  };
}

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.make();
  await prepareBed(bed);
});
afterAll(() => bed.remove());

const clear = async (made: Bed): Promise<void> => {
  await cleanUp(made, 'n1');
};
const iptables = (variant: 'nft' | 'legacy'): MakeProgrammer =>
  backendProgrammer({
    kind: 'iptables',
    open: async (made, family) =>
      (await openIptables({ family, variant, spawn: (program, args) => made.spawn('n1', program, args) }))
        .backend,
    cleanUp: clear,
  });
const writers: readonly (readonly [string, 'nftables' | 'iptables', MakeProgrammer])[] = [
  [
    'nftables',
    'nftables',
    backendProgrammer({
      kind: 'nftables',
      open: (made, family) =>
        Promise.resolve(
          new NftablesBackend({ family, start: (program, args) => made.spawn('n1', program, args) }),
        ),
      cleanUp: clear,
    }),
  ],
  ['iptables-nft', 'iptables', iptables('nft')],
  ['iptables-legacy', 'iptables', iptables('legacy')],
];

test.each(writers)('%s: evaluator, tracers and packets agree', async (name, kind, make) => {
  const programmer = await make(bed, {});
  const wrong: string[] = [];
  const outcomes = new Map<string, number>();
  try {
    for (const [block, [given, wishes]] of sample.entries()) {
      const atlas = new Atlas(bed.topology, given, 30 + block);
      const decided = decide(atlas, agentSettings({}, kind));
      await programmer.become(atlas);
      for (const node of decided.nodes) {
        const { family } = node;
        const traced = tracers(node, decided, atlas);
        const index = indexDestinations(decided.decisions, family);
        const check = async (wish: (typeof wishes)[number]): Promise<string[]> => {
          const row = rowFor(given, wish);
          const packet = packetOf(atlas, row, family);
          const outcome = evaluate(node, index, factsOf(atlas), packet);
          outcomes.set(outcome.kind, (outcomes.get(outcome.kind) ?? 0) + 1);
          const sticky = given.find((one) => one.name === wish.of)?.affinitySeconds !== undefined;
          const expected = expectationOf(atlas, row, family, outcome, sticky);
          const found = [...traced(packet), ...(await checkRow(bed, atlas, row, expected, family))];
          return found.map(
            (text) =>
              `seed ${seed}, world ${block}, ${family}: ${row.from} to ${row.says} ${row.protocol}: ${JSON.stringify(expected)}: ${text}`,
          );
        };
        const isSticky = ({ of }: (typeof wishes)[number]): boolean =>
          given.find((one) => one.name === of)?.affinitySeconds !== undefined;
        wrong.push(...(await Promise.all(wishes.filter((wish) => !isSticky(wish)).map(check))).flat());
        // A client has one memory for a port: asked at two destinations at once, it may be moved by either.
        for (const wish of wishes.filter(isSticky)) wrong.push(...(await check(wish)));
      }
    }
  } finally {
    await programmer.close();
    await bed.run('n1', 'conntrack', ['-F']);
  }
  console.log(`${name}: seed ${seed}, ${JSON.stringify(Object.fromEntries(outcomes))}`);
  expect(wrong).toEqual([]);
  for (const outcome of ['deliver', 'drop', 'reject']) expect(outcomes.get(outcome) ?? 0).toBeGreaterThan(3);
});
