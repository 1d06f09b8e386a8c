/** What a pass may have found, with defaults that are well: for the tests of what is said about it. */
import { SluiceError, type ErrorKind } from '../core/errors.ts';
import type { Step, Wait } from '../core/plan.ts';
import type { Problem } from '../core/problems.ts';
import type { Address, TargetsReport } from '../core/provider.ts';
import type { ReasonCode } from '../core/reasons.ts';
import type { Facts } from './verdict.ts';

const ready: Address = { kind: 'ready', ingress: [{ hostname: 'web.example.com' }] };

/** A Service that is well, with what a row is about. */
export function facts(change: Partial<Facts> = {}): Facts {
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

export function group(change: Partial<Group> = {}): Group {
  return { listener: '80/TCP', healthy: 2, total: 2, reason: '', settling: false, ...change };
}

export function step(change: Partial<Step> = {}): Step {
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

export const registering = step({
  operation: 'RegisterTargets',
  subject: 'target group web-80',
  effect: { kind: 'addTargets', group: 'web-80', count: 2 },
});

export function problem(change: Partial<Problem> = {}): Problem {
  return {
    severity: 'error',
    reason: 'InvalidAnnotation',
    field: 'metadata.annotations["a"]',
    message: '"x" is not a number',
    cure: 'write a number',
    ...change,
  };
}

export function error(kind: ErrorKind, message = 'it was refused', requestId = 'req-1'): SluiceError {
  return new SluiceError(kind, message, { code: 'SomeCode', action: 'CreateListener', requestId });
}

export function failure(of: Step, kind: ErrorKind): Facts['failures'][number] {
  const { operation: action } = of;
  return { step: of, error: new SluiceError(kind, 'it was refused', { code: 'SomeCode', action }) };
}

export function wait(reason: ReasonCode, message: string): Wait {
  return { reason, message, recheckMs: 1_000 };
}

export const oneTargetLost = 'web-80: the plan would remove 3 of 4 healthy targets';
export const nobody = wait('UnAvailableLoadBalancer', 'no node can be a target: n1 is being deleted');
