/** What the cluster holds for a Service, as plain data. */
import type { HolderRecord, ProbeRecord, ServiceAddressObject } from '../../src/core/address-objects.ts';
import type { ObjectKey, Uid } from '../../src/core/objects.ts';
import type { Outcome } from './allocator/request.ts';

/** After a probe that met one of our own nodes: by then that node has let go (its address lives for 2 s). */
export const letGoMs = 3_000;

/** One ServiceAddress. */
export interface SeenAddress {
  readonly name: string;
  readonly uid: Uid;
  readonly resourceVersion: string;
  readonly address: string;
  readonly pool: string;
  readonly services: readonly { readonly key: ObjectKey; readonly uid: Uid }[];
  readonly rememberedFor: { readonly key: ObjectKey; readonly until: string } | null;
  readonly probeAfter: string | null;
  readonly probe: ProbeRecord | null;
  readonly holder: HolderRecord | null;
  /** What agents complain of: `reason: message`. */
  readonly complaint: string;
}

export interface LocalObserved {
  /** Whose; null where nothing was looked at. */
  readonly owner: Uid | null;
  /** Those that bear the Service's mark, and those that it is to have. Sorted by name. */
  readonly addresses: readonly SeenAddress[];
  /** What the pools give; null where nobody asked them. */
  readonly outcome: Outcome | null;
  /** Granted addresses that lie in no pool any more. */
  readonly draining: readonly string[];
  /** Addresses whose probe met one of our own nodes, which has not let go yet. */
  readonly stillOurs: readonly string[];
  /** Why it was given other addresses than the first ones. */
  readonly passedOver: readonly string[];
  /** Granted addresses that no node may announce. */
  readonly homeless: readonly string[];
  /** When this was seen: wall clock, milliseconds. */
  readonly at: number;
}

export const nothing: LocalObserved = {
  owner: null,
  addresses: [],
  outcome: null,
  draining: [],
  stillOurs: [],
  passedOver: [],
  homeless: [],
  at: 0,
};

export function seen(object: ServiceAddressObject): SeenAddress {
  const { name, uid, resourceVersion, address, pool, services, rememberedFor, probeAfter, probe, holder } =
    object;
  const complaint = object.conditions.find(({ status }) => status === 'False');
  return {
    name,
    uid,
    resourceVersion,
    address,
    pool,
    services,
    rememberedFor: rememberedFor ?? null,
    probeAfter: probeAfter ?? null,
    probe: probe ?? null,
    holder: holder ?? null,
    complaint: complaint === undefined ? '' : `${complaint.reason}: ${complaint.message}`,
  };
}

export function isOf({ services }: Pick<SeenAddress, 'services'>, owner: Uid): boolean {
  return services.some(({ uid }) => uid === owner);
}

/** What the link said to the last question; `asked` while there is no answer yet, `given` where nobody asked. */
export function answerOf({
  probeAfter,
  probe,
}: Pick<SeenAddress, 'probeAfter' | 'probe'>): 'given' | 'asked' | ProbeRecord['outcome'] {
  if (probeAfter === null) return 'given';
  if (probe === null || !(Date.parse(probe.at) > Date.parse(probeAfter))) return 'asked';
  return probe.outcome;
}
