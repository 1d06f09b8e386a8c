import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import type { ForeignChange } from '../backend.ts';
import { unlessOwn, watchKernel } from './watch.ts';

const change: ForeignChange = { message: 'iptables changed 1 of our objects', process: 'iptables (9)' };

function suspicion({ writes, wroteAgoMs }: { writes: number; wroteAgoMs: number }) {
  const clock = new VirtualClock();
  const told: ForeignChange[] = [];
  let looks = 0;
  const wroteAt = clock.now() - wroteAgoMs;
  const tell = unlessOwn(
    { clock, writes: () => writes, wroteAt: () => wroteAt, onChange: (one) => told.push(one) },
    () => {
      looks += 1;
    },
  );
  tell(change);
  return { told: told.length, looks };
}

test.each([
  ['during a write of ours is looked at', { writes: 3, wroteAgoMs: 60_000 }, { told: 0, looks: 1 }],
  ['just after one is looked at', { writes: 4, wroteAgoMs: 100 }, { told: 0, looks: 1 }],
  ['while we were quiet is told at once', { writes: 4, wroteAgoMs: 5_000 }, { told: 1, looks: 0 }],
])('a change by a process that is not known as ours %s', (_, when, expected) => {
  expect(suspicion(when)).toEqual(expected);
});

test('a look finds what somebody else changed, once, and ends with the watch', async () => {
  const clock = new VirtualClock();
  const told: string[] = [];
  const end = new AbortController();
  let looks = 0;
  watchKernel({
    family: 'IPv4',
    variant: 'legacy',
    spawn: () => {
      throw new Error('the legacy tables report nothing');
    },
    clock,
    pollMs: 10_000,
    isOurs: () => false,
    writes: () => 0,
    wroteAt: () => Number.NEGATIVE_INFINITY,
    numbersHold: true,
    look: () => {
      looks += 1;
      return Promise.resolve([{ kind: 'missing', object: 'chain SLUICE-SERVICES', key: undefined }]);
    },
    onChange: ({ message }) => told.push(message),
    signal: end.signal,
  });
  await clock.advance(35_000);
  expect([looks, told]).toEqual([3, ['chain SLUICE-SERVICES is missing']]);
  end.abort();
  await clock.advance(60_000);
  expect(looks).toBe(3);
});
