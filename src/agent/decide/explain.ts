/**
 * Why each endpoint of a Service gets new connections on this node, or does not.
 *
 * Worked out when somebody asks, from the same pieces that decide, so that it costs nothing until then. The codes are
 * a promise: scripts match on them.
 */
import type { EndpointSliceObject, IpFamily, ObjectKey, ServiceObject } from '../../core/objects.ts';
import type { DecisionKey } from '../decision.ts';
import { decisionKey } from '../decision.ts';
import { byText, canonical } from './addresses.ts';
import { isDrained, serviceOptions } from './annotations.ts';
import type { DrainRule } from './annotations.ts';
import {
  candidates,
  endpointLists,
  drainedFitness,
  hinted,
  hintsInForce,
  portNumber,
  usableSlices,
} from './endpoints.ts';
import type { Candidate } from './endpoints.ts';
import { notServed } from './service.ts';
import type { NotServed } from './service.ts';
import type { NodeView } from './view.ts';

export const endpointReasons = {
  Used: 'It is ready, and gets new connections.',
  UsedTerminating: 'It is terminating and still serves; none is ready, so it gets new connections.',
  NotReady: 'It is not ready.',
  NotServing: 'It is terminating and does not serve any more.',
  TerminatingOthersReady: 'It is terminating, and others are ready.',
  DrainingOthersReady: 'It is being drained, and others are ready.',
  UsedDraining: 'It is being drained, and there is no other, so it gets new connections.',
  OtherNodeHint: 'Hints give this node endpoints of its own.',
  OtherZoneHint: 'Hints give the zone of this node other endpoints.',
  NotLocal: 'It is on another node, and the policy is Local.',
  Repeated: 'Another slice has it too, and that copy counts.',
  NoSuchPort: 'Its slice has no port of this name and protocol.',
  PortWithoutNumber: 'Its slice has the port, but no number for it.',
  NoAddress: 'It has no address.',
  BadAddress: 'Its first address is not one of the family of its slice.',
  SliceHidden: 'Its slice bears the label that hides it from proxies.',
  SliceOfNames: 'Its slice holds names, not addresses.',
} as const;

export type EndpointReason = keyof typeof endpointReasons;

export interface ExplainedEndpoint {
  readonly slice: ObjectKey;
  /** As the slice has it; empty where there is none. */
  readonly address: string;
  readonly port: number | undefined;
  readonly node: string | undefined;
  /** Under policy Cluster. */
  readonly cluster: EndpointReason;
  /** Under policy Local on this node. */
  readonly local: EndpointReason;
}

export interface ExplainedPort {
  readonly key: DecisionKey;
  readonly family: IpFamily;
  /** The hints that hold for the Cluster list. */
  readonly hints: 'node' | 'zone' | 'none';
  /** Every endpoint of every slice that is of this family or of none. */
  readonly endpoints: readonly ExplainedEndpoint[];
}

export interface Explained {
  /** Why nothing of the Service is served; the endpoints are explained all the same. */
  readonly notServed: NotServed | undefined;
  readonly ports: readonly ExplainedPort[];
}

/** @param slices of this Service, in any order. */
export function explainEndpoints(
  service: ServiceObject,
  slices: readonly EndpointSliceObject[],
  view: NodeView,
): Explained {
  const families = view.settings.families.filter((family) =>
    service.clusterIPs.some((text) => canonical(text, family) !== undefined),
  );
  return {
    notServed: notServed(service, view),
    ports: families.flatMap((family) =>
      service.ports.map(({ name, protocol }): ExplainedPort => {
        const query = { name, protocol, family };
        const { weights, drain } = serviceOptions(service).options;
        const all = candidates(usableSlices(slices, family), query, view.settings.nodeName, weights, drain);
        const force = hintsInForce(
          all.filter(({ fitness }) => fitness === 'ready'),
          view,
        );
        const reasons = new Reasons(all, force, view);
        return {
          key: decisionKey(service.key, name, protocol, family),
          family,
          hints: force,
          endpoints: slices
            .filter(({ addressType }) => addressType === family || addressType === 'FQDN')
            .toSorted((a, b) => byText(a.key, b.key))
            .flatMap((slice) => explainSlice(slice, query, reasons, drain)),
        };
      }),
    ),
  };
}

/** The reasons of one port, where each address and port counts once. */
class Reasons {
  readonly #all: ReadonlyMap<string, Candidate>;
  readonly #force: 'node' | 'zone' | 'none';
  readonly #view: NodeView;
  readonly #ready: { readonly cluster: boolean; readonly local: boolean };
  readonly #told = new Set<string>();

  constructor(all: readonly Candidate[], force: 'node' | 'zone' | 'none', view: NodeView) {
    this.#all = new Map(all.map((one) => [`${one.endpoint.address} ${one.endpoint.port}`, one]));
    this.#force = force;
    this.#view = view;
    const { cluster, local } = endpointLists(
      all.filter(({ fitness }) => fitness === 'ready'),
      view,
      { cluster: true, local: true },
    );
    this.#ready = { cluster: cluster.length > 0, local: local.length > 0 };
  }

  /** @param own the fitness that this copy alone would have. */
  of(
    address: string,
    port: number,
    own: Candidate['fitness'],
    terminating: boolean,
  ): { readonly cluster: EndpointReason; readonly local: EndpointReason } {
    const key = `${address} ${port}`;
    const candidate = this.#all.get(key);
    if (candidate === undefined || candidate.fitness !== own || this.#told.has(key)) {
      return { cluster: 'Repeated', local: 'Repeated' };
    }
    this.#told.add(key);
    const local = candidate.endpoint.local;
    const unfit: EndpointReason = terminating ? 'NotServing' : 'NotReady';
    switch (candidate.fitness) {
      case 'unfit':
        return { cluster: unfit, local: unfit };
      case 'last-resort': {
        const others: EndpointReason = terminating ? 'TerminatingOthersReady' : 'DrainingOthersReady';
        const used: EndpointReason = terminating ? 'UsedTerminating' : 'UsedDraining';
        const here = this.#ready.local ? others : used;
        return {
          cluster: this.#ready.cluster ? others : used,
          local: local ? here : 'NotLocal',
        };
      }
      case 'ready': {
        const other: EndpointReason = this.#force === 'node' ? 'OtherNodeHint' : 'OtherZoneHint';
        return {
          cluster: hinted(candidate, this.#force, this.#view) ? 'Used' : other,
          local: local ? 'Used' : 'NotLocal',
        };
      }
    }
  }
}

function explainSlice(
  slice: EndpointSliceObject,
  query: Parameters<typeof portNumber>[1],
  reasons: Reasons,
  drain: readonly DrainRule[],
): readonly ExplainedEndpoint[] {
  const port = portNumber(slice, query);
  return slice.endpoints.map((endpoint): ExplainedEndpoint => {
    const [first = ''] = endpoint.addresses;
    const address = canonical(first, query.family);
    const whole = sliceReason(slice, query, port) ?? (first === '' ? 'NoAddress' : undefined);
    const known =
      whole === undefined && address !== undefined && port !== undefined
        ? reasons.of(
            address,
            port,
            drainedFitness(endpoint, isDrained(drain, address, endpoint)),
            endpoint.terminating,
          )
        : undefined;
    const left = whole ?? 'BadAddress';
    return {
      slice: slice.key,
      address: address ?? first,
      port,
      node: endpoint.nodeName,
      cluster: known?.cluster ?? left,
      local: known?.local ?? left,
    };
  });
}

/** Why no endpoint of the slice counts for this port. */
function sliceReason(
  slice: EndpointSliceObject,
  query: Parameters<typeof portNumber>[1],
  port: number | undefined,
): EndpointReason | undefined {
  if (slice.addressType === 'FQDN') return 'SliceOfNames';
  if (slice.headless) return 'SliceHidden';
  if (port !== undefined) return undefined;
  return slice.ports.some(({ name, protocol }) => name === query.name && protocol === query.protocol)
    ? 'PortWithoutNumber'
    : 'NoSuchPort';
}
