/** From what a pass found to what the user reads: each row is one situation. */
import { describe, expect, test } from 'vitest';
import { SluiceError, type ErrorKind } from '../core/errors.ts';
import type { Step, Wait } from '../core/plan.ts';
import type { Problem } from '../core/problems.ts';
import type { Address, TargetsReport } from '../core/provider.ts';
import type { ReasonCode } from '../core/reasons.ts';
import { describeError, judge, listSteps, settingsInForce, type Facts } from './verdict.ts';

const ready: Address = { kind: 'ready', ingress: [{ hostname: 'web.example.com' }] };

/** A Service that is well, with what a row is about. */
function facts(change: Partial<Facts> = {}): Facts {
  return {
    problems: [],
    address: ready,
    targets: { groups: [group()] },
    error: undefined,
    failures: [],
    held: [],
    waits: [],
    withheld: undefined,
    settings: 'abcd1234',
    ...change,
  };
}

type Group = TargetsReport['groups'][number];

function group(change: Partial<Group> = {}): Group {
  return { listener: '80/TCP', healthy: 2, total: 2, reason: '', settling: false, ...change };
}

function step(change: Partial<Step> = {}): Step {
  return {
    id: 'createListener.80-TCP',
    operation: 'CreateListener',
    parameters: {},
    subject: 'listener 80/TCP',
    reason: 'the Service has port 80',
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
    ...change,
  };
}

const registering = step({
  operation: 'RegisterTargets',
  subject: 'target group web-80',
  effect: { kind: 'addTargets', group: 'web-80', count: 2 },
});

function problem(change: Partial<Problem> = {}): Problem {
  return {
    severity: 'error',
    reason: 'InvalidAnnotation',
    field: 'metadata.annotations["a"]',
    message: '"x" is not a number',
    cure: 'write a number',
    ...change,
  };
}

function error(kind: ErrorKind, message = 'it was refused', requestId = 'req-1'): SluiceError {
  return new SluiceError(kind, message, { code: 'SomeCode', action: 'CreateListener', requestId });
}

function failure(of: Step, kind: ErrorKind): Facts['failures'][number] {
  const { operation: action } = of;
  return { step: of, error: new SluiceError(kind, 'it was refused', { code: 'SomeCode', action }) };
}

function wait(reason: ReasonCode, message: string): Wait {
  return { reason, message, recheckMs: 1_000 };
}

const oneTargetLost = 'web-80: the plan would remove 3 of 4 healthy targets';
const nobody = wait('UnAvailableLoadBalancer', 'no node can be a target: n1 is being deleted');

/** `Type Status Reason`, with the message behind a colon where the row asks for it. */
function said(given: Facts, type: string): string | undefined {
  const found = judge(given).drafts.find((one) => one.type === type);
  return found && `${found.status} ${found.reason}: ${found.message}`;
}

describe('Accepted', () => {
  test.each<[string, readonly Problem[], string]>([
    ['nothing wrong', [], 'True Accepted: All settings are understood and have an effect'],
    [
      'a warning leaves it accepted, and names the field, the fault and the cure',
      [problem({ severity: 'warning', reason: 'UnknownAnnotation' })],
      'True UnknownAnnotation: metadata.annotations["a"]: "x" is not a number; write a number',
    ],
    [
      'an error takes the lead, and everything wrong is told at once',
      [
        problem({ severity: 'warning', reason: 'UnknownAnnotation', field: 'b' }),
        problem({ field: 'c', reason: 'UnsupportedProtocol' }),
      ],
      'False UnsupportedProtocol: b: "x" is not a number; write a number | c: "x" is not a number; write a number',
    ],
  ])('%s', (_, problems, expected) => {
    expect(said(facts({ problems }), 'Accepted')).toBe(expected);
  });
});

describe('Provisioned', () => {
  test.each<[string, Partial<Facts>, string]>([
    ['an address', {}, 'True Active: Reachable at web.example.com'],
    [
      'several addresses',
      { address: { kind: 'ready', ingress: [{ ip: '192.0.2.1' }, { hostname: 'h' }] } },
      'True Active: Reachable at 192.0.2.1, h',
    ],
    [
      'still coming up',
      { address: { kind: 'pending', ingress: [], message: 'the balancer is provisioning', recheckMs: 1 } },
      'False Provisioning: the balancer is provisioning',
    ],
    [
      'the cloud could not bring it up',
      { address: { kind: 'failed', message: 'the balancer failed: no free addresses' } },
      'False SyncLoadBalancerFailed: the balancer failed: no free addresses',
    ],
    ['nothing yet', { address: { kind: 'none' } }, 'False Provisioning: Nothing is provisioned yet'],
    [
      'nothing, because the settings are refused',
      { address: { kind: 'none' }, problems: [problem()] },
      'False InvalidAnnotation: Nothing is provisioned until the Service is accepted',
    ],
    [
      'nothing, because a step failed: that counts more than the settings',
      {
        address: { kind: 'none' },
        problems: [problem()],
        failures: [failure(step(), 'quota')],
      },
      'False QuotaExceeded: CreateListener: it was refused (SomeCode)',
    ],
    [
      'nothing, because a read failed',
      { address: { kind: 'none' }, error: error('transient') },
      'False SyncLoadBalancerFailed: CreateListener: it was refused (SomeCode)',
    ],
  ])('%s', (_, change, expected) => {
    expect(said(facts(change), 'Provisioned')).toBe(expected);
  });
});

describe('TargetsReady', () => {
  test.each<[string, Partial<Facts>, string | undefined]>([
    ['every listener has a healthy target', {}, 'True TargetsHealthy: 80/TCP: 2 of 2 healthy'],
    [
      'some targets unhealthy, but no listener without one',
      { targets: { groups: [group({ healthy: 1, reason: 'Target.Timeout' })] } },
      'True TargetsHealthy: 80/TCP: 1 of 2 healthy (Target.Timeout)',
    ],
    [
      'the first checks are under way',
      { targets: { groups: [group({ healthy: 0, settling: true })] } },
      'False TargetsRegistering: 80/TCP: 0 of 2 healthy',
    ],
    [
      'no listener has a healthy target',
      { targets: { groups: [group({ healthy: 0, reason: 'Target.Timeout' })] } },
      'False NoHealthyTargets: 80/TCP: 0 of 2 healthy (Target.Timeout)',
    ],
    [
      'one listener of two is dark',
      { targets: { groups: [group(), group({ listener: '443/TCP', healthy: 0 })] } },
      'False SomeTargetsUnhealthy: 80/TCP: 2 of 2 healthy; 443/TCP: 0 of 2 healthy',
    ],
    [
      'a dark listener that still settles beside one that does not',
      {
        targets: {
          groups: [group({ healthy: 0 }), group({ listener: '443/TCP', healthy: 0, settling: true })],
        },
      },
      'False TargetsRegistering: 80/TCP: 0 of 2 healthy; 443/TCP: 0 of 2 healthy',
    ],
    [
      'no node can be a target',
      { targets: { groups: [group({ healthy: 0, total: 0 })] }, waits: [nobody] },
      'False UnAvailableLoadBalancer: no node can be a target: n1 is being deleted',
    ],
    [
      'no node can be a target, but the old ones still serve',
      { waits: [nobody] },
      'True TargetsHealthy: 80/TCP: 2 of 2 healthy',
    ],
    [
      'a balancer without any group',
      { targets: { groups: [] } },
      'Unknown TargetsRegistering: No targets are registered yet',
    ],
    ['nothing exists: there is nothing to say', { address: { kind: 'none' } }, undefined],
    [
      'paused: nobody looked, and what was said last stands',
      { targets: { groups: [] }, withheld: { reason: 'Paused', steps: [] } },
      undefined,
    ],
  ])('%s', (_, change, expected) => {
    expect(said(facts(change), 'TargetsReady')).toBe(expected);
  });
});

describe('InSync', () => {
  test.each<[string, Partial<Facts>, string]>([
    ['all done', {}, 'True InSync: All that the Service asks for is in force (settings abcd1234)'],
    [
      'a failed step says on what, and how many more',
      {
        failures: [failure(step(), 'invalid'), failure(registering, 'busy')],
      },
      'False CloudRefused: listener 80/TCP: CreateListener: it was refused (SomeCode) (and 1 more)',
    ],
    [
      'a failed read',
      { error: error('transient') },
      'False SyncLoadBalancerFailed: CreateListener: it was refused (SomeCode)',
    ],
    ['held back by the guard', { held: [oneTargetLost] }, `False RemovalHeld: ${oneTargetLost}`],
    [
      'settings refused while a balancer exists',
      { problems: [problem()] },
      'False InvalidAnnotation: Only targets are kept up to date until the Service is accepted',
    ],
    [
      'settings refused before anything exists: no targets are promised',
      { problems: [problem()], address: { kind: 'none' } },
      'False InvalidAnnotation: Nothing is provisioned until the Service is accepted',
    ],
    [
      'a warning does not stand in the way',
      { problems: [problem({ severity: 'warning' })] },
      'True InSync: All that the Service asks for is in force (settings abcd1234)',
    ],
    [
      'a hand-over under way',
      { waits: [wait('HandingOver', 'n1 stays until n2 is healthy')] },
      'False HandingOver: n1 stays until n2 is healthy',
    ],
    [
      'paused: what stands is not judged, and what ends the pause is named',
      { withheld: { reason: 'Paused', steps: [] } },
      'Unknown Paused: What exists is left as it is, and not looked at, until annotation sluice.dev/paused is removed',
    ],
    [
      'plan only, with a plan',
      { withheld: { reason: 'PlanOnly', steps: [step(), registering] } },
      'False PlanOnly: 2 calls withheld: CreateListener listener 80/TCP (the Service has port 80); RegisterTargets target group web-80 (the Service has port 80)',
    ],
    [
      'plan only, with nothing to do',
      { withheld: { reason: 'PlanOnly', steps: [] } },
      'True PlanOnly: Plan only: nothing is to be done',
    ],
    [
      'drift that is only reported',
      { withheld: { reason: 'DriftReported', steps: [step()] } },
      'False DriftReported: All else is in force (settings abcd1234); 1 call withheld: CreateListener listener 80/TCP (the Service has port 80)',
    ],
    [
      'a failure beside drift that is only reported',
      { withheld: { reason: 'DriftReported', steps: [step()] }, error: error('transient') },
      'False SyncLoadBalancerFailed: CreateListener: it was refused (SomeCode)',
    ],
    [
      'no drift where it would only be reported',
      { withheld: { reason: 'DriftReported', steps: [] } },
      'True InSync: All that the Service asks for is in force (settings abcd1234)',
    ],
  ])('%s', (_, change, expected) => {
    expect(said(facts(change), 'InSync')).toBe(expected);
  });

  test.each<[ErrorKind, ReasonCode]>([
    ['throttled', 'Throttled'],
    ['busy', 'Busy'],
    ['denied', 'AccessDenied'],
    ['quota', 'QuotaExceeded'],
    ['invalid', 'CloudRefused'],
    ['bug', 'InternalError'],
    ['gone', 'SyncLoadBalancerFailed'],
    ['conflict', 'SyncLoadBalancerFailed'],
    ['ambiguous', 'SyncLoadBalancerFailed'],
    ['transient', 'SyncLoadBalancerFailed'],
  ])('an error of kind %s has reason %s, in a step and in a read', (kind, reason) => {
    expect(said(facts({ failures: [{ step: step(), error: error(kind) }] }), 'InSync')).toContain(
      `False ${reason}:`,
    );
    expect(said(facts({ error: error(kind) }), 'InSync')).toContain(`False ${reason}:`);
  });

  test('an error that brings a reason of its own is told by that one', () => {
    const taken = new SluiceError('conflict', 'port 80 is taken', { code: 'PortInUse', reason: 'PortInUse' });
    expect(said(facts({ failures: [{ step: step(), error: taken }] }), 'InSync')).toContain(
      'False PortInUse:',
    );
  });
});

describe('the settings named in InSync', () => {
  test('are read back as they were written', () => {
    const [draft] = judge(facts()).drafts.filter(({ type }) => type === 'InSync');
    expect(settingsInForce(draft)).toBe('abcd1234');
  });

  test('are known beside drift that is only reported', () => {
    const { drafts } = judge(facts({ withheld: { reason: 'DriftReported', steps: [step()] } }));
    expect(settingsInForce(drafts.find(({ type }) => type === 'InSync'))).toBe('abcd1234');
  });

  test.each<[string, Partial<Facts>]>([
    ['a failure', { error: error('transient') }],
    ['a plan that was only shown', { withheld: { reason: 'PlanOnly', steps: [] } }],
    ['a pause', { withheld: { reason: 'Paused', steps: [] } }],
    ['a hand-over', { waits: [wait('HandingOver', 'n1 stays')] }],
  ])('say nothing after %s', (_, change) => {
    expect(settingsInForce(judge(facts(change)).drafts.find(({ type }) => type === 'InSync'))).toBe(
      undefined,
    );
  });

  test('are not believed where the status is not True, or where there is no condition', () => {
    const message = 'All that the Service asks for is in force (settings abcd1234)';
    expect(settingsInForce({ status: 'False', reason: 'Busy', message })).toBe(undefined);
    expect(settingsInForce(undefined)).toBe(undefined);
  });
});

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
