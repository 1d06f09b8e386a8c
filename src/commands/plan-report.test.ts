/** A plan on paper: the text that people read, the data that scripts read, and the exit code. */
import { describe, expect, test } from 'vitest';
import { preview, type Preview } from '../controller/preview.ts';
import { ControllerStage } from '../../test/support/controller-stage.ts';
import { aPort, aService } from '../core/fixtures.ts';
import { emptyPlan, type Step } from '../core/plan.ts';
import type { Problem } from '../core/problems.ts';
import { planDocument, planExitCode, planText, sign } from './plan-report.ts';

const plain = (_style: string, text: string): string => text;

function step(change: Partial<Step> = {}): Step {
  return {
    id: 'createLoadBalancer',
    operation: 'CreateLoadBalancer',
    parameters: { Name: 'web', Tags: [{ Key: 'a', Value: 'b' }], Subnets: ['s-1', 's-2'] },
    subject: 'balancer web',
    reason: 'the Service has none',
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
    ...change,
  };
}

const typo: Problem = {
  severity: 'warning',
  reason: 'UnknownAnnotation',
  field: 'metadata.annotations["a"]',
  message: 'this annotation is not known and has no effect',
  cure: 'remove it',
};

function previewOf(change: Partial<Preview> = {}, steps: readonly Step[] = []): Preview {
  return {
    service: aService(),
    provider: 'aws',
    claim: 'served',
    mode: 'apply',
    problems: [],
    wanted: {},
    excluded: [],
    plan: { ...emptyPlan, steps },
    held: [],
    ...change,
  };
}

describe('the text', () => {
  test('of a small plan', () => {
    const removal = step({
      id: 'deregister',
      operation: 'DeregisterTargets',
      parameters: {
        TargetGroupArn: { $ref: 'createTargetGroup.TargetGroupArn' },
        Targets: [{ Id: 'i-1', Port: 1 }],
      },
      subject: 'target group web-80',
      reason: 'node n1 is being deleted',
      risk: 'disruptive',
    });
    const given = previewOf(
      {
        problems: [typo],
        held: [{ step: removal, message: 'it would remove 3 of 4 healthy targets' }],
        excluded: [{ node: 'n1', reason: 'NodeDeleting', message: 'node n1 is being deleted' }],
      },
      [step(), step({ id: 'modify', operation: 'SetSubnets', parameters: {} }), removal],
    );
    expect(planText(planDocument([given]), plain)).toBe(`default/web  on aws: 3 calls
    warning: metadata.annotations["a"]
      this annotation is not known and has no effect; remove it [UnknownAnnotation]
  + CreateLoadBalancer  balancer web
      because the Service has none
      Name: web
      Tags: a=b
      Subnets: [s-1, s-2]
  ~ SetSubnets  balancer web
      because the Service has none
  - DeregisterTargets  target group web-80  ! disruptive
      because node n1 is being deleted
      held back: it would remove 3 of 4 healthy targets
      TargetGroupArn: (known after createTargetGroup.TargetGroupArn)
      Targets: [{Id: i-1, Port: 1}]
    node n1 is no target: it is being deleted

Plan: 1 to add, 1 to change, 1 to take away, for 1 Service. 0 errors, 1 warning.
`);
  });

  test.each<[string, Partial<Preview>, string]>([
    ['nothing to do', {}, 'default/web  on aws: no changes\n'],
    ['a mode that is not the usual one', { mode: 'paused' }, 'default/web  on aws: no changes [paused]\n'],
    [
      'a Service that is left alone',
      { provider: undefined, claim: 'left alone: MetalLB serves it' },
      'default/web  left alone: MetalLB serves it\n',
    ],
  ])('of %s', (_, change, line) => {
    expect(planText(planDocument([previewOf(change)]), plain)).toContain(line);
  });

  test('of no Service at all says so', () => {
    expect(planText(planDocument([]), plain)).toBe(
      'Plan: 0 to add, 0 to change, 0 to take away, for 0 Services.\n',
    );
  });
});

describe('the exit code', () => {
  test.each<[string, readonly Preview[], number]>([
    ['nothing to do', [previewOf()], 0],
    ['no Service', [], 0],
    ['changes', [previewOf(), previewOf({}, [step()])], 2],
    ['a warning is a problem', [previewOf({ problems: [typo] })], 1],
    ['a problem counts more than changes', [previewOf({ problems: [typo] }, [step()])], 1],
  ])('%s', (_, previews, code) => {
    expect(planExitCode(planDocument(previews))).toBe(code);
  });
});

describe('the data', () => {
  /** A plan as the command makes it, from nothing, without reading. */
  async function planned(change: Parameters<typeof aService>[0] = {}) {
    const stage = new ControllerStage();
    const service = stage.cluster.put(aService(change));
    const made = await preview(stage.context, service, false, stage.abort.signal);
    return { document: planDocument([made]), calls: stage.account.calls() };
  }

  test('names calls and parameters as the cloud does, and what is not known yet by the step that will tell', async () => {
    const { document, calls } = await planned();
    expect(calls).toEqual([]);
    expect(document).toMatchObject({
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'Plan',
      services: [{ namespace: 'default', name: 'web', provider: 'aws', problems: [], mode: 'apply' }],
    });
    const steps = document.services[0]?.steps ?? [];
    expect(steps.map(({ operation }) => operation)).toEqual([
      'CreateLoadBalancer',
      'CreateTargetGroup',
      'RegisterTargets',
      'CreateListener',
    ]);
    expect(steps.at(-1)?.parameters).toMatchObject({
      LoadBalancerArn: { $ref: `${steps[0]?.id}.LoadBalancerArn` },
      Port: 80,
      Protocol: 'TCP',
    });
    expect(steps.every(({ reason, risk }) => reason !== '' && risk === 'none')).toBe(true);
  });

  test('every reference names an earlier step', async () => {
    const ports = [aPort({ name: 'a' }), aPort({ name: 'b', port: 81, nodePort: 30_081 })];
    const { document } = await planned({ ports });
    const seen = new Set<string>();
    for (const { id, parameters } of document.services[0]?.steps ?? []) {
      for (const [, name] of JSON.stringify(parameters).matchAll(/"\$ref":"([^"]+)\.[^."]+"/gu))
        expect(seen).toContain(name);
      seen.add(id);
    }
    expect(seen.size).toBe(7);
  });

  test('is the same after a trip through JSON', async () => {
    const { document } = await planned();
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });
});

test.each([
  ['CreateListener', '+'],
  ['RegisterTargets', '+'],
  ['AddTags', '+'],
  ['DeleteListener', '-'],
  ['DeregisterTargets', '-'],
  ['RemoveTags', '-'],
  ['ModifyTargetGroup', '~'],
  ['SetSubnets', '~'],
])('%s is shown as %s', (operation, mark) => {
  expect(sign(operation)).toBe(mark);
});
