/**
 * From the API's JSON to the slim objects of the core.
 *
 * Runs on each object as it comes off the wire; what is not copied here is garbage a moment later. These
 * functions never throw on odd input: a field that is absent gets the API's documented default, a text that
 * we do not know is passed on as it is.
 */
import type {
  Condition,
  EndpointSliceObject,
  Ingress,
  IpFamily,
  NodeName,
  NodeObject,
  ObjectKey,
  ServiceObject,
  ServiceType,
  SliceEndpoint,
  TrafficPolicy,
  TransportProtocol,
  Uid,
} from '../core/objects.ts';
import { objectKey } from '../core/objects.ts';
import type { Intern } from './intern.ts';
import type { RawCondition, RawMeta, RawNode, RawService, RawSlice } from './raw.ts';

const empty: Readonly<Record<string, string>> = Object.freeze({});
const none: readonly never[] = Object.freeze([]);

/** Written by kubectl, a copy of the whole object, of no use to us. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

export function slimService(raw: RawService, intern: Intern): ServiceObject {
  const { metadata = {}, spec = {}, status = {} } = raw;
  const { name, namespace, key, uid, resourceVersion } = identity(metadata, intern);
  const clusterIPs = spec.clusterIPs ?? (spec.clusterIP === undefined ? none : [spec.clusterIP]);
  return {
    name,
    namespace,
    key,
    uid,
    resourceVersion,
    generation: metadata.generation ?? 0,
    createdAt: milliseconds(metadata.creationTimestamp),
    deleting: metadata.deletionTimestamp !== undefined,
    labels: metadata.labels ?? empty,
    annotations: annotations(metadata),
    finalizers: metadata.finalizers ?? none,
    type: (spec.type ?? 'ClusterIP') as ServiceType,
    loadBalancerClass: spec.loadBalancerClass,
    ports: (spec.ports ?? none).map((port) => ({
      name: intern(port.name ?? ''),
      protocol: protocol(port.protocol),
      port: port.port ?? 0,
      // The API fills in the port itself; a Service from a file may lack it.
      targetPort: port.targetPort ?? port.port ?? 0,
      nodePort: port.nodePort ?? 0,
      appProtocol: port.appProtocol,
    })),
    selector: spec.selector ?? empty,
    externalTrafficPolicy: trafficPolicy(spec.externalTrafficPolicy),
    internalTrafficPolicy: trafficPolicy(spec.internalTrafficPolicy),
    trafficDistribution: spec.trafficDistribution,
    healthCheckNodePort: spec.healthCheckNodePort ?? 0,
    allocateNodePorts: spec.allocateLoadBalancerNodePorts ?? true,
    publishNotReadyAddresses: spec.publishNotReadyAddresses ?? false,
    sessionAffinity: spec.sessionAffinity === 'ClientIP' ? 'ClientIP' : 'None',
    sessionAffinityTimeout: spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800,
    sourceRanges: spec.loadBalancerSourceRanges ?? none,
    loadBalancerIP: spec.loadBalancerIP === '' ? undefined : spec.loadBalancerIP,
    clusterIPs: clusterIPs.filter((ip) => ip !== 'None' && ip !== ''),
    headless: clusterIPs[0] === 'None',
    externalIPs: spec.externalIPs ?? none,
    ipFamilies: (spec.ipFamilies ?? none) as readonly IpFamily[],
    ipFamilyPolicy: spec.ipFamilyPolicy,
    ingress: (status.loadBalancer?.ingress ?? none).map(ingress),
    conditions: slimConditions(status.conditions),
    ingressManagers: ingressManagers(metadata),
  };
}

export function slimNode(raw: RawNode, intern: Intern): NodeObject {
  const { metadata = {}, spec = {}, status = {} } = raw;
  const addresses = status.addresses ?? none;
  const ready = status.conditions?.find((one) => one.type === 'Ready')?.status;
  return {
    name: intern(metadata.name ?? '') as NodeName,
    uid: (metadata.uid ?? '') as Uid,
    resourceVersion: metadata.resourceVersion ?? '',
    providerID: spec.providerID ?? '',
    deleting: metadata.deletionTimestamp !== undefined,
    labels: internValues(metadata.labels, intern),
    annotations: annotations(metadata),
    taints: (spec.taints ?? none).map((taint) => ({
      key: intern(taint.key ?? ''),
      value: intern(taint.value ?? ''),
      effect: intern(taint.effect ?? ''),
    })),
    unschedulable: spec.unschedulable ?? false,
    ready: ready === 'True' || ready === 'False' ? ready : 'Unknown',
    networkUnavailable:
      status.conditions?.find((one) => one.type === 'NetworkUnavailable')?.status === 'True',
    internalIPs: addresses.filter((one) => one.type === 'InternalIP').map((one) => one.address ?? ''),
    externalIPs: addresses.filter((one) => one.type === 'ExternalIP').map((one) => one.address ?? ''),
    podCIDRs: spec.podCIDRs ?? (spec.podCIDR === undefined ? none : [spec.podCIDR]),
    zone: intern(metadata.labels?.['topology.kubernetes.io/zone'] ?? ''),
  };
}

export function slimSlice(raw: RawSlice, intern: Intern): EndpointSliceObject {
  const { metadata = {} } = raw;
  const { name, namespace, key, uid, resourceVersion } = identity(metadata, intern);
  const service = metadata.labels?.['kubernetes.io/service-name'];
  return {
    name,
    namespace,
    key,
    uid,
    resourceVersion,
    service:
      service === undefined || service === ''
        ? undefined
        : (intern(objectKey(namespace, service)) as ObjectKey),
    headless: metadata.labels?.['service.kubernetes.io/headless'] !== undefined,
    addressType: raw.addressType === 'IPv6' || raw.addressType === 'FQDN' ? raw.addressType : 'IPv4',
    ports: (raw.ports ?? none).map((port) => ({
      name: intern(port.name ?? ''),
      protocol: protocol(port.protocol),
      port: port.port,
      appProtocol: port.appProtocol,
    })),
    endpoints: (raw.endpoints ?? none).map((endpoint): SliceEndpoint => {
      return {
        addresses: endpoint.addresses ?? none,
        ready: endpoint.conditions?.ready ?? true,
        serving: endpoint.conditions?.serving ?? true,
        terminating: endpoint.conditions?.terminating ?? false,
        nodeName:
          endpoint.nodeName === undefined || endpoint.nodeName === ''
            ? undefined
            : (intern(endpoint.nodeName) as NodeName),
        zone: endpoint.zone === undefined ? undefined : intern(endpoint.zone),
        hintZones: hints(endpoint.hints?.forZones, intern),
        hintNodes: hints(endpoint.hints?.forNodes, intern),
      };
    }),
    triggeredAt: metadata.annotations?.['endpoints.kubernetes.io/last-change-trigger-time'],
  };
}

function identity(metadata: RawMeta, intern: Intern) {
  const name = metadata.name ?? '';
  const namespace = intern(metadata.namespace ?? '');
  return {
    name,
    namespace,
    key: objectKey(namespace, name),
    uid: (metadata.uid ?? '') as Uid,
    resourceVersion: metadata.resourceVersion ?? '',
  };
}

function annotations(metadata: RawMeta): Readonly<Record<string, string>> {
  const given = metadata.annotations;
  if (given === undefined) return empty;
  if (given[lastApplied] === undefined) return given;
  const { [lastApplied]: _dropped, ...kept } = given;
  return kept;
}

function internValues(
  from: Readonly<Record<string, string>> | undefined,
  intern: Intern,
): Readonly<Record<string, string>> {
  if (from === undefined) return empty;
  const to: Record<string, string> = {};
  for (const key in from) to[key] = intern(from[key] ?? '');
  return to;
}

function hints(from: readonly { readonly name?: string }[] | undefined, intern: Intern): readonly string[] {
  return from === undefined || from.length === 0 ? none : from.map((hint) => intern(hint.name ?? ''));
}

function ingress(raw: {
  readonly ip?: string;
  readonly hostname?: string;
  readonly ipMode?: string;
  readonly ports?: readonly { readonly port?: number; readonly protocol?: string; readonly error?: string }[];
}): Ingress {
  return {
    ...(raw.ip === undefined ? {} : { ip: raw.ip }),
    ...(raw.hostname === undefined ? {} : { hostname: raw.hostname }),
    ...(raw.ipMode === 'VIP' || raw.ipMode === 'Proxy' ? { ipMode: raw.ipMode } : {}),
    ...(raw.ports === undefined
      ? {}
      : {
          ports: raw.ports.map((port) => ({
            port: port.port ?? 0,
            protocol: protocol(port.protocol),
            ...(port.error === undefined ? {} : { error: port.error }),
          })),
        }),
  };
}

export function slimConditions(raw: readonly RawCondition[] | undefined): readonly Condition[] {
  return (raw ?? none).map(condition);
}

function condition(raw: RawCondition): Condition {
  return {
    type: raw.type ?? '',
    status: raw.status === 'True' || raw.status === 'False' ? raw.status : 'Unknown',
    reason: raw.reason ?? '',
    message: raw.message ?? '',
    lastTransitionTime: raw.lastTransitionTime ?? '',
    ...(raw.observedGeneration === undefined ? {} : { observedGeneration: raw.observedGeneration }),
  };
}

/** Who owns something under `status.loadBalancer`, per `managedFields`; each name once. */
function ingressManagers(metadata: RawMeta): readonly string[] {
  const found = new Set<string>();
  for (const entry of metadata.managedFields ?? none) {
    const status = entry.fieldsV1?.['f:status'];
    if (typeof status === 'object' && status !== null && 'f:loadBalancer' in status) {
      found.add(entry.manager ?? '');
    }
  }
  return found.size === 0 ? none : [...found];
}

function protocol(given: string | undefined): TransportProtocol {
  return given === 'UDP' || given === 'SCTP' ? given : 'TCP';
}

function trafficPolicy(given: string | undefined): TrafficPolicy {
  return given === 'Local' ? 'Local' : 'Cluster';
}

function milliseconds(time: string | undefined): number {
  const parsed = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(parsed) ? 0 : parsed;
}
