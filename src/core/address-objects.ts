/**
 * The slim, immutable form of the two kinds of our own that local mode stands on (`sluice.dev/v1alpha1`).
 *
 * An `AddressPool` is what an administrator writes: which addresses may be given out, to whom, and where they are
 * announced. A `ServiceAddress` is one object per address in use, made by the controller and never by hand: its spec
 * says whose the address is (and outlives the Service for a while, so that a Service made anew gets it again), its
 * status is what the agents saw and did: the last probe, who holds it, on which interface, since when.
 *
 * The status of the Services stays the record of what is in use: with every `ServiceAddress` lost nothing but memory is.
 */
import type { Condition, Meta, NodeName, ObjectKey, Uid } from './objects.ts';

/** What a label selector says, as the API writes it. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly {
    readonly key: string;
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    readonly values: readonly string[];
  }[];
}

export interface AddressPoolObject extends Meta {
  readonly generation: number;
  readonly createdAt: number;
  readonly deleting: boolean;
  /** CIDRs and `first-last` ranges, of either family, as they were written. */
  readonly addresses: readonly string[];
  /** False: only for Services that name the pool or one of its addresses. */
  readonly autoAssign: boolean;
  /** Passes over addresses that end in .0 and .255. */
  readonly avoidBuggyIPs: boolean;
  /** The lower is tried first; 0 comes after every other (as in MetalLB). */
  readonly priority: number;
  /** Undefined: every namespace. A Service fits when its namespace is named or one selector chooses it. */
  readonly namespaces: readonly string[] | undefined;
  readonly namespaceSelectors: readonly LabelSelector[];
  /** Empty: every Service; else one must choose it. */
  readonly serviceSelectors: readonly LabelSelector[];
  /** Empty: every node; else one must choose the node that announces. */
  readonly nodeSelectors: readonly LabelSelector[];
  /** Names of interfaces to announce on; empty: where the address is on the link, else where the default route leaves. */
  readonly interfaces: readonly string[];
  /** Consent to move Services off addresses that the pool no longer has. */
  readonly moveOnShrink: boolean;
  readonly conditions: readonly Condition[];
  /** The figures of its status, by `poolFigures`. */
  readonly figures: string;
}

interface FamilyFigures {
  readonly capacity?: number;
  readonly inUse?: number;
  readonly free?: number;
}

/** What a status says in numbers and names, as a text to compare. */
export function poolFigures(status: {
  readonly inUse?: number;
  readonly ipv4?: FamilyFigures;
  readonly ipv6?: FamilyFigures;
  readonly waiting?: number;
  readonly firstWaiting?: readonly string[];
  readonly draining?: readonly string[];
}): string {
  const { inUse, ipv4, ipv6, waiting, firstWaiting, draining } = status;
  const families = [ipv4, ipv6].map((of) => [of?.capacity, of?.inUse, of?.free]);
  return JSON.stringify([inUse, ...families, waiting, firstWaiting, draining]);
}

/** Outcome of asking the link whether somebody else has the address. */
export interface ProbeRecord {
  readonly node: NodeName;
  readonly interface: string;
  /** RFC 3339. */
  readonly at: string;
  readonly outcome: 'free' | 'taken' | 'failed';
  /** Of who answered, where `taken`. */
  readonly mac?: string;
  /** Why, where `failed`. */
  readonly message?: string;
}

/** Who holds the address now. */
export interface HolderRecord {
  readonly node: NodeName;
  readonly interface: string;
  readonly mac: string;
  /** RFC 3339. */
  readonly since: string;
  /** Why this node: `elected`, `kept`, `lease` … */
  readonly reason: string;
}

export interface ServiceAddressObject extends Meta {
  /** `metadata.name` is made of the address: `v4-192-0-2-10`, `v6-2001-db8--1`. */
  readonly address: string;
  readonly pool: string;
  /** More than one where Services share the address. Empty once only memory is left. */
  readonly services: readonly { readonly key: ObjectKey; readonly uid: Uid }[];
  /** Whom the address is kept for after its Service has gone, and until when (RFC 3339). */
  readonly rememberedFor: { readonly key: ObjectKey; readonly until: string } | undefined;
  /** RFC 3339: the controller asks for a probe later than this. Agents answer in `status.probe`. */
  readonly probeAfter: string | undefined;
  readonly probe: ProbeRecord | undefined;
  readonly holder: HolderRecord | undefined;
  /** What the agents cannot do, and why (`NoEligibleNode`, `InterfaceMissing`, `AddressTaken` …). */
  readonly conditions: readonly Condition[];
}

/** The name of the `ServiceAddress` of an address in canonical form (`src/core/cidr.ts`). */
export function serviceAddressName(address: string): string {
  return address.includes(':')
    ? `v6-${address.replaceAll(':', '-').replace(/^-/u, '0-').replace(/-$/u, '-0')}`
    : `v4-${address.replaceAll('.', '-')}`;
}
