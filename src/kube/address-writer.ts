/**
 * Writes of local mode: ServiceAddress objects and the status of AddressPools. Each change of a spec is tied to the
 * version that it was computed from, because lists are replaced as a whole.
 */
import type { AddressPoolObject, ServiceAddressObject } from '../core/address-objects.ts';
import { isSluiceError, SluiceError } from '../core/errors.ts';
import type { ObjectKey, Uid } from '../core/objects.ts';
import { addressesPath, poolsPath, slimServiceAddress } from './address-kinds.ts';
import type { Api } from './api.ts';
import type { RawObject } from './raw.ts';
import type { CallOptions, Writer } from './writer.ts';

export interface AddressSpecWrite {
  readonly address: string;
  readonly pool: string;
  readonly services: readonly { readonly key: ObjectKey; readonly uid: Uid }[];
  readonly rememberedFor: { readonly key: ObjectKey; readonly until: string } | undefined;
  readonly probeAfter: string | undefined;
}

type Ref = Pick<ServiceAddressObject, 'name' | 'uid' | 'resourceVersion'>;

export class AddressWriter {
  readonly #api: Api;
  readonly #writer: Writer;

  constructor(api: Api, writer: Writer) {
    this.#api = api;
    this.#writer = writer;
  }

  async read(name: string, { signal }: CallOptions): Promise<ServiceAddressObject | undefined> {
    try {
      return slimServiceAddress((await this.#api.request('GET', pathOf(name), { signal })) as RawObject);
    } catch (error) {
      if (isSluiceError(error) && error.kind === 'gone') return undefined;
      throw error;
    }
  }

  async list({ signal }: CallOptions): Promise<readonly ServiceAddressObject[]> {
    const answer = (await this.#api.request('GET', addressesPath, { signal })) as {
      readonly items?: readonly RawObject[];
    };
    // Absent is not empty: then it was no list.
    if (answer.items === undefined) {
      throw new SluiceError('bug', `list serviceaddresses.sluice.dev: the answer has no items`, {
        code: 'NoItems',
      });
    }
    return answer.items.map((raw) => slimServiceAddress(raw));
  }

  /** Errors: `conflict`, code `AlreadyExists`. */
  async create(name: string, spec: AddressSpecWrite, options: CallOptions): Promise<ServiceAddressObject> {
    const { apiVersion, kind } = serviceAddress;
    const body = { apiVersion, kind, metadata: { name }, spec: specOf(spec) };
    return slimServiceAddress(await this.#writer.create(addressesPath, body, options));
  }

  async change(ref: Ref, spec: AddressSpecWrite, options: CallOptions): Promise<ServiceAddressObject> {
    const { name, uid, resourceVersion } = ref;
    const absent = { rememberedFor: null, probeAfter: null };
    const body = { metadata: { uid, resourceVersion }, spec: { ...absent, ...specOf(spec) } };
    return slimServiceAddress(await this.#writer.patch(pathOf(name), body, options));
  }

  async delete(ref: Ref, options: CallOptions): Promise<void> {
    try {
      await this.#writer.delete(pathOf(ref.name), ref, options);
    } catch (error) {
      if (!isSluiceError(error) || error.kind !== 'gone') throw error;
    }
  }

  async poolStatus(pool: AddressPoolObject, status: object, options: CallOptions): Promise<void> {
    const path = `${poolsPath}/${encodeURIComponent(pool.name)}/status`;
    await this.#writer.patch(path, { metadata: { uid: pool.uid }, status }, options);
  }
}

const serviceAddress = { apiVersion: 'sluice.dev/v1alpha1', kind: 'ServiceAddress' } as const;

function pathOf(name: string): string {
  return `${addressesPath}/${encodeURIComponent(name)}`;
}

function specOf({ address, pool, services, rememberedFor, probeAfter }: AddressSpecWrite): object {
  return {
    address,
    pool,
    services: services.map(({ key, uid }) => ({ service: key, uid })),
    ...(rememberedFor === undefined
      ? {}
      : { rememberedFor: { service: rememberedFor.key, until: rememberedFor.until } }),
    ...(probeAfter === undefined ? {} : { probeAfter }),
  };
}
