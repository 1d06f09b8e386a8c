/** One pass over a Service that is ours: what is written where, in which order, and when it comes back. */
import { describe, expect, test } from 'vitest';
import { ControllerStage, web } from '../../test/support/controller-stage.ts';
import { servedByAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import { SluiceError } from '../core/errors.ts';
import { aPort, aService } from '../core/fixtures.ts';
import type { Outcome } from '../core/queue.ts';

const scheme = 'service.beta.kubernetes.io/aws-load-balancer-scheme';
const calls = ['CreateLoadBalancer', 'CreateTargetGroup', 'RegisterTargets', 'CreateListener'];

function msOf(outcome: Outcome): number | undefined {
  return outcome.kind === 'after' ? Math.round(outcome.ms) : undefined;
}

describe('a new Service', () => {
  test('has our finalizer and the name of its provider before the first cloud write', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    const { writes, events } = await stage.during(() => stage.pass());
    expect(writes).toEqual(['addFinalizer', ...calls, 'patchStatus']);
    expect(events).toEqual(['EnsuredLoadBalancer']);
    expect(stage.cluster.live(web)).toMatchObject({
      finalizers: [finalizer],
      annotations: { [servedByAnnotation]: 'aws' },
    });
  });

  test('of which the finalizer cannot be stored costs no cloud write', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.cluster.refuse('addFinalizer', new SluiceError('transient', 'no answer', { code: 'Timeout' }));
    const { writes, outcome } = await stage.during(() => stage.pass());
    expect(writes.filter((write) => calls.includes(write))).toEqual([]);
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'Timeout' } });
  });

  test('that changed before the finalizer reached it is looked at again first', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.cluster.lags = true;
    stage.cluster.edit(web, { ports: [aPort({ port: 81 })] });
    const { writes, outcome } = await stage.during(() => stage.pass());
    expect(writes).toEqual(['addFinalizer']);
    expect(outcome).toEqual({ kind: 'after', ms: 500 });
    expect(await stage.pass()).toEqual({ kind: 'after', ms: 500 });
    stage.cluster.catchUp();
    expect((await stage.during(() => stage.pass())).writes).toEqual([...calls, 'patchStatus']);
  });

  test.each<[string, Readonly<Record<string, string>>, Outcome['kind'], string]>([
    ['whose settings are refused', { [scheme]: 'public' }, 'terminal', 'InvalidAnnotation'],
    ['that is paused', { 'sluice.dev/paused': 'true' }, 'done', 'Paused'],
    ['that only asks for a plan', { 'sluice.dev/plan-only': 'true' }, 'done', 'PlanOnly'],
  ])('%s gets a status, no finalizer and no cloud call', async (_, annotations, kind, reason) => {
    const stage = new ControllerStage();
    stage.cluster.put(aService({ annotations }));
    const { writes, outcome } = await stage.during(() => stage.pass());
    expect(writes).toEqual(['patchStatus']);
    expect(outcome).toMatchObject({ kind });
    expect(stage.condition('InSync')?.reason).toBe(reason);
    expect(await stage.during(() => stage.pass())).toMatchObject({ writes: [], events: [] });
  });
});

describe('the lease', () => {
  test('not held at this moment: nothing is written to the cloud', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.permitRefusal = new SluiceError('busy', 'the lease is not held', { code: 'NotLeading' });
    const { writes, outcome } = await stage.during(() => stage.pass());
    expect(writes.filter((write) => calls.includes(write))).toEqual([]);
    expect(outcome).toMatchObject({ kind: 'retry', error: { code: 'NotLeading' } });
  });

  test('lost: the pass ends with the reason, and says nothing to anybody', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    const lost = new Error('the lease is lost');
    stage.account.faults.order({
      match: { operation: 'CreateTargetGroup' },
      effect: { kind: 'hook', before: () => stage.abort.abort(lost) },
    });
    const from = stage.log.length;
    await expect(stage.pass()).rejects.toBe(lost);
    expect(stage.log.slice(from)).not.toContain('patchStatus');
    expect(stage.log.slice(from)).not.toContain('CreateListener');
    expect(stage.cluster.events).toEqual([]);
  });
});

describe('settings that are refused', () => {
  test('leave the targets up to date and everything else as it is', async () => {
    const stage = new ControllerStage();
    await stage.settled();
    const { annotations } = aService({ ...stage.cluster.live(web) });
    stage.cluster.edit(web, {
      annotations: { ...annotations, [scheme]: 'public' },
      ports: [aPort(), aPort({ name: 'more', port: 81, nodePort: 30_081 })],
    });
    stage.nodes('n1', 'n2', 'n3');
    const { writes } = await stage.during(() => stage.pass());
    expect(writes).toEqual(['RegisterTargets', 'patchStatus']);
    expect(stage.condition('Accepted')).toMatchObject({ status: 'False', reason: 'InvalidAnnotation' });
    expect(stage.condition('Provisioned')?.status).toBe('True');
  });

  test('do not stop a balancer from being seen to come up', async () => {
    const stage = new ControllerStage({ account: { delays: { provisioningMs: 60_000 } } });
    stage.cluster.put(aService());
    await stage.pass();
    const { annotations } = aService({ ...stage.cluster.live(web) });
    stage.cluster.edit(web, { annotations: { ...annotations, [scheme]: 'public' } });
    expect(await stage.pass()).toMatchObject({ kind: 'after' });
    await stage.clock.advance(60_000);
    await stage.pass();
    expect(stage.cluster.live(web)?.ingress).toHaveLength(1);
  });
});

describe('a balancer that comes up', () => {
  test('is looked at soon, then ever more rarely up to what the provider thinks right; active, it is published', async () => {
    const stage = new ControllerStage({ account: { delays: { provisioningMs: 60_000 } } });
    stage.cluster.put(aService());
    const waits: (number | undefined)[] = [];
    for (let pass = 0; pass < 5; pass += 1) waits.push(msOf(await stage.pass()));
    expect(waits).toEqual([500, 1_000, 1_500, 1_500, 1_500]);
    expect(stage.cluster.live(web)?.ingress).toEqual([]);
    expect(stage.condition('Provisioned')).toMatchObject({ status: 'False', reason: 'Provisioning' });
    await stage.clock.advance(60_000);
    const { events } = await stage.during(() => stage.pass());
    expect(events).toEqual(['EnsuredLoadBalancer']);
    expect(stage.cluster.live(web)?.ingress).toHaveLength(1);
  });

  test.each<
    [string, ConstructorParameters<typeof ControllerStage>[0], Readonly<Record<string, string>>, number]
  >([
    ['by the settings', { options: { publishEarly: true } }, {}, 1],
    ['by the Service', {}, { 'sluice.dev/publish': 'early' }, 1],
    [
      'unless the Service says otherwise',
      { options: { publishEarly: true } },
      { 'sluice.dev/publish': 'active' },
      0,
    ],
  ])('is published early %s', async (_, change, annotations, shown) => {
    const stage = new ControllerStage({ ...change, account: { delays: { provisioningMs: 60_000 } } });
    stage.cluster.put(aService({ annotations }));
    await stage.pass();
    expect(stage.cluster.live(web)?.ingress).toHaveLength(shown);
    expect(stage.condition('Provisioned')?.status).toBe('False');
  });
});

describe('targets', () => {
  test('in their first checks are looked at soon and then ever more rarely, and a change begins anew', async () => {
    const stage = new ControllerStage({ account: { delays: { initialCheckMs: 3_600_000 } } });
    stage.cluster.put(aService());
    const waits: (number | undefined)[] = [];
    for (let pass = 0; pass < 7; pass += 1) waits.push(msOf(await stage.pass()));
    expect(waits).toEqual([10_000, 15_000, 22_500, 33_750, 50_625, 60_000, 60_000]);
    stage.nodes('n1', 'n2', 'n3');
    expect(msOf(await stage.pass())).toBe(10_000);
  });

  test('that all left: the Service is looked at again, and says so', async () => {
    const stage = new ControllerStage();
    await stage.settled();
    stage.nodes();
    const { writes, outcome } = await stage.during(() => stage.pass());
    expect(writes).toEqual(['patchStatus']);
    expect(outcome).toMatchObject({ kind: 'after' });
  });
});

describe('how a pass is counted', () => {
  test.each<[string, (stage: ControllerStage) => void, string]>([
    ['it changed something', (stage) => stage.nodes('n1', 'n2', 'n3'), 'changed'],
    ['nothing was to be done', () => undefined, 'unchanged'],
    [
      'a call failed',
      (stage) => {
        stage.nodes('n1', 'n2', 'n3');
        stage.refuseCalls('RegisterTargets', 'InternalFailure');
      },
      'failed',
    ],
  ])('%s', async (_, given, result) => {
    const results: string[] = [];
    const stage = new ControllerStage({ telemetry: { pass: (_key, _name, one) => results.push(one) } });
    await stage.settled();
    results.length = 0;
    given(stage);
    await stage.pass();
    expect(results).toEqual([result]);
  });
});

describe('a call that fails', () => {
  test.each<[string, Outcome['kind']]>([
    ['InternalFailure', 'retry'],
    ['ThrottlingException', 'retry'],
    ['AccessDenied', 'terminal'],
    ['TooManyListeners', 'terminal'],
  ])('with %s: the pass ends as %s', async (code, kind) => {
    const stage = new ControllerStage();
    stage.cluster.put(aService());
    stage.refuseCalls('CreateListener', code);
    expect(await stage.pass()).toMatchObject({ kind });
  });

  test('costs no more than itself: the rest is done, and the next pass does what is missing', async () => {
    const stage = new ControllerStage();
    stage.cluster.put(
      aService({ ports: [aPort({ name: 'a' }), aPort({ name: 'b', port: 81, nodePort: 30_081 })] }),
    );
    stage.account.faults.order({
      match: { operation: 'CreateListener' },
      effect: { kind: 'error', code: 'InternalFailure' },
    });
    await stage.pass();
    expect((await stage.during(() => stage.pass())).writes).toEqual(['CreateListener', 'patchStatus']);
  });
});
