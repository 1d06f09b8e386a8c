/** Random histories: the allocator and a naive one that looks at every address are asked the same, and agree. */
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { NaiveAllocator } from '../../../test/support/naive-allocator.ts';
import { parseAddress } from '../../../src/core/cidr.ts';
import { objectKey, type IpFamily } from '../../../src/core/objects.ts';
import { aUid } from '../../../src/core/fixtures.ts';
import { Allocator } from './allocator.ts';
import { aPool, aRequest } from './fixtures.ts';
import { judgePools } from './pools.ts';
import type { AddressRequest } from './request.ts';

const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const addresses = [
  ...Array.from({ length: 8 }, (_, i) => `192.0.2.${i}`),
  ...Array.from({ length: 6 }, (_, i) => `2001:db8::${i + 1}`),
];

const request: fc.Arbitrary<AddressRequest> = fc
  .record({
    name: fc.constantFrom(...names),
    stacks: fc.constantFrom<readonly [readonly IpFamily[], boolean]>(
      [['IPv4'], true],
      [['IPv4'], true],
      [['IPv6'], true],
      [['IPv4', 'IPv6'], true],
      [['IPv4', 'IPv6'], false],
      [['IPv6', 'IPv4'], false],
    ),
    named: fc.oneof(
      { weight: 3, arbitrary: fc.constant<string[]>([]) },
      { weight: 1, arbitrary: fc.subarray(addresses, { minLength: 1, maxLength: 2 }) },
    ),
    pool: fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom('p', 'q', 'r') },
    ),
    sharing: fc.constantFrom(
      undefined,
      undefined,
      { key: 'k', backend: '' },
      { key: 'k', backend: 'x' },
      { key: 'l', backend: '' },
    ),
    ports: fc.subarray(['80/TCP', '53/UDP'], { minLength: 1 }),
    namespace: fc.constantFrom('default', 'shop'),
    mayMove: fc.boolean(),
    since: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ name, stacks: [families, needsAll], named, ...rest }) => {
    const single = named.filter(
      (text, index) => named.findIndex((other) => other.includes(':') === text.includes(':')) === index,
    );
    const wanted = single.filter((text) => families.includes(parseAddress(text)?.family ?? 'IPv4'));
    return aRequest(name, { ...rest, families, needsAll, named: wanted });
  });

const pools = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom('p', 'q', 'r'),
      addresses: fc.subarray(
        ['192.0.2.0-192.0.2.1', '192.0.2.2/31', '192.0.2.4/31', '2001:db8::1-2001:db8::2', '2001:db8::3/128'],
        { minLength: 1 },
      ),
      autoAssign: fc.boolean(),
      avoidBuggyIPs: fc.boolean(),
      priority: fc.integer({ min: 0, max: 2 }),
      namespaces: fc.constantFrom(undefined, undefined, ['shop']),
      moveOnShrink: fc.boolean(),
    }),
    { selector: ({ name }) => name },
  )
  .map((list) => judgePools(list.map(({ name, addresses: ranges, ...rest }) => aPool(name, ranges, rest))));

type Act = (real: Allocator, naive: NaiveAllocator) => void;

const act: fc.Arbitrary<{ readonly says: string; readonly run: Act }> = fc.oneof(
  {
    weight: 6,
    arbitrary: request.map((one) => ({
      says: `ask ${JSON.stringify(one, (_, v) => (typeof v === 'bigint' ? String(v) : (v as unknown)))}`,
      run: askOf(one),
    })),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...names).map((name) => ({
      says: `release ${name}`,
      run: (real: Allocator, naive: NaiveAllocator) => {
        real.release(aUid(`uid-${name}`));
        naive.release(`uid-${name}`);
      },
    })),
  },
  {
    weight: 2,
    arbitrary: pools.map((judged) => ({
      says: `pools ${judged.map(({ name, pool }) => `${name}: ${pool === undefined ? 'refused' : JSON.stringify({ ...pool, ranges: pool.ranges.map(({ text }) => text) })}`).join('; ')}`,
      run: (real: Allocator, naive: NaiveAllocator) => {
        real.setPools(judged);
        naive.setPools(
          judged.map(({ pool }) => pool).filter((pool) => pool !== undefined),
          judged.filter(({ pool }) => pool === undefined).map(({ name }) => name),
        );
      },
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...addresses), fc.constantFrom(...names), fc.integer({ min: 1, max: 50 }))
      .map(([text, name, until]) => ({
        says: `remember ${text} for ${name} until ${until}`,
        run: (real: Allocator, naive: NaiveAllocator) => {
          if (real.holdersOf(text).length > 0) return;
          const place = parseAddress(text);
          if (place === undefined) return;
          // No two end at one time: which of them goes first is no rule.
          const end = until * 100 + Number(place.value & 63n) + (place.family === 'IPv4' ? 0 : 50);
          real.remember({ ...place, text, key: objectKey('default', name), until: end });
          naive.remember({ text, key: `default/${name}`, until: end });
        },
      })),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 0, max: 5_000 }).map((now) => ({
      says: `expire ${now}`,
      run: (real: Allocator, naive: NaiveAllocator) => {
        real.expire(now);
        naive.expire(now);
      },
    })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...addresses), fc.boolean()).map(([text, on]) => ({
      says: `${on ? 'block' : 'unblock'} ${text}`,
      run: (real: Allocator, naive: NaiveAllocator) => {
        if (on) {
          const holders = naive.owners.filter(({ spot }) => spot.text === text);
          real.block(text, 'a node has it');
          naive.block(text);
          // Who loses it asks at once, as the provider sees to.
          for (const holder of holders) askOf(holder.request)(real, naive);
        } else {
          real.unblock(text);
          naive.unblock(text);
        }
      },
    })),
  },
);

function askOf(one: AddressRequest): Act {
  return (real, naive) => {
    const outcome = real.ask(one);
    const expected = naive.ask(one);
    expect({
      grants: outcome.grants.map(({ address }) => address),
      leaving: outcome.leaving.map(({ address }) => address).toSorted(),
      lacks: outcome.lack !== undefined,
    }).toEqual({ ...expected, leaving: expected.leaving.toSorted() });
    for (const { address } of outcome.leaving) {
      real.release(one.uid, address);
      naive.letGo(one.uid, address);
    }
    // Asking again changes nothing.
    expect(real.ask(one).grants).toEqual(outcome.grants);
    naive.ask(one);
  };
}

function holdings(real: Allocator): readonly string[] {
  return names
    .flatMap((name) => real.heldBy(aUid(`uid-${name}`)).map(({ text }) => `uid-${name} ${text}`))
    .toSorted();
}

test.prop([pools, fc.array(act, { minLength: 1, maxLength: 40 })], {
  numRuns: Number(process.env['SLUICE_HISTORIES'] ?? 1_500),
})(
  'any history of requests, releases, pools, memory and blocks is answered as by looking at everything',
  (first, acts) => {
    const served: string[] = [];
    const real = new Allocator((key) => served.push(key));
    const naive = new NaiveAllocator();
    const all = [
      {
        says: 'first pools',
        run: (r: Allocator, n: NaiveAllocator) => {
          r.setPools(first);
          n.setPools(
            first.map(({ pool }) => pool).filter((pool) => pool !== undefined),
            first.filter(({ pool }) => pool === undefined).map(({ name }) => name),
          );
        },
      },
      ...acts,
    ];
    for (const { says, run } of all) {
      run(real, naive);
      expect(holdings(real), says).toEqual(naive.holdings());
      expect(real.waiting(), says).toEqual(naive.waiting());
    }
  },
);
