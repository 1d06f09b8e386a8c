/**
 * What a provider makes of a Service's settings, once for each object: a Service is asked for its lane at every
 * turn of the queue. Objects of a cluster are never changed, only replaced; the memory of one goes with it.
 */
import type { ServiceObject } from './objects.ts';
import type { AnyProvider, Parsed } from './provider.ts';

type Parser = Pick<AnyProvider, 'parse'>;

const known = new WeakMap<Parser, WeakMap<ServiceObject, Parsed<unknown>>>();

export function parsed(provider: Parser, service: ServiceObject): Parsed<unknown> {
  let ofProvider = known.get(provider);
  if (ofProvider === undefined) {
    ofProvider = new WeakMap();
    known.set(provider, ofProvider);
  }
  let found = ofProvider.get(service);
  if (found === undefined) {
    found = provider.parse(service);
    ofProvider.set(service, found);
  }
  return found;
}
