import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { composeName, shortHash } from './names.ts';

describe('shortHash', () => {
  test('is stable across releases, because names in clouds are made from it', () => {
    expect(shortHash(10, 'cluster', 'uid')).toBe('f4i3enatrf');
    expect(shortHash(3, 'cluster', 'uid')).toBe('f4i');
  });

  test('tells apart parts that read the same when joined', () => {
    expect(shortHash(20, 'a', 'bc')).not.toBe(shortHash(20, 'ab', 'c'));
    expect(shortHash(20, 'a')).not.toBe(shortHash(20, 'a', ''));
  });

  test.prop([fc.integer({ min: 1, max: 51 }), fc.array(fc.string())])(
    'has exactly the length asked for',
    (length, parts) => {
      expect(shortHash(length, ...parts)).toMatch(new RegExp(`^[a-z2-7]{${length}}$`));
    },
  );

  test('refuses a length that SHA-256 cannot fill', () => {
    expect(() => shortHash(52, 'a')).toThrow('1 to 51');
  });
});

describe('composeName', () => {
  const cases: readonly [string, Parameters<typeof composeName>[0], string][] = [
    ['joins parts and hash', { parts: [part('web'), part('shop')], hash: 'abc', limit: 32 }, 'web-shop-abc'],
    ['cuts a part at its own limit', { parts: [part('abcdefghij', 4)], hash: 'x1', limit: 32 }, 'abcd-x1'],
    ['leaves no hyphen where it cut', { parts: [part('abc-def', 4)], hash: 'x1', limit: 32 }, 'abc-x1'],
    ['replaces what is not allowed', { parts: [part('Wéb__Shop.')], hash: 'x', limit: 32 }, 'w-b-shop-x'],
    ['leaves out a part with nothing left', { parts: [part('--'), part('a')], hash: 'x', limit: 9 }, 'a-x'],
    [
      'shortens the longest part first',
      { parts: [part('aaaaaa'), part('bb')], hash: 'x', limit: 8 },
      'aaa-bb-x',
    ],
    ['is the hash alone when nothing else fits', { parts: [part('web')], hash: 'abcd', limit: 4 }, 'abcd'],
  ];
  test.each(cases)('%s', (_idea, input, name) => {
    expect(composeName(input)).toBe(name);
  });

  test.prop([
    fc.array(fc.record({ text: fc.string(), max: fc.integer({ min: 0, max: 20 }) }), { maxLength: 5 }),
    fc.stringMatching(/^[a-z0-9]{1,12}$/),
    fc.integer({ min: 12, max: 63 }),
  ])('is always a legal name that ends with the whole hash', (parts, hash, limit) => {
    const name = composeName({ parts, hash, limit });
    expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
    expect(name.length).toBeLessThanOrEqual(limit);
    expect(name.endsWith(hash)).toBe(true);
  });

  test('refuses a hash that does not fit', () => {
    expect(() => composeName({ parts: [], hash: 'abcdef', limit: 5 })).toThrow('cannot end a name');
  });
});

function part(text: string, max = 20): { text: string; max: number } {
  return { text, max };
}
