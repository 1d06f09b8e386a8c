/**
 * A Kubernetes API server made of values: what the controller can meet, as far as it can tell.
 *
 * Kept here are the rules that matter to it: versions and conflicts, finalizers and deletion, what a change
 * of type wipes, what a status may say. Requests take effect in one step; latency, loss and lateness are the
 * client's matter (api-client.ts). Objects are immutable: each change replaces one and is journalled.
 */
import type { Method, Query } from '../../src/kube/api.ts';
import type { RawMeta, RawNode, RawObject, RawService, RawSlice } from '../../src/kube/raw.ts';
import { mergePatch, sameValue, strategicPatch } from './patch.ts';

interface Kinds {
  readonly services: RawService;
  readonly nodes: RawNode;
  readonly endpointslices: RawSlice;
  readonly leases: RawObject;
  readonly events: RawObject;
}

export type KindName = keyof Kinds;

export interface JournalEntry {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: RawObject;
  /** Before the change; undefined for a creation. */
  readonly before: RawObject | undefined;
}

export interface ApiAnswer {
  readonly code: number;
  readonly body: unknown;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type ServiceSpec = NonNullable<RawService['spec']>;
type ServicePorts = NonNullable<ServiceSpec['ports']>;

export class ApiServer {
  readonly #collections: { readonly [K in KindName]: Map<string, Kinds[K]> } = {
    services: new Map(),
    nodes: new Map(),
    endpointslices: new Map(),
    leases: new Map(),
    events: new Map(),
  };
  readonly #journals = new Map<KindName, JournalEntry[]>();
  readonly #listeners = new Map<KindName, Set<() => void>>();
  readonly #wall: () => number;
  #version = 100;
  #uids = 0;
  #nodePort = 30_000;

  constructor(wall: () => number) {
    this.#wall = wall;
  }

  get version(): number {
    return this.#version;
  }

  get<K extends KindName>(kind: K, key: string): Kinds[K] | undefined {
    return this.#collections[kind].get(key);
  }

  all<K extends KindName>(kind: K): IterableIterator<Kinds[K]> {
    return this.#collections[kind].values();
  }

  journal(kind: KindName): readonly JournalEntry[] {
    return this.#journals.get(kind) ?? [];
  }

  /** The collection as it was at `version`. */
  asOf(kind: KindName, version: number): readonly RawObject[] {
    const past = new Map<string, RawObject>(this.#collections[kind]);
    for (const entry of this.journal(kind).toReversed()) {
      if (entry.version <= version) break;
      const key = keyOf(entry.object);
      if (entry.before) past.set(key, entry.before);
      else past.delete(key);
    }
    return [...past.values()];
  }

  /** `told` is called after each change of the kind. The returned function ends that. */
  listen(kind: KindName, told: () => void): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    listeners.add(told);
    return () => listeners.delete(told);
  }

  /** What kubectl and the other controllers of a cluster do. Undefined from `change` means: leave it. */
  update<K extends KindName>(
    kind: K,
    key: string,
    change: (object: Kinds[K]) => Kinds[K] | undefined,
  ): Kinds[K] | undefined {
    const before = this.get(kind, key);
    if (before === undefined) return undefined;
    const after = change(before);
    return after === undefined ? before : this.#commit(kind, key, before, after);
  }

  create<K extends KindName>(kind: K, object: Kinds[K]): Kinds[K] {
    const key = keyOf(object);
    if (this.get(kind, key) !== undefined) throw new Error(`${kind} ${key} exists`);
    this.#uids += 1;
    const metadata: RawMeta = {
      ...object.metadata,
      uid: `00000000-0000-4000-8000-${String(this.#uids).padStart(12, '0')}`,
      generation: 1,
      creationTimestamp: new Date(this.#wall()).toISOString(),
    };
    return this.#commit(kind, key, undefined, { ...object, metadata });
  }

  /** Deletion as `kubectl delete --wait=false` asks for it: with finalizers, only a mark. */
  delete(kind: KindName, key: string): void {
    const before = this.get(kind, key);
    if (before === undefined || before.metadata?.deletionTimestamp !== undefined) return;
    if ((before.metadata?.finalizers ?? []).length === 0) {
      this.#remove(kind, key, before);
      return;
    }
    const metadata: RawMeta = {
      ...before.metadata,
      deletionTimestamp: new Date(this.#wall()).toISOString(),
      generation: (before.metadata?.generation ?? 0) + 1,
    };
    this.#commit(kind, key, before, { ...before, metadata });
  }

  /** Somebody takes all finalizers off. */
  stripFinalizers(kind: KindName, key: string): void {
    const before = this.get(kind, key);
    if (before === undefined) return;
    const metadata: RawMeta = { ...before.metadata, finalizers: [] };
    this.#commit(kind, key, before, { ...before, metadata });
  }

  /** One request, in one step. */
  handle(method: Method, path: string, query: Query, body: unknown, contentType: string): ApiAnswer {
    const target = parsePath(path);
    if (target === undefined) return failure(404, 'NotFound', `no such path: ${path}`);
    if (target.kind === 'namespaces') {
      return ok({ metadata: { name: target.key, uid: '11111111-2222-4333-8444-555555555555' } });
    }
    const { kind, key, sub } = target;
    if (key === undefined) {
      if (method === 'GET') {
        return ok({
          metadata: { resourceVersion: String(this.#version) },
          items: [...this.#collections[kind].values()],
        });
      }
      if (method !== 'POST') return failure(405, 'MethodNotAllowed', `${method} on a collection`);
      const object = body as RawObject;
      if (this.get(kind, keyOf(object)) !== undefined)
        return failure(409, 'AlreadyExists', `${kind} ${keyOf(object)} already exists`);
      return ok(this.create(kind, object));
    }
    const before = this.get(kind, key);
    if (before === undefined) return failure(404, 'NotFound', `${kind} "${key}" not found`);
    if (method === 'GET') return ok(before);
    if (method !== 'PATCH') return failure(405, 'MethodNotAllowed', `${method} on ${path}`);
    return this.#patch(kind, key, sub, before, body, contentType, String(query['fieldManager'] ?? 'unknown'));
  }

  #patch(
    kind: KindName,
    key: string,
    sub: string | undefined,
    before: RawObject,
    body: unknown,
    contentType: string,
    manager: string,
  ): ApiAnswer {
    const patch = body as RawService;
    const asked = patch.metadata?.resourceVersion;
    if (asked !== undefined && asked !== before.metadata?.resourceVersion) {
      return failure(
        409,
        'Conflict',
        `the object has been modified: it is at ${before.metadata?.resourceVersion}`,
      );
    }
    const uid = patch.metadata?.uid;
    if (uid !== undefined && uid !== before.metadata?.uid) {
      return failure(422, 'Invalid', `metadata.uid: Invalid value: "${uid}": field is immutable`, [
        { field: 'metadata.uid', message: 'field is immutable' },
      ]);
    }
    const merge = contentType.includes('strategic') ? strategicPatch : mergePatch;
    let after = merge(before, patch) as RawService;
    // The status and the rest are separate: a write to one leaves the other as it is.
    if (sub === 'status') after = { ...before, status: after.status } as RawService;
    else if (kind === 'services') after = withStatus(after, (before as RawService).status);
    const refused = kind === 'services' ? refusal(before, after) : undefined;
    if (refused !== undefined) return failure(422, 'Invalid', refused);
    if (sub === 'status' && patch.status?.loadBalancer !== undefined) after = managed(after, manager);
    return ok(this.#commit(kind, key, before, after));
  }

  #commit<K extends KindName>(kind: K, key: string, before: Kinds[K] | undefined, after: Kinds[K]): Kinds[K] {
    let next: Kinds[K] = after;
    if (kind === 'services') {
      next = this.#settle(before as RawService | undefined, after as RawService) as Kinds[K];
    }
    if (before !== undefined && sameValue(before, next)) return before;
    if (
      before !== undefined &&
      kind === 'services' &&
      !sameValue((before as RawService).spec, (next as RawService).spec)
    ) {
      const generation = (before.metadata?.generation ?? 0) + 1;
      next = { ...next, metadata: { ...next.metadata, generation } };
    }
    if (next.metadata?.deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0) {
      return this.#remove(kind, key, next);
    }
    this.#version += 1;
    next = { ...next, metadata: { ...next.metadata, resourceVersion: String(this.#version) } };
    this.#collections[kind].set(key, next);
    this.#note(kind, { version: this.#version, type: before ? 'MODIFIED' : 'ADDED', object: next, before });
    return next;
  }

  #remove<K extends KindName>(kind: K, key: string, last: Kinds[K]): Kinds[K] {
    const before = this.get(kind, key);
    this.#collections[kind].delete(key);
    this.#version += 1;
    const object = { ...last, metadata: { ...last.metadata, resourceVersion: String(this.#version) } };
    this.#note(kind, { version: this.#version, type: 'DELETED', object, before });
    return object;
  }

  #note(kind: KindName, entry: JournalEntry): void {
    const journal = this.#journals.get(kind);
    if (journal) journal.push(entry);
    else this.#journals.set(kind, [entry]);
    for (const told of this.#listeners.get(kind) ?? []) told();
  }

  /** What the server itself fills in and takes away, by the type of a Service. */
  #settle(before: RawService | undefined, after: RawService): RawService {
    const given = after.spec ?? {};
    const type = given.type ?? 'ClusterIP';
    const balanced = type === 'LoadBalancer';
    const exposed = balanced || type === 'NodePort';
    const spec: Mutable<ServiceSpec> = { ...given, type };
    if (!balanced) {
      delete spec.loadBalancerClass;
      delete spec.allocateLoadBalancerNodePorts;
    } else spec.allocateLoadBalancerNodePorts ??= true;
    if (!exposed) delete spec.externalTrafficPolicy;
    else spec.externalTrafficPolicy ??= 'Cluster';
    const local = balanced && spec.externalTrafficPolicy === 'Local';
    if (!local) delete spec.healthCheckNodePort;
    else if (!spec.healthCheckNodePort) spec.healthCheckNodePort = this.#freePort();
    spec.ports = this.#ports(
      given.ports ?? [],
      exposed,
      type === 'NodePort' || spec.allocateLoadBalancerNodePorts !== false,
    );
    const settled = { ...after, spec };
    const emptied = !balanced && (before?.status?.loadBalancer?.ingress ?? []).length > 0;
    return emptied ? withStatus(settled, { ...after.status, loadBalancer: {} }) : settled;
  }

  /** Entries of one port number share a node port when they were made together. */
  #ports(given: ServicePorts, exposed: boolean, allocate: boolean): ServicePorts {
    const shared = new Map<number, number>();
    return given.map((entry) => {
      const { nodePort, ...rest } = entry;
      if (!exposed) return rest;
      if (nodePort) return entry;
      if (!allocate) return rest;
      const chosen = shared.get(entry.port ?? 0) ?? this.#freePort();
      shared.set(entry.port ?? 0, chosen);
      return { ...rest, nodePort: chosen };
    });
  }

  #freePort(): number {
    this.#nodePort += 1;
    return this.#nodePort;
  }
}

/** Why the API server would not store this Service; undefined when it would. */
function refusal(before: RawObject, after: RawService): string | undefined {
  const had = before.metadata?.finalizers ?? [];
  const has = after.metadata?.finalizers ?? [];
  if (before.metadata?.deletionTimestamp !== undefined && has.some((one) => !had.includes(one))) {
    return 'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted';
  }
  if (after.spec?.type !== 'LoadBalancer' && (after.status?.loadBalancer?.ingress ?? []).length > 0) {
    return "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'";
  }
  for (const { ip, hostname, ipMode } of after.status?.loadBalancer?.ingress ?? []) {
    if (ip === undefined && ipMode !== undefined) return 'status.loadBalancer.ingress[0].ipMode: Forbidden';
    if (hostname !== undefined && hostname !== hostname.toLowerCase())
      return 'status.loadBalancer.ingress[0].hostname: Invalid value: must be lower case';
  }
  return undefined;
}

function withStatus(service: RawService, status: RawService['status']): RawService {
  if (status !== undefined) return { ...service, status };
  const { status: _dropped, ...rest } = service;
  return rest;
}

/** Notes who owns the list of addresses, as the server does in `managedFields`. */
function managed(service: RawService, manager: string): RawService {
  const others = (service.metadata?.managedFields ?? []).filter((entry) => entry.subresource !== 'status');
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const ours = { manager, subresource: 'status', fieldsV1: { 'f:status': { 'f:loadBalancer': {} } } };
  const managedFields = ingress.length === 0 ? others : [...others, ours];
  return { ...service, metadata: { ...service.metadata, managedFields } };
}

export function keyOf(object: RawObject): string {
  const { namespace, name = '' } = object.metadata ?? {};
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function ok(body: unknown): ApiAnswer {
  return { code: 200, body };
}

export function failure(
  code: number,
  reason: string,
  message: string,
  causes: readonly object[] = [],
): ApiAnswer {
  return { code, body: { kind: 'Status', code, reason, message, details: { causes } } };
}

type Target =
  | { readonly kind: KindName; readonly key: string | undefined; readonly sub: string | undefined }
  | { readonly kind: 'namespaces'; readonly key: string };

/** Which object or collection a path names; undefined for paths that nothing here asks for. */
export function parsePath(path: string): Target | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const rest = parts[0] === 'api' ? parts.slice(2) : parts.slice(3);
  if (rest[0] === 'namespaces' && rest.length === 2) return { kind: 'namespaces', key: rest[1] ?? '' };
  const namespace = rest[0] === 'namespaces' ? rest[1] : undefined;
  const [plural, name, sub] = namespace === undefined ? rest : rest.slice(2);
  if (!isKind(plural)) return undefined;
  const key = name === undefined ? undefined : namespace === undefined ? name : `${namespace}/${name}`;
  return { kind: plural, key, sub };
}

function isKind(text: string | undefined): text is KindName {
  return (
    text === 'services' ||
    text === 'nodes' ||
    text === 'endpointslices' ||
    text === 'leases' ||
    text === 'events'
  );
}
