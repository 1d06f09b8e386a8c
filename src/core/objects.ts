/**
 * The slim, immutable form of the Kubernetes objects that Sluice looks at.
 *
 * The reader turns each object into one of these as it comes off the wire and forgets the rest, so memory
 * follows what we use and the core never sees an SDK type. Absent optional API fields are given their
 * documented default here, once, and nowhere else.
 */

declare const branded: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [branded]: Name };

/** `namespace/name` of a namespaced object. */
export type ObjectKey = Brand<string, 'ObjectKey'>;
/** `metadata.uid`. */
export type Uid = Brand<string, 'Uid'>;
/** `metadata.name` of a Node. */
export type NodeName = Brand<string, 'NodeName'>;

export function objectKey(namespace: string, name: string): ObjectKey {
  return `${namespace}/${name}` as ObjectKey;
}

export function splitKey(key: ObjectKey): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export interface Meta {
  readonly name: string;
  readonly uid: Uid;
  readonly resourceVersion: string;
}

export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
export type TransportProtocol = 'TCP' | 'UDP' | 'SCTP';
export type TrafficPolicy = 'Cluster' | 'Local';
export type IpFamily = 'IPv4' | 'IPv6';

export interface ServicePort {
  /** Empty string where the Service has a single unnamed port. */
  readonly name: string;
  readonly protocol: TransportProtocol;
  readonly port: number;
  /** A number, or the name of a container port. */
  readonly targetPort: number | string;
  /** 0 when none is allocated. */
  readonly nodePort: number;
  readonly appProtocol: string | undefined;
}

export interface IngressPort {
  readonly port: number;
  readonly protocol: TransportProtocol;
  readonly error?: string;
}

/** One entry of `status.loadBalancer.ingress`: exactly one of `ip` and `hostname`. */
export interface Ingress {
  readonly ip?: string;
  readonly hostname?: string;
  /** Only beside `ip` (KEP-1860). */
  readonly ipMode?: 'VIP' | 'Proxy';
  readonly ports?: readonly IngressPort[];
}

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

export interface ServiceObject extends Meta {
  readonly namespace: string;
  readonly key: ObjectKey;
  readonly generation: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** `metadata.deletionTimestamp` is set. */
  readonly deleting: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  readonly type: ServiceType;
  readonly loadBalancerClass: string | undefined;
  readonly ports: readonly ServicePort[];
  /** Empty where somebody else writes the endpoints. */
  readonly selector: Readonly<Record<string, string>>;
  readonly externalTrafficPolicy: TrafficPolicy;
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly trafficDistribution: string | undefined;
  /** 0 when none is allocated. */
  readonly healthCheckNodePort: number;
  readonly allocateNodePorts: boolean;
  readonly publishNotReadyAddresses: boolean;
  readonly sessionAffinity: 'None' | 'ClientIP';
  /** Seconds; the API's default is 10800. */
  readonly sessionAffinityTimeout: number;
  readonly sourceRanges: readonly string[];
  readonly loadBalancerIP: string | undefined;
  /** Without `None`: a headless Service has no cluster IPs. */
  readonly clusterIPs: readonly string[];
  readonly headless: boolean;
  readonly externalIPs: readonly string[];
  readonly ipFamilies: readonly IpFamily[];
  readonly ipFamilyPolicy: string | undefined;
  readonly ingress: readonly Ingress[];
  readonly conditions: readonly Condition[];
  /** Field managers that own entries of `status.loadBalancer`: how another controller shows itself. */
  readonly ingressManagers: readonly string[];
}

export interface Taint {
  readonly key: string;
  readonly value: string;
  readonly effect: string;
}

export interface NodeObject extends Meta {
  readonly name: NodeName;
  readonly providerID: string;
  readonly deleting: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly unschedulable: boolean;
  /** Condition `Ready`. Not a reason to drop a target (KEP-3458); shown to people. */
  readonly ready: 'True' | 'False' | 'Unknown';
  readonly networkUnavailable: boolean;
  readonly internalIPs: readonly string[];
  readonly externalIPs: readonly string[];
  readonly podCIDRs: readonly string[];
  /** Label `topology.kubernetes.io/zone`, or an empty string. */
  readonly zone: string;
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  /** Absent in the API counts as true. */
  readonly ready: boolean;
  /** Absent in the API counts as true (API reference of 1.34 and later; before that, as `ready`). */
  readonly serving: boolean;
  /** Absent in the API counts as false. */
  readonly terminating: boolean;
  readonly nodeName: NodeName | undefined;
  readonly zone: string | undefined;
  readonly hintZones: readonly string[];
  readonly hintNodes: readonly string[];
}

export interface EndpointSliceObject extends Meta {
  readonly namespace: string;
  readonly key: ObjectKey;
  /** Key of the Service named by label `kubernetes.io/service-name`; undefined where there is none. */
  readonly service: ObjectKey | undefined;
  /** Label `service.kubernetes.io/headless` is there: no proxy is to look at it. */
  readonly headless: boolean;
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly ports: readonly {
    readonly name: string;
    readonly protocol: TransportProtocol;
    readonly port: number | undefined;
    readonly appProtocol: string | undefined;
  }[];
  readonly endpoints: readonly SliceEndpoint[];
  /** Annotation `endpoints.kubernetes.io/last-change-trigger-time`, RFC 3339. */
  readonly triggeredAt: string | undefined;
}
