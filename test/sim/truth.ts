/**
 * What should be true of each Service, worked out naively from the API objects as they are.
 *
 * Written against the documentation and not against the code under test: it shares no function with it. What
 * depends on the cloud is said by its rules (cloud.ts).
 */
import type { RawNode, RawService } from '../../src/kube/raw.ts';
import type { ApiServer } from './api-server.ts';
import type { Cloud, ListenerTruth } from './cloud.ts';
import { excludeLabel, nameOf } from './people.ts';

export const finalizer = 'sluice.dev/balancer';
/** Hands a Service without a class to another controller when it says `external`, on whatever cloud. */
export const handedKey = 'service.beta.kubernetes.io/aws-load-balancer-type';

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
  /**
   * Instances, by the nodes that may be targets and, under policy Local, hold an endpoint, with the number of
   * their endpoints that are ready.
   */
  readonly targets: ReadonlyMap<string, number>;
  readonly local: boolean;
  readonly annotations: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

export function truthOf(server: ApiServer, cloud: Cloud): ReadonlyMap<string, ServiceTruth> {
  const truths = new Map<string, ServiceTruth>();
  const nodes = [...server.all('nodes')];
  for (const service of server.all('services')) {
    const truth = serviceTruth(server, cloud, service, nodes);
    truths.set(truth.uid, truth);
  }
  return truths;
}

function serviceTruth(
  server: ApiServer,
  cloud: Cloud,
  service: RawService,
  nodes: readonly RawNode[],
): ServiceTruth {
  const { metadata = {}, spec = {}, status = {} } = service;
  const annotations = metadata.annotations ?? {};
  const key = nameOf(service);
  const byClass = spec.loadBalancerClass ?? cloud.className;
  const handed = spec.loadBalancerClass === undefined && annotations[handedKey] === 'external';
  const deleting = metadata.deletionTimestamp !== undefined;
  const { listeners, broken } = cloud.rules.listenersOf(spec.ports ?? [], annotations);
  return {
    uid: metadata.uid ?? '',
    key,
    deleting,
    finalized: (metadata.finalizers ?? []).includes(finalizer),
    ours: spec.type === 'LoadBalancer' && !deleting && byClass === cloud.className && !handed,
    held: annotations['sluice.dev/paused'] !== undefined || annotations['sluice.dev/plan-only'] !== undefined,
    broken: broken || Object.entries(cloud.words.broken).some(([name, value]) => annotations[name] === value),
    listeners,
    targets: targetsOf(server, cloud, service, nodes),
    local: spec.externalTrafficPolicy === 'Local',
    annotations,
    addresses: (status.loadBalancer?.ingress ?? []).map(({ hostname = '', ip = '' }) => hostname || ip),
  };
}

function targetsOf(
  server: ApiServer,
  cloud: Cloud,
  service: RawService,
  nodes: readonly RawNode[],
): ReadonlyMap<string, number> {
  const { annotations = {} } = service.metadata ?? {};
  const [label, value] = (annotations[cloud.rules.nodeLabelKey] ?? '').split('=');
  const holders = new Map<string, number>();
  const slice = server.get('endpointslices', `${nameOf(service)}-x1`);
  for (const { nodeName = '', conditions = {} } of slice?.endpoints ?? []) {
    if (conditions.terminating === true) continue;
    holders.set(nodeName, (holders.get(nodeName) ?? 0) + (conditions.ready === true ? 1 : 0));
  }
  const targets = new Map<string, number>();
  for (const node of nodes) {
    const instance = eligibleInstance(node, cloud);
    const ready = holders.get(node.metadata?.name ?? '');
    if (instance === undefined) continue;
    if (service.spec?.externalTrafficPolicy === 'Local' && ready === undefined) continue;
    if (label !== undefined && label !== '' && node.metadata?.labels?.[label] !== value) continue;
    targets.set(instance, ready ?? 0);
  }
  return targets;
}

/** The instance of a node that may be a target (KEP-3458), undefined for any other. */
function eligibleInstance(node: RawNode, cloud: Cloud): string | undefined {
  const label = node.metadata?.labels?.[excludeLabel];
  if (node.metadata?.deletionTimestamp !== undefined) return undefined;
  if (label !== undefined && label !== 'false') return undefined;
  if ((node.spec?.taints ?? []).some(({ key }) => key === 'ToBeDeletedByClusterAutoscaler')) return undefined;
  return cloud.rules.instanceOf(node.spec?.providerID ?? '');
}
