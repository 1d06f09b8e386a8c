/**
 * Small random clusters as a node agent sees them, random histories of changes, and random packets aimed at what is
 * interesting there: for properties of the decision layer, of the writers' tracers and of real rules.
 */
import { fc } from '@fast-check/vitest';
import type {
  EndpointSliceObject,
  IpFamily,
  NodeObject,
  ObjectKey,
  ServiceObject,
  TransportProtocol,
} from '../../src/core/objects.ts';
import { objectKey } from '../../src/core/objects.ts';
import { familyOf, isLoopback } from '../../src/agent/decide/addresses.ts';
import type { Conflict } from '../../src/agent/decide/claims.ts';
import { indexDestinations } from '../../src/agent/decide/destinations.ts';
import type { DestinationIndex } from '../../src/agent/decide/destinations.ts';
import { decideNode } from '../../src/agent/decide/node.ts';
import type { AgentSettings } from '../../src/agent/decide/settings.ts';
import { viewNode } from '../../src/agent/decide/view.ts';
import { decideWorld } from '../../src/agent/decide/world.ts';
import type { Decision, NodeDecision } from '../../src/agent/decision.ts';
import type { NodeFacts, Packet } from '../../src/agent/packet.ts';

import {
  agentService,
  agentSettings,
  agentSlice,
  balancerIPs,
  clusterIPs,
  externalIPs,
  families,
  interfaceAddresses,
  mostly,
  names,
  nodeAddresses,
  nodePorts,
  ownNode,
  pods,
  ports,
  serviceNamed,
  sliceNamed,
  sliceNumbers,
} from './agent-objects.ts';

export interface AgentWorld {
  readonly settings: AgentSettings;
  /** The own Node object. */
  readonly node: NodeObject;
  /** Of the node's interfaces. */
  readonly addresses: readonly string[];
  /** Unique by key. */
  readonly services: readonly ServiceObject[];
  /** Unique by key. */
  readonly slices: readonly EndpointSliceObject[];
}

/** There in all but one of `times` cases. */
function sometimes<T>(arbitrary: fc.Arbitrary<T>, times: number): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined, freq: times - 1 });
}

function present<T>(list: readonly (T | undefined)[]): readonly T[] {
  return list.filter((one) => one !== undefined);
}

export const agentWorld: fc.Arbitrary<AgentWorld> = fc.record({
  settings: agentSettings,
  node: ownNode,
  addresses: interfaceAddresses,
  services: fc.tuple(...names.map((name) => sometimes(serviceNamed(name), 4))).map(present),
  slices: fc
    .tuple(...names.flatMap((name) => sliceNumbers.map((number) => sometimes(sliceNamed(name, number), 6))))
    .map(present),
});

// ── changes ──

export type WorldChange =
  | { readonly kind: 'service'; readonly object: ServiceObject }
  | { readonly kind: 'service-gone'; readonly key: ObjectKey }
  | { readonly kind: 'slice'; readonly object: EndpointSliceObject }
  | { readonly kind: 'slice-gone'; readonly key: ObjectKey }
  | { readonly kind: 'node'; readonly object: NodeObject }
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] };

export const worldChange: fc.Arbitrary<WorldChange> = fc.oneof(
  { weight: 4, arbitrary: agentService.map((object): WorldChange => ({ kind: 'service', object })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...names)
      .map((name): WorldChange => ({ kind: 'service-gone', key: objectKey('default', name) })),
  },
  { weight: 6, arbitrary: agentSlice.map((object): WorldChange => ({ kind: 'slice', object })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...names), fc.constantFrom(...sliceNumbers))
      .map(([name, number]): WorldChange => ({
        kind: 'slice-gone',
        key: objectKey('default', `${name}-${number}`),
      })),
  },
  { weight: 1, arbitrary: ownNode.map((object): WorldChange => ({ kind: 'node', object })) },
  {
    weight: 1,
    arbitrary: interfaceAddresses.map((addresses): WorldChange => ({ kind: 'addresses', addresses })),
  },
);

/** The world after a change; deleting what is not there changes nothing. */
export function changed(world: AgentWorld, change: WorldChange): AgentWorld {
  switch (change.kind) {
    case 'service':
      return { ...world, services: upsert(world.services, change.object) };
    case 'service-gone':
      return { ...world, services: world.services.filter(({ key }) => key !== change.key) };
    case 'slice':
      return { ...world, slices: upsert(world.slices, change.object) };
    case 'slice-gone':
      return { ...world, slices: world.slices.filter(({ key }) => key !== change.key) };
    case 'node':
      return { ...world, node: change.object };
    case 'addresses':
      return { ...world, addresses: change.addresses };
  }
}

function upsert<T extends { readonly key: ObjectKey }>(list: readonly T[], object: T): readonly T[] {
  return [...list.filter(({ key }) => key !== object.key), object];
}

// ── what is decided there ──

export interface DecidedWorld {
  readonly node: NodeDecision;
  readonly decisions: readonly Decision[];
  readonly index: DestinationIndex;
  readonly facts: NodeFacts;
  readonly conflicts: readonly Conflict[];
}

/** Undefined where the settings do not name the family. */
export function decided(world: AgentWorld, family: IpFamily): DecidedWorld | undefined {
  const node = decideNode(world.node, world.addresses, world.settings).find((one) => one.family === family);
  if (node === undefined) return undefined;
  const view = viewNode(world.node, world.settings);
  const { decisions, conflicts } = decideWorld(world.services, world.slices, view);
  const mine = decisions.filter((decision) => decision.family === family);
  return {
    node,
    decisions: mine,
    index: indexDestinations(mine, family),
    facts: { addresses: new Set(world.addresses) },
    conflicts: conflicts.filter((one) => one.family === family),
  };
}

// ── packets ──

interface Source {
  readonly address: string;
  readonly from: Packet['from'];
}

const sources: Readonly<Record<IpFamily, readonly Source[]>> = {
  IPv4: sourcesOf('IPv4', ['198.18.0.9', '192.0.2.9', '203.0.113.200']),
  IPv6: sourcesOf('IPv6', ['2001:db8:c::9', '2001:db8:d::9', '2001:db8:b::9']),
};

/** By the interface that a source of this kind really comes in by. */
function sourcesOf(family: IpFamily, strangers: readonly string[]): readonly Source[] {
  return [
    ...nodeAddresses[family].map((address): Source => ({ address, from: { kind: 'process' } })),
    ...pods.slice(0, 5).flatMap((pod): Source[] =>
      (pod.node === 'n1' ? ['cni0', 'veth1'] : ['vxlan0']).map((name) => ({
        address: pod[family],
        from: { kind: 'interface', name },
      })),
    ),
    ...strangers.map((address): Source => ({ address, from: { kind: 'interface', name: 'eth0' } })),
  ];
}

const destinations: Readonly<Record<IpFamily, readonly string[]>> = {
  IPv4: [
    ...clusterIPs.IPv4,
    ...externalIPs.filter((text) => !text.includes(':')),
    ...balancerIPs.filter((text) => !text.includes(':')),
    ...nodeAddresses.IPv4,
    '10.96.9.9',
    '10.244.2.2',
    '10.244.1.1',
    '192.0.2.200',
  ],
  IPv6: [
    ...clusterIPs.IPv6,
    ...externalIPs.filter((text) => text.includes(':')),
    ...balancerIPs.filter((text) => text.includes(':')),
    ...nodeAddresses.IPv6,
    'fd00:96::999',
    'fd00:244:2::2',
    'fd00:244:1::1',
    '2001:db8:ffff::1',
  ],
};

/** A first packet that could really arrive: processes have the node's addresses, pods come in by pod interfaces. */
export function agentPacket(family: IpFamily): fc.Arbitrary<Packet> {
  const rest = {
    protocol: mostly<TransportProtocol>('TCP', 'UDP', 'SCTP'),
    port: fc.constantFrom(...ports, ...nodePorts, 9999),
  };
  const usual = fc
    .record({
      ...rest,
      source: fc.constantFrom(...sources[family]),
      destination: fc.constantFrom(...destinations[family]),
    })
    .map(({ source, ...packet }): Packet => ({
      ...packet,
      family,
      source: source.address,
      from: source.from,
    }));
  const loopback = family === 'IPv4' ? '127.0.0.1' : '::1';
  const inside = fc.record(rest).map((packet): Packet => ({
    ...packet,
    family,
    source: loopback,
    destination: loopback,
    from: { kind: 'process' },
  }));
  return fc.oneof({ weight: 19, arbitrary: usual }, { weight: 1, arbitrary: inside });
}

/** A packet to a destination that some decision of this world holds, or just beside it. */
export function aimedPacket({ node: { family }, decisions, facts }: DecidedWorld): fc.Arbitrary<Packet> {
  const targets = decisions.flatMap(
    ({ protocol, port, nodePort, clusterIP, balancerIPs: l, externalIPs: e }) => [
      ...[...(clusterIP === undefined ? [] : [clusterIP]), ...l, ...e].map((destination) => ({
        protocol,
        destination,
        port,
      })),
      ...(nodePort === 0
        ? []
        : [...nodeAddresses[family], ...l, ...e].map((destination) => ({
            protocol,
            destination,
            port: nodePort,
          }))),
    ],
  );
  const any = agentPacket(family);
  if (targets.length === 0) return any;
  // A process may have any address of its node as its source, also a balancer IP that the node holds.
  const own = [...facts.addresses].filter((text) => familyOf(text) === family && !isLoopback(text));
  const aimed = fc
    .record({ packet: any, target: fc.constantFrom(...targets), source: fc.constantFrom(...own) })
    .map(({ packet, target, source }): Packet => {
      if (isLoopback(packet.source)) return packet;
      const there = { ...packet, ...target };
      return packet.from.kind === 'process' ? { ...there, source } : there;
    });
  return fc.oneof({ weight: 4, arbitrary: aimed }, { weight: 1, arbitrary: any });
}

export interface WorldWithPackets {
  readonly world: AgentWorld;
  readonly at: DecidedWorld;
  readonly packets: readonly Packet[];
}

/** A world, one family of it, and packets that mostly meet its Services. */
export function worldWithPackets(count: number): fc.Arbitrary<WorldWithPackets> {
  return fc
    .tuple(agentWorld, fc.constantFrom(...families))
    .map(([world, family]) => {
      const [only = family] = world.settings.families;
      return { world, at: decided(world, world.settings.families.includes(family) ? family : only) };
    })
    .chain(({ world, at }) =>
      at === undefined
        ? fc.constant<never[]>([]).map(() => {
            throw new Error('the settings of a world name at least one family');
          })
        : fc
            .array(aimedPacket(at), { minLength: count, maxLength: count })
            .map((packets): WorldWithPackets => ({ world, at, packets })),
    );
}
