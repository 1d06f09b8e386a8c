/**
 * The status that we write: conditions of ours, and addresses compared by what they mean.
 *
 * The API server asks no prefix of condition types on a Service (metav1 condition: a qualified name, whose
 * prefix is optional), so ours are plain. Conditions of other types belong to others: they are neither
 * compared nor touched.
 */
import type { Condition, Ingress, IngressPort } from './objects.ts';
import { reasons, type ReasonCode } from './reasons.ts';

export const ownConditionTypes = ['Accepted', 'Provisioned', 'TargetsReady', 'InSync'] as const;
export type OwnConditionType = (typeof ownConditionTypes)[number];

/** A condition before it has a time. */
export interface ConditionDraft {
  readonly type: OwnConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: ReasonCode;
  readonly message: string;
}

/** Longest message that the API server accepts. */
const longestMessage = 32_768;

/**
 * Our conditions as they shall stand, in our order: the drafts, and those of ours that no draft names.
 *
 * `lastTransitionTime` moves only when the status does. A message that differs by a cloud's request id only stays
 * as it is: every try has another one, and would cost a write.
 *
 * @param existing the Service's conditions, others' included; only ours are returned.
 * @param wallMs wall-clock time, milliseconds since the epoch.
 */
export function mergeConditions(
  existing: readonly Condition[],
  drafts: readonly ConditionDraft[],
  wallMs: number,
): readonly Condition[] {
  const now = new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return ownConditionTypes.flatMap((type): readonly Condition[] => {
    const before = existing.find((condition) => condition.type === type);
    const draft = drafts.find((one) => one.type === type);
    if (draft === undefined) return before === undefined ? [] : [before];
    const { status, reason } = draft;
    const same = before?.status === status && before.reason === reason;
    const repeated = same && withoutRequest(before.message) === withoutRequest(draft.message);
    const message = repeated ? before.message : draft.message;
    return [
      {
        type,
        status,
        reason,
        message: message.slice(0, longestMessage),
        lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
      },
    ];
  });
}

function withoutRequest(message: string): string {
  return message.replaceAll(/ \(request [^\s()]+\)/gu, '');
}

/**
 * Whether writing `ours` would change nothing: our conditions in `existing` say the same. Times and others'
 * conditions are left out.
 */
export function sameConditions(existing: readonly Condition[], ours: readonly Condition[]): boolean {
  return whatTheySay(existing) === whatTheySay(ours);
}

function whatTheySay(conditions: readonly Condition[]): string {
  return JSON.stringify(
    ownConditionTypes.map((type) => {
      const condition = conditions.find((one) => one.type === type);
      return condition && [condition.status, condition.reason, condition.message];
    }),
  );
}

/** Whether these conditions were written by us: types as plain as `Accepted` may be somebody else's too. */
export function bearsOurs(existing: readonly Condition[]): boolean {
  const present = existing.filter(({ reason }) => Object.hasOwn(reasons, reason)).map(({ type }) => type);
  return present.includes('Accepted') && present.includes('InSync');
}

/** The patch that takes our conditions away and leaves the others'. */
export function dropConditions(existing: readonly Condition[]): {
  readonly dropConditions: readonly OwnConditionType[];
} {
  const present = new Set(existing.map(({ type }) => type));
  return { dropConditions: ownConditionTypes.filter((type) => present.has(type)) };
}

/**
 * Addresses in one form: host names in lower case (clouds answer in mixed case), `ipMode` only beside an IP
 * and with its default VIP (KEP-1860), ports in order.
 */
export function canonicalIngress(ingress: readonly Ingress[]): readonly Ingress[] {
  return ingress.map(({ ip, hostname, ipMode, ports }) => ({
    ...(ip === undefined ? {} : { ip, ipMode: ipMode ?? 'VIP' }),
    ...(hostname === undefined ? {} : { hostname: hostname.toLowerCase() }),
    ...(ports === undefined || ports.length === 0 ? {} : { ports: ports.toSorted(byPort) }),
  }));
}

/** Whether two lists of addresses mean the same: the order of entries and of ports does not matter, protocols do. */
export function sameIngress(a: readonly Ingress[], b: readonly Ingress[]): boolean {
  return whatItMeans(a) === whatItMeans(b);
}

function whatItMeans(ingress: readonly Ingress[]): string {
  const entries = canonicalIngress(ingress).map(({ ip, hostname, ipMode, ports = [] }) =>
    JSON.stringify([ip, hostname, ipMode, ports.map(({ port, protocol, error }) => [port, protocol, error])]),
  );
  return JSON.stringify(entries.toSorted());
}

function byPort(a: IngressPort, b: IngressPort): number {
  if (a.port !== b.port) return a.port - b.port;
  if (a.protocol === b.protocol) return 0;
  return a.protocol < b.protocol ? -1 : 1;
}
