import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { guard } from './guard.ts';
import type { Guarded, GuardMemory } from './guard.ts';
import { emptyPlan } from './plan.ts';
import type { Step } from './plan.ts';

function aStep(id: string, change: Partial<Step> = {}): Step {
  return {
    id,
    operation: 'Call',
    parameters: { name: id },
    subject: id,
    reason: 'because',
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
    ...change,
  };
}

/** A step that takes `removed` of `before` healthy targets from `group`. */
function removal(id: string, group: string, removed: number, before: number, targets = id): Step {
  return aStep(id, {
    operation: 'DeregisterTargets',
    parameters: { Targets: targets },
    risk: 'disruptive',
    effect: { kind: 'removeTargets', group, healthyRemoved: removed, healthyBefore: before },
  });
}

function check(steps: readonly Step[], now = 0, memory: GuardMemory = {}, isRemoval = false): Guarded {
  return guard({ plan: { ...emptyPlan, steps }, removal: isRemoval, now, memory });
}

const ids = (steps: readonly Step[]): readonly string[] => steps.map(({ id }) => id);
const heldIds = ({ held }: Guarded): readonly string[] => held.map(({ step }) => step.id);

describe('what is held', () => {
  const rows: readonly [string, readonly Step[], readonly string[]][] = [
    ['half of the healthy targets may go', [removal('r', 'g', 2, 4)], []],
    ['more than half may not', [removal('r', 'g', 3, 4)], ['r']],
    ['a single target may, though it is all', [removal('r', 'g', 1, 1)], []],
    ['two of two may not', [removal('r', 'g', 2, 2)], ['r']],
    ['unhealthy targets may go in any number', [removal('r', 'g', 0, 4)], []],
    ['batches of one group count together', [removal('r', 'g', 2, 4), removal('s', 'g', 1, 4)], ['r', 's']],
    ['groups are judged apart', [removal('r', 'g', 2, 4), removal('s', 'h', 3, 4)], ['s']],
    ['what adds is never held', [aStep('add', { effect: { kind: 'addTargets', group: 'g', count: 9 } })], []],
    [
      'what needs a held step is held, also through another step or a reference',
      [
        removal('r', 'g', 3, 4),
        aStep('b', { needs: ['r'] }),
        aStep('c', { parameters: { from: { $ref: 'b.Arn' } } }),
        aStep('d'),
      ],
      ['r', 'b', 'c'],
    ],
  ];
  test.each(rows)('%s', (_idea, steps, held) => {
    const answer = check(steps);
    expect(heldIds(answer)).toEqual(held);
    expect(ids(answer.allowed)).toEqual(ids(steps).filter((id) => !held.includes(id)));
  });

  test('the removal of a Service is never held', () => {
    expect(check([removal('r', 'g', 9, 9)], 0, {}, true)).toMatchObject({ held: [], memory: {} });
  });

  test('the wait says what is held and when the next look makes sense', () => {
    expect(check([removal('r', 'target group web-80', 4, 5)]).waits).toEqual([
      {
        reason: 'RemovalHeld',
        message:
          'target group web-80: the plan would remove 4 of 5 healthy targets; ' +
          'held until the same has been seen 3 times over 60 s',
        recheckMs: 30_000,
      },
    ]);
  });
});

/** Looks at one plan after the other; true where the removal passed. */
function history(
  ...looks: readonly (readonly [seconds: number, steps: readonly Step[]])[]
): readonly boolean[] {
  let memory: GuardMemory = {};
  return looks.map(([seconds, steps]) => {
    const answer = check(steps, seconds * 1_000, memory);
    memory = answer.memory;
    return answer.held.length === 0;
  });
}

describe('how it is let go', () => {
  const steady = [removal('r', 'g', 3, 4)];

  test('after the same removal was seen three times over a minute', () => {
    expect(history([0, steady], [30, steady], [60, steady])).toEqual([false, false, true]);
  });
  test('not after many looks in a short time', () => {
    expect(history([0, steady], [1, steady], [2, steady], [59, steady])).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
  test('not after two looks far apart', () => {
    expect(history([0, steady], [600, steady], [601, steady])).toEqual([false, false, true]);
  });
  test('it stays let go until it is done', () => {
    expect(history([0, steady], [30, steady], [60, steady], [61, steady])).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });
  test('a larger removal starts again', () => {
    const larger = [removal('r', 'g', 4, 4, 'r and one more')];
    expect(history([0, steady], [30, steady], [60, larger], [90, larger], [120, larger])).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
  });
  test('a smaller removal starts again, too: the picture is not settled', () => {
    const larger = [removal('r', 'g', 4, 4, 'r and one more')];
    expect(history([0, larger], [30, larger], [60, steady])).toEqual([false, false, false]);
  });
  test('other targets in equal number start again', () => {
    expect(history([0, steady], [30, steady], [60, [removal('r', 'g', 3, 4, 'others')]])).toEqual([
      false,
      false,
      false,
    ]);
  });
  test('one look without the removal starts again', () => {
    expect(history([0, steady], [30, []], [60, steady], [90, steady])).toEqual([false, true, false, false]);
  });
});

describe('many small removals in a row', () => {
  /** Removes `removed` of `before` healthy targets, other ones each time. */
  const small = (removed: number, before: number, targets = `down to ${before - removed}`): Step =>
    removal('r', 'g', removed, before, targets);

  const rows: readonly [
    string,
    readonly (readonly [seconds: number, steps: readonly Step[]])[],
    readonly boolean[],
  ][] = [
    [
      'are held once more than half would be gone',
      [
        [0, [small(2, 10)]],
        [20, [small(2, 8)]],
        [40, [small(1, 6)]],
        [60, [small(1, 5)]],
      ],
      [true, true, true, false],
    ],
    [
      'are held also where each takes one target only',
      [
        [0, [small(1, 2)]],
        [20, [small(1, 1)]],
      ],
      [true, false],
    ],
    [
      'count for ten minutes',
      [
        [0, [small(4, 8)]],
        [599, [small(1, 4)]],
        [600, [small(1, 4)]],
      ],
      [true, false, true],
    ],
    [
      'count in their own group',
      [
        [0, [small(2, 4)]],
        [20, [removal('r', 'h', 1, 4)]],
        [40, [removal('r', 'h', 1, 3, 'another')]],
      ],
      [true, true, true],
    ],
    [
      'pass when others took their place: a rolling replacement',
      [
        [0, [small(1, 3, 'a')]],
        [20, [small(1, 3, 'b')]],
        [40, [small(1, 3, 'c')]],
        [60, [small(1, 3, 'd')]],
      ],
      [true, true, true, true],
    ],
    [
      'pass when what is missing died by itself',
      [
        [0, [small(1, 10)]],
        [20, [small(1, 5)]],
      ],
      [true, true],
    ],
    [
      'count once where the calls failed and are planned again',
      [
        [0, [small(2, 6, 'a')]],
        [5, [small(2, 6, 'a')]],
        [10, [small(2, 6, 'a')]],
        [20, [small(1, 4, 'b')]],
      ],
      [true, true, true, true],
    ],
    [
      'are measured by the most that were healthy in that time',
      [
        [0, [small(1, 2, 'a')]],
        [20, [small(4, 10, 'b')]],
        [40, [small(2, 6, 'c')]],
      ],
      [true, true, false],
    ],
    [
      'of which nothing is healthy always pass',
      [
        [0, [small(2, 4)]],
        [20, [small(0, 1)]],
      ],
      [true, true],
    ],
    [
      'are let go like a large one, and what is left is the new measure',
      [
        [0, [small(2, 4)]],
        [10, [small(1, 2)]],
        [40, [small(1, 2)]],
        [70, [small(1, 2)]],
        [80, [small(1, 1)]],
      ],
      [true, false, false, true, true],
    ],
  ];
  test.each(rows)('%s', (_idea, looks, passes) => {
    expect(history(...looks)).toEqual(passes);
  });

  test('the wait says what went together with what would go', () => {
    const { memory } = check([small(2, 4)]);
    expect(check([small(1, 2)], 60_000, memory).waits).toMatchObject([
      {
        message:
          'g: with what went in the last 10 min the plan would remove 3 of 4 healthy targets; ' +
          'held until the same has been seen 3 times over 60 s',
      },
    ]);
  });

  test('a group that is left alone is forgotten when its time is over', () => {
    const { memory } = check([small(2, 4)]);
    expect(Object.keys(check([], 599_000, memory).memory)).toEqual(['g']);
    expect(check([], 600_000, memory).memory).toEqual({});
  });

  test.prop([fc.integer({ min: 2, max: 30 }), fc.array(fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 59 })))])(
    'never take more than half within the window, unless the same was held first',
    (start, looks) => {
      let healthy = start;
      let now = 0;
      let memory: GuardMemory = {};
      for (const [i, [removed, seconds]] of looks.entries()) {
        // So many seconds that none of the removals is old enough to be believed or to be forgotten.
        now += (seconds * 1_000 * 10) / looks.length;
        const takes = Math.min(removed, healthy);
        const answer = check([removal('r', 'g', takes, healthy, `look ${i}`)], now, memory);
        memory = answer.memory;
        if (answer.held.length === 0) healthy -= takes;
      }
      expect(start - healthy).toBeLessThanOrEqual(Math.max(1, start / 2));
    },
  );
});

describe('whatever the plan', () => {
  const effect = fc.oneof(
    fc.constant({ kind: 'other' } as const),
    fc.record({
      kind: fc.constant('removeTargets' as const),
      group: fc.constantFrom('g', 'h'),
      healthyRemoved: fc.nat({ max: 6 }),
      healthyBefore: fc.constant(6),
    }),
  );
  test.prop([fc.array(fc.tuple(effect, fc.array(fc.nat({ max: 9 }))), { maxLength: 10 })])(
    'each step is either allowed or held, in order, and nothing allowed needs what is held',
    (drawn) => {
      const steps = drawn.map(([what, needs], i) =>
        aStep(`s${i}`, { effect: what, needs: needs.filter((n) => n < i).map((n) => `s${n}`) }),
      );
      const answer = check(steps);
      const held = new Set(heldIds(answer));
      expect(ids(answer.allowed)).toEqual(ids(steps).filter((id) => !held.has(id)));
      expect(answer.allowed.flatMap(({ needs }) => needs).filter((id) => held.has(id))).toEqual([]);
      for (const group of ['g', 'h']) {
        const goes = answer.allowed.reduce(
          (sum, step) =>
            step.effect.kind === 'removeTargets' && step.effect.group === group
              ? sum + step.effect.healthyRemoved
              : sum,
          0,
        );
        expect(goes).toBeLessThanOrEqual(3);
      }
    },
  );
});
