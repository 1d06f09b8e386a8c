/**
 * What should be true of each Service, worked out naively from the API objects as they are.
 *
 * Written against the documentation and not against the code under test: it shares no function with it. It
 * knows the few annotations that histories use, and says `unclear` where it does not want to judge.
 */
import type { RawNode, RawService } from '../../src/kube/raw.ts';
import type { ApiServer } from './api-server.ts';
import { excludeLabel, nameOf, type Port } from './people.ts';

export const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
export const finalizer = 'sluice.dev/balancer';

export interface ListenerTruth {
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'TCP_UDP';
  readonly nodePort: number;
}

export interface ServiceTruth {
  readonly uid: string;
  readonly key: string;
  readonly deleting: boolean;
  readonly finalized: boolean;
  /** It is ours to serve: type, class and the hands of others say so. */
  readonly ours: boolean;
  /** The user wants it left alone for now. */
  readonly held: boolean;
  /** The user has to mend something first. */
  readonly broken: boolean;
  readonly listeners: readonly ListenerTruth[];
  /** Instances, by the nodes that may be targets and, under policy Local, hold an endpoint. */
  readonly targets: ReadonlySet<string>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

/** The name that some Services ask for; a stranger's balancer, or another Service's, may have it already. */
export const takenName = 'wanted-by-many';

/** Annotation values of histories that a user has to mend. */
export const brokenAnnotations: Readonly<Record<string, string>> = {
  [`${prefix}healthcheck-interval`]: 'often',
  [`${prefix}nlb-target-type`]: 'ip',
  [`${prefix}attributes`]: 'no_such_attribute=1',
  'service.beta.kubernetes.io/load-balancer-source-ranges': '10.0.0.0/8',
};

export function truthOf(server: ApiServer): ReadonlyMap<string, ServiceTruth> {
  const truths = new Map<string, ServiceTruth>();
  const nodes = [...server.all('nodes')];
  for (const service of server.all('services')) {
    const truth = serviceTruth(server, service, nodes);
    truths.set(truth.uid, truth);
  }
  return truths;
}

function serviceTruth(server: ApiServer, service: RawService, nodes: readonly RawNode[]): ServiceTruth {
  const { metadata = {}, spec = {}, status = {} } = service;
  const annotations = metadata.annotations ?? {};
  const key = nameOf(service);
  const byClass = spec.loadBalancerClass ?? 'sluice.dev/aws';
  const handed = spec.loadBalancerClass === undefined && annotations[`${prefix}type`] === 'external';
  const deleting = metadata.deletionTimestamp !== undefined;
  const { listeners, broken } = listenersOf(spec.ports ?? []);
  return {
    uid: metadata.uid ?? '',
    key,
    deleting,
    finalized: (metadata.finalizers ?? []).includes(finalizer),
    ours: spec.type === 'LoadBalancer' && !deleting && byClass === 'sluice.dev/aws' && !handed,
    held: annotations['sluice.dev/paused'] !== undefined || annotations['sluice.dev/plan-only'] !== undefined,
    broken: broken || Object.entries(brokenAnnotations).some(([name, value]) => annotations[name] === value),
    listeners,
    targets: targetsOf(server, key, spec, annotations, nodes),
    annotations,
    addresses: (status.loadBalancer?.ingress ?? []).map(({ hostname = '', ip = '' }) => hostname || ip),
  };
}

function listenersOf(ports: readonly Port[]): { listeners: readonly ListenerTruth[]; broken: boolean } {
  const byNumber = new Map<number, ListenerTruth>();
  let broken = false;
  for (const { port = 0, nodePort = 0, protocol = 'TCP' } of ports) {
    if ((protocol !== 'TCP' && protocol !== 'UDP') || nodePort === 0) {
      broken = true;
      continue;
    }
    const other = byNumber.get(port);
    if (other !== undefined && other.nodePort !== nodePort) broken = true;
    byNumber.set(port, { port, nodePort, protocol: other === undefined ? protocol : 'TCP_UDP' });
  }
  return { listeners: [...byNumber.values()], broken };
}

function targetsOf(
  server: ApiServer,
  key: string,
  spec: NonNullable<RawService['spec']>,
  annotations: Readonly<Record<string, string>>,
  nodes: readonly RawNode[],
): ReadonlySet<string> {
  const [label, value] = (annotations[`${prefix}target-node-labels`] ?? '').split('=');
  const holders = new Set<string>();
  for (const { nodeName = '', conditions = {} } of server.get('endpointslices', `${key}-x1`)?.endpoints ?? [])
    if (conditions.terminating !== true) holders.add(nodeName);
  const targets = new Set<string>();
  for (const node of nodes) {
    const instance = eligibleInstance(node);
    if (instance === undefined) continue;
    if (spec.externalTrafficPolicy === 'Local' && !holders.has(node.metadata?.name ?? '')) continue;
    if (label !== undefined && label !== '' && node.metadata?.labels?.[label] !== value) continue;
    targets.add(instance);
  }
  return targets;
}

/** The instance of a node that may be a target (KEP-3458), undefined for any other. */
export function eligibleInstance(node: RawNode): string | undefined {
  const label = node.metadata?.labels?.[excludeLabel];
  if (node.metadata?.deletionTimestamp !== undefined) return undefined;
  if (label !== undefined && label !== 'false') return undefined;
  if ((node.spec?.taints ?? []).some(({ key }) => key === 'ToBeDeletedByClusterAutoscaler')) return undefined;
  return /(?:^|\/)(i-[0-9a-f]+)$/.exec(node.spec?.providerID ?? '')?.[1];
}
