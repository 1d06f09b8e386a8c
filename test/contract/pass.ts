/** One pass over a Service as the controller makes it (look, plan, carry out), and passes until nothing is left to do. */
import { expect } from 'vitest';
import { execute } from '../../src/core/execute.ts';
import type { Attempt, Execution } from '../../src/core/execute.ts';
import type { HandOverMemory, Plan, Step } from '../../src/core/plan.ts';
import type { AnyProvider, ClusterIdentity, Depth, Goal, Owner, World } from '../../src/core/provider.ts';
import { cluster } from './stage.ts';
import type { Given, Stage } from './stage.ts';

export const never = new AbortController().signal;

export function ownerOf({ service }: Given, of: ClusterIdentity = cluster): Owner {
  return { cluster: of, service: service.key, uid: service.uid };
}

export function worldOf({ service, nodes, slices }: Given, of: ClusterIdentity = cluster): World {
  return { cluster: of, service, services: [service], nodes, slices };
}

export function wantedOf(provider: AnyProvider, given: Given, of: ClusterIdentity = cluster): unknown {
  return provider.want(provider.parse(given.service).settings, worldOf(given, of)).wanted;
}

export interface PassResult {
  readonly before: unknown;
  readonly plan: Plan;
  readonly execution: Execution;
  readonly attempts: readonly Attempt[];
  /** Most calls that were under way at one time. */
  readonly atOnce: number;
}

/** Where a process dies: at the nth call of a pass, before or after its effect. */
export interface Crash {
  readonly at: number;
  readonly when: 'before' | 'after';
}

export interface DriverOptions {
  readonly depth?: Depth;
  readonly crash?: Crash;
  /** Leaves out steps that this refuses. */
  readonly only?: (step: Step) => boolean;
}

/** Thrown where a crash was ordered. */
export class Crashed extends Error {}

/** One process's work on the account: it remembers what a controller remembers. */
export class Driver {
  readonly stage: Stage;
  readonly cluster: ClusterIdentity;
  provider: AnyProvider;
  #observed = new Map<string, unknown>();
  #memory = new Map<string, HandOverMemory>();

  constructor(stage: Stage, of: ClusterIdentity = cluster) {
    this.stage = stage;
    this.cluster = of;
    this.provider = stage.provider;
  }

  /** The process dies and another takes its place: all that was remembered is lost. */
  restart(): void {
    this.provider = this.stage.restart();
    this.#observed = new Map();
    this.#memory = new Map();
  }

  wanted(given: Given): unknown {
    return wantedOf(this.provider, given, this.cluster);
  }

  async look(given: Given, depth: Depth = 'full', previous?: unknown): Promise<unknown> {
    return await this.stage.drive(
      this.provider.observe({
        owner: ownerOf(given, this.cluster),
        depth,
        wanted: depth === 'removal' ? undefined : this.wanted(given),
        previous,
        signal: never,
      }),
    );
  }

  planFor(given: Given, observed: unknown, goal: Goal<unknown, unknown>): Plan {
    return this.provider.plan(goal, observed, {
      owner: ownerOf(given, this.cluster),
      now: this.stage.clock.now(),
      memory: this.#memory.get(given.service.uid) ?? {},
    });
  }

  async ensure(given: Given, options: DriverOptions = {}): Promise<PassResult> {
    return await this.#pass(
      given,
      { kind: 'present', wanted: this.wanted(given) },
      options.depth ?? 'full',
      options,
    );
  }

  /** `settings` undefined: the Service itself is gone. */
  async remove(given: Given, settings?: unknown, options: DriverOptions = {}): Promise<PassResult> {
    return await this.#pass(given, { kind: 'absent', settings }, 'removal', options);
  }

  /** Passes until there is nothing to do and nothing to wait for; fails when that never comes. */
  async settle(given: Given, afterEach?: (pass: PassResult) => void): Promise<unknown> {
    for (let i = 0; i < 40; i++) {
      const pass = await this.ensure(given);
      afterEach?.(pass);
      const { failed } = pass.execution;
      // What says when it is worth another try is a wait, not a failure.
      const isWait = ({ error }: (typeof failed)[number]): boolean =>
        error.kind === 'busy' && error.retryAfterMs !== undefined;
      const waits = failed.filter(isWait).map(({ error }) => error.retryAfterMs ?? 0);
      expect(failed.filter((one) => !isWait(one)).map(({ error }) => error.message)).toEqual([]);
      if (pass.plan.steps.length === 0 && pass.plan.waits.length === 0) return pass.execution.observed;
      const rechecks = pass.plan.waits.map(({ recheckMs }) => recheckMs);
      await this.stage.advance(Math.max(1_000, ...rechecks, ...waits));
    }
    throw new Error('after 40 passes there is still something to do');
  }

  /** Removal passes until nothing of the owner's is left. */
  async removeAll(given: Given): Promise<void> {
    for (let i = 0; i < 20; i++) {
      const { execution } = await this.remove(given);
      if (this.provider.isGone(await this.look(given, 'removal', execution.observed))) return;
      await this.stage.advance(5_000);
    }
    throw new Error('after 20 removal passes something is still left');
  }

  async #pass(
    given: Given,
    goal: Goal<unknown, unknown>,
    depth: Depth,
    { crash, only }: DriverOptions,
  ): Promise<PassResult> {
    const { uid } = given.service;
    const wanted = goal.kind === 'present' ? goal.wanted : undefined;
    const before = await this.stage.drive(
      this.provider.observe({
        owner: ownerOf(given, this.cluster),
        depth,
        wanted,
        previous: this.#observed.get(uid),
        signal: never,
      }),
    );
    const plan = this.planFor(given, before, goal);
    this.#memory.set(uid, plan.memory);
    const attempts: Attempt[] = [];
    const watch = watchApply(this.provider, crash);
    const execution = await this.stage.drive(
      execute({
        provider: watch.provider,
        observed: before,
        steps: only === undefined ? plan.steps : plan.steps.filter((step) => only(step)),
        signal: watch.signal,
        clock: this.stage.clock,
        onStep: (attempt) => attempts.push(attempt),
      }),
    );
    this.#observed.set(uid, execution.observed);
    return { before, plan, execution, attempts, atOnce: watch.atOnce() };
  }
}

/** The part of a provider that `execute` uses, with calls counted and, if ordered, a crash at one of them. */
function watchApply(provider: AnyProvider, crash: Crash | undefined) {
  const end = new AbortController();
  let calls = 0;
  let under = 0;
  let most = 0;
  const part: Pick<AnyProvider, 'parallel' | 'apply' | 'advance' | 'split'> = {
    // One after another where a crash is ordered, so that "the nth call" is always the same.
    parallel: crash === undefined ? provider.parallel : 1,
    advance: (observed, step, parameters, outputs) => provider.advance(observed, step, parameters, outputs),
    split: (step, parameters, error) => provider.split(step, parameters, error),
    apply: async (step, parameters, signal) => {
      calls += 1;
      const dies = crash?.at === calls ? crash.when : undefined;
      if (dies === 'before') end.abort(new Crashed());
      signal.throwIfAborted();
      under += 1;
      most = Math.max(most, under);
      try {
        return await provider.apply(step, parameters, dies === undefined ? signal : never);
      } finally {
        under -= 1;
        if (dies === 'after') end.abort(new Crashed());
      }
    },
  };
  return { provider: part, signal: end.signal, atOnce: () => most };
}

/** Runs what a crash was ordered for; false when it ended before the crash came. */
export async function untilCrash(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (error instanceof Crashed) return true;
    throw error;
  }
}
