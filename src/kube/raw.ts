/**
 * The shapes of the API's JSON as far as the transforms look at them.
 *
 * Everything is optional: what a field means when it is absent is decided in the transforms, once.
 */

export interface RawMeta {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly RawManaged[];
}

export interface RawManaged {
  readonly manager?: string;
  readonly subresource?: string;
  readonly fieldsV1?: Readonly<Record<string, unknown>>;
}

export interface RawObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: RawMeta;
}

export interface RawCondition {
  readonly type?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly observedGeneration?: number;
}

export interface RawService extends RawObject {
  readonly spec?: {
    readonly type?: string;
    readonly loadBalancerClass?: string;
    readonly ports?: readonly {
      readonly name?: string;
      readonly protocol?: string;
      readonly port?: number;
      readonly targetPort?: number | string;
      readonly nodePort?: number;
      readonly appProtocol?: string;
    }[];
    readonly selector?: Readonly<Record<string, string>>;
    readonly externalTrafficPolicy?: string;
    readonly internalTrafficPolicy?: string;
    readonly trafficDistribution?: string;
    readonly healthCheckNodePort?: number;
    readonly allocateLoadBalancerNodePorts?: boolean;
    readonly publishNotReadyAddresses?: boolean;
    readonly sessionAffinity?: string;
    readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } };
    readonly loadBalancerSourceRanges?: readonly string[];
    readonly loadBalancerIP?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly ipFamilies?: readonly string[];
    readonly ipFamilyPolicy?: string;
  };
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly {
        readonly ip?: string;
        readonly hostname?: string;
        readonly ipMode?: string;
        readonly ports?: readonly {
          readonly port?: number;
          readonly protocol?: string;
          readonly error?: string;
        }[];
      }[];
    };
    readonly conditions?: readonly RawCondition[];
  };
}

export interface RawNode extends RawObject {
  readonly spec?: {
    readonly providerID?: string;
    readonly unschedulable?: boolean;
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly taints?: readonly { readonly key?: string; readonly value?: string; readonly effect?: string }[];
  };
  readonly status?: {
    readonly conditions?: readonly RawCondition[];
    readonly addresses?: readonly { readonly type?: string; readonly address?: string }[];
  };
}

export interface RawSlice extends RawObject {
  readonly addressType?: string;
  readonly ports?:
    | readonly {
        readonly name?: string;
        readonly protocol?: string;
        readonly port?: number;
        readonly appProtocol?: string;
      }[]
    | null;
  readonly endpoints?:
    | readonly {
        readonly addresses?: readonly string[];
        readonly conditions?: {
          readonly ready?: boolean;
          readonly serving?: boolean;
          readonly terminating?: boolean;
        };
        readonly nodeName?: string;
        readonly zone?: string;
        readonly hints?: {
          readonly forZones?: readonly { readonly name?: string }[];
          readonly forNodes?: readonly { readonly name?: string }[];
        };
      }[]
    | null;
}
