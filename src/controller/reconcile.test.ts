/** Whose a Service is, and what follows: the first exits of a pass. */
import { describe, expect, test } from 'vitest';
import { ControllerStage, theirCondition, web } from '../../test/support/controller-stage.ts';
import { servedByAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import { SluiceError } from '../core/errors.ts';
import { aService, aUid } from '../core/fixtures.ts';
import type { AnyProvider, ProviderName } from '../core/provider.ts';

async function settled(): Promise<ControllerStage> {
  const stage = new ControllerStage();
  await stage.settled();
  return stage;
}

describe('a Service that is not ours', () => {
  test.each<[string, Parameters<typeof aService>[0], readonly string[]]>([
    ['of another type', { type: 'NodePort' }, []],
    ['of the class of somebody else', { loadBalancerClass: 'example.com/lb' }, []],
    [
      'of a class of ours that is not configured',
      { loadBalancerClass: 'sluice.dev/local' },
      ['ClassNotServed'],
    ],
    ['that another controller serves', { finalizers: ['service.k8s.aws/resources'] }, ['ClaimedElsewhere']],
  ])('%s: nothing is written to it or the cloud', async (_, change, events) => {
    const stage = new ControllerStage();
    stage.cluster.put(aService(change));
    expect(await stage.during(() => stage.pass())).toEqual({
      writes: [],
      looks: [],
      events,
      outcome: { kind: 'done' },
    });
  });

  test('but was refused while it was: our conditions are taken away, those of others stay', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(
      aService({ conditions: [theirCondition], annotations: { 'sluice.dev/paused': 'true' } }),
    );
    await stage.pass();
    expect(stage.cluster.live(web)?.conditions).toHaveLength(4);
    stage.cluster.edit(web, { type: 'ClusterIP' });
    expect((await stage.during(() => stage.pass())).writes).toEqual(['patchStatus']);
    expect(stage.cluster.live(web)?.conditions).toEqual([theirCondition]);
  });
});

describe('a picture that is older than our own write', () => {
  test('decides nothing', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.cluster.lags = true;
    await stage.pass();
    expect(await stage.during(() => stage.pass())).toEqual({
      writes: [],
      looks: [],
      events: [],
      outcome: { kind: 'after', ms: 500 },
    });
    stage.cluster.catchUp();
    expect((await stage.during(() => stage.pass())).outcome).not.toEqual({ kind: 'after', ms: 500 });
  });

  test('that shows a Service which is gone by now: nothing more is tried until its deletion comes', async () => {
    const stage = await settled();
    stage.cluster.lags = true;
    stage.cluster.drop(web);
    stage.nodes('n1');
    expect((await stage.during(() => stage.pass())).outcome).toEqual({ kind: 'after', ms: 300_000 });
    stage.nodes('n1', 'n2');
    expect(await stage.during(() => stage.pass())).toMatchObject({
      writes: [],
      looks: [],
      outcome: { kind: 'after', ms: 300_000 },
    });
  });
});

describe('a Service that vanished without passing through our finalizer', () => {
  const removal = ['DeleteListener', 'DeleteLoadBalancer', 'DeleteTargetGroup'];

  test('is cleaned up after', async () => {
    const stage = await settled();
    stage.cluster.drop(web);
    const { writes, outcome } = await stage.during(() => stage.pass());
    expect(writes.filter((write) => removal.includes(write)).toSorted()).toEqual(writes.toSorted());
    expect(outcome).toEqual({ kind: 'done' });
    expect(stage.account.resources()).toEqual([]);
    expect(stage.context.memories.underKey(web)).toBe(undefined);
  });

  test('is still there after all: nothing is taken away', async () => {
    const stage = await settled();
    const service = stage.cluster.live(web);
    stage.cluster.drop(web);
    stage.cluster.lags = true;
    if (service) stage.cluster.put(service);
    expect(await stage.during(() => stage.pass())).toMatchObject({
      writes: [],
      outcome: { kind: 'after', ms: 1_000 },
    });
  });

  test('and was made anew under its name: the old balancer goes, the new one comes', async () => {
    const stage = await settled();
    const [before] = stage.account.resources().filter(({ kind }) => kind === 'load-balancer');
    stage.cluster.put(aService({ uid: aUid('uid-second') }));
    await stage.pass();
    const balancers = stage.account.resources().filter(({ kind }) => kind === 'load-balancer');
    expect(balancers).toHaveLength(1);
    expect(balancers[0]?.arn).not.toBe(before?.arn);
    expect(balancers[0]?.tags['sluice.dev/uid']).toBe('uid-second');
  });

  test('is left to people where strays are only reported', async () => {
    const stage = new ControllerStage({ options: { strays: 'report' } });
    await stage.settled();
    stage.cluster.drop(web);
    expect((await stage.during(() => stage.pass())).writes).toEqual([]);
    expect(stage.account.resources().length).toBeGreaterThan(0);
  });
});

describe('a Service of a provider', () => {
  test('that is not in this controller is left as it is, and told what to do', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(
      aService({
        finalizers: [finalizer],
        annotations: { [servedByAnnotation]: 'alibaba' },
        deleting: true,
      }),
    );
    expect(await stage.during(() => stage.pass())).toMatchObject({
      writes: [],
      events: ['ClassNotServed'],
      outcome: { kind: 'terminal' },
    });
    expect(stage.cluster.events[0]?.note).toContain('sluice uninstall --balancers keep');
  });

  test('that moved to another one loses the balancer of the first before it gets its own', async () => {
    const stage = await settled();
    // A second provider of the same make, so that there is somebody to move to.
    const second: AnyProvider = { ...stage.provider, name: 'local' };
    stage.context = {
      ...stage.context,
      providers: new Map<ProviderName, AnyProvider>([...stage.context.providers, ['local', second]]),
      options: {
        ...stage.context.options,
        claim: { ...stage.context.options.claim, providers: ['aws', 'local'] },
      },
    };
    const { annotations } = aService({ ...stage.cluster.live(web) });
    stage.cluster.edit(web, { annotations: { ...annotations, 'sluice.dev/provider': 'local' } });
    await stage.pass();
    expect(stage.account.resources()).toEqual([]);
    expect(stage.cluster.live(web)).toMatchObject({ finalizers: [], ingress: [] });
    await stage.pass();
    expect(stage.cluster.live(web)).toMatchObject({
      finalizers: [finalizer],
      annotations: { [servedByAnnotation]: 'local' },
    });
    expect(stage.account.resources().length).toBeGreaterThan(0);
  });
});

describe('what the outside does', () => {
  test('never throws out of a pass: a live read that fails is a try again', async () => {
    const stage = await settled();
    stage.cluster.edit(web, { type: 'ClusterIP' });
    stage.cluster.refuse('getService', new SluiceError('transient', 'no answer', { code: 'Timeout' }));
    expect(await stage.pass()).toMatchObject({ kind: 'retry', error: { code: 'Timeout' } });
  });

  test('and a defect of ours is said as one', async () => {
    const stage = await settled();
    const broken: AnyProvider = {
      ...stage.provider,
      observe: () => Promise.reject(new TypeError('x is undefined')),
    };
    stage.memory.liveDue = true;
    stage.context = { ...stage.context, providers: new Map([['aws', broken]]) };
    expect(await stage.pass()).toMatchObject({ kind: 'retry', error: { kind: 'bug' } });
    expect(stage.condition('InSync')).toMatchObject({ reason: 'InternalError' });
    expect(stage.memory.observed).toBe(undefined);
  });
});
