/**
 * A simulated Alibaba Cloud account, as far as CLB goes: `handle(operation, input)` answers as SLB 2014-05-15
 * would, in the shapes of `client-types.ts`.
 *
 * It is a state machine without time or chance of its own: both are given, so a run can be repeated.
 */
import type { Clock, Random } from '../../../src/core/clock.ts';
import { Buckets } from './buckets.ts';
import { checkInput } from './check.ts';
import { findLoadBalancer } from './context.ts';
import type { Context } from './context.ts';
import { describeAccount, listResources } from './dump.ts';
import type { AccountDump, ResourceView } from './dump.ts';
import { CloudError } from './errors.ts';
import { Faults } from '../../../src/core/simulated/faults.ts';
import type { IncomingCall } from '../../../src/core/simulated/faults.ts';
import type { FaultEffect } from './faults.ts';
import { simulatedOperations } from './operations.ts';
import { earlyOutcome, lateOutcome, resultOf, shorten } from './outcome.ts';
import type { Outcome } from './outcome.ts';
import { CallRecord, summarise } from './record.ts';
import type { RecordedCall } from './record.ts';
import { defaultSettings, mergeSettings } from './settings.ts';
import type { Settings, SettingsInput } from './settings.ts';
import { Store } from './store.ts';
import type { LoadBalancerRecord } from './store.ts';
import { World } from './world.ts';
import type { Health, MemberSelector, Server } from './world.ts';

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
  readonly faults = new Faults<FaultEffect>();
  readonly #random: Random;
  readonly #initial: Settings;
  #settings: Settings;
  #store: Store;
  #world = new World();
  #buckets = new Buckets();
  #record = new CallRecord();
  #requests = 0;
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
    return describeAccount(this.#context(this.#store, this.clock.now()));
  }

  /** A server comes, changes its state, or is unknown again. */
  setServer(id: string, server: Server | undefined): void {
    if (server === undefined) this.#world.servers.delete(id);
    else this.#world.servers.set(id, server);
  }

  /** From now on the selected members answer like this. */
  setHealth(selector: MemberSelector, health: Health): void {
    this.#world.setHealth(selector, health);
  }

  /** `locked` for unpaid bills, `inactive`, or `active` again. Throws InvalidLoadBalancerId.NotFound. */
  setLoadBalancerStatus(id: string, status: LoadBalancerRecord['status']): void {
    const record = findLoadBalancer(this.#context(this.#store, this.clock.now()), id);
    this.#store.put({ ...record, status }, this.clock.now());
  }

  /** An id as the cloud gives to every request. */
  nextRequestId(): string {
    this.#requests += 1;
    return `00000000-0000-4000-8000-${String(this.#requests).padStart(12, '0')}`;
  }

  #describeCall(operation: string, input: object, by: string): IncomingCall {
    return { operation, input, mutating: simulatedOperations.get(operation)?.mutating ?? false, by };
  }

  #run(call: IncomingCall, effects: readonly FaultEffect[]): Outcome {
    const at = this.clock.now();
    const version = this.#store.version;
    const requestId = this.nextRequestId();
    for (const effect of effects) if (effect.kind === 'hook') effect.before?.(call);
    const outcome = this.#decide(call, effects, at, requestId);
    const kept = effects.map(lateOutcome).find((late) => late !== undefined);
    const told =
      kept !== undefined && (outcome.kind === 'answer' || outcome.kind === 'refusal') ? kept : outcome;
    this.#record.add(
      {
        at,
        operation: call.operation,
        input: call.input,
        mutating: call.mutating,
        by: call.by,
        ...(outcome.kind === 'answer' && { output: outcome.output }),
        ...(outcome.kind === 'refusal' && { error: plain(outcome.error) }),
        requestId,
        answered: told.kind === 'answer' || told.kind === 'refusal',
        faults: effects.map((effect) => effect.kind),
        touched: summarise(this.#store.changesSince(version)),
      },
      this.#settings.recordLimit,
    );
    for (const effect of effects) if (effect.kind === 'hook') effect.after?.(call);
    return told;
  }

  #decide(call: IncomingCall, effects: readonly FaultEffect[], at: number, requestId: string): Outcome {
    const early = effects
      .map((effect) => earlyOutcome(effect, requestId))
      .find((outcome) => outcome !== undefined);
    if (early !== undefined) return early;
    try {
      const output = { RequestId: requestId, ...this.#answer(call, effects, at) };
      return { kind: 'answer', output, requestId };
    } catch (error) {
      if (error instanceof CloudError) return { kind: 'refusal', error, requestId, retryAfterMs: undefined };
      throw error;
    }
  }

  #answer(call: IncomingCall, effects: readonly FaultEffect[], at: number): object {
    checkInput(call.operation, call.input);
    const operation = simulatedOperations.get(call.operation);
    if (operation === undefined)
      throw new CloudError('InvalidAction.NotFound', `${call.operation} is not simulated`);
    if (call.by !== BY_HAND) {
      this.#buckets.take(operation.mutating ? 'write' : 'read', this.#settings.throttling, at);
    }
    const { RegionId: region } = call.input as { readonly RegionId?: string };
    if (region !== undefined && region !== this.#settings.region) {
      throw new CloudError('InvalidRegionId.NotFound', `The region ${region} is not this one`);
    }
    const version = this.#store.version;
    const output = shorten(operation.run(this.#contextFor(call, effects, at), call.input), effects);
    for (const effect of effects) {
      if (effect.kind !== 'hide-created') continue;
      for (const { before, after } of this.#store.changesSince(version)) {
        if (before === undefined && after !== undefined) this.#world.hidden.set(after.id, at + effect.ms);
      }
    }
    return output;
  }

  #contextFor(call: IncomingCall, effects: readonly FaultEffect[], at: number): Context {
    if (call.mutating || call.by === BY_HAND) return this.#context(this.#store, at);
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
    return this.#context(this.#storeAt(Math.max(0, version)), now);
  }

  #storeAt(version: number): Store {
    if (version === this.#store.version) return this.#store;
    if (this.#past?.version !== version) this.#past = { version, store: this.#store.asOf(version) };
    return this.#past.store;
  }

  #context(store: Store, now: number): Context {
    return {
      now,
      wall: this.clock.wall(),
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
