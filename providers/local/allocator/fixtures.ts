/** Pools and requests with sensible defaults, for tests and benches. */
import type { AddressPoolObject } from '../../../src/core/address-objects.ts';
import { parseAddress } from '../../../src/core/cidr.ts';
import { aUid } from '../../../src/core/fixtures.ts';
import { objectKey, type IpFamily } from '../../../src/core/objects.ts';
import type { AddressRequest } from './request.ts';

export function aPool(
  name: string,
  addresses: readonly string[],
  change: Partial<AddressPoolObject> = {},
): AddressPoolObject {
  return {
    name,
    uid: aUid(`uid-${name}`),
    resourceVersion: '1',
    generation: 1,
    createdAt: 0,
    deleting: false,
    addresses,
    autoAssign: true,
    avoidBuggyIPs: false,
    priority: 0,
    namespaces: undefined,
    namespaceSelectors: [],
    serviceSelectors: [],
    nodeSelectors: [],
    interfaces: [],
    moveOnShrink: false,
    conditions: [],
    figures: '',
    ...change,
  };
}

/** `named` are addresses that it asks for. */
export function aRequest(
  name: string,
  change: Partial<AddressRequest> & { readonly named?: readonly string[] } = {},
): AddressRequest {
  const { named = [], ...rest } = change;
  const families: readonly IpFamily[] = ['IPv4'];
  return {
    uid: aUid(`uid-${name}`),
    key: objectKey('default', name),
    namespace: 'default',
    namespaceLabels: {},
    labels: {},
    families,
    needsAll: true,
    addresses: named.flatMap((text) => {
      const address = parseAddress(text);
      return address === undefined ? [] : [{ ...address, text }];
    }),
    pool: undefined,
    sharing: undefined,
    ports: ['80/TCP'],
    mayMove: false,
    since: 0,
    ...rest,
  };
}
