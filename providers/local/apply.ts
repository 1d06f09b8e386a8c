/** Carries out one step, one call, and folds its answer into what was observed. */
import type { ServiceAddressObject } from '../../src/core/address-objects.ts';
import type { Clock } from '../../src/core/clock.ts';
import { SluiceError, unreachable } from '../../src/core/errors.ts';
import type { ObjectKey, Uid } from '../../src/core/objects.ts';
import type { Outputs, Parameters, Step } from '../../src/core/plan.ts';
import type { AddressSpec, LocalCluster } from './cluster.ts';
import { seen, type LocalObserved, type SeenAddress } from './observed.ts';
import { operations } from './plan.ts';

/** The parameters of every step, as plan.ts writes them. */
interface Written {
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly address?: string;
  readonly pool?: string;
  readonly services?: readonly { readonly service: string; readonly uid: string }[];
  readonly kept?: { readonly service: string; readonly forMs: number };
  readonly probe?: 'ask' | 'keep' | 'none';
  readonly probeAfter?: string;
}

export async function apply(
  { cluster, clock }: { readonly cluster: LocalCluster; readonly clock: Clock },
  step: Step,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<Outputs> {
  signal.throwIfAborted();
  const written = parameters as Written;
  const { name, uid, resourceVersion } = written;
  if (name === undefined) {
    throw new SluiceError(
      'invalid',
      `${step.operation}: no address was chosen yet; a plan without a cluster cannot be carried out`,
      {
        code: 'NoAddress',
        action: step.operation,
      },
    );
  }
  const ref = { name, uid: (uid ?? '') as Uid, resourceVersion: resourceVersion ?? '' };
  switch (step.operation) {
    case operations.create:
      return outputs(await cluster.createAddress(name, specOf(written, clock), signal));
    case operations.change:
      return outputs(await cluster.changeAddress(ref, specOf(written, clock), signal));
    case operations.remove:
      await cluster.deleteAddress(ref, signal);
      return {};
    default:
      return unreachable(step.operation as never);
  }
}

function outputs(object: ServiceAddressObject): Outputs {
  return { object: JSON.stringify(seen(object)) };
}

function specOf(
  { address = '', pool = '', services = [], kept, probe, probeAfter }: Written,
  clock: Clock,
): AddressSpec {
  const time = (inMs: number): string => new Date(clock.wall() + inMs).toISOString();
  const asked = probe === 'ask' ? time(0) : probe === 'keep' ? probeAfter : undefined;
  return {
    address,
    pool,
    services: services.map((one) => ({ key: one.service as ObjectKey, uid: one.uid as Uid })),
    rememberedFor:
      kept === undefined ? undefined : { key: kept.service as ObjectKey, until: time(kept.forMs) },
    probeAfter: asked,
  };
}

/** The object as the API server answered it takes the place of what was seen. Pure. */
export function advance(
  observed: LocalObserved,
  step: Step,
  parameters: Parameters,
  { object }: Outputs,
): LocalObserved {
  const { name, services } = parameters as Written;
  const others = observed.addresses.filter((one) => one.name !== name);
  const after = object === undefined ? undefined : (JSON.parse(object) as SeenAddress);
  const owner = observed.owner ?? ((services?.[0]?.uid ?? null) as Uid | null);
  // What nobody has any more is looked at by nobody.
  const concerns =
    after !== undefined &&
    (step.operation === operations.create || after.services.some(({ uid }) => uid === owner));
  const addresses = concerns ? [...others, after] : others;
  return { ...observed, owner, addresses: addresses.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}
