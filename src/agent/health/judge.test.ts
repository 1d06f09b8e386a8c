import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../core/errors.ts';
import type { SyncState } from '../sync-report.ts';
import { isEligible, judgeHealth, staleAfterMs } from './judge.ts';

const well: SyncState = {
  programmed: true,
  waitingSince: undefined,
  writtenAt: 1_000,
  pending: 0,
  writing: false,
  quarantined: new Map(),
  problem: undefined,
  badLooks: 0,
};

function judged(...states: readonly Partial<SyncState>[]) {
  const families = states.map((state, at) => ({
    family: at === 0 ? 'IPv4' : 'IPv6',
    state: { ...well, ...state },
  }));
  return judgeHealth({ families, node: undefined, now: 1_000_000 });
}

describe('the agent is', () => {
  test('well while both families are written', () => {
    expect(judged({}, {})).toMatchObject({ healthy: true, live: true, reason: '' });
  });

  test('well while a change waits for a short time, also through failures', () => {
    const problem = new SluiceError('transient', 'the lock is held', { code: 'LockHeld' });
    expect(judged({ waitingSince: 1_000_000 - staleAfterMs, problem })).toMatchObject({ healthy: true });
  });

  test('not well once a change of one family has waited too long', () => {
    const problem = new SluiceError('transient', 'the lock is held', { code: 'LockHeld' });
    expect(judged({}, { waitingSince: 1_000_000 - staleAfterMs - 1, problem })).toMatchObject({
      healthy: false,
      live: false,
      reason: 'IPv6: a change has been waiting for 60 s: the lock is held',
    });
  });

  test('not ready before its first write, yet alive: a restart would not bring the API server back', () => {
    expect(judged({ programmed: false, writtenAt: undefined, waitingSince: 0 })).toMatchObject({
      healthy: false,
      live: true,
    });
  });

  test('well while a first difference in the kernel is repaired, and not once it comes again', () => {
    expect(judged({ badLooks: 1 })).toMatchObject({ healthy: true });
    expect(judged({ badLooks: 2 })).toMatchObject({ healthy: false });
  });
});

describe('the node', () => {
  const taint = { value: '', effect: 'NoSchedule' };
  test.each([
    ['an ordinary one is eligible', { deleting: false, taints: [{ ...taint, key: 'dedicated' }] }, true],
    ['one that is being deleted is not', { deleting: true, taints: [] }, false],
    [
      'one that the autoscaler has marked is not',
      { deleting: false, taints: [{ ...taint, key: 'ToBeDeletedByClusterAutoscaler' }] },
      false,
    ],
  ])('%s', (_, node, eligible) => {
    expect(isEligible(node)).toBe(eligible);
  });
});
