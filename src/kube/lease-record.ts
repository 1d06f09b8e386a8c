/**
 * The Lease object as the election sees it: read, claimed, renewed, given back. Only requests; the decisions
 * are in lease.ts.
 *
 * Each write is a merge patch tied to the version that was read, so of two contenders one gets a conflict.
 * Times in it are for people: no decision of ours compares them with a clock.
 */
import { fieldManager, patchContentType } from './api.ts';
import type { Api } from './api.ts';
import { microTime } from './micro-time.ts';

export interface LeaseRecord {
  readonly version: string;
  /** Empty when nobody holds it. */
  readonly holder: string;
  /** Seconds that the holder asked others to wait. */
  readonly durationSeconds: number;
  readonly transitions: number;
  /** As written by the holder: only ever compared for having changed. */
  readonly renewTime: string;
}

export interface LeaseName {
  readonly namespace: string;
  readonly name: string;
}

interface Claim {
  readonly holder: string;
  readonly durationMs: number;
  readonly wallMs: number;
}

interface RawLease {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly leaseTransitions?: number;
    readonly renewTime?: string;
  };
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export async function readLease(api: Api, lease: LeaseName, limits: Limits): Promise<LeaseRecord> {
  return record(await api.request('GET', path(lease), { ...limits, urgent: true }));
}

/** Errors: `conflict` when someone else made it first. */
export async function createLease(
  api: Api,
  lease: LeaseName,
  claim: Claim,
  limits: Limits,
): Promise<LeaseRecord> {
  const now = microTime(claim.wallMs);
  return record(
    await api.request('POST', collection(lease), {
      query: { fieldManager },
      body: {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: lease.name, namespace: lease.namespace },
        spec: {
          holderIdentity: claim.holder,
          leaseDurationSeconds: seconds(claim.durationMs),
          leaseTransitions: 0,
          acquireTime: now,
          renewTime: now,
        },
      },
      ...limits,
      urgent: true,
    }),
  );
}

/** Takes the lease over, or takes it again. Errors: `conflict`. */
export async function claimLease(
  api: Api,
  lease: LeaseName,
  from: LeaseRecord,
  claim: Claim,
  limits: Limits,
): Promise<LeaseRecord> {
  const now = microTime(claim.wallMs);
  return patch(api, lease, from.version, limits, {
    holderIdentity: claim.holder,
    leaseDurationSeconds: seconds(claim.durationMs),
    leaseTransitions: from.transitions + (from.holder === claim.holder ? 0 : 1),
    acquireTime: now,
    renewTime: now,
  });
}

/** Errors: `conflict` when anything touched the lease since. */
export async function renewLease(
  api: Api,
  lease: LeaseName,
  from: LeaseRecord,
  claim: Claim,
  limits: Limits,
): Promise<LeaseRecord> {
  return patch(api, lease, from.version, limits, {
    holderIdentity: claim.holder,
    leaseDurationSeconds: seconds(claim.durationMs),
    renewTime: microTime(claim.wallMs),
  });
}

/** Nobody holds it any more: the next contender need not wait. Errors: `conflict`. */
export async function releaseLease(
  api: Api,
  lease: LeaseName,
  from: LeaseRecord,
  wallMs: number,
  limits: Limits,
): Promise<LeaseRecord> {
  return patch(api, lease, from.version, limits, {
    holderIdentity: '',
    // For contenders of other makes, which may look at the duration only.
    leaseDurationSeconds: 1,
    renewTime: microTime(wallMs),
  });
}

async function patch(
  api: Api,
  lease: LeaseName,
  version: string,
  limits: Limits,
  spec: Readonly<Record<string, string | number>>,
): Promise<LeaseRecord> {
  return record(
    await api.request('PATCH', path(lease), {
      query: { fieldManager },
      body: { metadata: { resourceVersion: version }, spec },
      contentType: patchContentType.merge,
      ...limits,
      urgent: true,
    }),
  );
}

function record(answer: unknown): LeaseRecord {
  const { metadata, spec } = (answer ?? {}) as RawLease;
  return {
    version: metadata?.resourceVersion ?? '',
    holder: spec?.holderIdentity ?? '',
    durationSeconds: spec?.leaseDurationSeconds ?? 0,
    transitions: spec?.leaseTransitions ?? 0,
    renewTime: spec?.renewTime ?? '',
  };
}

function collection(lease: LeaseName): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(lease.namespace)}/leases`;
}

function path(lease: LeaseName): string {
  return `${collection(lease)}/${encodeURIComponent(lease.name)}`;
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
