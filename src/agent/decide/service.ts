/**
 * From a Service and its slices to the decisions of one node: one for each port and family.
 *
 * Pure, and complete without any other Service; that two Services may ask for one destination is settled afterwards
 * (`claims.ts`). What depends on the Service and not on its slices is worked out once (`frameOf`) and kept by whoever
 * decides again when slices change.
 */
import type { EndpointSliceObject, IpFamily, ServiceObject, ServicePort } from '../../core/objects.ts';
import { decisionKey } from '../decision.ts';
import type { Decision, Endpoint, Fate } from '../decision.ts';
import { canonical, sortedSet } from './addresses.ts';
import { serviceOptions } from './annotations.ts';
import type { DrainRule, WeightRule } from './annotations.ts';
import { candidates, endpointLists, usableSlices } from './endpoints.ts';
import { allowedSources } from './ranges.ts';
import type { NodeView } from './view.ts';

/** Which proxy is to serve a Service; without it, the cluster's own. */
export const proxyNameLabel = 'service.kubernetes.io/service-proxy-name';
/** Our value of it. */
export const ownProxyName = 'sluice';
/** Hides a Service, or a slice, from every proxy. */
export const headlessLabel = 'service.kubernetes.io/headless';

/** Why the agent has nothing to do with a Service; codes of `explain`. */
export type NotServed =
  | 'ExternalName'
  | 'Headless'
  | 'HiddenByLabel'
  | 'OtherProxy'
  /** Scope `labelled`, and the Service is not. */
  | 'NotLabelled';

/** O1–O3 and the scope; undefined where the Service is served. */
export function notServed(service: ServiceObject, { settings }: NodeView): NotServed | undefined {
  if (service.type === 'ExternalName') return 'ExternalName';
  if (service.headless || service.clusterIPs.length === 0) return 'Headless';
  if (service.labels[headlessLabel] !== undefined) return 'HiddenByLabel';
  const proxy = service.labels[proxyNameLabel];
  if (proxy === undefined) return settings.scope === 'all' ? undefined : 'NotLabelled';
  return proxy === ownProxyName ? undefined : 'OtherProxy';
}

/** What the decisions of a Service in one family have in common, whatever the slices. */
interface FamilyFrame {
  readonly family: IpFamily;
  readonly clusterIP: string;
  readonly externalIPs: readonly string[];
  readonly balancerIPs: readonly string[];
  readonly sourceRanges: readonly string[] | undefined;
  readonly guardEverything: boolean;
}

export interface Frame {
  readonly service: ServiceObject;
  readonly families: readonly FamilyFrame[];
  readonly ports: readonly ServicePort[];
  readonly weights: readonly WeightRule[];
  readonly drain: readonly DrainRule[];
  readonly balancing: 'random' | 'hash';
}

/** Undefined where the Service is not ours to serve. */
export function frameOf(service: ServiceObject, view: NodeView): Frame | undefined {
  if (notServed(service, view) !== undefined) return undefined;
  const { options } = serviceOptions(service);
  const seen = new Set<string>();
  return {
    service,
    families: view.settings.families.flatMap((family) => {
      const frame = familyFrame(service, family, view, options.guardEverything);
      return frame === undefined ? [] : [frame];
    }),
    // The API allows no two ports of one name and protocol; of such in a file the first counts.
    ports: service.ports.filter(({ name, protocol }) => {
      const key = `${name}/${protocol}`;
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    }),
    weights: options.weights,
    drain: options.drain,
    balancing: options.balancing,
  };
}

const noAddresses: readonly string[] = Object.freeze([]);

/** Undefined: a Service without a cluster IP of the family has nothing in it, not even rejects (§1.16). */
function familyFrame(
  service: ServiceObject,
  family: IpFamily,
  view: NodeView,
  guardAnnotation: boolean | undefined,
): FamilyFrame | undefined {
  const clusterIP = ofFamily(service.clusterIPs, family)[0];
  if (clusterIP === undefined) return undefined;
  const balancerIPs = addresses(
    service.ingress.flatMap(({ ip, ipMode }) => (ip === undefined || ipMode === 'Proxy' ? [] : [ip])),
    family,
    [clusterIP],
  );
  // One address in both lists is a balancer IP: the kind that source ranges guard.
  const externalIPs = addresses(service.externalIPs, family, [clusterIP, ...balancerIPs]);
  const guardEverything = guardAnnotation ?? view.settings.guardEverything;
  const somePort = service.ports.some(({ nodePort }) => nodePort !== 0);
  const guarded = balancerIPs.length > 0 || (guardEverything && (externalIPs.length > 0 || somePort));
  const sourceRanges = guarded
    ? allowedSources({
        ranges: service.sourceRanges,
        family,
        strict: view.settings.strictSourceRanges,
        primary: view.primary[family],
        own: guardEverything ? [...balancerIPs, ...externalIPs] : balancerIPs,
        loopback: guardEverything && view.settings.localhostNodePorts,
      })
    : undefined;
  return {
    family,
    clusterIP,
    externalIPs,
    balancerIPs,
    sourceRanges,
    guardEverything: guardEverything && sourceRanges !== undefined,
  };
}

function ofFamily(texts: readonly string[], family: IpFamily): readonly string[] {
  return texts.flatMap((text) => canonical(text, family) ?? []);
}

function addresses(texts: readonly string[], family: IpFamily, except: readonly string[]): readonly string[] {
  if (texts.length === 0) return noAddresses;
  const left = sortedSet(ofFamily(texts, family).filter((text) => !except.includes(text)));
  return left.length === 0 ? noAddresses : left;
}

/**
 * All decisions of a Service on this node; none where it is not ours to serve.
 *
 * @param slices the slices of this Service, in any order.
 */
export function decideService(
  service: ServiceObject,
  slices: Iterable<EndpointSliceObject>,
  view: NodeView,
): readonly Decision[] {
  const frame = frameOf(service, view);
  return frame === undefined ? [] : decideFrame(frame, [...slices], view);
}

/** The same from a frame that was made earlier from this Service and view. */
export function decideFrame(
  frame: Frame,
  slices: readonly EndpointSliceObject[],
  view: NodeView,
): readonly Decision[] {
  const decisions: Decision[] = [];
  for (const family of frame.families) {
    const usable = usableSlices(slices, family.family);
    for (const port of frame.ports) decisions.push(decidePort(frame, family, port, usable, view));
  }
  return decisions;
}

function decidePort(
  frame: Frame,
  { family, clusterIP, externalIPs, balancerIPs, sourceRanges, guardEverything }: FamilyFrame,
  port: ServicePort,
  slices: readonly EndpointSliceObject[],
  view: NodeView,
): Decision {
  const { service, weights, drain, balancing } = frame;
  const accessible = externalIPs.length > 0 || balancerIPs.length > 0 || port.nodePort !== 0;
  const internalLocal = service.internalTrafficPolicy === 'Local';
  const externalLocal = accessible && service.externalTrafficPolicy === 'Local';
  const lists = endpointLists(
    candidates(
      slices,
      { name: port.name, protocol: port.protocol, family },
      view.settings.nodeName,
      weights,
      drain,
    ),
    view,
    { cluster: !internalLocal || accessible, local: internalLocal || externalLocal },
  );
  const internal = fate(internalLocal ? 'local' : 'cluster', lists);
  return {
    key: decisionKey(service.key, port.name, port.protocol, family),
    service: service.key,
    portName: port.name,
    protocol: port.protocol,
    family,
    port: port.port,
    clusterIP,
    externalIPs,
    balancerIPs,
    nodePort: port.nodePort,
    cluster: lists.cluster,
    local: lists.local,
    internal,
    // Nobody asks where there is no external destination; equal then, so that it cannot make decisions differ.
    external: accessible ? fate(externalLocal ? 'local' : 'cluster', lists) : internal,
    shortcut: externalLocal ? fate('cluster', lists) : undefined,
    affinitySeconds: service.sessionAffinity === 'ClientIP' ? service.sessionAffinityTimeout : undefined,
    sourceRanges,
    guardEverything,
    balancing,
    healthCheckNodePort: externalLocal && service.type === 'LoadBalancer' ? service.healthCheckNodePort : 0,
  };
}

const toCluster: Fate = Object.freeze({ kind: 'balance', to: 'cluster' });
const toLocal: Fate = Object.freeze({ kind: 'balance', to: 'local' });
const reject: Fate = Object.freeze({ kind: 'reject' });
const drop: Fate = Object.freeze({ kind: 'drop' });

/** §1.7: reject where nothing exists anywhere, drop where something does that the policy leaves out. */
function fate(
  policy: 'cluster' | 'local',
  {
    cluster,
    local,
    anywhere,
  }: {
    readonly cluster: readonly Endpoint[];
    readonly local: readonly Endpoint[];
    readonly anywhere: boolean;
  },
): Fate {
  if (policy === 'cluster') return cluster.length > 0 ? toCluster : reject;
  if (local.length > 0) return toLocal;
  return anywhere ? drop : reject;
}
