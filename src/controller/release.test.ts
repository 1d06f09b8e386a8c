/** Taking away what was made: in order, from any half-way state, the finalizer last. */
import { describe, expect, test } from 'vitest';
import { ControllerStage, web } from '../../test/support/controller-stage.ts';
import { servedByAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';

async function settled(): Promise<ControllerStage> {
  const stage = new ControllerStage();
  await stage.settled();
  return stage;
}

function protect(stage: ControllerStage): void {
  const arn = stage.account.resources().find(({ kind }) => kind === 'load-balancer')?.arn;
  stage.account.byHand('ModifyLoadBalancerAttributes', {
    LoadBalancerArn: arn,
    Attributes: [{ Key: 'deletion_protection.enabled', Value: 'true' }],
  });
}

describe('a Service that is deleted', () => {
  test('loses its finalizer when nothing of it is left, and not before', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { deleting: true });
    const { writes, looks, events } = await stage.during(() => stage.pass());
    expect(looks).toEqual(['removal']);
    expect(writes.at(-1)).toBe('removeFinalizer');
    expect(writes).not.toContain('patchStatus');
    expect(events).toEqual(['DeletedLoadBalancer']);
    expect(stage.account.resources()).toEqual([]);
    expect(stage.cluster.live(web)).toBe(undefined);
    expect(stage.context.memories.underKey(web)).toBe(undefined);
  });

  test('goes on from where a failure left it, and keeps its finalizer until then', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { deleting: true });
    stage.refuseCalls('DeleteTargetGroup', 'InternalFailure');
    expect((await stage.during(() => stage.pass())).outcome).toMatchObject({ kind: 'retry' });
    expect(stage.cluster.live(web)?.finalizers).toEqual([finalizer]);
    stage.calm();
    expect((await stage.during(() => stage.pass())).writes).toEqual(['DeleteTargetGroup', 'removeFinalizer']);
  });

  test('after a restart, with nothing remembered', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { deleting: true });
    stage.restart();
    await stage.pass();
    expect(stage.account.resources()).toEqual([]);
  });

  test('of which nothing was left: the finalizer goes, and no deletion is claimed', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { deleting: true });
    const [balancer, group] = ['load-balancer', 'target-group'].map((kind) =>
      stage.account.resources().find((one) => one.kind === kind),
    );
    stage.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: balancer?.arn });
    stage.account.byHand('DeleteTargetGroup', { TargetGroupArn: group?.arn });
    expect(await stage.during(() => stage.pass())).toMatchObject({
      writes: ['removeFinalizer'],
      events: [],
      outcome: { kind: 'done' },
    });
  });

  test('under a protection that somebody switched on: said once, looked at every minute, nothing is taken', async () => {
    const stage = await settled();
    protect(stage);
    stage.cluster.edit(web, { deleting: true });
    expect(await stage.during(() => stage.pass())).toMatchObject({
      writes: [],
      events: ['DeleteLoadBalancerFailed'],
      outcome: { kind: 'after', ms: 60_000 },
    });
    expect(await stage.during(() => stage.pass())).toMatchObject({ writes: [], events: [] });
  });

  test('with a read that fails: said, tried again, and nothing believed', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { deleting: true });
    stage.refuseCalls('DescribeLoadBalancers', 'AccessDenied');
    stage.refuseCalls('DescribeTargetGroups', 'AccessDenied');
    const { writes, events, outcome } = await stage.during(() => stage.pass());
    expect(writes).toEqual([]);
    expect(events).toEqual(['DeleteLoadBalancerFailed']);
    expect(outcome).toMatchObject({ kind: 'retry', error: { kind: 'denied' } });
    expect(stage.memory.observed).toBe(undefined);
  });
});

describe('a Service that changes its type', () => {
  test('loses address, conditions, finalizer and our note, in this order', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { type: 'ClusterIP' });
    const { writes } = await stage.during(() => stage.pass());
    expect(writes.slice(-2)).toEqual(['patchStatus', 'removeFinalizer']);
    expect(stage.cluster.live(web)).toMatchObject({
      finalizers: [],
      ingress: [],
      conditions: [],
      annotations: {},
    });
    expect(stage.cluster.live(web)?.annotations[servedByAnnotation]).toBe(undefined);
  });

  test('and back before we looked: the server is asked first, and nothing is taken away', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { type: 'ClusterIP' });
    stage.cluster.lags = true;
    stage.cluster.edit(web, { type: 'LoadBalancer' });
    expect(await stage.during(() => stage.pass())).toMatchObject({
      writes: [],
      looks: [],
      outcome: { kind: 'after', ms: 1_000 },
    });
  });
});

describe('busy answers while deleting', () => {
  test('are waited out in silence for two minutes; what lasts longer is said', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { deleting: true });
    stage.refuseCalls('DeleteTargetGroup', 'ResourceInUse');
    expect(await stage.during(() => stage.pass())).toMatchObject({
      events: [],
      outcome: { kind: 'retry', error: { kind: 'busy' } },
    });
    await stage.clock.advance(125_000);
    expect((await stage.during(() => stage.pass())).events).toEqual(['DeleteLoadBalancerFailed']);
  });
});
