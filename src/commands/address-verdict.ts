/**
 * The first thing that stands in the way of an address of local mode, and the one command that mends it, or shows what
 * only a person can mend. Pure.
 */
import { isAsked, type AddressFacts } from '../agent/announce/facts.ts';
import { announcedType, askedType, contestedType } from '../agent/announce/status.ts';
import type { AddressPoolObject, ServiceAddressObject } from '../core/address-objects.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../core/objects.ts';
import { excludeLabel } from '../core/nodes.ts';
import type { PathCheck } from './path-check.ts';

export interface VerdictInput {
  readonly service: ServiceObject;
  readonly slices: readonly EndpointSliceObject[];
  readonly nodes: readonly NodeObject[];
  /** Of the agents. */
  readonly namespace: string;
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

/** What people run. */
function commandsFor({ service, namespace, object }: VerdictInput) {
  const selector = Object.entries(service.selector).map(([key, value]) => `${key}=${value}`);
  return {
    agents: `kubectl -n ${namespace} rollout status daemonset/sluice-agent`,
    logs: `kubectl -n ${namespace} logs -l app.kubernetes.io/component=agent --prefix --tail 50`,
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
  const { agents, logs, editPool } = commandsFor(input);
  if (isAsked(object))
    return bad(
      `${address} is given out once an agent has asked the link about it, and none has answered yet: does the agent run, with --announce, on a node that the pool chooses?`,
      agents,
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
  const { agents, logs, editPool } = commandsFor(input);
  if (facts.nodes.length === 0) return noNode(input);
  const announced = object.conditions.find(({ type }) => type === announcedType);
  if (announced?.status === 'False') {
    const text = `nobody answers for ${address}: ${announced.message}`;
    switch (announced.reason) {
      case 'NoAgentThere':
        return bad(`${text}; the agent has to run there with --announce, and hear UDP 10272`, agents);
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
      agents,
    );
  if (nodes.some(({ name }) => name === holder.node) && !facts.nodes.some((name) => name === holder.node)) {
    const why = facts.excluded.find(({ node }) => node === holder.node)?.message ?? 'it may not any more';
    return bad(
      `node ${holder.node} answers for ${address} until ${facts.nodes.join(' or ')} does: ${why}. If that lasts, no agent takes it there`,
      agents,
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
  const { service, slices, object, path } = input;
  const { address, holder } = object;
  if (holder === undefined) return undefined;
  const { editPool, pods } = commandsFor(input);
  const contested = object.conditions.find(({ type, status }) => type === contestedType && status === 'True');
  if (contested !== undefined)
    return bad(
      `two hosts answer for ${address}: ${contested.message}; take it off that host, or out of the pool`,
      editPool,
    );
  const endpoints = slices.flatMap((slice) => slice.endpoints);
  if (!endpoints.some(({ ready }) => ready)) {
    const count = endpoints.length === 0 ? 'there is none' : `${endpoints.length} are not`;
    return bad(
      `node ${holder.node} answers for ${address}, and no endpoint is ready to serve: ${count}`,
      pods,
    );
  }
  if (path.kind !== 'silent') return undefined;
  const asked = object.conditions.some(({ type }) => type === askedType);
  return asked
    ? bad(
        `node ${holder.node} answers for ${address}, and a connection from here to port ${path.port} is not: ${path.message}`,
        `sluice explain --node ${holder.node} --from <this machine> --to svc/${service.name}:${path.port} -n ${service.namespace}`,
      )
    : bad(
        `node ${holder.node} holds ${address} on ${holder.interface}, and no neighbour has asked for it: this machine, or its router, is not on that link`,
        `ip route get ${address}`,
      );
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
