/** What a pass would do, found out without doing any of it. */
import { describe, expect, test } from 'vitest';
import { ControllerStage, web } from '../../test/support/controller-stage.ts';
import { servedByAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import { aService } from '../core/fixtures.ts';
import { preview, type Preview } from './preview.ts';

const scheme = 'service.beta.kubernetes.io/aws-load-balancer-scheme';

/** The preview of `default/web` as it stands, against the account. */
async function live(stage: ControllerStage): Promise<Preview> {
  const service = stage.cluster.live(web) ?? stage.cluster.put(aService());
  return await stage.drive(preview(stage.context, service, true, stage.abort.signal));
}

function operations({ plan }: Preview): readonly string[] {
  return plan.steps.map(({ operation }) => operation);
}

describe('a preview', () => {
  test('is what the next pass then does', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    const expected = operations(await live(stage));
    const { writes } = await stage.during(() => stage.pass());
    expect(writes.filter((write) => expected.includes(write))).toEqual(expected);
    expect(expected.length).toBeGreaterThan(0);
  });

  test('writes nothing anywhere and remembers nothing', async () => {
    const stage = new ControllerStage();
    await stage.settled();
    stage.restart();
    stage.nodes('n1');
    const { writes, looks, events } = await stage.during(() => live(stage));
    expect({ writes, looks, events }).toEqual({ writes: [], looks: ['full'], events: [] });
    expect([...stage.context.memories.all()]).toEqual([]);
  });

  test('of a Service in force is empty', async () => {
    const stage = new ControllerStage();
    await stage.settled();
    expect(operations(await live(stage))).toEqual([]);
  });

  test('names what the guard would hold back', async () => {
    const stage = new ControllerStage();
    stage.nodes('n1', 'n2', 'n3', 'n4');
    await stage.settled();
    stage.nodes('n1');
    const { held } = await live(stage);
    expect(held.map(({ step }) => step.operation)).toEqual(['DeregisterTargets']);
  });

  test('offline reads nothing', async () => {
    const stage = new ControllerStage();
    await preview(stage.context, stage.cluster.put(aService()), false, stage.abort.signal);
    expect(stage.looks).toEqual([]);
  });
});

describe('the mode', () => {
  test.each<[string, Readonly<Record<string, string>>, Preview['mode'], number]>([
    ['usual', {}, 'apply', 4],
    ['plan only', { 'sluice.dev/plan-only': 'true' }, 'plan-only', 4],
    ['paused: what the end of the pause would bring', { 'sluice.dev/paused': 'true' }, 'paused', 4],
    ['refused: nothing is made', { [scheme]: 'public' }, 'targets-only', 0],
  ])('%s', async (_, annotations, mode, steps) => {
    const stage = new ControllerStage();
    stage.cluster.put(aService({ annotations }));
    const found = await live(stage);
    expect([found.mode, found.plan.steps.length]).toEqual([mode, steps]);
  });

  test('refused after it was served: only targets are changed, as in a pass', async () => {
    const stage = new ControllerStage();
    await stage.settled();
    const { annotations } = aService({ ...stage.cluster.live(web) });
    stage.cluster.edit(web, { annotations: { ...annotations, [scheme]: 'public' } });
    stage.deleteListener();
    stage.nodes('n1', 'n2', 'n3');
    expect(operations(await live(stage))).toEqual(['RegisterTargets']);
  });

  test('of a Service that is deleted: the removal', async () => {
    const stage = new ControllerStage();
    await stage.settled();
    stage.cluster.edit(web, { deleting: true });
    const found = await live(stage);
    expect(found.mode).toBe('removal');
    expect(operations(found)).toContain('DeleteLoadBalancer');
  });
});

describe('a Service that nobody of ours serves', () => {
  test.each<[string, Parameters<typeof aService>[0], string]>([
    ['its type', { type: 'NodePort' }, 'not a Service for this controller: its type is NodePort'],
    [
      'its class',
      { loadBalancerClass: 'example.com/lb' },
      'not for this controller: its class is "example.com/lb"',
    ],
    ['its end', { deleting: true }, 'being deleted, and nothing of ours is left of it'],
    [
      'another controller',
      { finalizers: ['service.k8s.aws/resources'] },
      'left alone: aws-load-balancer-controller serves it (finalizer service.k8s.aws/resources)',
    ],
    [
      'a class of ours that is not configured',
      { loadBalancerClass: 'sluice.dev/local' },
      'class "sluice.dev/local" is not served by this controller, which serves sluice.dev/aws',
    ],
  ])('because of %s, says so', async (_, change, claim) => {
    const stage = new ControllerStage();
    stage.cluster.put(aService(change));
    expect(await live(stage)).toMatchObject({ provider: undefined, mode: 'none', claim, problems: [] });
    expect(stage.looks).toEqual([]);
  });

  test('because Services without a class are not claimed, names the setting', async () => {
    const stage = new ControllerStage();
    const { options } = stage.context;
    stage.context = {
      ...stage.context,
      options: { ...options, claim: { ...options.claim, claimClassless: false } },
    };
    expect((await live(stage)).claim).toContain('controller.claimClassless');
  });

  test('held by a provider that is not configured is a problem with a cure, not a plan without steps', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(
      aService({ finalizers: [finalizer], annotations: { [servedByAnnotation]: 'alibaba' } }),
    );
    expect((await live(stage)).problems).toMatchObject([
      { severity: 'error', reason: 'ClassNotServed', field: 'providers.alibaba' },
    ]);
  });
});
