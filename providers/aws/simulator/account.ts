/**
 * A simulated AWS account, as far as Network Load Balancers go: `handle(operation, input)` answers as ELBv2
 * would, in the JSON shapes of the SDK's commands.
 *
 * It is a state machine without time or chance of its own: both are given, so a run can be repeated. Every
 * request and answer is checked against the published schema, and every refusal of its own against the errors
 * that the operation documents; an answer that does not conform is a defect here and is thrown as one.
 */

import type { Clock, Random } from '../../../src/core/clock.ts';
import { SluiceError } from '../../../src/core/errors.ts';
import { requireKind } from './arns.ts';
import { Buckets } from './buckets.ts';
import { notFound, type Context } from './context.ts';
import { describeAccount, listResources, type AccountDump, type ResourceView } from './dump.ts';
import { CloudError, isCommonCode } from './errors.ts';
import { Faults, type FaultEffect, type IncomingCall } from '../../../src/core/simulated/faults.ts';
import { simulatedOperations } from './operations.ts';
import {
  checkInput,
  checkOutput,
  earlyOutcome,
  findOperation,
  resultOf,
  shorten,
  swallowsAnswer,
  type Outcome,
} from './outcome.ts';
import { CallRecord, summarise, type RecordedCall } from './record.ts';
import type { OperationSchema } from './schema/model.ts';
import { defaultSettings, mergeSettings, type Settings, type SettingsInput } from './settings.ts';
import { Store, type LoadBalancerRecord } from './store.ts';
import { World, type Condition, type HealthFunction, type Instance, type TargetSelector } from './world.ts';

export interface AccountOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings?: SettingsInput;
}

/** A call on its way: wait, run it, wait again, answer. Whoever carries calls (client, server) does the waiting. */
export interface PendingCall {
  readonly delayBeforeMs: number;
  readonly delayAfterMs: number;
  /** Takes effect now. To be called once. */
  readonly run: () => Outcome;
}

const DEFAULT_CALLER = 'controller';
const BY_HAND = 'hand';

export class Account {
  readonly clock: Clock;
  readonly faults = new Faults();
  readonly #random: Random;
  readonly #initial: Settings;
  #settings: Settings;
  #store: Store;
  #world = new World();
  #buckets = new Buckets();
  #record = new CallRecord();
  #past: { readonly version: number; readonly store: Store } | undefined;

  constructor(options: AccountOptions) {
    this.clock = options.clock;
    this.#random = options.random;
    this.#initial = mergeSettings(defaultSettings, options.settings ?? {});
    this.#settings = this.#initial;
    this.#store = new Store(this.#initial.historyLimit);
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Number of changes ever made to resources: equal before and after means that nothing changed. */
  get version(): number {
    return this.#store.version;
  }

  /** Changes settings from now on; groups are merged member by member. `historyLimit` counts from the next reset. */
  configure(settings: SettingsInput): void {
    this.#settings = mergeSettings(this.#settings, settings);
  }

  /** An empty account again, with the first settings, no faults and no record. */
  reset(): void {
    this.#settings = this.#initial;
    this.#store = new Store(this.#initial.historyLimit);
    this.#world = new World();
    this.#buckets = new Buckets();
    this.#record = new CallRecord();
    this.#past = undefined;
    this.faults.clear();
  }

  /**
   * Answers at once, with ordered faults but without their delays. Throws CloudError for a refusal and
   * AnswerLost where the answer would not arrive.
   */
  handle(operation: string, input: object, by = DEFAULT_CALLER): object {
    return resultOf(this.open(operation, input, by).run());
  }

  /** As `handle`, for what a person does in the console: no faults, no throttling, recorded as done by hand. */
  byHand(operation: string, input: object): object {
    const call = this.#describeCall(operation, input, BY_HAND);
    return resultOf(this.#run(call, []));
  }

  /** Takes in a call: decides which faults hit it and how long it takes. Nothing has happened yet. */
  open(operation: string, input: object, by = DEFAULT_CALLER): PendingCall {
    const call = this.#describeCall(operation, input, by);
    const effects = this.faults.take(call);
    const half = this.#settings.latency.callMs / 2;
    let delayBeforeMs = half;
    let delayAfterMs = half;
    for (const effect of effects) {
      if (effect.kind !== 'latency') continue;
      if (effect.when === 'after') delayAfterMs += effect.ms;
      else delayBeforeMs += effect.ms;
    }
    return { delayBeforeMs, delayAfterMs, run: () => this.#run(call, effects) };
  }

  /** Calls after number `seq`, oldest first. */
  calls(seq = 0): readonly RecordedCall[] {
    return this.#record.since(seq);
  }

  /** Calls after number `seq` that changed something, or would have. */
  writes(seq = 0): readonly RecordedCall[] {
    return this.calls(seq).filter((call) => call.mutating);
  }

  /** Number of calls by operation. */
  counts(): Readonly<Record<string, number>> {
    return this.#record.counts();
  }

  forgetCalls(): void {
    this.#record.forget();
  }

  /** Every resource with its tags, in order of creation. */
  resources(): readonly ResourceView[] {
    return listResources(this.#store);
  }

  /** The whole account as plain JSON. */
  dump(): AccountDump {
    return describeAccount({ ...this.#context(false, this.#store, this.clock.now()), seesAll: true });
  }

  /** An instance comes, changes its state, or is unknown again. */
  setInstance(id: string, instance: Instance | undefined): void {
    if (instance === undefined) this.#world.instances.delete(id);
    else this.#world.instances.set(id, instance);
  }

  /** From now on the selected targets answer like this. */
  setHealth(selector: TargetSelector, condition: Condition): void {
    this.#world.setHealth(selector, condition, this.clock.now());
  }

  /** A function that decides the health of targets before the conditions set by `setHealth`. */
  decideHealth(decide: HealthFunction | undefined): void {
    this.#world.healthOf = decide;
  }

  /** Forces the state of a balancer, or lets it follow from time again. Throws LoadBalancerNotFound. */
  setLoadBalancerState(arn: string, state: LoadBalancerRecord['forcedState']): void {
    const record = this.#loadBalancer(arn);
    this.#store.put({ ...record, forcedState: state }, this.clock.now());
  }

  /** Puts a PrivateLink endpoint service on a balancer, or takes it off. Throws LoadBalancerNotFound. */
  setEndpointService(arn: string, present: boolean): void {
    const record = this.#loadBalancer(arn);
    this.#store.put({ ...record, hasEndpointService: present }, this.clock.now());
  }

  #loadBalancer(arn: string): LoadBalancerRecord {
    requireKind(arn, 'load-balancer');
    const record = this.#store.get('load-balancer', arn);
    if (record === undefined) throw notFound('load-balancer', arn);
    return record;
  }

  #describeCall(operation: string, input: object, by: string): IncomingCall {
    const mutating = (simulatedOperations.get(operation)?.bucket ?? 'read') !== 'read';
    return { operation, input, mutating, by };
  }

  #run(call: IncomingCall, effects: readonly FaultEffect[]): Outcome {
    const at = this.clock.now();
    const version = this.#store.version;
    for (const effect of effects) if (effect.kind === 'hook') effect.before?.(call);
    const outcome = this.#decide(call, effects, at);
    const answered = !effects.some(swallowsAnswer);
    this.#record.add(
      {
        at,
        operation: call.operation,
        input: call.input,
        mutating: call.mutating,
        by: call.by,
        ...(outcome.kind === 'answer' && { output: outcome.output }),
        ...(outcome.kind === 'refusal' && { error: plain(outcome.error) }),
        answered: answered && (outcome.kind === 'answer' || outcome.kind === 'refusal'),
        faults: effects.map((effect) => effect.kind),
        touched: summarise(this.#store.changesSince(version)),
      },
      this.#settings.recordLimit,
    );
    for (const effect of effects) if (effect.kind === 'hook') effect.after?.(call);
    if (answered || outcome.kind === 'lost' || outcome.kind === 'hang') return outcome;
    return effects.some((effect) => effect.kind === 'lost-answer') ? { kind: 'lost' } : { kind: 'hang' };
  }

  #decide(call: IncomingCall, effects: readonly FaultEffect[], at: number): Outcome {
    const early = effects.map(earlyOutcome).find((outcome) => outcome !== undefined);
    if (early !== undefined) return early;
    try {
      return { kind: 'answer', output: this.#answer(call, effects, at) };
    } catch (error) {
      if (error instanceof CloudError) return { kind: 'refusal', error };
      throw error;
    }
  }

  #answer(call: IncomingCall, effects: readonly FaultEffect[], at: number): object {
    const { operation, schema } = findOperation(call.operation);
    if (call.by !== BY_HAND) this.#buckets.take(operation.bucket, this.#settings.throttling, at);
    if (this.#settings.checkSchema) checkInput(schema, call.input);
    const version = this.#store.version;
    const context = this.#contextFor(call, effects, at);
    const output = shorten(
      this.#guarded(schema, () => operation.run(context, call.input)),
      effects,
    );
    if (this.#settings.checkSchema) checkOutput(schema, output);
    for (const effect of effects) {
      if (effect.kind !== 'hide-created') continue;
      for (const { before, after } of this.#store.changesSince(version)) {
        if (before === undefined && after !== undefined) this.#world.hidden.set(after.arn, at + effect.ms);
      }
    }
    return output;
  }

  /** The simulator's own refusals must be ones that the operation documents, or common to all. */
  #guarded(schema: OperationSchema, run: () => object): object {
    try {
      return run();
    } catch (error) {
      if (error instanceof CloudError && !schema.errors.has(error.code) && !isCommonCode(error.code)) {
        throw new SluiceError('bug', `${schema.name} does not document the error ${error.code}`, {
          code: 'UndocumentedError',
          action: schema.name,
          cause: error,
        });
      }
      throw error;
    }
  }

  #contextFor(call: IncomingCall, effects: readonly FaultEffect[], at: number): Context {
    if (call.mutating || call.by === BY_HAND) return this.#context(call.mutating, this.#store, at);
    const { readLagMs, readLagVaries } = this.#settings.consistency;
    let version = this.#store.version;
    let now = at;
    if (readLagMs > 0) now = at - (readLagVaries ? this.#random() * readLagMs : readLagMs);
    for (const effect of effects) {
      if (effect.kind !== 'stale') continue;
      if (effect.ms !== undefined) now = Math.min(now, at - effect.ms);
      if (effect.writes !== undefined) version -= effect.writes;
    }
    if (now < at) version = Math.min(version, this.#store.versionAt(now));
    return this.#context(false, this.#storeAt(Math.max(0, version)), now);
  }

  #storeAt(version: number): Store {
    if (version === this.#store.version) return this.#store;
    if (this.#past?.version !== version) this.#past = { version, store: this.#store.asOf(version) };
    return this.#past.store;
  }

  #context(mutating: boolean, store: Store, now: number): Context {
    return {
      now,
      wall: this.clock.wall(),
      mutating,
      settings: this.#settings,
      store,
      world: this.#world,
      random: this.#random,
    };
  }
}

function plain(error: CloudError): NonNullable<RecordedCall['error']> {
  return { code: error.code, message: error.message, httpStatus: error.httpStatus };
}
