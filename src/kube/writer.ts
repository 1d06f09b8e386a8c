/**
 * Every change that Sluice makes to an object: small patches, never a whole object written back.
 *
 * A typed object written back would drop fields that this program does not know. Rules kept here:
 * - finalizers are an array that a merge patch replaces, so that patch is tied to the version it was
 *   computed from; when another writer was faster, the live object is read and the change made again;
 * - conditions go by strategic merge, whose merge key (`type`) leaves other controllers' conditions alone;
 * - the address list is replaced as a whole, so it is tied to the version too, and not repeated over an
 *   address that someone else wrote meanwhile;
 * - every patch carries the uid: a new object under an old name is never touched (`gone`).
 */
import type { Condition, Ingress, Meta, ObjectKey, ServiceObject } from '../core/objects.ts';
import { splitKey } from '../core/objects.ts';
import { SluiceError, isSluiceError } from '../core/errors.ts';
import { fieldManager, patchContentType } from './api.ts';
import type { Api, PatchType } from './api.ts';
import { makeIntern } from './intern.ts';
import type { Intern } from './intern.ts';
import type { RawObject } from './raw.ts';
import { slimService } from './slim.ts';

/** What a patch of a Service must know of it. */
export type ServiceRef = Pick<ServiceObject, 'key' | 'uid' | 'resourceVersion'>;

export interface StatusChange {
  /** The whole list of addresses; an empty one withdraws them. Left alone when absent. */
  readonly ingress?: readonly Ingress[];
  /** Set by type; types that are not named stay as they are. */
  readonly conditions?: readonly Condition[];
  /** Types of conditions of ours to take away. */
  readonly dropConditions?: readonly string[];
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

interface MetaChange {
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string | null>>;
}

/**
 * Rounds of read-and-patch before another writer's persistence becomes the caller's problem, who waits longer
 * each time. From then on each try is a live read and one patch, or the gaps would be full of writes.
 */
const rounds = 2;

export class Writer {
  readonly #api: Api;
  readonly #intern: Intern;
  /** UIDs of objects on which another writer was faster in every round of the last try. */
  readonly #contested = new Set<string>();

  constructor(api: Api, intern: Intern = makeIntern()) {
    this.#api = api;
    this.#intern = intern;
  }

  /** Live, past every cache. Errors: `gone` when there is none. */
  async getService(key: ObjectKey, options: CallOptions = {}): Promise<ServiceObject> {
    return this.#slim(await this.#api.request('GET', servicePath(key), { signal: options.signal }));
  }

  /**
   * The Service with `finalizer` among its finalizers and `annotations` set, in one patch; no call when all
   * of it is there already.
   * Errors: `gone` when the Service is not there or is another one by now; `conflict`, code `Deleting`, when
   * it is being deleted, because the API allows no new finalizers then.
   */
  async addFinalizer(
    service: ServiceObject,
    finalizer: string,
    options: CallOptions & {
      readonly annotations?: Readonly<Record<string, string>>;
      /** Looks at the Service that the patch is computed from, and throws where it must not be made. */
      readonly check?: (live: ServiceObject) => void;
    } = {},
  ): Promise<ServiceObject> {
    return this.#onLive(service, options, (live) => {
      options.check?.(live);
      const annotations = options.annotations ?? {};
      const told = Object.entries(annotations).every(([name, value]) => live.annotations[name] === value);
      if (live.finalizers.includes(finalizer)) return told ? undefined : { annotations };
      if (live.deleting) {
        throw new SluiceError('conflict', `service ${live.key} is being deleted: no finalizer can be added`, {
          code: 'Deleting',
          action: 'patch services',
        });
      }
      return { finalizers: [...live.finalizers, finalizer], ...(told ? {} : { annotations }) };
    });
  }

  /**
   * The Service without `finalizer` and without the named annotations; undefined when it is gone, which
   * removing the last finalizer of a deleted Service brings about.
   */
  async removeFinalizer(
    service: ServiceObject,
    finalizer: string,
    options: CallOptions & { readonly annotations?: readonly string[] } = {},
  ): Promise<ServiceObject | undefined> {
    try {
      // A copy without it may be from before it was added: only the live object can say that it is off.
      const from = service.finalizers.includes(finalizer) ? service : await this.#again(service, options);
      const left = await this.#onLive(from, options, (live) => {
        const told = (options.annotations ?? []).filter((name) => live.annotations[name] !== undefined);
        const annotations = Object.fromEntries(told.map((name) => [name, null]));
        const change = told.length === 0 ? {} : { annotations };
        if (!live.finalizers.includes(finalizer)) return told.length === 0 ? undefined : change;
        return { finalizers: live.finalizers.filter((one) => one !== finalizer), ...change };
      });
      return left.deleting && left.finalizers.length === 0 ? undefined : left;
    } catch (error) {
      if (isSluiceError(error) && error.kind === 'gone') return undefined;
      throw error;
    }
  }

  /**
   * Writes addresses and conditions in one patch of the status subresource.
   * Errors: `gone`; `conflict` when someone else changed the addresses since `service` was read.
   */
  async patchStatus(
    service: ServiceObject,
    change: StatusChange,
    options: CallOptions = {},
  ): Promise<ServiceObject> {
    const conditions = [
      ...(change.conditions ?? []),
      ...(change.dropConditions ?? []).map((type) => ({ $patch: 'delete', type })),
    ];
    const status = {
      ...(change.ingress === undefined ? {} : { loadBalancer: { ingress: change.ingress } }),
      ...(conditions.length === 0 ? {} : { conditions }),
    };
    const alike = (live: ServiceObject): boolean =>
      sameIngress(live.ingress, service.ingress) || sameIngress(live.ingress, change.ingress ?? []);
    let base = await this.#start(service, options);
    let met: unknown;
    for (let round = 1; ; round += 1) {
      // The addresses that someone else wrote are not ours to replace.
      if (change.ingress !== undefined && !alike(base)) throw rivalled(service, met);
      try {
        // Conditions merge by type and need no lock; the list of addresses does.
        const locked = change.ingress !== undefined;
        return await this.#patchService(base, { status }, 'strategic', 'status', locked, options);
      } catch (error) {
        if (!this.#mayRepeat(error, service, round)) throw error;
        met = error;
        base = await this.#again(service, options);
      }
    }
  }

  /**
   * Sets annotations, or takes away those given as null. Others stay. Errors: `gone`; with `unchanged`, `conflict`
   * where anything of the Service has changed since it was read.
   */
  async patchAnnotations(
    service: ServiceRef,
    annotations: Readonly<Record<string, string | null>>,
    { unchanged = false, ...options }: CallOptions & { readonly unchanged?: boolean } = {},
  ): Promise<ServiceObject> {
    return this.#patchService(service, { metadata: { annotations } }, 'merge', undefined, unchanged, options);
  }

  /**
   * Any other object, such as one of our CRDs. `path` is the object's own, with `/status` for the
   * subresource; put `metadata.resourceVersion` into the body where an array is replaced.
   */
  async patch(
    path: string,
    body: unknown,
    options: CallOptions & { readonly type?: PatchType } = {},
  ): Promise<RawObject> {
    return (await this.#api.request('PATCH', path, {
      query: { fieldManager },
      body,
      contentType: patchContentType[options.type ?? 'merge'],
      signal: options.signal,
    })) as RawObject;
  }

  /** Errors: `conflict`, code `AlreadyExists`. */
  async create(collectionPath: string, body: unknown, options: CallOptions = {}): Promise<RawObject> {
    return (await this.#api.request('POST', collectionPath, {
      query: { fieldManager },
      body,
      signal: options.signal,
    })) as RawObject;
  }

  /** Deletes the object, provided that it is still this very one. Errors: `gone`; `conflict` where it has changed. */
  async delete(
    path: string,
    { uid, resourceVersion }: Pick<Meta, 'uid' | 'resourceVersion'>,
    options: CallOptions = {},
  ): Promise<void> {
    await this.#api.request('DELETE', path, {
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } },
      signal: options.signal,
    });
  }

  /** Computes a change from an object and writes it; from the live one when ours turns out to be old. */
  async #onLive(
    service: ServiceObject,
    options: CallOptions,
    wanted: (live: ServiceObject) => MetaChange | undefined,
  ): Promise<ServiceObject> {
    let live = await this.#start(service, options);
    for (let round = 1; ; round += 1) {
      const metadata = wanted(live);
      if (metadata === undefined) return live;
      try {
        const locked = metadata.finalizers !== undefined;
        return await this.#patchService(live, { metadata }, 'merge', undefined, locked, options);
      } catch (error) {
        if (!this.#mayRepeat(error, service, round)) throw error;
        live = await this.#again(service, options);
      }
    }
  }

  /** Where another writer has been faster all along, what the caller holds is old. */
  async #start(service: ServiceObject, options: CallOptions): Promise<ServiceObject> {
    return this.#contested.has(service.uid) ? await this.#again(service, options) : service;
  }

  #mayRepeat(error: unknown, { uid }: ServiceRef, round: number): boolean {
    if (!isSluiceError(error) || error.kind !== 'conflict') {
      this.#contested.delete(uid);
      return false;
    }
    if (round < rounds && !this.#contested.has(uid)) return true;
    this.#contested.add(uid);
    return false;
  }

  async #patchService(
    service: ServiceRef,
    body: { readonly metadata?: object; readonly status?: object },
    type: PatchType,
    subresource: 'status' | undefined,
    locked: boolean,
    options: CallOptions,
  ): Promise<ServiceObject> {
    const metadata = {
      ...body.metadata,
      uid: service.uid,
      ...(locked ? { resourceVersion: service.resourceVersion } : {}),
    };
    const path = `${servicePath(service.key)}${subresource === undefined ? '' : `/${subresource}`}`;
    try {
      const after = this.#slim(
        await this.patch(path, { ...body, metadata }, { type, signal: options.signal }),
      );
      this.#contested.delete(service.uid);
      return after;
    } catch (error) {
      // The API server refuses to change a uid with 422: another object has the name.
      if (isSluiceError(error) && error.kind === 'invalid' && error.message.includes('metadata.uid:')) {
        throw replaced(service, error);
      }
      throw error;
    }
  }

  /** The live Service, provided that it is still the same one. */
  async #again(service: ServiceRef, options: CallOptions): Promise<ServiceObject> {
    const live = await this.getService(service.key, options);
    if (live.uid === service.uid) return live;
    throw replaced(service, undefined);
  }

  #slim(raw: unknown): ServiceObject {
    return slimService(raw as RawObject, this.#intern);
  }
}

/** The cluster's own identity: the uid of its kube-system namespace, which lives as long as the cluster. */
export async function readClusterId(api: Api, options: CallOptions = {}): Promise<Meta['uid']> {
  const raw = (await api.request('GET', '/api/v1/namespaces/kube-system', {
    signal: options.signal,
  })) as RawObject;
  return (raw.metadata?.uid ?? '') as Meta['uid'];
}

export function servicePath(key: ObjectKey): string {
  const { namespace, name } = splitKey(key);
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`;
}

function replaced(service: ServiceRef, cause: unknown): SluiceError {
  return new SluiceError('gone', `service ${service.key} was deleted; another one has its name now`, {
    code: 'UidChanged',
    action: 'patch services',
    cause,
  });
}

function rivalled(service: ServiceRef, cause: unknown): SluiceError {
  return new SluiceError('conflict', `service ${service.key}: someone else wrote its addresses meanwhile`, {
    code: 'Conflict',
    action: 'patch services',
    cause,
  });
}

/** By meaning: the order of fields does not count, the order of entries does. */
function sameIngress(one: readonly Ingress[], other: readonly Ingress[]): boolean {
  return canonical(one) === canonical(other);
}

function canonical(list: readonly Ingress[]): string {
  return JSON.stringify(
    list.map((entry) => [
      entry.ip ?? '',
      entry.hostname ?? '',
      entry.ipMode ?? '',
      (entry.ports ?? []).map((port) => [port.port, port.protocol, port.error ?? '']),
    ]),
  );
}
