import { expect, test } from 'vitest';
import { MemoryLeases } from '../../../test/support/memory-leases.ts';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { LeaseArbiter } from './arbiter.ts';

function setUp() {
  const clock = new VirtualClock();
  const leases = new MemoryLeases(clock);
  leases.delayMs = 50;
  let fault: 'none' | 'unreachable' = 'none';
  const arbiter = new LeaseArbiter({
    api: leases.as('node-1', () => fault),
    namespace: 'sluice-system',
    identity: 'node-1-a',
    clock,
    random: () => 0.5,
    onChange: () => undefined,
  });
  return { clock, leases, arbiter, fail: () => (fault = 'unreachable') };
}

test('it is got when it is wanted, and given back when it is not', async () => {
  const { clock, leases, arbiter } = setUp();
  arbiter.want(true);
  await clock.advance(500);
  expect(arbiter.held()).toBe(true);
  arbiter.want(false);
  expect(arbiter.held()).toBe(false);
  await clock.advance(500);
  expect(leases.holder).toBe('');
});

test('one that is being given back is not held, even if it is wanted again meanwhile', async () => {
  const { clock, leases, arbiter } = setUp();
  arbiter.want(true);
  await clock.advance(500);
  arbiter.want(false);
  arbiter.want(true);
  expect(arbiter.held()).toBe(false);
  // Whoever waits for it may have it now.
  await clock.advance(60);
  expect(leases.holder).toBe('');
  expect(arbiter.held()).toBe(false);
  await clock.advance(1_000);
  expect(arbiter.held()).toBe(true);
});

test('without the API server it ends before anybody else can have it', async () => {
  const { clock, arbiter, fail } = setUp();
  arbiter.want(true);
  await clock.advance(500);
  fail();
  await clock.advance(1_000);
  expect(arbiter.held()).toBe(true);
  await clock.advance(1_100);
  expect(arbiter.held()).toBe(false);
});
