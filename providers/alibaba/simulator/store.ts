/**
 * The resources of the account and how they came to be.
 *
 * Records are immutable: a change replaces a record and is journalled, so that the state of an earlier moment
 * can be rebuilt (stale reads) and every call can say what it touched. Time-driven states (starting, health)
 * are never stored: they are worked out from the times in the records when asked.
 */

export type ResourceKind = 'load-balancer' | 'listener' | 'group' | 'domain-extension';
export type Tags = Readonly<Record<string, string>>;

interface Resource {
  readonly id: string;
  /** Order of creation in the account; also the order in lists. */
  readonly seq: number;
  /** On the clock that never jumps. */
  readonly createdAt: number;
  readonly tags: Tags;
}

export interface LoadBalancerRecord extends Resource {
  readonly kind: 'load-balancer';
  readonly name: string;
  readonly createdWall: number;
  readonly address: string;
  readonly addressType: 'internet' | 'intranet';
  readonly ipVersion: 'ipv4' | 'ipv6';
  readonly vpcId: string;
  readonly vSwitchId: string;
  readonly masterZone: string;
  readonly slaveZone: string;
  readonly resourceGroupId: string;
  /** Mbit/s in force. */
  readonly bandwidth: number;
  readonly internetChargeType: 'paybytraffic' | 'paybybandwidth';
  readonly instanceChargeType: 'PayByCLCU' | 'PayBySpec';
  readonly spec: string;
  readonly deleteProtection: 'on' | 'off';
  readonly modificationProtection: 'ConsoleProtection' | 'NonProtection';
  readonly modificationReason: string;
  /** `locked` for unpaid bills. */
  readonly status: 'active' | 'inactive' | 'locked';
  /** Ordered, and in force from that wall-clock time on. */
  readonly ordered?:
    | (Pick<LoadBalancerRecord, 'internetChargeType' | 'bandwidth'> & { readonly from: number })
    | undefined;
}

export type Protocol = 'tcp' | 'udp' | 'http' | 'https';
export type ListenerSettings = Readonly<Record<string, string | number | boolean>>;

export interface ListenerRecord extends Resource {
  readonly kind: 'listener';
  readonly loadBalancerId: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly groupId: string;
  readonly description: string;
  /** Since when it runs, on the clock that never jumps; undefined: it is stopped. */
  readonly startedAt: number | undefined;
  /** In the spelling of a change: `HealthCheckInterval`. */
  readonly settings: ListenerSettings;
}

export interface Member {
  readonly serverId: string;
  readonly port: number;
  readonly weight: number;
  readonly type: string;
  readonly ip: string;
  readonly description: string;
  readonly addedAt: number;
}

export interface GroupRecord extends Resource {
  readonly kind: 'group';
  readonly loadBalancerId: string;
  readonly name: string;
  /** Of the first listener that used it; http and https are one. */
  readonly family: 'tcp' | 'udp' | 'http' | undefined;
  /** By `memberKey`. */
  readonly members: ReadonlyMap<string, Member>;
}

export interface DomainExtensionRecord extends Resource {
  readonly kind: 'domain-extension';
  readonly loadBalancerId: string;
  readonly port: number;
  readonly domain: string;
  readonly certificateId: string;
}

export type AnyRecord = LoadBalancerRecord | ListenerRecord | GroupRecord | DomainExtensionRecord;
export type RecordOf<K extends ResourceKind> = Extract<AnyRecord, { readonly kind: K }>;

/** One replaced record. `before` or `after` is absent for a creation or a deletion. */
export interface Change {
  readonly at: number;
  readonly before: AnyRecord | undefined;
  readonly after: AnyRecord | undefined;
}

export class Store {
  readonly #tables: { readonly [K in ResourceKind]: Map<string, RecordOf<K>> } = {
    'load-balancer': new Map(),
    listener: new Map(),
    group: new Map(),
    'domain-extension': new Map(),
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

  get<K extends ResourceKind>(kind: K, id: string): RecordOf<K> | undefined {
    return this.#tables[kind].get(id);
  }

  /** All of a kind in order of creation. */
  all<K extends ResourceKind>(kind: K): readonly RecordOf<K>[] {
    return [...this.#tables[kind].values()];
  }

  put(record: AnyRecord, at: number): void {
    const before = this.#tables[record.kind].get(record.id);
    this.#write(record.kind, record.id, record);
    this.#log({ at, before, after: record });
  }

  remove(record: AnyRecord, at: number): void {
    this.#write(record.kind, record.id, undefined);
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
    const undone = new Map<string, AnyRecord | undefined>();
    for (const change of this.changesSince(version)) {
      const id = change.before?.id ?? change.after?.id ?? '';
      if (!undone.has(id)) undone.set(id, change.before);
    }
    const records: AnyRecord[] = [];
    for (const table of Object.values(this.#tables)) {
      for (const record of table.values()) if (!undone.has(record.id)) records.push(record);
    }
    for (const record of undone.values()) if (record !== undefined) records.push(record);
    for (const record of records.toSorted((a, b) => a.seq - b.seq))
      past.#write(record.kind, record.id, record);
    return past;
  }

  #write(kind: ResourceKind, id: string, record: AnyRecord | undefined): void {
    const table = this.#tables[kind] as Map<string, AnyRecord>;
    if (record === undefined) table.delete(id);
    else table.set(id, record);
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
