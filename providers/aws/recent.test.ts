import { beforeEach, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { Recent } from './recent.ts';

const healthy = { health: 'healthy', reason: '' } as const;
let clock: VirtualClock;
let recent: Recent;

beforeEach(() => {
  clock = new VirtualClock();
  recent = new Recent(clock);
});

test('a target that was taken out a moment ago and reads as healthy is leaving', () => {
  recent.deregister('group', 'i-1:80');
  expect(recent.judgeHealth('group', { 'i-1:80': healthy, 'i-2:80': healthy })).toMatchObject({
    'i-1:80': { health: 'draining' },
    'i-2:80': healthy,
  });
});

test('one that was put in again since is at its start', () => {
  recent.deregister('group', 'i-1:80');
  recent.register('group', 'i-1:80');
  expect(recent.judgeHealth('group', { 'i-1:80': healthy })['i-1:80']?.health).toBe('initial');
});

test('after half a minute the read is the better witness', async () => {
  recent.deregister('group', 'i-1:80');
  await clock.advance(30_000);
  expect(recent.judgeHealth('group', { 'i-1:80': healthy })['i-1:80']).toEqual(healthy);
});

test('what a call was told is not there is asked for by one call, and the others wait for its answer', async () => {
  expect(await recent.mayTry(['balancer'])).toBe(true);
  recent.refuse(['balancer']);
  recent.tried(['balancer']);
  expect(await recent.mayTry(['balancer', 'one'])).toBe(true);
  const other = recent.mayTry(['balancer', 'other']);
  expect(await recent.mayTry(['other'])).toBe(true);
  recent.accept(['balancer', 'one']);
  recent.tried(['balancer', 'one']);
  expect(await other).toBe(true);
});

test('where the answer is no again, the others are not sent', async () => {
  recent.refuse(['balancer']);
  await recent.mayTry(['balancer']);
  const other = recent.mayTry(['balancer', 'other']);
  recent.tried(['balancer']);
  expect(await other).toBe(false);
});

test('what a look did not show is not named until a look shows it or the window is over', async () => {
  recent.create('balancer');
  recent.looked([], ['balancer']);
  expect(await recent.mayTry(['balancer'])).toBe(false);
  recent.looked(['balancer'], []);
  expect(await recent.mayTry(['balancer'])).toBe(true);
  recent.looked([], ['balancer']);
  await clock.advance(30_000);
  expect(await recent.mayTry(['balancer'])).toBe(true);
});
