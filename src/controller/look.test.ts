/** When a pass reads, how much, and what it takes for somebody else's doing. */
import { describe, expect, test } from 'vitest';
import { ControllerStage, web } from '../../test/support/controller-stage.ts';
import { aService } from '../core/fixtures.ts';
import type { Step } from '../core/plan.ts';

const interval = 'service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval';

async function settled(): Promise<ControllerStage> {
  const stage = new ControllerStage();
  await stage.settled();
  return stage;
}

describe('how much is read', () => {
  test.each<{
    readonly name: string;
    readonly given: (stage: ControllerStage) => void;
    readonly looks: readonly string[];
    readonly writes: readonly string[];
  }>([
    { name: 'nothing new: nothing is read', given: () => undefined, looks: [], writes: [] },
    {
      name: 'a node joins: adding is safe on what is remembered',
      given: (stage) => stage.nodes('n1', 'n2', 'n3'),
      looks: [],
      writes: ['RegisterTargets'],
    },
    {
      name: 'a node leaves: nothing is taken away without a live look',
      given: (stage) => stage.nodes('n1'),
      looks: ['quick'],
      writes: ['DeregisterTargets'],
    },
    {
      name: 'a port is renumbered: its listener goes, so the look is live, and the settings are others, so it is full',
      given: (stage) => stage.cluster.edit(web, { ports: [{ ...aService().ports[0], port: 81 } as never] }),
      looks: ['full'],
      writes: [
        'CreateTargetGroup',
        'RegisterTargets',
        'CreateListener',
        'DeleteListener',
        'DeleteTargetGroup',
      ],
    },
    {
      name: 'an annotation changes a setting',
      given: (stage) => stage.cluster.edit(web, { annotations: { ...seen(stage), [interval]: '15' } }),
      looks: ['full'],
      writes: ['ModifyTargetGroup'],
    },
    {
      name: 'a live look was ordered',
      given: (stage) => (stage.memory.liveDue = true),
      looks: ['quick'],
      writes: [],
    },
    {
      name: 'a full comparison was ordered',
      given: (stage) => (stage.memory.fullDue = true),
      looks: ['full'],
      writes: [],
    },
    {
      name: 'a restart: the condition says that these settings are in force',
      given: (stage) => stage.restart(),
      looks: ['quick'],
      writes: [],
    },
    {
      name: 'a restart, and the settings changed meanwhile: everything is compared',
      given: (stage) => {
        stage.cluster.edit(web, { annotations: { ...seen(stage), [interval]: '15' } });
        stage.restart();
      },
      looks: ['quick', 'full'],
      writes: ['ModifyTargetGroup'],
    },
    {
      name: 'a crash before anything was said: what is there is compared in full',
      given: (stage) => {
        stage.cluster.edit(web, { conditions: [], ingress: [] });
        stage.restart();
      },
      looks: ['quick', 'full'],
      writes: ['patchStatus'],
    },
    {
      name: 'a restart after everything was deleted in the console: nothing there has nothing unknown about it',
      given: (stage) => {
        const balancer = stage.account.resources().find(({ kind }) => kind === 'load-balancer');
        const group = stage.account.resources().find(({ kind }) => kind === 'target-group');
        stage.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: balancer?.arn });
        stage.account.byHand('DeleteTargetGroup', { TargetGroupArn: group?.arn });
        stage.restart();
      },
      looks: ['quick'],
      writes: ['CreateLoadBalancer', 'CreateTargetGroup', 'RegisterTargets', 'CreateListener'],
    },
  ])('$name', async ({ given, looks, writes }) => {
    const stage = await settled();
    given(stage);
    const passed = await stage.during(() => stage.pass());
    expect(passed.looks).toEqual(looks);
    expect(passed.writes.filter((write) => write !== 'patchStatus')).toEqual(
      writes.filter((write) => write !== 'patchStatus'),
    );
    expect(passed.writes.includes('patchStatus')).toBe(writes.length > 0);
  });

  test('an order that was carried out does not stand any more', async () => {
    const stage = await settled();
    stage.memory.fullDue = true;
    await stage.pass();
    expect((await stage.during(() => stage.pass())).looks).toEqual([]);
  });

  test.each(['fullDue', 'liveDue'] as const)('%s stands again when the look failed', async (order) => {
    const stage = await settled();
    stage.memory[order] = true;
    stage.refuseCalls('DescribeLoadBalancers', 'InternalFailure');
    stage.refuseCalls('DescribeTargetHealth', 'InternalFailure');
    expect(await stage.pass()).toMatchObject({ kind: 'retry' });
    expect(stage.memory[order]).toBe(true);
    stage.calm();
    const { looks } = await stage.during(() => stage.pass());
    expect(looks).toEqual([order === 'fullDue' ? 'full' : 'quick']);
  });

  test('an order that came while the look was under way is for the next pass', async () => {
    const stage = await settled();
    stage.memory.liveDue = true;
    stage.account.faults.order({
      match: { operation: 'DescribeTargetHealth' },
      effect: { kind: 'hook', before: () => (stage.memory.fullDue = true) },
    });
    expect((await stage.during(() => stage.pass())).looks).toEqual(['quick']);
    expect((await stage.during(() => stage.pass())).looks).toEqual(['full']);
  });
});

describe('what counts as changed behind our back', () => {
  test.each<{
    readonly name: string;
    readonly given: (stage: ControllerStage) => void;
    readonly drift: readonly string[];
    readonly done: readonly string[];
  }>([
    {
      name: 'a listener deleted in the console',
      given: (stage) => stage.deleteListener(),
      drift: ['CreateListener'],
      done: ['CreateListener'],
    },
    {
      name: 'a target taken away in the console',
      given: (stage) => stage.deregister('n1'),
      drift: ['RegisterTargets'],
      done: ['RegisterTargets'],
    },
    {
      name: 'a node that joined meanwhile is our own work, whatever else is found',
      given: (stage) => {
        stage.nodes('n1', 'n2', 'n3');
        stage.deleteListener();
      },
      drift: [],
      done: ['CreateListener', 'RegisterTargets'],
    },
    {
      name: 'a setting that changed meanwhile is the user, whatever else is found',
      given: (stage) => {
        stage.cluster.edit(web, { annotations: { ...seen(stage), [interval]: '15' } });
        stage.deleteListener();
      },
      drift: [],
      done: ['CreateListener', 'ModifyTargetGroup'],
    },
    {
      name: 'after a restart, a listener that is missing',
      given: (stage) => {
        stage.deleteListener();
        stage.restart();
      },
      drift: ['CreateListener'],
      done: ['CreateListener'],
    },
    {
      name: 'after a restart, targets that differ may be nodes that came and went',
      given: (stage) => {
        stage.deregister('n1');
        stage.restart();
      },
      drift: [],
      done: ['RegisterTargets'],
    },
  ])('$name', async ({ given, drift, done }) => {
    const found: Step[] = [];
    const stage = new ControllerStage({
      telemetry: { drift: (_service, _name, steps) => found.push(...steps) },
    });
    await stage.settled();
    given(stage);
    if (stage.context.memories.underKey(web)) stage.memory.liveDue = true;
    const { writes } = await stage.during(() => stage.pass());
    expect(found.map(({ operation }) => operation)).toEqual(drift);
    expect(writes.filter((write) => write !== 'patchStatus').toSorted()).toEqual(done);
  });

  test('is left as it is, and said, where the policy says so; ordinary work goes on', async () => {
    const stage = new ControllerStage({ options: { driftPolicy: 'report' } });
    await stage.settled();
    stage.deleteListener();
    stage.memory.liveDue = true;
    const passed = await stage.during(() => stage.pass());
    expect(passed.writes).toEqual(['patchStatus']);
    expect(passed.events).toEqual(['DriftReported']);
    expect(stage.condition('InSync')).toMatchObject({ status: 'False', reason: 'DriftReported' });
    // What was reported once must not be taken for our own work by the next pass.
    expect(await stage.during(() => stage.pass())).toMatchObject({ writes: [], events: [] });
    stage.nodes('n1', 'n2', 'n3');
    expect((await stage.during(() => stage.pass())).writes).toEqual(['RegisterTargets', 'patchStatus']);
    expect(stage.condition('InSync')?.reason).toBe('DriftReported');
    await stage.pass();
    stage.restart();
    expect((await stage.during(() => stage.pass())).writes).toEqual([]);
    stage.cluster.edit(web, { annotations: { ...seen(stage), [interval]: '15' } });
    expect((await stage.during(() => stage.pass())).writes).toContain('CreateListener');
  });

  test('is put right on a Service that asks for it, whatever the policy', async () => {
    const stage = new ControllerStage({ options: { driftPolicy: 'report' } });
    await stage.settled({ annotations: { 'sluice.dev/drift-policy': 'correct' } });
    stage.deleteListener();
    stage.memory.liveDue = true;
    expect((await stage.during(() => stage.pass())).writes).toContain('CreateListener');
  });
});

function seen(stage: ControllerStage): Readonly<Record<string, string>> {
  return stage.cluster.live(web)?.annotations ?? {};
}
