/**
 * The first thing that stands in the way of an address of local mode, and the one command that mends it, or shows what
 * only a person can mend. Pure.
 */
import { isAsked, type AddressFacts } from '../agent/announce/facts.ts';
import { announcedType, askedType, contestedType } from '../agent/announce/status.ts';
import { ownProxyName, proxyNameLabel } from '../agent/decide/service.ts';
import type { AddressPoolObject, ServiceAddressObject } from '../core/address-objects.ts';
import { contains, parseAddress, parseCidr } from '../core/cidr.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../core/objects.ts';
import { excludeLabel } from '../core/nodes.ts';
import type { PathCheck } from './path-check.ts';

export interface VerdictInput {
  readonly service: ServiceObject;
  readonly slices: readonly EndpointSliceObject[];
  readonly nodes: readonly NodeObject[];
  readonly object: ServiceAddressObject;
  readonly pool: AddressPoolObject | undefined;
  readonly facts: AddressFacts;
  readonly path: PathCheck;
}

export interface Verdict {
  readonly ok: boolean;
  readonly verdict: string;
  /** One command; empty where nothing is to be done. */
  readonly command: string;
}

function bad(text: string, command: string): Verdict {
  return { ok: false, verdict: text, command };
}

/** As manifests/overlays/agent names them: in a namespace of their own. */
export const agents = {
  namespace: 'sluice-agent',
  labels: 'app.kubernetes.io/name=sluice,app.kubernetes.io/component=agent',
} as const;

/** What people run. */
function commandsFor({ service, object }: VerdictInput) {
  const selector = Object.entries(service.selector).map(([key, value]) => `${key}=${value}`);
  return {
    agentPods: `kubectl get pods --all-namespaces -o wide -l ${agents.labels}`,
    logs: `kubectl -n ${agents.namespace} logs -l ${agents.labels} --prefix --tail 50`,
    editPool: `kubectl edit addresspool ${object.pool}`,
    pods:
      selector.length === 0
        ? `kubectl -n ${service.namespace} get endpointslices -l kubernetes.io/service-name=${service.name}`
        : `kubectl -n ${service.namespace} get pods -o wide -l ${selector.join(',')}`,
    policyCluster: `kubectl -n ${service.namespace} patch service ${service.name} --type merge -p '{"spec":{"externalTrafficPolicy":"Cluster"}}'`,
  };
}

export function verdict(input: VerdictInput): Verdict {
  return notGivenOut(input) ?? nobodyAnswers(input) ?? notServed(input) ?? fine(input);
}

/** The address does not stand in the Service's status. */
function notGivenOut(input: VerdictInput): Verdict | undefined {
  const { object, facts } = input;
  const { address, probe } = object;
  if (facts.wanted) return undefined;
  const { agentPods, logs, editPool } = commandsFor(input);
  if (isAsked(object))
    return bad(
      `${address} is given out once an agent has asked the link about it, and none has answered yet: does the agent run, with --announce, on a node that the pool chooses?`,
      agentPods,
    );
  if (probe?.outcome === 'taken')
    return bad(
      `${address} is taken on the link by ${probe.mac ?? 'another host'}, so it is not given out: take it out of the pool, or off that host`,
      editPool,
    );
  if (probe?.outcome === 'failed') {
    const why = probe.message ?? 'no reason given';
    return bad(
      `node ${probe.node} could not ask the link about ${address}: ${why}`,
      /interface/u.test(why) ? editPool : logs,
    );
  }
  return bad(
    `${address} does not stand in the status of the Service yet`,
    `kubectl describe serviceaddress ${object.name}`,
  );
}

/** It does, and no node holds it. */
function nobodyAnswers(input: VerdictInput): Verdict | undefined {
  const { object, facts, nodes, pool } = input;
  const { address, holder } = object;
  const { agentPods, logs, editPool } = commandsFor(input);
  if (facts.nodes.length === 0) return noNode(input);
  const announced = object.conditions.find(({ type }) => type === announcedType);
  if (announced?.status === 'False') {
    const text = `nobody answers for ${address}: ${announced.message}`;
    switch (announced.reason) {
      case 'NoAgentThere':
        return bad(`${text}; the agent has to run there with --announce, and hear UDP 10272`, agentPods);
      case 'AnnounceRefused':
      case 'NoMajority':
        return bad(text, logs);
      case 'LinkDown': {
        const names = pool?.interfaces ?? [];
        const [name = 'INTERFACE'] = names;
        return bad(`${text}; bring it up on that node`, `ip link set dev ${name} up`);
      }
      case 'NoEligibleNode':
        return bad(`${text}; that was so a moment ago`, `kubectl describe serviceaddress ${object.name}`);
      default:
        return bad(text, editPool);
    }
  }
  if (holder === undefined)
    return bad(
      `no agent has taken ${address} yet: does it run, with --announce, on ${facts.nodes[0] ?? 'a node'}?`,
      agentPods,
    );
  if (nodes.some(({ name }) => name === holder.node) && !facts.nodes.some((name) => name === holder.node)) {
    const why = facts.excluded.find(({ node }) => node === holder.node)?.message ?? 'it may not any more';
    return bad(
      `node ${holder.node} answers for ${address} until ${facts.nodes.join(' or ')} does: ${why}. If that lasts, no agent takes it there`,
      agentPods,
    );
  }
  return undefined;
}

/** No node may: the reason that most nodes have. */
function noNode(input: VerdictInput): Verdict {
  const { facts, object, slices } = input;
  const { editPool, pods, policyCluster } = commandsFor(input);
  const counts = new Map<string, (typeof facts.excluded)[number][]>();
  for (const one of facts.excluded) counts.set(one.reason, [...(counts.get(one.reason) ?? []), one]);
  // A node that could but for the endpoints says most.
  const [most = []] = [...counts.values()].toSorted(
    (a, b) => Number(isEndpoint(b[0])) - Number(isEndpoint(a[0])) || b.length - a.length,
  );
  const [first] = most;
  const more = most.length > 1 ? ` (and ${most.length - 1} more alike)` : '';
  const text = `no node may announce ${object.address}: ${first?.message ?? 'the cluster has no nodes'}${more}`;
  if (first === undefined) return bad(text, 'kubectl get nodes');
  if (isEndpoint(first)) {
    const lost = lostNodes(input);
    if (lost !== undefined) return goneWithTheirNode(`no node may announce ${object.address}`, lost);
    const serving = slices.some(({ endpoints }) => endpoints.some(({ ready }) => ready));
    return serving
      ? bad(`${text}; the pods run on nodes that may not announce it`, policyCluster)
      : bad(`${text}; no pod is ready anywhere`, pods);
  }
  if (first.reason === 'NodeNotSelected') return bad(text, editPool);
  return first.reason === 'NodeExcluded'
    ? bad(text, `kubectl label node ${first.node} ${excludeLabel}-`)
    : bad(text, `kubectl describe node ${first.node}`);
}

function isEndpoint(exclusion: { readonly reason: string } | undefined): boolean {
  return exclusion?.reason === 'NodeWithoutEndpoint';
}

/** A node holds it, and clients are not served. */
function notServed(input: VerdictInput): Verdict | undefined {
  const { slices, object } = input;
  const { address, holder } = object;
  if (holder === undefined) return undefined;
  const { editPool, pods } = commandsFor(input);
  const contested = object.conditions.find(({ type, status }) => type === contestedType && status === 'True');
  if (contested !== undefined)
    return bad(
      `two hosts answer for ${address}: ${contested.message}; take it off that host, or out of the pool`,
      editPool,
    );
  const lost = lostNodes(input);
  if (lost !== undefined) return goneWithTheirNode(`node ${holder.node} answers for ${address}`, lost);
  const endpoints = slices.flatMap((slice) => slice.endpoints);
  if (!endpoints.some(({ ready }) => ready)) {
    const count = endpoints.length === 0 ? 'there is none' : `${endpoints.length} are not`;
    return bad(
      `node ${holder.node} answers for ${address}, and no endpoint is ready to serve: ${count}`,
      pods,
    );
  }
  return notReached(input, holder);
}

/** The nodes that all pods of the Service are on, where none of these is ready; undefined where one is, or there is no pod. */
function lostNodes({ slices, nodes }: VerdictInput): readonly string[] | undefined {
  const all = slices.flatMap((slice) => slice.endpoints);
  const ready = all.filter((endpoint) => endpoint.ready);
  const on = (ready.length > 0 ? ready : all).map(({ nodeName }) => nodeName);
  const isLost = (name: string | undefined): boolean =>
    name !== undefined && nodes.find((node) => node.name === name)?.ready !== 'True';
  return on.length > 0 && on.every(isLost)
    ? [...new Set(on.filter((name) => name !== undefined))]
    : undefined;
}

/** The address moves in a moment, pods in minutes: people blame the address. */
function goneWithTheirNode(said: string, lost: readonly string[]): Verdict {
  const [first = ''] = lost;
  const where = lost.length === 1 ? `node ${first}, which is` : `nodes ${lost.join(', ')}, which are`;
  return bad(
    `${said}, and all pods of the Service are on ${where} not ready: it is not the address that is missing but the pods, which Kubernetes starts elsewhere some minutes after it lost a node`,
    `kubectl describe node ${first}`,
  );
}

/** There are pods, and a connection from here does not get to them. */
function notReached(
  input: VerdictInput,
  holder: NonNullable<ServiceAddressObject['holder']>,
): Verdict | undefined {
  const { service, object, path } = input;
  const { address } = object;
  if (path.kind !== 'silent' && path.kind !== 'refused') return undefined;
  const { from, port } = path;
  const said = `node ${holder.node} answers for ${address}`;
  if (from !== undefined && isShutOut(service, from))
    return bad(
      `${said}, and lets in only ${service.sourceRanges.join(', ')} (spec.loadBalancerSourceRanges): this machine asks as ${from}`,
      `kubectl -n ${service.namespace} edit service ${service.name}`,
    );
  const packet =
    from === undefined ? `ip route get ${address}` : packetCommand(input, holder.node, from, port);
  if (path.kind === 'refused')
    return bad(
      `${said}, and port ${port} is refused: either the pods do not listen on the port that the Service leads to, or nothing on node ${holder.node} leads there (${carrierOf(service)} has to run on it)`,
      packet,
    );
  const asked = object.conditions.some(({ type }) => type === askedType);
  return asked
    ? bad(`${said}, and a connection from here to port ${port} is not: ${path.message}`, packet)
    : bad(
        `node ${holder.node} holds ${address} on ${holder.interface}, and no neighbour has asked for it: this machine, or its router, is not on that link`,
        `ip route get ${address}`,
      );
}

function isShutOut({ sourceRanges }: ServiceObject, from: string): boolean {
  const address = parseAddress(from);
  const ranges = sourceRanges.map((text) => parseCidr(text.trim()));
  return (
    address !== undefined &&
    ranges.length > 0 &&
    // What cannot be read is another matter, and told of elsewhere.
    ranges.every((range) => range.kind === 'cidr' && !contains(range.cidr, address))
  );
}

/** Who carries its connections from the node that answers to pods. */
function carrierOf({ labels }: ServiceObject): string {
  return labels[proxyNameLabel] === ownProxyName ? 'the agent' : 'kube-proxy, or what stands in for it,';
}

/** Which pods and which of their ports a connection is led to, whoever carries it. */
function packetCommand({ service, object }: VerdictInput, node: string, from: string, port: number): string {
  const to = object.address.includes(':') ? `[${object.address}]` : object.address;
  const scope = service.labels[proxyNameLabel] === ownProxyName ? '' : ' --scope all';
  return `sluice explain --node ${node} --from ${from} --to ${to}:${port}${scope}`;
}

function fine({ object, pool }: VerdictInput): Verdict {
  const { address, holder } = object;
  const warning = pool === undefined ? `; its pool ${object.pool} is gone, so the address drains` : '';
  return {
    ok: true,
    verdict: `node ${holder?.node ?? ''} answers for ${address} on ${holder?.interface ?? ''}${warning}`,
    command: '',
  };
}
