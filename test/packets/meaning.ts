/**
 * The cases in the words of the agent: worlds as decisions, rows as packets, expectations as outcomes. With these the
 * same table goes through the pure evaluator and through the tracers of written rules, beside real packets.
 */
import { unreachable } from '../../src/core/errors.ts';
import type { IpFamily, NodeName } from '../../src/core/objects.ts';
import { decideNode } from '../../src/agent/decide/node.ts';
import { defaultSettings, type AgentSettings, type DetectLocal } from '../../src/agent/decide/settings.ts';
import { viewNode } from '../../src/agent/decide/view.ts';
import { decideWorld } from '../../src/agent/decide/world.ts';
import type { Decision, NodeDecision } from '../../src/agent/decision.ts';
import type { NodeFacts, Outcome, Packet } from '../../src/agent/packet.ts';
import { makeIntern } from '../../src/kube/intern.ts';
import type { RawService, RawSlice } from '../../src/kube/raw.ts';
import { slimNode, slimService, slimSlice } from '../../src/kube/slim.ts';
import { clusterRange } from '../../src/sandbox/bed/topology.ts';
import type { Case, Expectation, PacketRow, Settings } from './cases/row.ts';
import { destination, servedPorts } from './check.ts';
import { bedNode } from '../../src/sandbox/bed/node-object.ts';
import { serviceRange } from './cluster.ts';
import type { Atlas } from './world.ts';

const loopback = { IPv4: '127.0.0.1', IPv6: '::1' } as const;

/** The agent's settings for a case, in place of kube-proxy. */
export function agentSettings(settings: Settings, backend: AgentSettings['backend']): AgentSettings {
  return {
    ...defaultSettings('n1' as NodeName),
    backend,
    scope: 'all',
    detectLocal: detectLocal(settings.local ?? { kind: 'cluster' }),
    masqueradeAll: settings.masqueradeAll ?? false,
    nodePortAddresses: settings.nodePortAddresses ?? 'primary',
    serviceRanges: Object.values(serviceRange),
  };
}

function detectLocal(local: NonNullable<Settings['local']>): DetectLocal {
  switch (local.kind) {
    case 'cluster':
      return { kind: 'cluster-cidr', cidrs: Object.values(clusterRange) };
    case 'prefix':
      return { kind: 'interface-prefix', prefix: local.prefix };
    case 'bridge':
    case 'none':
      return local;
    default:
      return unreachable(local);
  }
}

/** Every address of n1, with those that a case lends it. */
export function addressesOfNode(atlas: Atlas, owns: Case['owns'] = []): string[] {
  const node = atlas.topology.nodes[0];
  if (node === undefined) return [];
  return (['IPv4', 'IPv6'] as const).flatMap((family) => [
    loopback[family],
    ...[node.address, node.second, node.gateway, node.vtep.address].map((each) => each[family]),
    ...owns.map(({ at, of }) => atlas.address(of, at, family)),
  ]);
}

export interface Decided {
  /** One for each family. */
  readonly nodes: readonly NodeDecision[];
  /** Of both families. */
  readonly decisions: readonly Decision[];
}

/** What n1 is to do with a world. */
export function decide(atlas: Atlas, settings: AgentSettings, owns: Case['owns'] = []): Decided {
  const intern = makeIntern();
  const manifests = atlas.manifests();
  const of = (kind: string): typeof manifests => manifests.filter((object) => object.kind === kind);
  const [place] = atlas.topology.nodes;
  const node = place && slimNode(bedNode(place), intern);
  const { decisions } = decideWorld(
    of('Service').map((object) => slimService(object as RawService, intern)),
    of('EndpointSlice').map((object) => slimSlice(object as RawSlice, intern)),
    viewNode(node, settings),
  );
  return { nodes: decideNode(node, addressesOfNode(atlas, owns), settings), decisions };
}

/** The first packet of a row's connection as n1 meets it. */
export function packetOf(atlas: Atlas, row: PacketRow, family: IpFamily, owns: Case['owns'] = []): Packet {
  const { address, port, protocol = 'TCP' } = destination(atlas, row.to, row.protocol ?? 'TCP', family);
  const own = addressesOfNode(atlas, owns);
  const process = row.from === 'n1';
  // A process that speaks to an address of its own node has that address itself.
  const source = process && own.includes(address) ? address : atlas.place(row.source ?? row.from, family);
  return {
    family,
    protocol,
    source,
    destination: address,
    port,
    from: process
      ? { kind: 'process' }
      : { kind: 'interface', name: row.from.startsWith('n1-') ? 'cni0' : 'eth0' },
  };
}

export function factsOf(atlas: Atlas, owns: Case['owns'] = []): NodeFacts {
  return { addresses: new Set(addressesOfNode(atlas, owns)) };
}

/** What is wrong with an outcome; nothing where it is as expected. */
export function compareOutcome(
  atlas: Atlas,
  row: PacketRow,
  family: IpFamily,
  expected: Expectation,
  outcome: Outcome,
): string[] {
  const wrong = [`came to ${JSON.stringify(outcome)}`];
  switch (expected.kind) {
    case 'silence':
      return outcome.kind === 'drop' ? [] : wrong;
    case 'untouched':
      return outcome.kind === 'untouched' ? [] : wrong;
    case 'refused': {
      // At a node's own address the node itself refuses what nobody translates.
      const atNode = row.to.at === 'node port' && outcome.kind === 'untouched';
      return outcome.kind === 'reject' || atNode ? [] : wrong;
    }
    case 'sticks':
    case 'reaches': {
      if (outcome.kind !== 'deliver') return wrong;
      const names = outcome.to.map(({ endpoint }) => nameOf(atlas, endpoint, family)).toSorted();
      if (names.join() !== expected.who.toSorted().join()) return [`reaches ${names.join(', ')}`];
      if (expected.kind === 'sticks') return [];
      return outcome.to.flatMap(({ endpoint, masquerade }) => {
        const name = nameOf(atlas, endpoint, family);
        // What stays on the node shows no masquerading.
        if (name.split(':')[0] === 'n1') return [];
        const wanted = expected.source === 'node' || name.split(':')[0] === row.from;
        return masquerade === wanted ? [] : [`${name}: masquerading is ${masquerade}`];
      });
    }
    default:
      return unreachable(expected);
  }
}

function nameOf(
  atlas: Atlas,
  endpoint: { readonly address: string; readonly port: number },
  family: IpFamily,
): string {
  const { nodes, pods } = atlas.topology;
  const place = [...nodes, ...pods].find(({ address }) => address[family] === endpoint.address);
  const name = place?.name ?? endpoint.address;
  return endpoint.port === servedPorts[0] ? name : `${name}:${endpoint.port}`;
}
