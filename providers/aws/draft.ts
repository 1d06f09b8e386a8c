/**
 * The draft that the rows of the annotation table fill in, before the rows are checked against each other,
 * the spec and the settings file. Mutable, and gone once `AwsSettings` is made from it.
 */
import type { Attributes, HealthCheck, Scheme, Tags } from './observed.ts';

export interface Draft {
  name: string | undefined;
  scheme: Scheme | undefined;
  /** The deprecated spelling of the scheme. */
  internal: Scheme | undefined;
  subnets: readonly string[] | undefined;
  allocations: readonly string[];
  securityGroups: readonly string[] | undefined;
  withoutSecurityGroups: boolean;
  balancerAttributes: Attributes;
  groupAttributes: Attributes;
  /** By service port, as text. */
  groupAttributesByPort: Readonly<Record<string, Attributes>>;
  /** Service ports whose targets get proxy protocol; `all` beats the list. */
  proxyProtocol: 'all' | readonly number[];
  certificates: readonly string[];
  /** Names or numbers, as written; undefined: every TCP port. */
  tlsPorts: readonly string[] | undefined;
  sslPolicy: string | undefined;
  alpn: string;
  encryptToTargets: boolean;
  healthCheck: Partial<HealthCheck>;
  tags: Tags;
  nodeSelector: Readonly<Record<string, string>>;
  /** False when the user forbids TCP and UDP on one listener. */
  mergeTcpUdp: boolean;
  sourceRanges: readonly string[] | undefined;
}

/** A Service without annotations. */
export function emptyDraft(): Draft {
  return {
    name: undefined,
    scheme: undefined,
    internal: undefined,
    subnets: undefined,
    allocations: [],
    securityGroups: undefined,
    withoutSecurityGroups: false,
    balancerAttributes: {},
    groupAttributes: {},
    groupAttributesByPort: {},
    proxyProtocol: [],
    certificates: [],
    tlsPorts: undefined,
    sslPolicy: undefined,
    alpn: '',
    encryptToTargets: false,
    healthCheck: {},
    tags: {},
    nodeSelector: {},
    mergeTcpUdp: true,
    sourceRanges: undefined,
  };
}
