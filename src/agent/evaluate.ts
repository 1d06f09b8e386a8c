/**
 * The meaning of decisions: what becomes of the first packet of a connection. Every backend writes rules that do just
 * this, whatever their form; tests hold evaluator, written rules and real packets against each other.
 *
 * The order in which a destination is looked up, first match wins:
 * 1. a cluster IP, balancer IP or external IP with this protocol and port (C1, E1, L1);
 * 2. a node port at one of the node's node-port addresses (N1; last, so an external IP at a node's own address wins, N2);
 * 3. a cluster IP that has no such port: reject (C3, in both backends);
 * 4. an address in a service range that no Service has: drop (C3);
 * 5. anything else is not ours.
 *
 * Source ranges are asked before anything else about a destination that they guard, so also before its endpoints (L2,
 * L3): who is outside is dropped, be it a stranger, a pod or a process of the node; endpoints or none. (kube-proxy's
 * iptables mode lifts the guard while there are no endpoints, its nftables mode does not; with the guard lifted, a
 * packet in the instant between two look-ups could slip past it when the first endpoint comes.)
 *
 * Where packets come from, and the hooks. The choice for both backends, made here and nowhere else:
 * - Steps 1 and 2 hold for what comes in by an interface (PREROUTING) and for processes of the node (OUTPUT) alike, and
 *   so do their drops and rejects: input, forward and output. (kube-proxy's iptables mode leaves OUTPUT out for
 *   external and balancer IPs without endpoints, so that a process there waits for a time-out; its nftables mode
 *   does not.)
 * - Node ports at loopback addresses, where they are on, answer processes only: from outside such a packet is a
 *   martian whatever it asks for (N3, N4).
 * - Steps 3 and 4 hold in forward and output, after translation. A packet that comes in by an interface for an address
 *   which the node itself holds goes to input and is let alone: a DNS cache on the node may listen on a cluster IP.
 * - "A process of the node" is told by its source, an address that is LOCAL, as kube-proxy tells it. "A pod" is told
 *   by `LocalSource`: by source range for either hook, by interface only for what comes in by one. The pod question
 *   comes first: a node's own address inside a pod range counts as a pod's.
 */
import { unreachable } from '../core/errors.ts';
import { inRanges, isLoopback } from './decide/addresses.ts';
import { addressKey, portKey } from './decide/destinations.ts';
import type { AddressKind, DestinationIndex } from './decide/destinations.ts';
import type { Decision, Fate, LocalSource, NodeDecision } from './decision.ts';
import type { NodeFacts, Outcome, Packet } from './packet.ts';

/** Which clause decided, for `explain` and for tests that must know that a clause was reached. */
export type Branch =
  | 'other-family'
  | 'not-ours'
  /** The cluster IP (C1, C5). */
  | 'internal'
  /** External destination under policy Cluster. */
  | 'external-cluster'
  /** External destination under policy Local: a pod, a process of the node, everybody else (T a, b, c). */
  | 'local-pod'
  | 'local-process'
  | 'local-other'
  /** Outside the source ranges (L2). */
  | 'guard'
  | 'undefined-port'
  | 'unallocated';

export interface Evaluation {
  readonly outcome: Outcome;
  readonly branch: Branch;
  /** What was hit and by which kind of destination; undefined where no decision was. */
  readonly hit: { readonly decision: Decision; readonly kind: AddressKind | 'node-port' } | undefined;
}

/**
 * What becomes of a new connection.
 *
 * @param index the decisions of the packet's family.
 * @param packet with canonical addresses.
 */
export function evaluate(
  node: NodeDecision,
  index: DestinationIndex,
  facts: NodeFacts,
  packet: Packet,
): Outcome {
  return evaluateFully(node, index, facts, packet).outcome;
}

/** The same, with the clause that decided and the decision that was hit. */
export function evaluateFully(
  node: NodeDecision,
  index: DestinationIndex,
  facts: NodeFacts,
  packet: Packet,
): Evaluation {
  if (packet.family !== node.family) return none('other-family', { kind: 'untouched' });
  const { destination, protocol, port } = packet;
  const service = index.services.get(addressKey(destination, protocol, port));
  if (service !== undefined) {
    return service.kind === 'cluster'
      ? internal(node, service.decision, packet)
      : external(node, service.decision, service.kind, facts, packet);
  }
  const atNode = index.nodePorts.get(portKey(protocol, port));
  if (atNode !== undefined && answersNodePorts(node, facts, packet)) {
    return external(node, atNode, 'node-port', facts, packet);
  }
  const delivered = packet.from.kind === 'interface' && isOwn(facts, destination);
  if (!delivered && index.clusterIPs.has(destination)) return none('undefined-port', { kind: 'reject' });
  if (!delivered && inRanges(destination, node.serviceRanges)) return none('unallocated', { kind: 'drop' });
  return none('not-ours', { kind: 'untouched' });
}

function none(branch: Branch, outcome: Outcome): Evaluation {
  return { outcome, branch, hit: undefined };
}

/** Whether node ports answer at this packet's destination (N1, N3). */
function answersNodePorts(node: NodeDecision, facts: NodeFacts, packet: Packet): boolean {
  const { destination } = packet;
  if (isLoopback(destination)) {
    return node.localhostNodePorts && node.family === 'IPv4' && packet.from.kind === 'process';
  }
  return node.nodePortAddresses === 'all'
    ? facts.addresses.has(destination)
    : node.nodePortAddresses.includes(destination);
}

/** What the kernel calls LOCAL; all of 127/8 is, whatever is listed. */
function isOwn(facts: NodeFacts, address: string): boolean {
  return facts.addresses.has(address) || isLoopback(address);
}

/** Whether the packet comes from a pod, as far as this node can tell (§1.14). */
function fromPod(source: LocalSource, packet: Packet): boolean {
  switch (source.kind) {
    case 'cidrs':
      return inRanges(packet.source, source.cidrs);
    case 'interface':
      return packet.from.kind === 'interface' && packet.from.name === source.name;
    case 'interface-prefix':
      return packet.from.kind === 'interface' && packet.from.name.startsWith(source.prefix);
    case 'none':
      return false;
    default:
      return unreachable(source);
  }
}

/** The cluster IP: masqueraded unless a pod asks (C2); never where nobody can tell who is a pod. */
function internal(node: NodeDecision, decision: Decision, packet: Packet): Evaluation {
  const masquerade =
    node.masqueradeAll || (node.localSource.kind !== 'none' && !fromPod(node.localSource, packet));
  return {
    outcome: meet(decision, decision.internal, packet, masquerade),
    branch: 'internal',
    hit: { decision, kind: 'cluster' },
  };
}

/** External IP, balancer IP and node port (§1.4, §1.6). */
function external(
  node: NodeDecision,
  decision: Decision,
  kind: 'external' | 'balancer' | 'node-port',
  facts: NodeFacts,
  packet: Packet,
): Evaluation {
  const hit = { decision, kind };
  const guarded = kind === 'balancer' || decision.guardEverything;
  if (guarded && decision.sourceRanges !== undefined && !inRanges(packet.source, decision.sourceRanges)) {
    return { outcome: { kind: 'drop' }, branch: 'guard', hit };
  }
  const { shortcut } = decision;
  if (shortcut === undefined) {
    return { outcome: meet(decision, decision.external, packet, true), branch: 'external-cluster', hit };
  }
  if (fromPod(node.localSource, packet)) {
    return { outcome: meet(decision, shortcut, packet, false), branch: 'local-pod', hit };
  }
  if (isOwn(facts, packet.source)) {
    return { outcome: meet(decision, shortcut, packet, true), branch: 'local-process', hit };
  }
  return { outcome: meet(decision, decision.external, packet, false), branch: 'local-other', hit };
}

/** The fate itself; who reaches itself is masqueraded whatever the rest says (hairpin, M3). */
function meet(decision: Decision, fate: Fate, packet: Packet, masquerade: boolean): Outcome {
  switch (fate.kind) {
    case 'reject':
    case 'drop':
      return { kind: fate.kind };
    case 'balance':
      return {
        kind: 'deliver',
        to: (fate.to === 'local' ? decision.local : decision.cluster).map((endpoint) => ({
          endpoint,
          masquerade: masquerade || endpoint.address === packet.source,
        })),
      };
    default:
      return unreachable(fate);
  }
}
