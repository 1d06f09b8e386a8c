/** From what a pass found to the event that is written, and how its words come about. */
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../core/errors.ts';
import {
  error,
  facts,
  failure,
  nobody,
  oneTargetLost,
  problem,
  registering,
  step,
  wait,
} from './verdict-fixtures.ts';
import { describeError, judge, listSteps, type Facts } from './verdict.ts';

describe('the warning', () => {
  test.each<[string, Partial<Facts>, string | undefined]>([
    ['all is well', {}, undefined],
    [
      'a step that failed, with its call and its object',
      { failures: [failure(step(), 'quota')] },
      'Warning SyncLoadBalancerFailed: CreateListener for listener 80/TCP: it was refused (SomeCode)',
    ],
    [
      'targets that could not be changed',
      { failures: [failure(registering, 'quota')] },
      'Warning UpdateLoadBalancerFailed: RegisterTargets for target group web-80: ' +
        '2 targets are not registered: it was refused (SomeCode)',
    ],
    [
      'pieces of a batch for which there is no room: how many targets are left out',
      { failures: [failure(registering, 'quota'), failure(registering, 'quota')] },
      'Warning UpdateLoadBalancerFailed: RegisterTargets for target group web-80: ' +
        '4 targets are not registered: it was refused (SomeCode)',
    ],
    [
      'a read that failed',
      { error: error('denied') },
      'Warning SyncLoadBalancerFailed: CreateListener: it was refused (SomeCode)',
    ],
    ['throttled', { error: error('throttled') }, undefined],
    ['busy', { failures: [failure(step(), 'busy')] }, undefined],
    [
      'busy beside a failure that counts',
      {
        failures: [failure(step(), 'busy'), failure(registering, 'denied')],
      },
      'Warning UpdateLoadBalancerFailed: RegisterTargets for target group web-80: it was refused (SomeCode)',
    ],
    [
      'a problem: an error goes before a warning',
      { problems: [problem({ severity: 'warning', reason: 'UnknownAnnotation' }), problem()] },
      'Warning InvalidAnnotation: metadata.annotations["a"]: "x" is not a number; write a number | metadata.annotations["a"]: "x" is not a number; write a number',
    ],
    ['held', { held: [oneTargetLost] }, `Warning RemovalHeld: ${oneTargetLost}`],
    ['a wait is no complaint', { waits: [nobody, wait('HandingOver', 'n1 stays')] }, undefined],
    [
      'a plan that was asked for is no complaint',
      { withheld: { reason: 'PlanOnly', steps: [step()] } },
      'Normal PlanOnly: 1 call withheld: CreateListener listener 80/TCP (the Service has port 80)',
    ],
    [
      'drift that is not put right',
      { withheld: { reason: 'DriftReported', steps: [step()] } },
      'Warning DriftReported: 1 call withheld: CreateListener listener 80/TCP (the Service has port 80)',
    ],
    ['a pause was asked for', { withheld: { reason: 'Paused', steps: [] } }, undefined],
  ])('%s', (_, change, expected) => {
    const { warning } = judge(facts(change));
    expect(warning && `${warning.type} ${warning.reason}: ${warning.note}`).toBe(expected);
  });
});

describe('what is said', () => {
  test('is the same for two failures that differ in nothing but the request', () => {
    const one = judge(
      facts({ failures: [{ step: step(), error: error('transient', 'no answer', 'req-1') }] }),
    );
    const two = judge(
      facts({ failures: [{ step: step(), error: error('transient', 'no answer', 'req-2') }] }),
    );
    expect(two).toEqual(one);
  });

  test('names the call and the code once, even where the message has them', () => {
    expect(describeError(error('denied', 'not allowed to call CreateListener: SomeCode'))).toBe(
      'not allowed to call CreateListener: SomeCode',
    );
    expect(describeError(new SluiceError('bug', 'oops', { code: 'Unclassified' }))).toBe(
      'oops (Unclassified)',
    );
  });

  test('fits into an event, however long the plan', () => {
    const steps = Array.from({ length: 200 }, () => step());
    const { drafts, warning } = judge(facts({ withheld: { reason: 'PlanOnly', steps } }));
    expect(listSteps(steps).length).toBeGreaterThan(1_000);
    for (const text of [...drafts.map(({ message }) => message), warning?.note ?? '']) {
      expect(text.length).toBeLessThanOrEqual(1_000);
    }
    expect(warning?.note.endsWith('…')).toBe(true);
  });
});
