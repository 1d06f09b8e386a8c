import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { NodeName } from '../../core/objects.ts';
import type { Holding } from './announcer.ts';
import { ClaimTable } from './claims.ts';
import { Holdings } from './holdings.ts';
import type { OwnershipEvent } from './ownership-port.ts';
import { memberId } from './rank.ts';

const me = memberId('n1' as NodeName);
const other = memberId('n2' as NodeName);
const address = '192.0.2.1';

function setUp(hold: (holdings: readonly Holding[]) => Promise<void> = () => Promise.resolve()) {
  const clock = new VirtualClock();
  const table = new ClaimTable();
  const events: OwnershipEvent[] = [];
  const ended = new AbortController();
  const told: (readonly string[])[] = [];
  const holdings = new Holdings({
    me,
    clock,
    table,
    announcer: {
      hold: (list) => {
        told.push(list.map((one) => one.address));
        return hold(list);
      },
    },
    facts: () => new Map(),
    linksFor: () => ({ kind: 'links', names: ['eth0'] }),
    timings: { retryMs: 30_000, beatMs: 100 },
    say: (event) => events.push(event),
    look: () => undefined,
    ended: ended.signal,
  });
  const take = (): void => {
    table.say(address, me, 'taking');
    holdings.put(address, ['eth0'], 'elected');
    holdings.tell(new Map());
  };
  return { clock, table, holdings, events, told, take, ended };
}

const passing = new SluiceError('transient', 'not renewed', { code: 'NotRenewed' });

test('held is said when the kernel has it, not before', async () => {
  const gate = Promise.withResolvers<void>();
  const { clock, table, take } = setUp(() => gate.promise);
  take();
  await clock.advance(50);
  expect(table.of(address)?.state).toBe('taking');
  gate.resolve();
  await clock.advance(1);
  expect(table.of(address)?.state).toBe('held');
});

test('a claim that somebody else beat meanwhile is not raised', async () => {
  const gate = Promise.withResolvers<void>();
  const { clock, table, take } = setUp(() => gate.promise);
  take();
  table.hear({ address, member: other, epoch: 9, state: 'held' });
  gate.resolve();
  await clock.advance(1);
  expect(table.of(address)).toMatchObject({ member: other, epoch: 9 });
});

test('one call of the engine at a time; what changed meanwhile goes with the next', async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let call = 0;
  const { clock, holdings, told, take } = setUp(() => gates[call++]?.promise ?? Promise.resolve());
  take();
  holdings.put('192.0.2.2', ['eth0'], 'elected');
  holdings.tell(new Map());
  holdings.put('192.0.2.3', ['eth0'], 'elected');
  holdings.tell(new Map());
  expect(told).toEqual([[address]]);
  gates[0]?.resolve();
  await clock.advance(1);
  expect(told[1]).toEqual([address, '192.0.2.2', '192.0.2.3']);
});

test('an engine that fails is asked again', async () => {
  let fails = true;
  const { clock, events, take, holdings } = setUp(() =>
    fails ? Promise.reject(new SluiceError('transient', 'gone', { code: 'Gone' })) : Promise.resolve(),
  );
  take();
  await clock.advance(50);
  expect(events.map(({ kind }) => kind)).toEqual(['engine-failed']);
  fails = false;
  await clock.advance(100);
  expect(holdings.get(address)?.state).toBe('up');
});

test('what stood in the way ends with the holding: taken again, the address comes up', async () => {
  const { clock, holdings, events, take } = setUp();
  take();
  await clock.advance(1);
  holdings.engineHeld(address, passing);
  // Given to another node before the trouble was over.
  holdings.remove(address);
  holdings.tell(new Map());
  await clock.advance(1_000);
  expect(events.map(({ kind }) => kind)).not.toContain('refused');
  take();
  await clock.advance(1);
  expect(holdings.get(address)?.state).toBe('up');
});

test('a trouble that lasts is a refusal, and one that passes is none', async () => {
  const { clock, holdings, take } = setUp();
  take();
  await clock.advance(1);
  holdings.engineHeld(address, passing);
  await clock.advance(400);
  holdings.engineHeld(address, undefined);
  await clock.advance(200);
  expect(holdings.refusedUntil(address)).toBeUndefined();
  holdings.engineHeld(address, passing);
  await clock.advance(501);
  expect(holdings.refusedUntil(address)).toBeGreaterThan(clock.now() + 29_000);
});

test('once it has ended no timer is left, whatever stood in the way of an address', async () => {
  const { clock, holdings, take, ended } = setUp();
  take();
  await clock.advance(1);
  holdings.engineHeld(address, passing);
  expect(clock.pending).toBe(1);
  ended.abort();
  expect(clock.pending).toBe(0);
  holdings.engineHeld(address, new SluiceError('transient', 'again', { code: 'Again' }));
  expect(clock.pending).toBe(0);
});

test('an engine that fails is asked again, but not after the end', async () => {
  const { clock, take, told, ended } = setUp(() => Promise.reject(passing));
  take();
  await clock.advance(150);
  expect(told.length).toBeGreaterThan(1);
  ended.abort();
  const before = told.length;
  await clock.advance(1_000);
  expect(told).toHaveLength(before);
  expect(clock.pending).toBe(0);
});

test('an address that waits for us to have listened is not refused, and is confirmed once it stands', async () => {
  const setting = setUp();
  const { clock, table, holdings, events, take } = setting;
  const unheard = new SluiceError('transient', 'listens first', { code: 'NotHeard' });
  take();
  holdings.engineHeld(address, unheard);
  await clock.advance(5_000);
  expect(events.map(({ kind }) => kind)).not.toContain('refused');
  expect(table.of(address)?.state).toBe('taking');
  holdings.engineHeld(address, undefined);
  await clock.advance(1);
  expect(table.of(address)?.state).toBe('held');
});
