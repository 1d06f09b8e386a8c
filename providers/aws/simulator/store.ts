/**
 * The resources of the account and how they came to be.
 *
 * Records are immutable: a change replaces a record and is journalled, so that the state of an earlier moment
 * can be rebuilt (stale reads) and every call can say what it touched. Time-driven states (provisioning,
 * draining, health) are never stored: they are worked out from the times in the records when asked.
 */

import type { Action, AvailabilityZone, Matcher } from '@aws-sdk/client-elastic-load-balancing-v2';

export type ResourceKind = 'load-balancer' | 'target-group' | 'listener';
export type Tags = Readonly<Record<string, string>>;
export type Attributes = Readonly<Record<string, string>>;

interface Resource {
  readonly arn: string;
  /** Order of creation in the account; also the position in lists and pages. */
  readonly seq: number;
  /** On the clock that never jumps. */
  readonly createdAt: number;
  readonly tags: Tags;
  /** Only what differs from the defaults. */
  readonly attributes: Attributes;
}

export interface LoadBalancerRecord extends Resource {
  readonly kind: 'load-balancer';
  readonly name: string;
  readonly dnsName: string;
  readonly createdWall: number;
  readonly scheme: 'internal' | 'internet-facing';
  readonly vpcId: string;
  readonly ipAddressType: 'ipv4' | 'dualstack';
  readonly zones: readonly AvailabilityZone[];
  readonly securityGroups: readonly string[];
  readonly enforceOnPrivateLink: 'on' | 'off';
  readonly sourceNatPrefix: 'on' | 'off';
  /** A state ordered from outside wins over the one that follows from time. */
  readonly forcedState:
    | { readonly code: 'provisioning' | 'active' | 'active_impaired' | 'failed'; readonly reason?: string }
    | undefined;
  /** A PrivateLink endpoint service stands on it: it cannot be deleted. */
  readonly hasEndpointService: boolean;
}

export interface TargetRecord {
  readonly id: string;
  readonly port: number;
  readonly zone: string | undefined;
  readonly quicServerId: string | undefined;
  readonly registeredAt: number;
  /** Set while deregistration is under way. */
  readonly drainingUntil: number | undefined;
}

export interface HealthCheck {
  readonly protocol: 'TCP' | 'HTTP' | 'HTTPS';
  readonly port: string;
  readonly path: string | undefined;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly matcher: Matcher | undefined;
}

export type TargetGroupProtocol = 'TCP' | 'UDP' | 'TCP_UDP' | 'TLS' | 'QUIC' | 'TCP_QUIC';

export interface TargetGroupRecord extends Resource {
  readonly kind: 'target-group';
  readonly name: string;
  readonly protocol: TargetGroupProtocol;
  readonly port: number;
  readonly vpcId: string;
  readonly targetType: 'instance' | 'ip';
  readonly ipAddressType: 'ipv4' | 'ipv6';
  readonly healthCheck: HealthCheck;
  /** By `id|port`. */
  readonly targets: ReadonlyMap<string, TargetRecord>;
  /** The one balancer whose listeners name it, since when; kept until the last listener goes. */
  readonly usedBy: { readonly loadBalancerArn: string; readonly since: number } | undefined;
  /** Until then it still counts as used. */
  readonly releasedAt: number;
}

export interface ListenerRecord extends Resource {
  readonly kind: 'listener';
  readonly loadBalancerArn: string;
  readonly protocol: TargetGroupProtocol;
  readonly port: number;
  readonly actions: readonly Action[];
  readonly certificate: string | undefined;
  readonly extraCertificates: readonly string[];
  readonly sslPolicy: string | undefined;
  readonly alpnPolicy: string | undefined;
}

export type AnyRecord = LoadBalancerRecord | TargetGroupRecord | ListenerRecord;

interface RecordOf {
  readonly 'load-balancer': LoadBalancerRecord;
  readonly 'target-group': TargetGroupRecord;
  readonly listener: ListenerRecord;
}

/** One replaced record. `before` or `after` is absent for a creation or a deletion. */
export interface Change {
  readonly at: number;
  readonly before: AnyRecord | undefined;
  readonly after: AnyRecord | undefined;
}

export class Store {
  readonly #tables: { readonly [K in ResourceKind]: Map<string, RecordOf[K]> } = {
    'load-balancer': new Map(),
    'target-group': new Map(),
    listener: new Map(),
  };
  readonly #journal: Change[] = [];
  readonly #historyLimit: number;
  /** Changes that have fallen out of the journal. */
  #forgotten = 0;
  #seq = 0;

  constructor(historyLimit: number) {
    this.#historyLimit = historyLimit;
  }

  /** Number of changes ever made: equal before and after means that nothing changed. */
  get version(): number {
    return this.#forgotten + this.#journal.length;
  }

  nextSeq(): number {
    this.#seq += 1;
    return this.#seq;
  }

  get<K extends ResourceKind>(kind: K, arn: string): RecordOf[K] | undefined {
    return this.#tables[kind].get(arn);
  }

  /** All of a kind in order of creation. */
  all<K extends ResourceKind>(kind: K): IterableIterator<RecordOf[K]> {
    return this.#tables[kind].values();
  }

  count(kind: ResourceKind): number {
    return this.#tables[kind].size;
  }

  put(record: AnyRecord, at: number): void {
    const before = this.#tables[record.kind].get(record.arn);
    this.#write(record.kind, record.arn, record);
    this.#log({ at, before, after: record });
  }

  remove(record: AnyRecord, at: number): void {
    this.#write(record.kind, record.arn, undefined);
    this.#log({ at, before: record, after: undefined });
  }

  /** What has changed since `version`, oldest first. */
  changesSince(version: number): readonly Change[] {
    return this.#journal.slice(Math.max(0, version - this.#forgotten));
  }

  /** The version that was current at `time`. */
  versionAt(time: number): number {
    let index = this.#journal.length;
    while (index > 0 && (this.#journal[index - 1]?.at ?? 0) > time) index -= 1;
    return this.#forgotten + index;
  }

  /** A separate store as it was at `version`, or as far back as the journal reaches. */
  asOf(version: number): Store {
    const past = new Store(0);
    const records: AnyRecord[] = [];
    const undone = new Map<string, AnyRecord | undefined>();
    for (const change of this.changesSince(version)) {
      const arn = change.before?.arn ?? change.after?.arn ?? '';
      if (!undone.has(arn)) undone.set(arn, change.before);
    }
    for (const table of Object.values(this.#tables)) {
      for (const record of table.values()) if (!undone.has(record.arn)) records.push(record);
    }
    for (const record of undone.values()) if (record !== undefined) records.push(record);
    for (const record of records.toSorted((a, b) => a.seq - b.seq))
      past.#write(record.kind, record.arn, record);
    return past;
  }

  #write(kind: ResourceKind, arn: string, record: AnyRecord | undefined): void {
    const table = this.#tables[kind] as Map<string, AnyRecord>;
    if (record === undefined) table.delete(arn);
    else table.set(arn, record);
  }

  #log(change: Change): void {
    this.#journal.push(change);
    // Cut in big pieces: shifting one by one would cost every write.
    if (this.#journal.length > 2 * this.#historyLimit + 64) {
      const excess = this.#journal.length - this.#historyLimit;
      this.#journal.splice(0, excess);
      this.#forgotten += excess;
    }
  }
}
