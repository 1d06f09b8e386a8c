/** What is asked of an older kernel or nft, and what a node without a piece is told. */
import { expect, test } from 'vitest';
import { hasFullyRandom, missingPiece, type Check } from './probes.ts';
import { wordsOf } from './words.ts';

/** An nft that refuses every text with this in it. */
const without =
  (piece: RegExp, against = 'Error: syntax error'): Check =>
  (text) =>
    Promise.resolve(piece.test(text) ? `${against}\n${text}` : '');

test.each([
  ['numbers drawn at random', /numgen/],
  ['reject before routing', /reject/],
  ['masquerade', /masquerade/],
  ['kind of an address (fib)', /fib daddr/],
  ['clients remembered in a map', /update @/],
  ['ranges in concatenations', /flags interval/],
  ['maps to verdicts', /: verdict/],
  ['masks in a key of addresses', /saddr & /],
] as const)('without %s the node is told so, and what to do', async (name, piece) => {
  for (const family of ['IPv4', 'IPv6'] as const) {
    expect(await missingPiece(wordsOf(family), without(piece))).toMatchObject({
      kind: 'invalid',
      code: 'MissingFeature',
      message: expect.stringMatching(`lacks ${name.replace(/[()]/g, '.')} for ${family}.*iptables backend`),
    });
  }
});

test('a node where everything is there lacks nothing', async () => {
  expect(await missingPiece(wordsOf('IPv4'), without(/nothing of that/))).toBeUndefined();
});

test('missing rights are not taken for a missing piece', async () => {
  const against = 'Error: Could not process rule: Operation not permitted';
  expect(await missingPiece(wordsOf('IPv4'), without(/table/, against))).toMatchObject({
    kind: 'denied',
    code: 'NotPermitted',
    message: expect.stringContaining('NET_ADMIN'),
  });
});

test('ports drawn fully at random are asked for by themselves', async () => {
  expect(await hasFullyRandom(wordsOf('IPv6'), without(/fully-random/))).toBe(false);
  expect(await hasFullyRandom(wordsOf('IPv6'), without(/numgen/))).toBe(true);
});
