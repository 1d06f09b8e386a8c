/**
 * What the provider needs of the cluster, in its own words: the picture of pools, addresses, Services, namespaces and
 * nodes, and a few writes. The one door to the Kubernetes API implements it; tests implement it over plain values.
 *
 * The account of this provider is the cluster itself: what a cloud's API is to the others, this is here.
 */
import type { AddressPoolObject, ServiceAddressObject } from '../../src/core/address-objects.ts';
import type { Condition, NodeObject, ObjectKey, ServiceObject, Uid } from '../../src/core/objects.ts';

/** Hears every change after the picture has it. `before` undefined: new; `after` undefined: gone. */
export interface ClusterHearer {
  pool(before: AddressPoolObject | undefined, after: AddressPoolObject | undefined): void;
  address(before: ServiceAddressObject | undefined, after: ServiceAddressObject | undefined): void;
  service(before: ServiceObject | undefined, after: ServiceObject | undefined): void;
  /** Its labels are other ones; `before`: those that it had, none where it is new. */
  namespace(name: string, before: Readonly<Record<string, string>>): void;
  /** A node came or went, or its addresses, labels or eligibility changed. */
  nodes(): void;
}

/** The spec of a ServiceAddress. Times are RFC 3339 with microseconds or less. */
export interface AddressSpec {
  readonly address: string;
  readonly pool: string;
  readonly services: readonly { readonly key: ObjectKey; readonly uid: Uid }[];
  readonly rememberedFor: { readonly key: ObjectKey; readonly until: string } | undefined;
  readonly probeAfter: string | undefined;
}

/** Which ServiceAddress, as it was when the change was thought of. */
export type AddressRef = Pick<ServiceAddressObject, 'name' | 'uid' | 'resourceVersion'>;

export interface PoolFigures {
  readonly capacity: number;
  readonly inUse: number;
  readonly free: number;
}

export interface PoolStatus {
  readonly observedGeneration: number;
  readonly inUse: number;
  readonly ipv4: PoolFigures;
  readonly ipv6: PoolFigures;
  readonly waiting: number;
  readonly firstWaiting: readonly string[];
  readonly draining: readonly string[];
  readonly conditions: readonly Condition[];
}

/**
 * Reads of the picture cost nothing and never fail once it is complete; `connect` may be called from then on only.
 * Everything with a signal is one call of the API server and throws `SluiceError` as usual.
 */
export interface LocalCluster {
  /** Every list is in. Until then nothing may be decided on the picture. */
  complete(): boolean;
  pools(): readonly AddressPoolObject[];
  addresses(): Iterable<ServiceAddressObject>;
  address(name: string): ServiceAddressObject | undefined;
  services(): Iterable<ServiceObject>;
  service(key: ObjectKey): ServiceObject | undefined;
  namespaceLabels(name: string): Readonly<Record<string, string>>;
  nodes(): readonly NodeObject[];
  connect(hearer: ClusterHearer): () => void;

  /** Live; undefined where there is none. */
  readAddress(name: string, signal: AbortSignal): Promise<ServiceAddressObject | undefined>;
  /** Live and complete. */
  listAddresses(signal: AbortSignal): Promise<readonly ServiceAddressObject[]>;
  /** Errors: `conflict` where the address has an object already. */
  createAddress(name: string, spec: AddressSpec, signal: AbortSignal): Promise<ServiceAddressObject>;
  /** Errors: `conflict` where somebody changed it since, `gone`. */
  changeAddress(of: AddressRef, spec: AddressSpec, signal: AbortSignal): Promise<ServiceAddressObject>;
  /** Errors: `conflict` where somebody changed it since; one that is gone is fine. */
  deleteAddress(of: AddressRef, signal: AbortSignal): Promise<void>;
  writePoolStatus(pool: AddressPoolObject, status: PoolStatus, signal: AbortSignal): Promise<void>;
}
