import { describe, expect, test } from 'vitest';
import type { NodeName } from '../../core/objects.ts';
import { ClaimTable } from './claims.ts';
import { Liveness } from './liveness.ts';
import { largestPacket, seal, type Beat } from './packet.ts';
import { memberId } from './rank.ts';
import { announceTimings } from './timings.ts';

const [a, b, c] = ['a', 'b', 'c'].map((name) => memberId(name as NodeName)) as [
  ReturnType<typeof memberId>,
  ReturnType<typeof memberId>,
  ReturnType<typeof memberId>,
];
const own = { ready: true, arbiter: false, goodbyeMs: undefined, port: 1 };
const key = Buffer.alloc(32, 1);

class Side {
  readonly live: Liveness;
  readonly table = new ClaimTable();
  readonly me: typeof a;

  constructor(me: typeof a, session = '1') {
    this.me = me;
    this.live = new Liveness(me, session.padStart(16, '0'), announceTimings);
  }

  to(other: Side, now: number, over: { readonly goodbyeMs?: number } = {}): readonly Beat[] {
    return this.live.compose(other.me, { ...own, ...over }, this.table, now);
  }

  hears(beats: readonly Beat[], now: number): boolean {
    return (
      beats
        .map((beat) => {
          const got = this.live.receive(beat, now);
          for (const claim of got.claims) this.table.hear(claim);
          return got.believed;
        })
        .at(-1) ?? false
    );
  }

  sees(other: Side, now: number): boolean {
    return this.live.view(own, now).live.has(other.me);
  }
}

/** Two that know each other at time 0. */
function acquainted(): readonly [Side, Side] {
  const one = new Side(a);
  const other = new Side(b, '2');
  for (let round = 0; round < 3; round += 1) {
    other.hears(one.to(other, 0), 0);
    one.hears(other.to(one, 0), 0);
  }
  return [one, other];
}

describe('who is there', () => {
  test('a first packet proves nothing; the answer to it does, and the answer to that', () => {
    const one = new Side(a);
    const other = new Side(b, '2');
    expect(other.hears(one.to(other, 0), 0)).toBe(false);
    expect(one.hears(other.to(one, 1), 1)).toBe(true);
    expect(other.hears(one.to(other, 2), 2)).toBe(true);
    expect(one.sees(other, 2) && other.sees(one, 2)).toBe(true);
  });

  test('three missed heartbeats, and it is gone', () => {
    const [one, other] = acquainted();
    expect(one.sees(other, 300)).toBe(true);
    expect(one.sees(other, 301)).toBe(false);
    expect(one.live.nextExpiry(0)).toBe(300);
  });

  test('one that is overdue is asked, and answers at once', () => {
    const [one, other] = acquainted();
    expect([...one.live.quiet(130)]).toEqual([]);
    expect([...one.live.quiet(150)]).toEqual([b]);
    const [asking] = one.to(other, 150);
    expect(asking?.ask).toBe(true);
    if (asking !== undefined) expect(other.live.receive(asking, 151).answer).toBe(true);
    expect([...one.live.quiet(301)]).toEqual([]);
  });

  test('a recorded packet proves nothing: neither at once, nor later, nor to the next process', () => {
    const [one, other] = acquainted();
    const recorded = other.to(one, 100);
    expect(one.hears(recorded, 101)).toBe(true);
    expect(one.hears(recorded, 102)).toBe(false);
    expect(one.sees(other, 450)).toBe(false);
    expect(one.hears(recorded, 450)).toBe(false);
    expect(one.sees(other, 450)).toBe(false);
    const restarted = new Side(a, '9');
    expect(restarted.hears(recorded, 450)).toBe(false);
    expect(restarted.sees(other, 450)).toBe(false);
  });

  test('a packet that was held back for long proves nothing', () => {
    const [one, other] = acquainted();
    const late = other.to(one, 100);
    expect(one.hears(late, 100 + announceTimings.echoMs + 1)).toBe(false);
  });

  test('a packet for somebody else proves nothing', () => {
    const [one, other] = acquainted();
    const third = new Side(c, '3');
    expect(third.hears(other.to(one, 50), 50)).toBe(false);
  });

  test('who does not hear us is not there, however loud he is', () => {
    const [one, other] = acquainted();
    for (let now = 100; now <= 2_000; now += 100) one.hears(other.to(one, now), now);
    // `one` sends nothing: what `other` repeats grows old.
    expect(one.sees(other, 2_000)).toBe(false);
  });

  test('who is heard by another one is there, and dies there when he is dead', () => {
    const [one, other] = acquainted();
    const third = new Side(c, '3');
    for (const [x, y] of [
      [other, third],
      [third, other],
      [other, third],
    ] as const)
      y.hears(x.to(y, 0), 0);
    one.hears(other.to(one, 40), 40);
    expect(one.sees(third, 40)).toBe(true);
    for (let now = 60; now <= 600; now += 20) {
      one.hears(other.to(one, now), now);
      other.hears(one.to(other, now), now);
    }
    expect(one.sees(third, 302)).toBe(false);
  });

  test('a new process of a peer is believed after the old one has gone quiet, and starts with an empty table', () => {
    const [one, other] = acquainted();
    one.table.say('192.0.2.1', a, 'held');
    other.hears(one.to(other, 50), 50);
    const next = new Side(b, '5');
    let now = 400;
    for (let round = 0; round < 3; round += 1) {
      one.hears(next.to(one, now), now);
      next.hears(one.to(next, now), now);
      now += 10;
    }
    expect(one.sees(next, now)).toBe(true);
    expect(next.table.of('192.0.2.1')).toMatchObject({ member: a, state: 'held' });
  });

  test('who says goodbye for a moment is paused, and who says it for good is gone', () => {
    const [one, other] = acquainted();
    one.hears(other.to(one, 100, { goodbyeMs: 1_900 }), 100);
    expect(one.sees(other, 101)).toBe(false);
    expect(one.live.view(own, 1_900).paused).toEqual(new Set([b]));
    expect(one.live.view(own, 2_100).paused.size).toBe(0);
    const [two, gone] = acquainted();
    two.hears(gone.to(two, 100, { goodbyeMs: 0 }), 100);
    expect(two.live.view(own, 101)).toMatchObject({ live: new Set([a]), paused: new Set() });
  });

  test('a machine that says that nobody listens is paused once, and only if it was there a moment ago', () => {
    const [one] = acquainted();
    expect(one.live.refused(b, 90)).toBe(true);
    expect(one.live.view(own, 100).paused).toEqual(new Set([b]));
    expect(one.live.refused(b, 190)).toBe(false);
    expect(one.live.view(own, 1_600).paused.size).toBe(0);
    expect(one.live.refused(c, 190)).toBe(false);
  });
});

describe('claims on the way', () => {
  test('a thousand go in packets of a size that passes, each until it is acknowledged', () => {
    const [one, other] = acquainted();
    for (let index = 0; index < 1_000; index += 1)
      one.table.say(`10.${index >> 8}.${index & 255}.1`, a, 'held');
    const packets = one.to(other, 50);
    for (const packet of packets) expect(seal(packet, key).length).toBeLessThanOrEqual(largestPacket);
    // The third is lost: what comes after it is left for the next time.
    other.hears(
      packets.filter((_, index) => index !== 2),
      51,
    );
    expect(other.table.size).toBeLessThan(1_000);
    one.hears(other.to(one, 60), 60);
    expect(one.to(other, 70)[0]?.claims.list, 'what is on its way is not sent twice').toEqual([]);
    other.hears(one.to(other, 160), 160);
    expect(other.table.size).toBe(1_000);
    one.hears(other.to(one, 170), 170);
    expect(one.to(other, 290)).toHaveLength(1);
    expect(one.to(other, 291)[0]?.claims.list).toEqual([]);
  });

  test('only so many packets at once: the rest follows', () => {
    const [one, other] = acquainted();
    for (let index = 0; index < 40_000; index += 1) one.table.say(`10.${index}.1`, a, 'held');
    expect(one.to(other, 50)).toHaveLength(400);
    expect(one.live.owes(b, one.table)).toBe(true);
  });
});

describe('peers that are no more', () => {
  test('are forgotten, and heard again when they come back although they never heard of that', () => {
    const [one, other] = acquainted();
    for (let at = 100; at <= 5_000; at += 100) {
      other.hears(one.to(other, at), at);
      one.hears(other.to(one, at), at);
    }
    one.live.keepOnly(new Set(), 5_100);
    expect(one.sees(other, 5_100), 'one that is there stays').toBe(true);
    one.live.keepOnly(new Set(), 9_000);
    expect(one.live.nextExpiry(0)).toBeUndefined();
    for (let at = 9_100; at <= 9_300; at += 100) {
      one.hears(other.to(one, at), at);
      other.hears(one.to(other, at), at);
    }
    expect(one.sees(other, 9_300)).toBe(true);
    expect(other.sees(one, 9_300)).toBe(true);
  });
});
