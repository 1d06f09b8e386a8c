/** What is written to the Service and said in events, and above all what is not. */
import { describe, expect, test } from 'vitest';
import { ControllerStage, theirCondition, web } from '../../test/support/controller-stage.ts';
import { SluiceError } from '../core/errors.ts';
import { aService } from '../core/fixtures.ts';

const scheme = 'service.beta.kubernetes.io/aws-load-balancer-scheme';

async function settled(): Promise<ControllerStage> {
  const stage = new ControllerStage();
  await stage.settled();
  return stage;
}

describe('the status', () => {
  test('is left alone by a pass that has nothing new to say', async () => {
    const stage = await settled();
    stage.memory.fullDue = true;
    expect(await stage.during(() => stage.pass())).toMatchObject({ writes: [], events: [] });
  });

  test('is put right where somebody else wrote another address, without an alarm about a new one', async () => {
    const stage = await settled();
    const right = stage.cluster.live(web)?.ingress;
    stage.cluster.edit(web, { ingress: [] });
    expect((await stage.during(() => stage.pass())).writes).toEqual(['patchStatus']);
    expect(stage.cluster.live(web)?.ingress).toEqual(right);
  });

  test('keeps the conditions of others', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService({ conditions: [theirCondition] }));
    await stage.pass();
    expect(stage.cluster.live(web)?.conditions).toContainEqual(theirCondition);
  });

  test('that cannot be written is tried again, and no words are lost on it', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.cluster.refuse(
      'patchStatus',
      new SluiceError('transient', 'no answer', { code: 'Timeout', action: 'patch services/status' }),
    );
    expect(await stage.during(() => stage.pass())).toMatchObject({
      events: [],
      outcome: { kind: 'retry', error: { code: 'Timeout' } },
    });
  });
});

describe('events', () => {
  test('one for a pass that changed something, naming the calls', async () => {
    const stage = await settled();
    stage.nodes('n1', 'n2', 'n3');
    const before = stage.cluster.events.length;
    await stage.pass();
    const [event, ...others] = stage.cluster.events.slice(before);
    expect(others).toEqual([]);
    expect(event).toMatchObject({ type: 'Normal', reason: 'UpdatedLoadBalancer', action: 'UpdateTargets' });
    expect(event?.note).toMatch(/^Targets updated: .*n3.* \(1 call: RegisterTargets\)$/);
  });

  test('a new address for clients is a warning', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { ingress: [{ hostname: 'old.example.com' }] });
    const { events } = await stage.during(() => stage.pass());
    expect(events).toEqual(['LoadBalancerRecreated']);
  });

  test('the same warning is not repeated at every try, but it is after five minutes', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.refuseCalls('CreateLoadBalancer', 'AccessDenied');
    const said: number[] = [];
    for (let minute = 0; minute < 7; minute += 1) {
      said.push((await stage.during(() => stage.pass())).events.length);
      await stage.clock.advance(60_000);
    }
    expect(said).toEqual([1, 0, 0, 0, 0, 1, 0]);
  });

  test('that no node can be a target is said when it begins and not again', async () => {
    const stage = new ControllerStage();
    stage.nodes();
    stage.cluster.put(aService());
    expect((await stage.during(() => stage.pass())).events).toContain('UnAvailableLoadBalancer');
    expect((await stage.during(() => stage.pass())).events).toEqual([]);
    stage.nodes('n1');
    await stage.pass();
    await stage.clock.advance(60_000);
    await stage.pass();
    expect(stage.condition('TargetsReady')?.status).toBe('True');
  });

  test('another warning is said at once', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.refuseCalls('CreateLoadBalancer', 'AccessDenied');
    await stage.pass();
    stage.calm();
    stage.refuseCalls('CreateLoadBalancer', 'TooManyLoadBalancers');
    expect((await stage.during(() => stage.pass())).events).toEqual(['SyncLoadBalancerFailed']);
  });

  test('what was mended and broken again is said again', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService({ annotations: { [scheme]: 'public' } }));
    expect((await stage.during(() => stage.pass())).events).toEqual(['InvalidAnnotation']);
    stage.cluster.edit(web, { annotations: {} });
    await stage.pass();
    const { annotations } = aService({ ...stage.cluster.live(web) });
    stage.cluster.edit(web, { annotations: { ...annotations, [scheme]: 'public' } });
    expect((await stage.during(() => stage.pass())).events).toEqual(['InvalidAnnotation']);
  });
});

describe('throttled and busy', () => {
  test.each([
    ['a call', 'CreateLoadBalancer'],
    ['a read', 'DescribeLoadBalancers'],
  ])('%s: nothing is said for 30 s, then the condition, and never a warning', async (_, operation) => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.refuseCalls(operation, 'ThrottlingException');
    const first = await stage.during(() => stage.pass());
    expect(first).toMatchObject({ events: [], outcome: { kind: 'retry', error: { kind: 'throttled' } } });
    expect(first.writes).not.toContain('patchStatus');
    await stage.clock.advance(31_000);
    const later = await stage.during(() => stage.pass());
    expect(later.events).toEqual([]);
    expect(stage.condition('InSync')).toMatchObject({ status: 'False', reason: 'Throttled' });
  });

  test('a pass that succeeds between two begins the silence anew', async () => {
    const stage = await settled();
    stage.memory.liveDue = true;
    stage.refuseCalls('DescribeTargetHealth', 'ThrottlingException');
    await stage.pass();
    stage.calm();
    await stage.pass();
    await stage.clock.advance(40_000);
    stage.memory.liveDue = true;
    stage.refuseCalls('DescribeTargetHealth', 'ThrottlingException');
    expect((await stage.during(() => stage.pass())).writes).toEqual([]);
  });
});

describe('a read that failed', () => {
  test('is said, and leaves address, acceptance and targets as they were told', async () => {
    const stage = await settled();
    const before = stage.cluster.live(web);
    stage.memory.liveDue = true;
    stage.refuseCalls('DescribeTargetHealth', 'AccessDenied');
    const { writes, events } = await stage.during(() => stage.pass());
    expect(writes).toEqual(['patchStatus']);
    expect(events).toEqual(['SyncLoadBalancerFailed']);
    const after = stage.cluster.live(web);
    expect(after?.ingress).toEqual(before?.ingress);
    const others = (of: typeof before) => of?.conditions.filter(({ type }) => type !== 'InSync');
    expect(others(after)).toEqual(others(before));
    expect(stage.condition('InSync')).toMatchObject({ status: 'False', reason: 'AccessDenied' });
  });
});
