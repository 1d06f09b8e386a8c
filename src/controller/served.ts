/** Which Services a provider serves, by the claim alone. */
import { claimOf } from '../core/claim.ts';
import type { ServiceObject } from '../core/objects.ts';
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
