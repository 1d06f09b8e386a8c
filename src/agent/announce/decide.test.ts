import { describe, expect, test } from 'vitest';
import { announceTimings } from './timings.ts';
import { decide, type Act, type Case } from './decide.ts';
import type { Claim, ClaimState } from './claims.ts';
import { ranked, type MemberId } from './rank.ts';

const address = '192.0.2.1';
/** In the order in which they come for the address. */
const [first, second, third] = ranked(
  ['111111111111', '222222222222', '333333333333'] as MemberId[],
  address,
) as [MemberId, MemberId, MemberId];
const all = [first, second, third];

function by(member: MemberId, state: ClaimState, epoch = 5): Claim {
  return { address, member, epoch, state };
}

const up = { state: 'up', since: 0, leavingSince: undefined } as const;

function given(over: Partial<Case>): Case {
  return {
    address,
    me: first,
    now: 10_000,
    right: { kind: 'majority' },
    view: { live: new Set(all), paused: new Set(), ready: new Set(all) },
    wanted: true,
    eligible: all,
    able: true,
    unable: () => false,
    claim: undefined,
    mine: undefined,
    unclaimedSince: undefined,
    settledAt: 0,
    timings: announceTimings,
    ...over,
  };
}

const without = (member: MemberId): Case['view'] => {
  const rest = new Set(all.filter((one) => one !== member));
  return { live: rest, paused: new Set(), ready: rest };
};

describe('what a node does about an address', () => {
  test.each<[string, Partial<Case>, Act['kind'], string?]>([
    ['nobody holds it: the first choice takes it', {}, 'take', 'elected'],
    ['nobody holds it: the second waits', { me: second }, 'none'],
    ['the second takes it after a while', { me: second, unclaimedSince: 8_999 }, 'take', 'elected'],
    [
      'the first is gone: the second takes it at once',
      { me: second, view: without(first) },
      'take',
      'elected',
    ],
    ['the first says that it cannot', { me: second, unable: (one) => one === first }, 'take', 'elected'],
    ['the first is not fit', { me: second, eligible: [second, third] }, 'take', 'elected'],
    [
      'the first is not ready',
      { me: second, view: { ...without(third), ready: new Set([second]) } },
      'take',
      'elected',
    ],
    ['who cannot takes nothing', { able: false }, 'none'],
    ['who is not fit takes nothing', { eligible: [second, third] }, 'none'],
    ['just after a start nothing is taken', { settledAt: 10_500 }, 'none'],
    ['nothing is taken in the time of grace', { right: { kind: 'grace', until: 11_000 } }, 'none'],
    ['nothing is taken without the right', { right: { kind: 'none' } }, 'none'],
    ['nothing is taken that is not wanted', { wanted: false }, 'none'],
    ['a holder that is there stays', { claim: by(third, 'held') }, 'none'],
    ['one that is about to hold it, too', { claim: by(third, 'taking') }, 'none'],
    ['a holder that is not fit in our eyes, too', { claim: by(third, 'held'), eligible: [first] }, 'none'],
    [
      'a holder that is gone is replaced',
      { claim: by(third, 'held'), view: without(third) },
      'take',
      'elected',
    ],
    [
      'a holder without an agent for a moment is not',
      { claim: by(third, 'held'), view: { ...without(third), paused: new Set([third]) } },
      'none',
    ],
    ['a holder that leaves hands over', { claim: by(third, 'leaving') }, 'take', 'handed-over'],
    ['to the best of the others', { claim: by(first, 'leaving'), me: second }, 'take', 'handed-over'],
    ['right after a start, too', { claim: by(third, 'leaving'), settledAt: 10_500 }, 'take', 'handed-over'],
    ['what was let go is taken', { claim: by(third, 'free') }, 'take', 'elected'],
    ['ours from before a restart is ours', { claim: by(first, 'held'), settledAt: 10_500 }, 'take', 'kept'],
    [
      'not in the time of grace',
      { claim: by(first, 'held'), right: { kind: 'grace', until: 11_000 } },
      'none',
    ],
    [
      'ours from before, and we are not fit any more',
      { claim: by(first, 'held'), eligible: [second] },
      'drop',
    ],

    ['the holder keeps it', { mine: up, claim: by(first, 'held') }, 'keep'],
    ['a better choice comes back: kept', { me: third, mine: up, claim: by(third, 'held') }, 'keep'],
    [
      'kept in the time of grace',
      { mine: up, claim: by(first, 'held'), right: { kind: 'grace', until: 11_000 } },
      'keep',
    ],
    [
      'let go without the right',
      { mine: up, claim: by(first, 'held'), right: { kind: 'none' } },
      'drop',
      'no-right',
    ],
    [
      'let go where it is not wanted',
      { mine: up, claim: by(first, 'held'), wanted: false },
      'drop',
      'unwanted',
    ],
    ['let go where the link is gone', { mine: up, claim: by(first, 'held'), able: false }, 'drop', 'unable'],
    ['not fit any more: says so', { mine: up, claim: by(first, 'held'), eligible: [second] }, 'leave'],
    [
      'and answers meanwhile',
      { mine: { ...up, leavingSince: 9_000 }, claim: by(first, 'leaving'), eligible: [second] },
      'keep',
    ],
    [
      'for a while',
      { mine: { ...up, leavingSince: 8_000 }, claim: by(first, 'leaving'), eligible: [second] },
      'drop',
      'not-eligible',
    ],
    [
      'fit again: takes that back',
      { mine: { ...up, leavingSince: 9_000 }, claim: by(first, 'leaving') },
      'insist',
    ],
    ['another one answers: lets go', { mine: up, claim: by(second, 'held') }, 'yield'],
    ['another one puts it up: answers until he does', { mine: up, claim: by(second, 'taking') }, 'keep'],
    [
      'two put it up: the lesser claim stops',
      { mine: { ...up, state: 'putting' }, claim: by(second, 'taking') },
      'yield',
    ],
    [
      'another one holds it who is gone',
      { mine: up, claim: by(second, 'held'), view: without(second) },
      'insist',
    ],
    ['an old word that it is free', { mine: up, claim: by(second, 'free') }, 'insist'],
    ['another one that leaves it while we hold it', { mine: up, claim: by(second, 'leaving') }, 'insist'],
  ])('%s', (_name, over, kind, reason) => {
    const { act } = decide(given(over));
    expect(act.kind).toBe(kind);
    if (reason !== undefined) expect(act).toMatchObject({ reason });
  });

  test('says when to ask again: turn, settling, end of grace, end of leaving', () => {
    expect(decide(given({ me: second, unclaimedSince: 9_500 })).again).toBe(10_500);
    expect(decide(given({ settledAt: 10_400 })).again).toBe(10_400);
    const grace = { kind: 'grace', until: 10_700 } as const;
    expect(decide(given({ mine: up, claim: by(first, 'held'), right: grace })).again).toBe(10_700);
    const mine = { ...up, leavingSince: 9_000 };
    expect(decide(given({ mine, claim: by(first, 'leaving'), eligible: [second] })).again).toBe(11_000);
  });

  test('of those that see the same exactly one takes an address that nobody holds', () => {
    for (let mask = 1; mask < 8; mask += 1) {
      const live = new Set(all.filter((_, index) => (mask >> index) & 1));
      const view = { live, paused: new Set<MemberId>(), ready: live };
      const takers = [...live].filter((me) => decide(given({ me, view })).act.kind === 'take');
      expect(takers).toHaveLength(1);
    }
  });
});
