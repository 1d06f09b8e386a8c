/** From what a pass found to the conditions that the user reads: each row is one situation. */
import { describe, expect, test } from 'vitest';
import { SluiceError, type ErrorKind } from '../core/errors.ts';
import type { Problem } from '../core/problems.ts';
import type { ReasonCode } from '../core/reasons.ts';
import {
  error,
  facts,
  failure,
  group,
  nobody,
  oneTargetLost,
  problem,
  registering,
  step,
  wait,
} from './verdict-fixtures.ts';
import { judge, settingsInForce, type Facts } from './verdict.ts';

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
