/**
 * Which agents there are: each writes a Lease of its own, `sluice-agent-<node>`, with the place where it hears
 * heartbeats, and watches those of the others.
 *
 * Who has registered counts for the majority until he says goodbye for good, his Node is deleted (the Lease goes with
 * it), or a majority has not heard of him for minutes and retires him. So one failure after another leaves a majority,
 * and no part of a cut network can count the other one out by itself.
 */
import type { Clock, Random } from '../../core/clock.ts';
import { sleep } from '../../core/clock.ts';
import { asSluiceError, isSluiceError, type SluiceError } from '../../core/errors.ts';
import { shortHash } from '../../core/names.ts';
import type { NodeName, NodeObject, Uid } from '../../core/objects.ts';
import { fieldManager, patchContentType, type Api } from '../../kube/api.ts';
import type { Kind } from '../../kube/kinds.ts';
import { microTime } from '../../kube/micro-time.ts';
import type { RawObject } from '../../kube/raw.ts';
import { Reader } from '../../kube/reader.ts';
import type { ReaderReport, ReaderState } from '../../kube/reader-report.ts';
import type { Known } from './quorum.ts';
import { memberId, type MemberId } from './rank.ts';
import type { Endpoint } from './udp.ts';

export const agentLabel = 'sluice.dev/announces';
export const heartbeatAnnotation = 'sluice.dev/heartbeat';

interface Registration {
  readonly uid: Uid;
  readonly resourceVersion: string;
  readonly name: string;
  readonly node: NodeName;
  readonly member: MemberId;
  /** Undefined where it cannot be read. */
  readonly heartbeat: Endpoint | undefined;
  readonly renewed: string;
  /** It has said goodbye for good, or has been retired. */
  readonly ended: boolean;
}

interface RawLease extends RawObject {
  readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string };
}

export interface RegistryOptions {
  readonly api: Api;
  readonly namespace: string;
  readonly nodeName: NodeName;
  /** The own Node object, which the Lease is to go with. */
  readonly node: () => NodeObject | undefined;
  /** Where this agent hears heartbeats; undefined while that is not known. */
  readonly heartbeat: () => Endpoint | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly onChange: () => void;
  readonly report: (event: ReaderReport) => void;
  readonly failed: (error: SluiceError) => void;
}

const leastRenewMs = 5_000;
/** A fifth of a second more for each agent, so that writes stay at five a second in any cluster. */
const renewPerAgentMs = 200;
/** Renewals that may be missed. */
const missed = 3;
const retireMs = 300_000;
const retryMs = 1_000;

export class Registry {
  readonly #options: RegistryOptions;
  readonly #reader: Reader<string, Registration>;
  /** By name of the Lease: the last renewal seen, and when (monotonic). */
  readonly #seen = new Map<string, { readonly renewed: string; readonly at: number }>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #known: Known | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#reader = new Reader({
      api: options.api,
      kind: registrations(options.namespace),
      clock: options.clock,
      random: options.random,
      report: options.report,
    });
  }

  /** Resolves when the others are known and this agent is. Rejects when it is stopped before. */
  async start(): Promise<void> {
    const { onChange, clock } = this.#options;
    this.#reader.subscribe((change) => {
      const { object } = change;
      if (change.kind === 'deleted') this.#seen.delete(object.name);
      else if (this.#seen.get(object.name)?.renewed !== object.renewed)
        this.#seen.set(object.name, { renewed: object.renewed, at: clock.now() });
      const moved = change.kind !== 'updated' || !sameMember(change.before, object);
      this.#known = undefined;
      if (moved) onChange();
    });
    this.#reader.start();
    this.#running = this.#keep();
    await this.#reader.synced();
  }

  get state(): ReaderState {
    return this.#reader.state;
  }

  /** Everybody that counts, ourselves among them. */
  known(): Known {
    this.#known ??= this.#count();
    return this.#known;
  }

  peer(member: MemberId): Endpoint | undefined {
    for (const one of this.#reader.store.values())
      if (one.member === member && !one.ended) return one.heartbeat;
    return undefined;
  }

  /**
   * Retires those that nobody has heard of for minutes. Only to be called by one who speaks for a majority.
   *
   * @param there members that are heard of now.
   */
  async retire(there: ReadonlySet<MemberId>): Promise<void> {
    const { clock } = this.#options;
    for (const one of this.#reader.store.values()) {
      const at = this.#seen.get(one.name)?.at ?? clock.now();
      if (one.ended || there.has(one.member) || clock.now() - at < retireMs) continue;
      await this.#end(one.name, one.resourceVersion);
    }
  }

  /** Ends. `gone`: this agent does not count any more. */
  async stop(how: 'stays' | 'gone'): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#reader.stop();
    if (how === 'gone') await this.#end(this.#name(), undefined);
  }

  #count(): Known {
    const { clock, nodeName } = this.#options;
    const members = new Set([memberId(nodeName)]);
    const lapsed = new Set<MemberId>();
    const now = clock.now();
    const lapseMs = this.#renewMs() * missed;
    // Only who reaches the API server himself can say that others do not.
    const reach = now - this.#renewedAt < lapseMs / 2;
    for (const { name, member, ended } of this.#reader.store.values()) {
      if (ended) continue;
      members.add(member);
      if (reach && now - (this.#seen.get(name)?.at ?? now) > lapseMs) lapsed.add(member);
    }
    return { members, lapsed };
  }

  async #keep(): Promise<void> {
    const { clock, failed, onChange } = this.#options;
    const { signal } = this.#stop;
    let toldAs = '';
    while (!signal.aborted) {
      let waitMs = this.#renewMs();
      try {
        if (await this.#renew()) this.#renewedAt = clock.now();
        else waitMs = retryMs;
        toldAs = '';
      } catch (thrown) {
        if (signal.aborted) return;
        const error = asSluiceError(thrown);
        if (error.message !== toldAs) failed(error);
        toldAs = error.message;
        waitMs = retryMs;
      }
      // Time passes for those that are silent too.
      this.#known = undefined;
      onChange();
      await sleep(clock, waitMs, signal).catch(() => undefined);
    }
  }

  /** False while there is nothing to write yet. */
  async #renew(): Promise<boolean> {
    const { api, clock, heartbeat, node, nodeName, namespace } = this.#options;
    const place = heartbeat();
    if (place === undefined) return false;
    const owner = node();
    const now = microTime(clock.wall());
    const metadata = {
      name: this.#name(),
      namespace,
      labels: { [agentLabel]: 'true' },
      annotations: { [heartbeatAnnotation]: textOf(place) },
      ...(owner === undefined
        ? {}
        : { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: owner.uid }] }),
    };
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: Math.ceil((this.#renewMs() * missed) / 1_000),
      renewTime: now,
    };
    const options = { timeoutMs: leastRenewMs, signal: this.#stop.signal, query: { fieldManager } };
    try {
      await api.request('PATCH', this.#path(metadata.name), {
        ...options,
        body: { metadata, spec },
        contentType: patchContentType.merge,
      });
    } catch (thrown) {
      if (!isSluiceError(thrown) || thrown.kind !== 'gone') throw thrown;
      const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
      await api.request('POST', this.#path(''), { ...options, body });
    }
    return true;
  }

  async #end(name: string, resourceVersion: string | undefined): Promise<void> {
    try {
      await this.#options.api.request('PATCH', this.#path(name), {
        query: { fieldManager },
        body: {
          metadata: resourceVersion === undefined ? {} : { resourceVersion },
          spec: { holderIdentity: '' },
        },
        contentType: patchContentType.merge,
        timeoutMs: leastRenewMs,
      });
    } catch (thrown) {
      const error = asSluiceError(thrown);
      if (error.kind !== 'gone' && error.kind !== 'conflict') this.#options.failed(error);
    }
  }

  #renewMs(): number {
    return Math.max(leastRenewMs, this.#reader.store.size * renewPerAgentMs);
  }

  #name(): string {
    const { nodeName } = this.#options;
    return `sluice-agent-${nodeName.length <= 200 ? nodeName : shortHash(20, nodeName)}`;
  }

  #path(name: string): string {
    const all = leasesPath(this.#options.namespace);
    return name === '' ? all : `${all}/${encodeURIComponent(name)}`;
  }
}

function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}

function registrations(namespace: string): Kind<string, Registration> {
  return {
    name: 'agent leases',
    path: leasesPath(namespace),
    labelSelector: `${agentLabel}=true`,
    slim: (raw: RawLease) => {
      const { metadata = {}, spec = {} } = raw;
      const name = metadata.name ?? '';
      const owner = spec.holderIdentity ?? '';
      // One that has ended names nobody; whose it was does not matter then.
      const node = (owner === '' ? name.replace(/^sluice-agent-/u, '') : owner) as NodeName;
      return {
        uid: (metadata.uid ?? '') as Uid,
        resourceVersion: metadata.resourceVersion ?? '',
        name,
        node,
        member: memberId(node),
        heartbeat: endpointOf(metadata.annotations?.[heartbeatAnnotation] ?? ''),
        renewed: spec.renewTime ?? '',
        ended: owner === '',
      };
    },
  };
}

function sameMember(a: Registration, b: Registration): boolean {
  return (
    a.ended === b.ended &&
    a.node === b.node &&
    a.heartbeat?.host === b.heartbeat?.host &&
    a.heartbeat?.port === b.heartbeat?.port
  );
}

export function textOf({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function endpointOf(text: string): Endpoint | undefined {
  const found = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/iu.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
