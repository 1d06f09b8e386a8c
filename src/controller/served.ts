/** Which Services a provider serves, by the claim alone. */
import { claimOf, finalizer } from '../core/claim.ts';
import type { ServiceObject, Uid } from '../core/objects.ts';
import type { ProviderName } from '../core/provider.ts';
import type { Context } from './context.ts';

/** In no particular order. Walks over all Services: call it only when they are really needed. */
export function servedBy(
  context: Pick<Context, 'view' | 'options'>,
  name: ProviderName,
): readonly ServiceObject[] {
  const served: ServiceObject[] = [];
  for (const service of context.view.services()) {
    const claim = claimOf(service, context.options.claim);
    if (claim.kind === 'ours' && claim.provider === name) served.push(service);
  }
  return served;
}

/**
 * Whether what bears this UID's mark belongs to a Service that is there and has a say in it. A Service that
 * is none of ours any more and has let go of its finalizer has not: what is left of it is astray.
 */
export function mayHold(
  context: Pick<Context, 'options'>,
  service: ServiceObject | undefined,
  uid: Uid,
): boolean {
  if (service?.uid !== uid) return false;
  return service.finalizers.includes(finalizer) || claimOf(service, context.options.claim).kind === 'ours';
}
