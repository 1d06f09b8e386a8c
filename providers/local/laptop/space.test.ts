import { fc, test } from '@fast-check/vitest';
import { describe, expect, test as plain } from 'vitest';
import { contains, parseAddress, parseCidr, type Cidr } from '../../../src/core/cidr.ts';
import type { ObjectKey } from '../../../src/core/objects.ts';
import { ownPorts, sharedPorts } from './ports.ts';
import { addressSequence, defaultSpace, mostTries } from './space.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed.kind !== 'cidr') throw new Error(text);
  return parsed.cidr;
}

const space = cidr(defaultSpace);
const aKey = fc
  .tuple(fc.stringMatching(/^[a-z]{1,12}$/u), fc.stringMatching(/^[a-z]{1,12}$/u))
  .map(([namespace, name]) => `${namespace}/${name}` as ObjectKey);

describe('the address of a Service', () => {
  test.prop([fc.string({ minLength: 1 }), aKey])(
    'lies in the space, at no edge of a /24, and its sequence repeats nothing',
    (cluster, key) => {
      const found = addressSequence(space, cluster, key);
      expect(found).toHaveLength(mostTries);
      expect(new Set(found).size).toBe(mostTries);
      for (const text of found) {
        const address = parseAddress(text);
        expect(address !== undefined && contains(space, address)).toBe(true);
        expect(text).not.toMatch(/\.(0|255)$/u);
      }
    },
  );

  test.prop([fc.integer({ min: 24, max: 32 }), aKey])(
    'in a small space every address that may be given is in the sequence, once',
    (prefix, key) => {
      const small = cidr(`10.240.3.0/${prefix}`);
      const size = 2 ** (32 - prefix);
      const edges = prefix === 24 ? 2 : 1;
      const found = addressSequence(small, 'c', key);
      expect(new Set(found).size).toBe(found.length);
      expect(found).toHaveLength(Math.min(mostTries, size - edges));
    },
  );

  plain('is a promise: it does not change between versions', () => {
    expect(addressSequence(space, 'cluster-1', 'default/web' as ObjectKey).slice(0, 2)).toEqual([
      '127.94.2.212',
      '127.88.71.65',
    ]);
  });

  plain('200 Services of one cluster hardly ever meet', () => {
    const firsts = Array.from(
      { length: 200 },
      (_, i) => addressSequence(space, 'cluster-1', `default/s${i}` as ObjectKey)[0],
    );
    expect(new Set(firsts).size).toBeGreaterThanOrEqual(199);
  });
});

describe('the port of a Service', () => {
  plain.each([
    ['as it is where it is allowed', [8080], 1024, [8080]],
    ['80 is 8080 and 443 is 8443 where it is not', [80, 443], 1024, [8080, 8443]],
    ['80 makes room for an 8080 of the same Service', [80, 8080], 1024, [18080, 8080]],
    ['all of them as they are once ports are set up', [80, 443], 0, [80, 443]],
    ['80 as it is where the bound is 80', [22, 80], 80, [8022, 80]],
  ] as const)('%s', (_, ports, from, wanted) => {
    const chosen = ownPorts(
      ports.map((port) => ({ port, protocol: 'TCP' as const })),
      from,
    );
    expect(ports.map((port) => chosen.get(`${port}/TCP`))).toEqual(wanted);
  });

  plain('TCP and UDP do not stand in each other’s way', () => {
    const chosen = ownPorts(
      [
        { port: 53, protocol: 'TCP' },
        { port: 53, protocol: 'UDP' },
      ],
      1024,
    );
    expect([...chosen.values()]).toEqual([8053, 8053]);
  });

  test.prop([fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 40 })])(
    'no two ports of a Service are one, and none is below the bound',
    (ports) => {
      const chosen = ownPorts(
        ports.map((port) => ({ port, protocol: 'TCP' as const })),
        1024,
      );
      expect(new Set(chosen.values()).size).toBe(ports.length);
      for (const port of chosen.values()) expect(port).toBeGreaterThanOrEqual(1024);
    },
  );

  test.prop([fc.integer({ min: 1, max: 65_535 }), aKey])(
    'on a shared address its wishes are stable, and clear of node ports but for its own',
    (port, key) => {
      const wish = { port, protocol: 'TCP' as const };
      const [own, ...more] = sharedPorts(wish, 1024, ['c', key]);
      expect(own).toBe(port >= 1024 ? port : port + 8_000);
      expect(sharedPorts(wish, 1024, ['c', key])).toEqual([own, ...more]);
      expect(more.length).toBeGreaterThan(20);
      for (const one of more) expect(one >= 20_000 && one < 30_000).toBe(true);
    },
  );

  test('no wish comes twice, whatever the stride (seed -1433079912)', () => {
    for (let index = 0; index < 3_000; index += 1) {
      const [, ...more] = sharedPorts({ port: 80, protocol: 'TCP' }, 1024, ['c', `default/web-${index}`]);
      expect(more).toHaveLength(32);
    }
  });
});
