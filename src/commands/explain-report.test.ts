/** The first thing that stands in the way of a Service, and what to do about it. */
import { describe, expect, test } from 'vitest';
import { mergeConditions, type ConditionDraft } from '../core/conditions.ts';
import { finalizer } from '../core/claim.ts';
import { aService, anEndpoint, aSlice } from '../core/fixtures.ts';
import type { Condition } from '../core/objects.ts';
import type { Problem } from '../core/problems.ts';
import { explanation, explanationText, type ExplainInput } from './explain-report.ts';

const plain = (_style: string, text: string): string => text;

const well: readonly ConditionDraft[] = [
  { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'understood' },
  { type: 'Provisioned', status: 'True', reason: 'Active', message: 'Reachable at web.example.com' },
  { type: 'TargetsReady', status: 'True', reason: 'TargetsHealthy', message: '80/TCP: 1 of 1 healthy' },
  { type: 'InSync', status: 'True', reason: 'InSync', message: 'in force' },
];

/** The conditions of a Service that is well, but for these. */
function conditions(...but: readonly ConditionDraft[]): readonly Condition[] {
  return mergeConditions(mergeConditions([], well, 0), but, 0);
}

const dark = {
  type: 'TargetsReady',
  status: 'False',
  reason: 'NoHealthyTargets',
  message: '80/TCP: 0 of 1 healthy (Target.Timeout)',
} as const;
const held = { type: 'InSync', status: 'False', reason: 'RemovalHeld', message: 'held' } as const;

const typo: Problem = {
  severity: 'error',
  reason: 'InvalidAnnotation',
  field: 'metadata.annotations["a"]',
  message: '"x" is not a number',
  cure: 'write a number',
};

function input(
  service: Parameters<typeof aService>[0] = {},
  change: Partial<ExplainInput> = {},
): ExplainInput {
  return {
    service: aService({
      finalizers: [finalizer],
      ingress: [{ hostname: 'web.example.com' }],
      conditions: conditions(),
      ...service,
    }),
    slices: [],
    events: [],
    claim: { providers: ['aws'], claimClassless: true },
    problems: [],
    excluded: [],
    plan: undefined,
    unread: [],
    ...change,
  };
}

describe('the verdict', () => {
  test.each<[string, ExplainInput, string, string]>([
    ['all is well', input(), 'All is well: reachable at web.example.com', ''],
    [
      'the type is another',
      input({ type: 'NodePort', finalizers: [] }),
      'Not a Service for this controller: its type is NodePort',
      'Set spec.type to LoadBalancer',
    ],
    [
      'the type is another, and the node agents carry it',
      input({ type: 'NodePort', finalizers: [] }, { byAgents: true }),
      'For the node agents: its type, NodePort, asks for no balancer',
      '',
    ],
    [
      'the node agents carry it, and warn',
      input(
        { type: 'ClusterIP', finalizers: [] },
        { byAgents: true, problems: [{ ...typo, severity: 'warning' }] },
      ),
      'For the node agents: its type, ClusterIP, asks for no balancer, with one warning: see Problems',
      '',
    ],
    [
      'the node agents carry it, and cannot as it is written',
      input({ type: 'ClusterIP', finalizers: [] }, { byAgents: true, problems: [typo] }),
      'metadata.annotations["a"]: "x" is not a number',
      'write a number',
    ],
    [
      'the class is another: the type is not at fault',
      input({ loadBalancerClass: 'example.com/lb', finalizers: [] }),
      'Not for this controller: its class is "example.com/lb"',
      '',
    ],
    [
      'another controller serves it',
      input({ finalizers: ['service.k8s.aws/resources'] }),
      'Left alone: aws-load-balancer-controller serves it (finalizer service.k8s.aws/resources)',
      'Set spec.loadBalancerClass on creation to say who serves it.',
    ],
    [
      'its class is not configured',
      input({ loadBalancerClass: 'sluice.dev/local', finalizers: [] }),
      'Class "sluice.dev/local" is not served by this controller, which serves sluice.dev/aws',
      'Name a class or provider that the controller serves, or add the provider to its settings.',
    ],
    ['it is being deleted', input({ deleting: true }), 'Being released; waits for the cloud', ''],
    [
      'it is paused, which goes before what else is wrong',
      input({ annotations: { 'sluice.dev/paused': 'true' } }, { problems: [typo] }),
      'Paused by annotation',
      'Remove the annotation sluice.dev/paused.',
    ],
    [
      'an annotation is wrong: the field, the fault and the cure',
      input({ conditions: conditions(dark) }, { problems: [typo] }),
      'metadata.annotations["a"]: "x" is not a number',
      'write a number',
    ],
    [
      'a warning stands in nobody’s way',
      input({}, { problems: [{ ...typo, severity: 'warning' }] }),
      'Reachable at web.example.com, with one warning: see Problems',
      '',
    ],
    [
      'of two conditions the one that comes first in the life of a Service',
      input({ conditions: conditions(dark, held).toReversed() }),
      'TargetsReady is False: 80/TCP: 0 of 1 healthy (Target.Timeout)',
      'See the reasons of the targets.',
    ],
    [
      'nobody has taken note',
      input({ conditions: [], ingress: [], finalizers: [] }),
      'No controller has taken note of this Service yet',
      'Check that the controller runs and leads: kubectl -n sluice-system get pods,leases',
    ],
  ])('%s', (_, given, verdict, cure) => {
    const explained = explanation(given);
    expect([explained.verdict, explained.cure]).toEqual([verdict, cure]);
    expect(explained.ok).toBe(/^(All is well|Reachable|For the node agents)/u.test(verdict));
  });

  test('passes over conditions of others, and reasons that it does not know', () => {
    const theirs: Condition = {
      type: 'example.com/Audited',
      status: 'False',
      reason: 'No',
      message: '',
      lastTransitionTime: '',
    };
    expect(explanation(input({ conditions: [theirs, ...conditions()] })).ok).toBe(true);
    const odd: Condition = { ...theirs, type: 'InSync', reason: 'constructor' };
    expect(explanation(input({ conditions: [odd] })).conditions[0]).toMatchObject({ means: '', cure: '' });
  });
});

test('the text tells everything, in this order', () => {
  const given = input(
    { conditions: conditions(dark), externalTrafficPolicy: 'Local' },
    {
      slices: [aSlice('web-1', [anEndpoint('10.1.0.1', 'n2'), anEndpoint('10.1.0.2', 'n1')])],
      problems: [{ ...typo, severity: 'warning' }],
      excluded: [{ node: 'n3', reason: 'NodeDeleting', message: 'it is being deleted' }],
      plan: [
        {
          id: 'a',
          operation: 'RegisterTargets',
          parameters: {},
          subject: 'target group web-80',
          reason: 'node n1 joined',
          risk: 'none',
          held: null,
        },
      ],
      events: [
        { at: '2026-01-01T00:00:00Z', type: 'Warning', reason: 'Busy', note: 'wait', count: 3, by: 'sluice' },
      ],
      unread: ['nodes: not allowed'],
    },
  );
  expect(explanationText(explanation(given), plain)).toBe(`default/web  web.example.com
  TargetsReady is False: 80/TCP: 0 of 1 healthy (Target.Timeout)
  Cure: See the reasons of the targets.

Claim       served by provider aws
Endpoints   policy Local; on n1, n2

Conditions
  True    Accepted     Accepted: understood
  True    Provisioned  Active: Reachable at web.example.com
  False   TargetsReady NoHealthyTargets: 80/TCP: 0 of 1 healthy (Target.Timeout)
  True    InSync       InSync: in force

Problems
  warning  metadata.annotations["a"]: "x" is not a number; write a number

Nodes that are no targets
  n3  NodeDeleting: it is being deleted

Plan        1 to do
  + RegisterTargets  target group web-80, because node n1 joined

Events
  2026-01-01T00:00:00Z  Warning  Busy (×3): wait

Not read: nodes: not allowed
`);
});
