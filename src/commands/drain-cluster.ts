/** What `sluice drain` reads of the cluster, and the annotation that it writes. */
import { canonical } from '../agent/decide/addresses.ts';
import { ownProxyName, proxyNameLabel } from '../agent/decide/service.ts';
import {
  drainAnnotation,
  drainedServices,
  drainText,
  markedServices,
  type DrainedService,
  type DrainTarget,
  type NamedSlice,
} from '../agent/drain.ts';
import { asSluiceError } from '../core/errors.ts';
import { splitKey, type IpFamily, type ServiceObject } from '../core/objects.ts';
import { fieldManager, patchContentType, type Api } from '../kube/api.ts';
import { makeIntern } from '../kube/intern.ts';
import type { RawObject } from '../kube/raw.ts';
import { slimService, slimSlice } from '../kube/slim.ts';

interface RawSlice {
  readonly endpoints?:
    | readonly {
        readonly addresses?: readonly string[];
        readonly targetRef?: { readonly kind?: string; readonly name?: string; readonly uid?: string };
      }[]
    | null;
}

/** Looks for the target again and again. A pod is the one that had the name at the first look, by its UID. */
export class DrainFinder {
  readonly #api: Api;
  readonly #target: DrainTarget;
  readonly #within: string;
  readonly #scope: 'labelled' | 'all';
  #uids: ReadonlySet<string> | undefined;

  constructor(api: Api, target: DrainTarget, namespace: string | undefined, scope: 'labelled' | 'all') {
    this.#api = api;
    this.#target = target;
    this.#within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
    this.#scope = scope;
  }

  /** The Services that have it among their endpoints now. @throws SluiceError */
  async find(): Promise<readonly DrainedService[]> {
    const services = await this.#services();
    const intern = makeIntern();
    const uids = new Set<string>();
    const path = `/apis/discovery.k8s.io/v1${this.#within}/endpointslices`;
    const slices = (await this.#list(path)).map((raw): NamedSlice => {
      const slice = slimSlice(raw, intern);
      const pods = new Map<string, string>();
      for (const { addresses = [], targetRef } of (raw as RawSlice).endpoints ?? []) {
        if (targetRef?.kind !== 'Pod' || targetRef.name === undefined) continue;
        const { name, uid } = targetRef;
        if (this.#target.kind === 'pod' && name === this.#target.name && uid !== undefined) {
          // Another pod that has come by the same name.
          if (this.#uids !== undefined && !this.#uids.has(uid)) continue;
          uids.add(uid);
        }
        const family: IpFamily = slice.addressType === 'IPv6' ? 'IPv6' : 'IPv4';
        pods.set(canonical(addresses[0] ?? '', family) ?? '', name);
      }
      return { slice, pods };
    });
    if (uids.size > 0) this.#uids ??= uids;
    return drainedServices(this.#target, services, slices);
  }

  /** For `--undo`: also those that only name it. @throws SluiceError */
  async marked(): Promise<readonly Pick<DrainedService, 'service' | 'entries'>[]> {
    const found = await this.find();
    const more = markedServices(this.#target, await this.#services());
    return [...found, ...more.filter(({ service }) => !found.some((one) => one.service === service))];
  }

  async #services(): Promise<readonly ServiceObject[]> {
    const intern = makeIntern();
    return (await this.#list(`/api/v1${this.#within}/services`))
      .map((raw) => slimService(raw, intern))
      .filter((service) => isServed(service, this.#scope));
  }

  async #list(path: string): Promise<readonly RawObject[]> {
    return ((await this.#api.request('GET', path)) as { readonly items?: readonly RawObject[] }).items ?? [];
  }
}

function isServed({ labels }: Pick<ServiceObject, 'labels'>, scope: 'labelled' | 'all'): boolean {
  const proxy = labels[proxyNameLabel];
  return proxy === ownProxyName || (scope === 'all' && proxy === undefined);
}

/** Sets or takes back the annotation, over whatever else was written meanwhile. */
export async function mark(
  api: Api,
  { service, entries }: Pick<DrainedService, 'service' | 'entries'>,
  undo: boolean,
): Promise<void> {
  const { namespace, name } = splitKey(service);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`;
  for (let round = 1; ; round += 1) {
    const { metadata } = (await api.request('GET', path)) as RawObject & {
      readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
    };
    const before = metadata?.annotations?.[drainAnnotation];
    const after = drainText(before, entries, undo);
    if (after === (before ?? null)) return;
    try {
      await api.request('PATCH', path, {
        query: { fieldManager },
        contentType: patchContentType.merge,
        // Tied to what was read: two who drain at once must not lose each other's part.
        body: {
          metadata: { resourceVersion: metadata?.resourceVersion, annotations: { [drainAnnotation]: after } },
        },
      });
      return;
    } catch (thrown) {
      if (asSluiceError(thrown).kind !== 'conflict' || round >= 5) throw thrown;
    }
  }
}
