import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import {
  changed,
  decided,
  agentWorld,
  worldChange,
  worldWithPackets,
} from '../../../test/support/agent-worlds.ts';
import { aDecision, aNodeDecision } from '../../../test/packets/iptables-bench.ts';
import type { Decision } from '../decision.ts';
import { evaluate } from '../evaluate.ts';
import { indexDestinations } from '../decide/destinations.ts';
import type { Outcome, Packet } from '../packet.ts';
import { emptyDelta } from './delta.ts';
import { Model } from './model.ts';
import { render, renderModel } from './render.ts';
import { Tracer, type Traced } from './tracer.ts';

/** Comparable form of what the evaluator says. */
function plain(outcome: Outcome | Traced): unknown {
  if (outcome.kind !== 'deliver') return outcome.kind;
  return outcome.to
    .map((one) => {
      const { address, port } = 'endpoint' in one ? one.endpoint : one;
      return `${address} ${port} ${one.masquerade ? 'masqueraded' : 'kept'}`;
    })
    .toSorted();
}

describe.each([{ bpf: true }, { bpf: false }])('with the bpf match: $bpf', ({ bpf }) => {
  property.prop([worldWithPackets(30)], { numRuns: 400 })(
    'written rules and evaluator say the same of random packets in random worlds',
    ({ at, packets }) => {
      const { sets, rules } = render(at.node, at.decisions, { bpf, randomFully: true });
      const tracer = new Tracer(at.node.family, rules, sets);
      for (const packet of packets) {
        expect(plain(tracer.trace(packet, at.facts, 0x1)), JSON.stringify(packet)).toEqual(
          plain(evaluate(at.node, at.index, at.facts, packet)),
        );
      }
    },
  );
});

property.prop([worldWithPackets(20)], { numRuns: 200 })(
  'each endpoint gets the part of new connections that its weight says',
  ({ at, packets }) => {
    const { sets, rules } = render(at.node, at.decisions);
    const tracer = new Tracer(at.node.family, rules, sets);
    for (const packet of packets) {
      const wanted = evaluate(at.node, at.index, at.facts, packet);
      const traced = tracer.trace(packet, at.facts);
      if (wanted.kind !== 'deliver' || traced.kind !== 'deliver') continue;
      const total = wanted.to.reduce((sum, { endpoint }) => sum + endpoint.weight, 0);
      for (const { endpoint } of wanted.to) {
        const found = traced.to.find(
          ({ address, port }) => address === endpoint.address && port === endpoint.port,
        );
        expect(found?.share).toBeCloseTo(endpoint.weight / total, 6);
      }
    }
  },
);

property.prop(
  [agentWorld, fc.array(worldChange, { maxLength: 12 }), fc.constantFrom('IPv4' as const, 'IPv6' as const)],
  {
    numRuns: 200,
  },
)('any history of changes ends in the rules of a cold start', (world, changes, family) => {
  const start = decided(world, family);
  if (start === undefined) return;
  const layout = { family, node: start.node, abilities: { bpf: false, randomFully: true } };
  const model = new Model(layout);
  const put = (before: readonly Decision[], after: readonly Decision[]): void => {
    const delta = emptyDelta();
    const kept = new Map(after.map((decision) => [decision.key, decision]));
    for (const { key } of before) if (!kept.has(key)) model.put(key, undefined, delta);
    for (const decision of after) model.put(decision.key, decision, delta);
    model.finish(delta);
  };
  let before: readonly Decision[] = [];
  let last = world;
  put(before, start.decisions);
  before = start.decisions;
  for (const change of changes) {
    last = changed(last, change);
    const next = decided(last, family)?.decisions ?? [];
    put(before, next);
    before = next;
  }
  const cold = new Model(layout);
  const delta = emptyDelta();
  for (const decision of before) cold.put(decision.key, decision, delta);
  expect(sorted(renderModel(model))).toEqual(sorted(renderModel(cold)));
});

describe('an endpoint in the host network whose address and port are a destination', () => {
  const facts = { addresses: new Set(['10.0.0.1', '127.0.0.1']) };
  const itself = { address: '10.0.0.1', port: 80, local: true, weight: 1 };
  const all = { kind: 'balance', to: 'cluster' } as const;
  const sources: readonly Pick<Packet, 'source' | 'from'>[] = [
    { source: '192.0.2.9', from: { kind: 'interface', name: 'eth0' } },
    { source: '198.18.0.9', from: { kind: 'interface', name: 'eth0' } },
    { source: '10.244.1.2', from: { kind: 'interface', name: 'veth1' } },
    { source: '10.0.0.1', from: { kind: 'process' } },
  ];
  const worlds: readonly (readonly [string, readonly Decision[]])[] = [
    [
      'of the Service itself, behind source ranges',
      [
        aDecision(1, {
          endpoints: 0,
          some: { cluster: [itself], balancerIPs: ['10.0.0.1'], sourceRanges: ['192.0.2.0/24'] },
        }),
      ],
    ],
    [
      'of the Service itself, under policy Local',
      [
        aDecision(1, {
          endpoints: 0,
          some: { cluster: [itself], externalIPs: ['10.0.0.1'], external: { kind: 'drop' }, shortcut: all },
        }),
      ],
    ],
    [
      'of another Service that refuses it',
      [
        aDecision(1, { endpoints: 0, some: { cluster: [itself] } }),
        aDecision(2, {
          endpoints: 0,
          some: { externalIPs: ['10.0.0.1'], internal: { kind: 'reject' }, external: { kind: 'reject' } },
        }),
      ],
    ],
  ];

  test.each(worlds)('%s, is reached by who may', (_, decisions) => {
    for (const localSource of [
      { kind: 'cidrs', cidrs: ['10.244.0.0/16'] },
      { kind: 'cidrs', cidrs: ['10.244.0.0/16', '10.245.0.0/16'] },
      { kind: 'interface-prefix', prefix: 'veth' },
      { kind: 'none' },
    ] as const) {
      const node = aNodeDecision({ localSource });
      const index = indexDestinations(decisions, 'IPv4');
      const { sets, rules } = render(node, decisions);
      const tracer = new Tracer('IPv4', rules, sets);
      for (const { source, from } of sources) {
        for (const destination of ['10.0.0.1', '10.96.0.1', '10.96.0.2']) {
          const packet: Packet = { family: 'IPv4', protocol: 'TCP', source, destination, port: 80, from };
          expect(plain(tracer.trace(packet, facts)), JSON.stringify({ localSource, packet })).toEqual(
            plain(evaluate(node, index, facts, packet)),
          );
        }
      }
    }
  });
});

/** Service chains may come in any order. */
function sorted({ sets, rules }: { readonly sets: string; readonly rules: string }): unknown {
  const byChain = new Map<string, string[]>();
  for (const line of rules.split('\n')) {
    const [, name = ''] = /^-A (\S+)/.exec(line) ?? [];
    byChain.set(name, [...(byChain.get(name) ?? []), line]);
  }
  byChain.delete('');
  return { sets, chains: Object.fromEntries([...byChain].toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

test('the tracer refuses what it does not know', () => {
  const refused =
    (rule: string): (() => unknown) =>
    () =>
      new Tracer('IPv4', `*nat\n:SLUICE-X - [0:0]\n-A SLUICE-X ${rule}\nCOMMIT\n`, '');
  expect(refused('-p tcp -m multiport --dports 1,2 -j RETURN')).toThrow('module "multiport"');
  expect(refused('-p tcp -j SLUICE-Y')).toThrow('SLUICE-Y, which is not there');
  expect(refused('-m set --match-set SLUICE-4-DST dst -j RETURN')).toThrow('set SLUICE-4-DST is not there');
  expect(refused('-p tcp')).toThrow('no target');
});
