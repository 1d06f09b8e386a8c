/** The net under everything that was missed: surveys, strays, full comparisons, and their pace. */
import { describe, expect, test } from 'vitest';
import { ControllerStage, web } from '../../test/support/controller-stage.ts';
import { finalizer } from '../core/claim.ts';
import { SluiceError } from '../core/errors.ts';
import { aService, aUid } from '../core/fixtures.ts';
import type { ObjectKey } from '../core/objects.ts';
import type { AnyProvider, Stray, Survey } from '../core/provider.ts';
import type { ControllerOptions } from './context.ts';
import { Drift } from './drift.ts';

const quiet: Survey = { disturbed: [], strays: [] };

/** Drift over a provider whose surveys answer as told, and the times at which they were made. */
function surveyed(answers: (survey: number) => Survey, options: Partial<ControllerOptions> = {}) {
  const stage = new ControllerStage({ options: { surveyEveryMs: 300_000, ...options } });
  const at: number[] = [];
  const provider: AnyProvider = {
    ...stage.provider,
    survey: async () => {
      at.push(stage.clock.now());
      return answers(at.length);
    },
  };
  stage.context = { ...stage.context, providers: new Map([['aws', provider]]) };
  return { stage, at, ...driftOn(stage) };
}

function driftOn(stage: ControllerStage) {
  const woken: ObjectKey[] = [];
  const abort = new AbortController();
  const drift = new Drift({
    context: stage.context,
    wake: (key) => woken.push(key),
    signal: abort.signal,
  });
  return { drift, woken, abort };
}

function refusal(retryAfterMs?: number): SluiceError {
  return new SluiceError('throttled', 'slow down', { code: 'Throttling', retryAfterMs });
}

describe('surveys', () => {
  test('come soon after the start and then at their pace', async () => {
    const { stage, at, drift } = surveyed(() => quiet);
    drift.start();
    await stage.clock.advance(1_000_000);
    expect(at).toEqual([30_000, 330_000, 630_000, 930_000]);
    drift.stop();
  });

  test('that fail are tried again ever more rarely, up to their pace, and recover at once', async () => {
    const { stage, at, drift } = surveyed((survey) => {
      if (survey < 8) throw refusal();
      return quiet;
    });
    drift.start();
    await stage.clock.advance(2_000_000);
    const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    expect(gaps.slice(0, 8).map((gap) => gap / 1_000)).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
    drift.stop();
  });

  test('wait as long as the cloud asks', async () => {
    const { stage, at, drift } = surveyed((survey) => {
      if (survey === 1) throw refusal(90_000);
      return quiet;
    });
    drift.start();
    await stage.clock.advance(200_000);
    expect(at).toEqual([30_000, 120_000]);
    drift.stop();
  });

  test('are not made where they are switched off, nor after the end', async () => {
    const off = surveyed(() => quiet, { surveyEveryMs: 0 });
    off.drift.start();
    const ended = surveyed(() => quiet);
    ended.drift.start();
    ended.drift.stop();
    for (const { stage, at } of [off, ended]) {
      await stage.clock.advance(3_600_000);
      expect(at).toEqual([]);
    }
  });

  test('wake a Service that was disturbed, with the order to look live', async () => {
    const { stage, drift, woken } = surveyed(() => ({
      disturbed: [aService().uid, aUid('unknown')],
      strays: [],
    }));
    await stage.settled();
    await stage.drive(drift.surveyOnce(stage.provider));
    expect(woken).toEqual([web]);
    expect(stage.memory.liveDue).toBe(true);
  });

  test('find what somebody deleted in the console', async () => {
    const stage = new ControllerStage();
    await stage.settled();
    const { drift, woken } = driftOn(stage);
    await stage.drive(drift.surveyOnce(stage.provider));
    expect(woken).toEqual([]);
    const arn = stage.account.resources().find(({ kind }) => kind === 'load-balancer')?.arn;
    stage.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: arn });
    await stage.drive(drift.surveyOnce(stage.provider));
    expect(woken).toEqual([web]);
  });
});

describe('strays', () => {
  /** A balancer of a Service that is gone, and a controller that never knew of it. */
  async function orphaned(options: Partial<ControllerOptions> = {}) {
    const told: (readonly Stray[])[] = [];
    const stage = new ControllerStage({
      options: { surveyEveryMs: 300_000, ...options },
      telemetry: { strays: (_name, strays) => told.push(strays) },
    });
    await stage.settled();
    stage.restart();
    stage.cluster.drop(web);
    return { stage, told, ...driftOn(stage) };
  }

  test('are swept when they were seen twice, not before', async () => {
    const { stage, drift } = await orphaned();
    await stage.drive(drift.surveyOnce(stage.provider));
    expect(stage.account.resources().length).toBeGreaterThan(0);
    // The second look comes soon: it need not wait for the next survey.
    await stage.clock.advance(11_000);
    expect(stage.account.resources()).toEqual([]);
  });

  test('are only told where the policy says so', async () => {
    const { stage, drift, told } = await orphaned({ strays: 'report' });
    for (let survey = 0; survey < 3; survey += 1) {
      await stage.drive(drift.surveyOnce(stage.provider));
      await stage.clock.advance(60_000);
    }
    expect(stage.account.resources().length).toBeGreaterThan(0);
    expect(told.at(-1)).toMatchObject([{ uid: aService().uid, service: web }]);
  });

  test('are none while the Service is there and ours, or holds our finalizer', async () => {
    for (const change of [{}, { type: 'ClusterIP' as const, finalizers: [finalizer] }]) {
      const { stage, drift, told } = await orphaned();
      stage.cluster.put(aService(change));
      await stage.drive(drift.surveyOnce(stage.provider));
      expect(told).toEqual([[]]);
    }
  });

  test('of a Service that was made anew under the name are strays all the same', async () => {
    const { stage, drift, told } = await orphaned();
    stage.cluster.put(aService({ uid: aUid('uid-second') }));
    await stage.drive(drift.surveyOnce(stage.provider));
    expect(told[0]).toMatchObject([{ uid: aService().uid }]);
  });

  test('whose Service turns out to be there are left alone: the server is asked, not the picture', async () => {
    const { stage, drift } = await orphaned();
    stage.cluster.lags = true;
    stage.cluster.put(aService());
    await stage.drive(drift.surveyOnce(stage.provider));
    await stage.clock.advance(11_000);
    expect(stage.account.resources().length).toBeGreaterThan(0);
  });

  test('that cannot be swept are tried by one chain of tries, however many surveys see them', async () => {
    const { stage, drift } = await orphaned();
    stage.refuseCalls('DeleteLoadBalancer', 'AccessDenied');
    await stage.drive(drift.surveyOnce(stage.provider));
    await stage.clock.advance(11_000);
    const from = stage.log.length;
    for (let survey = 0; survey < 5; survey += 1) {
      await stage.drive(drift.surveyOnce(stage.provider));
      await stage.clock.advance(12_000);
    }
    // One minute: one more try, not one for each survey.
    const tries = stage.log.slice(from).filter((operation) => operation === 'DeleteLoadBalancer');
    expect(tries).toHaveLength(1);
    stage.calm();
    await stage.clock.advance(61_000);
    expect(stage.account.resources()).toEqual([]);
  });
});

describe('full comparisons', () => {
  test('come again and again, and end with the Service', async () => {
    const stage = new ControllerStage({ options: { fullEveryMs: 600_000 } });
    await stage.settled();
    const { drift, woken } = driftOn(stage);
    drift.follow(web, aService().uid);
    await stage.clock.advance(599_000);
    expect(woken).toEqual([]);
    await stage.clock.advance(2_000);
    expect(woken).toEqual([web]);
    expect(stage.memory.fullDue).toBe(true);
    await stage.clock.advance(600_000);
    expect(woken).toHaveLength(2);
    stage.context.memories.forget(aService().uid);
    await stage.clock.advance(3_600_000);
    expect(woken).toHaveLength(2);
    expect(stage.clock.pending).toBe(0);
  });

  test.each([
    [0, 480_000],
    [0.5, 600_000],
    [0.999_999, 720_000],
  ])('are spread by chance: a draw of %s means %s ms', async (draw, ms) => {
    const stage = new ControllerStage({ options: { fullEveryMs: 600_000 } });
    await stage.settled();
    stage.context = { ...stage.context, random: () => draw };
    const { drift, woken } = driftOn(stage);
    drift.follow(web, aService().uid);
    await stage.clock.advance(ms - 1_000);
    expect(woken).toEqual([]);
    await stage.clock.advance(1_001);
    expect(woken).toEqual([web]);
  });

  test('are not made where they are switched off', async () => {
    const stage = new ControllerStage({ options: { fullEveryMs: 0 } });
    await stage.settled();
    const { drift } = driftOn(stage);
    drift.follow(web, aService().uid);
    expect(stage.clock.pending).toBe(0);
  });
});
