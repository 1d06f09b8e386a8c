/**
 * Which endpoints a Service port has on this node, under policy Cluster and under policy Local (O5–O10, R1–R5, §1.10).
 *
 * Both lists are sorted and unique, so that the same endpoints give the same lists in whatever order slices came. A
 * list never mixes ready endpoints with terminating ones; each falls back to the latter on its own.
 */
import type {
  EndpointSliceObject,
  IpFamily,
  NodeName,
  SliceEndpoint,
  TransportProtocol,
} from '../../core/objects.ts';
import type { Endpoint } from '../decision.ts';
import { byText, canonical } from './addresses.ts';
import { isDrained, weightOf } from './annotations.ts';
import type { DrainRule, WeightRule } from './annotations.ts';
import type { NodeView } from './view.ts';

/** How fit for new connections an endpoint is: ready; serving while it terminates, as a last resort; not at all. */
export type Fitness = 'ready' | 'last-resort' | 'unfit';

/** One address and port with what slices say about it; repeats merged (O9). */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly fitness: Fitness;
  /** An answer from it is a good answer: what conntrack entries may go on pointing to (K3). */
  readonly serving: boolean;
  readonly hintZones: readonly string[];
  readonly hintNodes: readonly string[];
}

/** The Service port that endpoints are looked for. Ports are matched by name and protocol (O6, O13). */
export interface PortQuery {
  readonly name: string;
  readonly protocol: TransportProtocol;
  readonly family: IpFamily;
}

export interface EndpointLists {
  readonly cluster: readonly Endpoint[];
  readonly local: readonly Endpoint[];
  /** Some endpoint is usable somewhere: what tells drop from reject. */
  readonly anywhere: boolean;
}

/** Slices that count at all, in order of their keys: the own family's (O5), and not hidden by label (O3). */
export function usableSlices(
  slices: Iterable<EndpointSliceObject>,
  family: IpFamily,
): readonly EndpointSliceObject[] {
  const usable: EndpointSliceObject[] = [];
  for (const slice of slices) if (slice.addressType === family && !slice.headless) usable.push(slice);
  return usable.length > 1 ? usable.toSorted((a, b) => byText(a.key, b.key)) : usable;
}

/** The number of the port in this slice; undefined where the slice has no such port, or without a number (O6). */
export function portNumber(slice: EndpointSliceObject, query: PortQuery): number | undefined {
  for (const { name, protocol, port } of slice.ports) {
    if (name === query.name && protocol === query.protocol && port !== undefined && port !== 0) return port;
  }
  return undefined;
}

export function fitnessOf({ ready, serving, terminating }: SliceEndpoint): Fitness {
  if (ready) return 'ready';
  return serving && terminating ? 'last-resort' : 'unfit';
}

/** An endpoint that is drained is one that terminates and still serves. */
export function drainedFitness(endpoint: SliceEndpoint, drained: boolean): Fitness {
  const fitness = fitnessOf(endpoint);
  return drained && fitness === 'ready' ? 'last-resort' : fitness;
}

const rank: Readonly<Record<Fitness, number>> = { ready: 2, 'last-resort': 1, unfit: 0 };

/**
 * Every endpoint of the port, fit or not: sorted by address and port, repeats merged.
 *
 * Of copies that disagree, being local wins (O9), and the fittest says the rest: a copy in a slice that is about to go
 * must not take an endpoint out of service.
 *
 * @param slices from `usableSlices`.
 */
export function candidates(
  slices: readonly EndpointSliceObject[],
  query: PortQuery,
  nodeName: NodeName,
  weights: readonly WeightRule[],
  drain: readonly DrainRule[] = [],
): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  const list: Candidate[] = [];
  for (const slice of slices) {
    const port = portNumber(slice, query);
    if (port === undefined) continue;
    for (const from of slice.endpoints) {
      const address = addressOf(from, query.family);
      if (address === undefined) continue;
      const candidate: Candidate = {
        endpoint: {
          address,
          port,
          local: from.nodeName === nodeName,
          weight: weights.length === 0 ? 1 : weightOf(weights, address, from),
        },
        fitness: drainedFitness(from, drain.length > 0 && isDrained(drain, address, from)),
        serving: from.ready || from.serving,
        hintZones: from.hintZones,
        hintNodes: from.hintNodes,
      };
      list.push(candidate);
    }
  }
  list.sort(byEndpoint);
  let repeats = false;
  for (let i = 1; i < list.length; i++) {
    const [a, b] = [list[i - 1], list[i]];
    if (a !== undefined && b !== undefined && byEndpoint(a, b) === 0) repeats = true;
  }
  if (!repeats) return list;
  for (const candidate of list) {
    const key = `${candidate.endpoint.address} ${candidate.endpoint.port}`;
    const held = found.get(key);
    found.set(key, held === undefined ? candidate : merge(held, candidate));
  }
  return [...found.values()];
}

/** The first address of an endpoint, if it is one (O7). */
export function addressOf({ addresses }: SliceEndpoint, family: IpFamily): string | undefined {
  const [first] = addresses;
  return first === undefined ? undefined : canonical(first, family);
}

function byEndpoint(a: Candidate, b: Candidate): number {
  return byText(a.endpoint.address, b.endpoint.address) || a.endpoint.port - b.endpoint.port;
}

function merge(a: Candidate, b: Candidate): Candidate {
  const best = rank[b.fitness] > rank[a.fitness] ? b : a;
  return {
    ...best,
    serving: a.serving || b.serving,
    endpoint: { ...best.endpoint, local: a.endpoint.local || b.endpoint.local },
  };
}

/** Which hints hold for a list of ready endpoints on this node: all carry them and one names us, or none do (§1.10). */
export function hintsInForce(
  ready: readonly Candidate[],
  { zone, settings }: NodeView,
): 'node' | 'zone' | 'none' {
  if (ready.length === 0) return 'none';
  const { nodeName } = settings;
  let nodes = true;
  let zones = zone !== '';
  let here = false;
  let near = false;
  for (const { hintNodes, hintZones } of ready) {
    if (hintNodes.length === 0) nodes = false;
    else if (hintNodes.includes(nodeName)) here = true;
    if (hintZones.length === 0) zones = false;
    else if (zones && hintZones.includes(zone)) near = true;
  }
  if (nodes && here) return 'node';
  return zones && near ? 'zone' : 'none';
}

/** Whether the hints in force leave this endpoint to us. */
export function hinted(candidate: Candidate, force: 'node' | 'zone' | 'none', view: NodeView): boolean {
  switch (force) {
    case 'node':
      return candidate.hintNodes.includes(view.settings.nodeName);
    case 'zone':
      return candidate.hintZones.includes(view.zone);
    case 'none':
      return true;
  }
}

const nothing: readonly Endpoint[] = Object.freeze([]);

/**
 * Both lists.
 *
 * @param uses the lists that some policy of the port asks for; the other stays empty, so that it cannot make two
 * decisions with one meaning differ.
 */
export function endpointLists(
  all: readonly Candidate[],
  view: NodeView,
  uses: { readonly cluster: boolean; readonly local: boolean },
): EndpointLists {
  const fallback = all.filter(({ fitness }) => fitness === 'last-resort');
  const ready = fallback.length === 0 ? allReady(all) : all.filter(({ fitness }) => fitness === 'ready');
  const anywhere = ready.length > 0 || fallback.length > 0;
  let cluster = nothing;
  if (uses.cluster && anywhere) {
    const force = hintsInForce(ready, view);
    const chosen = force === 'none' ? ready : ready.filter((one) => hinted(one, force, view));
    cluster = endpointsOf(chosen.length > 0 ? chosen : fallback);
  }
  let local = nothing;
  if (uses.local && anywhere) {
    const here = ready.filter(({ endpoint }) => endpoint.local);
    local = endpointsOf(here.length > 0 ? here : fallback.filter(({ endpoint }) => endpoint.local));
  }
  return { cluster, local: sameEndpoints(cluster, local) ? cluster : local, anywhere };
}

/** The list itself where all are ready, which is nearly always. */
function allReady(all: readonly Candidate[]): readonly Candidate[] {
  return all.every(({ fitness }) => fitness === 'ready')
    ? all
    : all.filter(({ fitness }) => fitness === 'ready');
}

/** Weights are shares: 2 and 2 mean the same as 1 and 1, and give the same list. */
function endpointsOf(chosen: readonly Candidate[]): readonly Endpoint[] {
  if (chosen.length === 0) return nothing;
  let divisor = 0;
  for (const { endpoint } of chosen) divisor = gcd(endpoint.weight, divisor);
  return chosen.map(({ endpoint }) =>
    divisor === 1 ? endpoint : { ...endpoint, weight: endpoint.weight / divisor },
  );
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Equal in everything that a kernel or a person could see. */
export function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]];
    if (x === y) continue;
    if (x === undefined || y === undefined) return false;
    if (x.address !== y.address || x.port !== y.port || x.local !== y.local || x.weight !== y.weight)
      return false;
  }
  return true;
}
