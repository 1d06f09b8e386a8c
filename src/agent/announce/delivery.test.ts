import { expect, test } from 'vitest';
import type { NodeName } from '../../core/objects.ts';
import { ClaimTable } from './claims.ts';
import { Delivery } from './delivery.ts';
import { memberId } from './rank.ts';

const me = memberId('me' as NodeName);
const author = memberId('author' as NodeName);
const rooms = { first: 1_000, further: 1_000 };
const evidence = { member: author, ageMs: 0, direct: true, ready: true, arbiter: false };

function setUp() {
  const table = new ClaimTable();
  const delivery = new Delivery();
  table.say('192.0.2.1', me, 'held');
  table.hear({ address: '192.0.2.2', member: author, epoch: 3, state: 'held' });
  const said = (now: number): readonly string[] =>
    delivery
      .parts(table, rooms, 10, now)
      .flatMap(({ list }) => list)
      .map(({ address }) => address);
  return { table, delivery, said };
}

test('what an author says is passed on to whoever does not hear him', () => {
  const { delivery, said } = setUp();
  expect(said(0)).toEqual(['192.0.2.1', '192.0.2.2']);
  delivery.renew();
  delivery.hears([{ ...evidence, direct: false }], 0);
  expect(said(0)).toEqual(['192.0.2.1', '192.0.2.2']);
});

test('who hears the author is told by the author alone, and acknowledges all the same', () => {
  const { table, delivery, said } = setUp();
  delivery.hears([evidence], 0);
  expect(said(0)).toEqual(['192.0.2.1']);
  delivery.acknowledge(table.version);
  expect(said(200)).toEqual([]);
  table.hear({ address: '192.0.2.3', member: author, epoch: 1, state: 'held' });
  expect(delivery.owes(table)).toBe(false);
  table.say('192.0.2.1', me, 'free');
  expect(delivery.owes(table)).toBe(true);
});

test('a peer that loses an author whom we still hear is told again, once', () => {
  const { table, delivery, said } = setUp();
  delivery.hears([evidence], 0);
  said(0);
  delivery.acknowledge(table.version);
  delivery.hears([], 100);
  expect(delivery.retell(() => true, 600, 500)).toEqual([]);
  expect(
    delivery.retell(() => false, 600, 800),
    'he is gone for everybody',
  ).toEqual([]);
  expect(delivery.retell(() => true, 600, 900)).toEqual([author]);
  expect(delivery.retell(() => true, 600, 1_000)).toEqual([]);
  table.retell(author);
  expect(said(1_000)).toEqual(['192.0.2.2']);
});

test('an author that comes back by himself needs nobody to speak for him', () => {
  const { delivery } = setUp();
  delivery.hears([evidence], 0);
  delivery.hears([], 100);
  delivery.hears([evidence], 200);
  expect(delivery.retell(() => true, 600, 5_000)).toEqual([]);
});

test('what is on its way is not sent again until an acknowledgement is due', () => {
  const { delivery, said } = setUp();
  expect(said(0)).toHaveLength(2);
  expect(said(50)).toEqual([]);
  expect(said(100)).toHaveLength(2);
  delivery.acknowledge(1);
  expect(said(250)).toEqual(['192.0.2.2']);
});
