/**
 * What the objects of the cluster say about one address: whether it is to be announced, by which nodes it may be, and
 * why not by each other one. Pure, and the same on every node.
 *
 * An address is one thing however many Services share it: a node holds it for all of them or not at all. It is
 * announced when it stands in the status of a Service that its `ServiceAddress` names; which Services kube-proxy serves
 * and which we do makes no difference here.
 */
import type { AddressPoolObject, ServiceAddressObject } from '../../core/address-objects.ts';
import type {
  EndpointSliceObject,
  NodeName,
  NodeObject,
  ObjectKey,
  ServiceObject,
} from '../../core/objects.ts';
import { eligibility } from '../../core/nodes.ts';
import type { Exclusion } from '../../core/provider.ts';
import { matches } from '../../core/selectors.ts';
import type { Holding } from './announcer.ts';
import { memberId, type MemberId } from './rank.ts';

export interface AddressFacts {
  readonly name: string;
  readonly address: string;
  readonly pool: string;
  /** Stands in the status of a Service. */
  readonly wanted: boolean;
  /** The controller waits to hear whether anybody on the link has it. */
  readonly asked: boolean;
  readonly services: readonly ObjectKey[];
  readonly ports: Holding['ports'];
  /** Interfaces that the pool names. */
  readonly interfaces: readonly string[];
  /** Nodes that may announce it, by name. */
  readonly nodes: readonly NodeName[];
  /** The same as members. */
  readonly eligible: readonly MemberId[];
  /** Nodes that may ask the link about it: endpoints do not matter for that. */
  readonly poolNodes: readonly NodeName[];
  readonly excluded: readonly Exclusion[];
}

export interface ClusterFacts {
  readonly nodes: readonly NodeObject[];
  readonly pool: (name: string) => AddressPoolObject | undefined;
  readonly service: (key: ObjectKey) => ServiceObject | undefined;
  readonly slices: (service: ObjectKey) => readonly EndpointSliceObject[];
}

export interface PoolNodes {
  readonly nodes: readonly NodeObject[];
  readonly excluded: readonly Exclusion[];
}

/** The nodes that may announce addresses of a pool. A pool that is gone restricts nothing: its addresses drain. */
export function nodesOfPool(
  nodes: readonly NodeObject[],
  pool: Pick<AddressPoolObject, 'name' | 'nodeSelectors'> | undefined,
): PoolNodes {
  const fit: NodeObject[] = [];
  const excluded: Exclusion[] = [];
  for (const node of nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const why = whyNot(node, pool);
    if (why === undefined) fit.push(node);
    else excluded.push(why);
  }
  return { nodes: fit, excluded };
}

function whyNot(
  node: NodeObject,
  pool: Pick<AddressPoolObject, 'name' | 'nodeSelectors'> | undefined,
): Exclusion | undefined {
  const general = eligibility(node);
  if (general !== undefined) return general;
  if (node.networkUnavailable) {
    return {
      node: node.name,
      reason: 'NodeNetworkUnavailable',
      message: `node ${node.name} has condition NetworkUnavailable`,
    };
  }
  const selectors = pool?.nodeSelectors ?? [];
  if (selectors.length === 0 || selectors.some((selector) => matches(selector, node.labels)))
    return undefined;
  return {
    node: node.name,
    reason: 'NodeNotSelected',
    message: `no node selector of pool ${pool?.name ?? ''} chooses node ${node.name}`,
  };
}

export function factsOf(
  object: ServiceAddressObject,
  cluster: Omit<ClusterFacts, 'nodes'>,
  ofPool: PoolNodes,
): AddressFacts {
  const { address, pool } = object;
  const services = object.services.flatMap(({ key }) => {
    const service = cluster.service(key);
    const shows = service?.ingress.some(({ ip }) => ip === address) ?? false;
    return service !== undefined && shows && !service.deleting ? [service] : [];
  });
  const excluded = [...ofPool.excluded];
  let { nodes } = ofPool;
  for (const service of services) {
    if (service.externalTrafficPolicy !== 'Local') continue;
    const serving = nodesThatServe(cluster.slices(service.key));
    for (const { name } of nodes.filter((node) => !serving.has(node.name))) {
      const message = `node ${name} holds no serving endpoint of ${service.key} (externalTrafficPolicy Local)`;
      excluded.push({ node: name, reason: 'NodeWithoutEndpoint', message });
    }
    nodes = nodes.filter((node) => serving.has(node.name));
  }
  const names = nodes.map(({ name }) => name);
  return {
    name: object.name,
    address,
    pool,
    wanted: services.length > 0,
    asked: isAsked(object),
    services: services.map(({ key }) => key),
    ports: services.flatMap(({ ports }) => ports.map(({ protocol, port }) => ({ protocol, port }))),
    interfaces: cluster.pool(pool)?.interfaces ?? [],
    nodes: names,
    eligible: names.map(memberId),
    poolNodes: ofPool.nodes.map(({ name }) => name),
    excluded,
  };
}

/** A probe is asked for that has not been answered. */
export function isAsked({ probeAfter, probe }: Pick<ServiceAddressObject, 'probeAfter' | 'probe'>): boolean {
  if (probeAfter === undefined) return false;
  return probe === undefined || !(Date.parse(probe.at) > Date.parse(probeAfter));
}

/**
 * Nodes with an endpoint that takes new connections: ready ones, and only where there are none at all, those that
 * still serve while they end (KEP-1669, as kube-proxy does).
 */
export function nodesThatServe(slices: readonly EndpointSliceObject[]): ReadonlySet<NodeName> {
  const ready = new Set<NodeName>();
  const ending = new Set<NodeName>();
  for (const { addressType, endpoints } of slices) {
    if (addressType === 'FQDN') continue;
    for (const endpoint of endpoints) {
      if (endpoint.nodeName === undefined) continue;
      if (endpoint.ready) ready.add(endpoint.nodeName);
      else if (endpoint.serving && endpoint.terminating) ending.add(endpoint.nodeName);
    }
  }
  return ready.size > 0 ? ready : ending;
}
