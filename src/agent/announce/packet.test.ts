import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { formatAddress } from '../../core/cidr.ts';
import type { ClaimState } from './claims.ts';
import { largestPacket, open, roomForClaims, seal, claimBytes, type Beat } from './packet.ts';
import type { MemberId } from './rank.ts';

const key = Buffer.alloc(32, 1);
const id = fc.stringMatching(/^[0-9a-f]{12}$/u).map((text) => text as MemberId);
const session = fc.stringMatching(/^[0-9a-f]{16}$/u);
const counter = fc.integer({ min: 0, max: 0xffff_ffff });
const address = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => formatAddress({ family: 'IPv4', value })),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => formatAddress({ family: 'IPv6', value })),
);
const anyBeat: fc.Arbitrary<Beat> = fc.record({
  from: id,
  to: id,
  session,
  port: fc.integer({ min: 0, max: 65_535 }),
  counter,
  echo: fc.option(fc.record({ session, counter }), { nil: undefined }),
  ask: fc.boolean(),
  further: fc.boolean(),
  ready: fc.boolean(),
  arbiter: fc.boolean(),
  goodbyeMs: fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }),
  members: fc.array(
    fc.record({
      member: id,
      ageMs: fc.integer({ min: 0, max: 65_535 }),
      direct: fc.boolean(),
      ready: fc.boolean(),
      arbiter: fc.boolean(),
    }),
    { maxLength: 20 },
  ),
  acknowledged: counter,
  claims: fc.record({
    after: counter,
    upto: counter,
    list: fc.array(
      fc.record({
        address,
        member: id,
        epoch: counter,
        state: fc.constantFrom<ClaimState>('taking', 'held', 'leaving', 'free', 'unable', 'able'),
      }),
      { maxLength: 20 },
    ),
  }),
});

describe('a heartbeat', () => {
  property.prop([anyBeat])('says after the way what it said before', (beat) => {
    expect(open(seal(beat, key), [key])).toEqual(beat);
  });

  property.prop([anyBeat, fc.nat(), fc.integer({ min: 1, max: 255 })])(
    'is refused when a single bit of it is another one',
    (beat, place, bits) => {
      const bytes = seal(beat, key);
      const at = place % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ bits;
      expect(() => open(bytes, [key])).toThrow();
    },
  );

  property.prop([fc.uint8Array({ maxLength: 200 })])('that is rubbish is refused in one way', (bytes) => {
    expect(() => open(Buffer.from(bytes), [key])).toThrowError(
      expect.objectContaining({ name: 'SluiceError' }),
    );
  });

  property.prop([anyBeat, fc.nat()])('that is cut short is refused', (beat, place) => {
    const bytes = seal(beat, key);
    expect(() => open(bytes.subarray(0, place % bytes.length), [key])).toThrow();
  });

  test('is opened with the old key while a new one is rolled out, and with no other', () => {
    const beat = { ...fc.sample(anyBeat, 1)[0] } as Beat;
    const bytes = seal(beat, key);
    expect(open(bytes, [Buffer.alloc(32, 2), key])).toEqual(beat);
    expect(() => open(bytes, [Buffer.alloc(32, 2)])).toThrowError(
      expect.objectContaining({ code: 'BadSeal' }),
    );
    expect(() => open(bytes, [])).toThrowError(expect.objectContaining({ code: 'BadSeal' }));
  });

  test('has the size that its parts are counted with', () => {
    for (const beat of fc.sample(anyBeat, 50)) {
      const without = seal({ ...beat, claims: { ...beat.claims, list: [] } }, key).length;
      const claims = beat.claims.list.reduce((sum, claim) => sum + claimBytes(claim), 0);
      expect(seal(beat, key).length).toBe(without + claims);
      expect(without + roomForClaims(beat.members.length)).toBe(largestPacket);
    }
  });
});
