/**
 * Objects with sensible defaults, for tests and for simulated clusters: name what matters, the rest is
 * what a real API server would have filled in.
 */
import { objectKey } from './objects.ts';
import type {
  EndpointSliceObject,
  NodeName,
  NodeObject,
  ObjectKey,
  ServiceObject,
  ServicePort,
  SliceEndpoint,
  Uid,
} from './objects.ts';

export function aUid(text: string): Uid {
  return text as Uid;
}

export function aNodeName(text: string): NodeName {
  return text as NodeName;
}

export function aPort(change: Partial<ServicePort> = {}): ServicePort {
  return {
    name: '',
    protocol: 'TCP',
    port: 80,
    targetPort: 8080,
    nodePort: 30080,
    appProtocol: undefined,
    ...change,
  };
}

/** A class-less LoadBalancer Service `default/web` with one TCP port. */
export function aService(change: Partial<Omit<ServiceObject, 'key'>> = {}): ServiceObject {
  const name = change.name ?? 'web';
  const namespace = change.namespace ?? 'default';
  return {
    uid: aUid(`uid-${name}`),
    resourceVersion: '1',
    generation: 1,
    createdAt: Date.UTC(2026, 0, 1),
    deleting: false,
    labels: {},
    annotations: {},
    finalizers: [],
    type: 'LoadBalancer',
    loadBalancerClass: undefined,
    ports: [aPort()],
    selector: { app: 'web' },
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
    trafficDistribution: undefined,
    healthCheckNodePort: 0,
    allocateNodePorts: true,
    publishNotReadyAddresses: false,
    sessionAffinity: 'None',
    sessionAffinityTimeout: 10800,
    sourceRanges: [],
    loadBalancerIP: undefined,
    clusterIPs: ['10.96.0.10'],
    headless: false,
    externalIPs: [],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    ingress: [],
    conditions: [],
    ingressManagers: [],
    ...change,
    name,
    namespace,
    key: objectKey(namespace, name),
  };
}

/** A ready node on an AWS instance in zone a. */
export function aNode(name: string, change: Partial<Omit<NodeObject, 'name'>> = {}): NodeObject {
  return {
    uid: aUid(`uid-${name}`),
    resourceVersion: '1',
    providerID: `aws:///zone-a/i-${name}`,
    deleting: false,
    labels: {},
    annotations: {},
    taints: [],
    unschedulable: false,
    ready: 'True',
    networkUnavailable: false,
    internalIPs: ['10.0.0.1'],
    externalIPs: [],
    podCIDRs: [],
    zone: 'zone-a',
    ...change,
    name: aNodeName(name),
  };
}

/** A ready endpoint on a node. */
export function anEndpoint(
  address: string,
  node: string | undefined,
  change: Partial<SliceEndpoint> = {},
): SliceEndpoint {
  return {
    addresses: [address],
    ready: true,
    serving: true,
    terminating: false,
    nodeName: node === undefined ? undefined : aNodeName(node),
    zone: undefined,
    hintZones: [],
    hintNodes: [],
    ...change,
  };
}

export function aSlice(
  name: string,
  endpoints: readonly SliceEndpoint[],
  change: Partial<Omit<EndpointSliceObject, 'key' | 'name'>> = {},
): EndpointSliceObject {
  const namespace = change.namespace ?? 'default';
  return {
    uid: aUid(`uid-${name}`),
    resourceVersion: '1',
    service: 'default/web' as ObjectKey,
    headless: false,
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 8080, appProtocol: undefined }],
    triggeredAt: undefined,
    ...change,
    endpoints,
    name,
    namespace,
    key: objectKey(namespace, name),
  };
}
