/**
 * The annotations that the provider reads: our own words, and those of MetalLB as its users write them, under its
 * present prefix and under the old one. The reference page is made from this table.
 */
import { localAnnotation } from '../../src/core/local-annotations.ts';
import type { AnnotationDoc } from '../../src/core/provider.ts';

const served = { status: 'served', note: '' } as const;

export const ownKeys = localAnnotation;

/** The present prefix of MetalLB first: where both are written, that one counts. */
export const metallbPrefixes = ['metallb.io/', 'metallb.universe.tf/'] as const;

export const metallbKeys = {
  addresses: 'loadBalancerIPs',
  pool: 'address-pool',
  sharing: 'allow-shared-ip',
} as const;

/** Written by MetalLB on what it serves, not by users. */
const metallbMark = 'ip-allocated-from-pool';

export const annotations: readonly AnnotationDoc[] = [
  {
    key: ownKeys.addresses,
    values: 'one address, or one of each family with a comma',
    fallback: '',
    means: 'Asks for these addresses. They must be in a pool that serves the Service.',
    ...served,
  },
  {
    key: ownKeys.pool,
    values: 'name of an AddressPool',
    fallback: '',
    means: 'Takes addresses from this pool only, also where it does not give them out by itself.',
    ...served,
  },
  {
    key: ownKeys.sharing,
    values: 'any word',
    fallback: '',
    means:
      'Services with the same word may share an address, where their ports differ and, under policy Local, their selectors are equal.',
    ...served,
  },
  {
    key: ownKeys.move,
    values: 'true, false',
    fallback: 'false',
    means: 'Agrees to another address where the pool no longer has the one that the Service holds.',
    ...served,
  },
  ...metallbPrefixes.flatMap((prefix): AnnotationDoc[] => [
    {
      key: `${prefix}${metallbKeys.addresses}`,
      values: `as ${ownKeys.addresses}`,
      fallback: '',
      means: `The same as ${ownKeys.addresses}.`,
      ...served,
    },
    {
      key: `${prefix}${metallbKeys.pool}`,
      values: `as ${ownKeys.pool}`,
      fallback: '',
      means: `The same as ${ownKeys.pool}.`,
      ...served,
    },
    {
      key: `${prefix}${metallbKeys.sharing}`,
      values: `as ${ownKeys.sharing}`,
      fallback: '',
      means: `The same as ${ownKeys.sharing}.`,
      ...served,
    },
    {
      key: `${prefix}${metallbMark}`,
      values: '',
      fallback: '',
      means:
        'Written by MetalLB on the Services that it serves: a Service without a class that bears it is left to MetalLB.',
      status: 'ignored',
      note: 'Not for users',
    },
  ]),
];
