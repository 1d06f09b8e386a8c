/**
 * Everything together: the API server, the account, the processes, the clock, and who watches over them.
 *
 * All chance comes from one seed, in separate streams for what must not disturb each other.
 */
import { seededRandom, type Random } from '../../src/core/clock.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import type { ApiCall, ApiFault, Wire } from './api-client.ts';
import { ApiServer } from './api-server.ts';
import type { Cloud, SimAccount } from './cloud.ts';
import type { Surroundings } from './events.ts';
import { Monitor } from './monitor.ts';
import { People } from './people.ts';
import { Process, type Plants } from './process.ts';

/** A fault of the API that stands until its time or its number of hits is over. */
interface StandingApiFault {
  readonly hits: (call: Omit<ApiCall, 'at' | 'code' | 'body'>) => boolean;
  readonly fault: ApiFault;
  left: number;
  /** Requests to let pass first. */
  skip: number;
  readonly onHit?: () => void;
  /** It has still to fall, also when all else has ceased: a sweep's. */
  readonly due?: true;
}

/** Of the order in the account by which a sweep deals its blow. */
export const blowId = 'blow';

export interface WorldOptions {
  readonly cloud: Cloud;
  readonly seed: number;
  readonly surroundings: Surroundings;
  readonly plants?: Plants;
  /** Check every cloud request and answer against the published schema: sure, and slow. */
  readonly checkSchema?: boolean;
  readonly onApiCall?: (call: ApiCall) => void;
  /** Told of every call and violation, one line each. */
  readonly trace?: (line: string) => void;
}

/** A place for a process: what dies in it is replaced after a while. */
interface Slot {
  process: Process | undefined;
  restart: (() => void) | undefined;
}

/** Watch delay, gathering of bursts, one pass and its calls: what a picture may be behind by in calm times. */
const calmLagMs = 15_000;
const disturbedLagMs = 240_000;
/** From a live look to the call that follows from it. */
const liveLagMs = 5_000;

export class World {
  readonly clock: VirtualClock;
  readonly server: ApiServer;
  readonly cloud: Cloud;
  readonly account: SimAccount;
  readonly people: People;
  readonly monitor: Monitor;
  readonly surroundings: Surroundings;
  readonly slots: Slot[] = [];
  apiFaults: StandingApiFault[] = [];
  /** Writes of processes to API objects, for messages: `PATCH services/status of shop/web`. */
  readonly apiWrites: string[] = [];
  /** Kinds of what happened, for the count. */
  readonly happened = new Map<string, number>();
  /** Events and a sweep's blows so far. */
  blows = 0;
  /** Until then reads of a starting process come from this version. */
  lag: { version: number; untilMs: number } | undefined;
  /** Asked before each call that a process sends to the cloud. */
  beforeCloudCall: (() => void) | undefined;
  /** A watch event was never told: only the next list, about an hour later, brings it. */
  missed = false;
  /** Death of a process at its nth mutating cloud call from now. */
  cloudDeath: { nth: number; when: 'before' | 'after'; downMs: number } | undefined;
  readonly #options: WorldOptions;
  readonly #ends = new Set<() => void>();
  readonly #random: Random;
  #born = 0;
  #disturbedUntil = 0;
  #slowUntil = 0;
  #liedUntil = Number.NEGATIVE_INFINITY;
  #downMs = 0;
  #ended = false;

  constructor(options: WorldOptions) {
    const { seed, surroundings, cloud } = options;
    this.cloud = cloud;
    this.#options = options;
    this.surroundings = surroundings;
    this.#random = seededRandom(seed ^ 0x5eed);
    this.clock = new VirtualClock({ random: seededRandom(seed ^ 0x0c10), limit: 400_000 });
    this.server = new ApiServer(() => this.clock.wall());
    this.account = cloud.open({
      clock: this.clock,
      random: seededRandom(seed ^ 0xacc7),
      surroundings,
      checkSchema: options.checkSchema ?? false,
    });
    this.people = new People(this.server, (number) => cloud.rules.providerID(number));
    this.#traceCalls();
    this.monitor = new Monitor({
      clock: this.clock,
      server: this.server,
      cloud,
      account: this.account,
      lagMs: () => (this.clock.now() < this.#disturbedUntil ? disturbedLagMs : calmLagMs),
      liveLagMs: () => (this.clock.now() < this.#slowUntil ? disturbedLagMs : liveLagMs),
      liedTo: () => this.clock.now() < this.#liedUntil,
      trace: (line) => this.trace(line),
    });
    for (let i = 0; i < surroundings.nodes; i += 1) this.people.joinNode();
    for (let i = 0; i < surroundings.replicas; i += 1) {
      const slot: Slot = { process: undefined, restart: undefined };
      this.slots.push(slot);
      this.#startIn(slot);
    }
  }

  get random(): Random {
    return this.#random;
  }

  /** What happens now may delay the controller for so long, and a while after. */
  disturb(ms: number): void {
    this.#disturbedUntil = Math.max(this.#disturbedUntil, this.clock.now() + ms + disturbedLagMs);
  }

  /** Calls may take long, or be repeated: for so long, and a while after. */
  slow(ms: number): void {
    this.disturb(ms);
    this.#slowUntil = Math.max(this.#slowUntil, this.clock.now() + ms + disturbedLagMs);
  }

  /** What happens now ends by itself after `ms`, or when faults cease. Its end is an event of its own. */
  during(ms: number, end: () => void): void {
    this.slow(ms);
    const once = (): void => {
      if (!this.#ends.delete(once)) return;
      this.monitor.eventHappened();
      end();
    };
    this.#ends.add(once);
    this.clock.schedule(ms, once);
  }

  endAll(): void {
    for (const end of this.#ends) end();
  }

  /** Reads may be wrong for so long; what was believed of them is found out by the surveys after. */
  lie(ms: number): void {
    this.disturb(ms);
    this.#liedUntil = Math.max(this.#liedUntil, this.clock.now() + ms + disturbedLagMs);
  }

  processes(): readonly Process[] {
    return this.slots.map(({ process }) => process).filter((process) => process !== undefined);
  }

  leader(): Process | undefined {
    return this.processes().find(({ leads }) => leads) ?? this.processes()[0];
  }

  /** Kills a process; another takes its place. */
  crash(process: Process | undefined, downMs: number): void {
    const slot = this.slots.find((one) => one.process === process);
    if (process === undefined || slot === undefined) return;
    process.kill();
    this.#replace(slot, downMs);
  }

  /** Stops a process in an orderly way; another takes its place. */
  restart(process: Process | undefined, downMs: number): void {
    if (process === undefined) return;
    this.#downMs = downMs;
    process.stop();
  }

  /** Every process runs again, at once. */
  revive(): void {
    for (const slot of this.slots) {
      slot.process?.life.thaw(this.clock);
      if (slot.process === undefined || slot.process.life.state === 'dead') this.#startIn(slot);
    }
  }

  /** All processes die and start anew: with nothing remembered. */
  coldRestart(): void {
    for (const slot of this.slots) {
      slot.process?.kill();
      this.#startIn(slot);
    }
  }

  /** The world is over: nothing runs any more. */
  end(): void {
    this.#ended = true;
    for (const { process, restart } of this.slots) {
      restart?.();
      process?.kill();
    }
  }

  #replace(slot: Slot, downMs: number): void {
    slot.process = undefined;
    slot.restart?.();
    slot.restart = this.clock.schedule(downMs, () => {
      if (slot.process === undefined) this.#startIn(slot);
    });
  }

  #startIn(slot: Slot): void {
    if (this.#ended) return;
    slot.restart?.();
    slot.restart = undefined;
    this.#born += 1;
    const name = `p${this.#born}`;
    const process: Process = new Process({
      clock: this.clock,
      server: this.server,
      cloud: this.cloud,
      account: this.account,
      name,
      seed: Math.floor(this.#random() * 2 ** 32),
      wire: this.#wire(() => process),
      cloudFault: (mutating) => this.#cloudDeathFor(slot, mutating),
      onCloudWrite: (operation) => this.#checkHolder(name, operation),
      plants: this.#options.plants ?? {},
      onEnd: (error) => {
        if (this.#ended || slot.process !== process) return;
        if (error !== undefined) this.monitor.report('crash', `${name} ended: ${describeError(error)}`);
        this.#replace(slot, this.#downMs);
      },
    });
    slot.process = process;
    process.start();
  }

  #wire(process: () => Process): Wire {
    const { apiLatencyMs, watchDelayMs } = this.surroundings;
    return {
      faultFor: (call) => this.#apiFaultFor(call),
      record: (call) => {
        this.monitor.apiCall(call);
        if (call.write && !call.resource.startsWith('leases'))
          this.apiWrites.push(`${call.method} ${call.resource} of ${call.service} (${call.code})`);
        this.#options.onApiCall?.(call);
        if (!call.resource.startsWith('leases'))
          this.trace(
            `${call.by} ${call.method} ${call.path} → ${call.code}`,
            call.write ? call.body : undefined,
          );
      },
      latencyMs: () => apiLatencyMs * (0.5 + this.#random()),
      watchDelayMs: () => watchDelayMs * (0.5 + this.#random()),
      lag: () => (this.lag && this.clock.now() < this.lag.untilMs ? this.lag : undefined),
      onCrash: () => this.crash(process(), this.#downMs),
    };
  }

  #apiFaultFor(call: Omit<ApiCall, 'at' | 'code' | 'body'>): ApiFault | undefined {
    const index = this.apiFaults.findIndex((standing) => standing.hits(call));
    const standing = this.apiFaults[index];
    if (standing === undefined) return undefined;
    if (standing.skip > 0) {
      standing.skip -= 1;
      return undefined;
    }
    standing.onHit?.();
    standing.left -= 1;
    if (standing.left <= 0) this.apiFaults.splice(index, 1);
    if (standing.fault.kind === 'crash') this.#downMs = 2_000;
    return standing.fault;
  }

  #cloudDeathFor(slot: Slot, mutating: boolean): 'before' | 'after' | undefined {
    this.beforeCloudCall?.();
    const death = this.cloudDeath;
    if (!mutating || death === undefined) return undefined;
    death.nth -= 1;
    if (death.nth > 0) return undefined;
    this.cloudDeath = undefined;
    this.disturb(death.downMs + 60_000);
    this.#noteDeath(slot, death.downMs);
    return death.when;
  }

  /** The process kills itself at the call; its place is filled when the call is surely over. */
  #noteDeath(slot: Slot, downMs: number): void {
    const { process } = slot;
    const look = (): void => {
      if (slot.process !== process) return;
      if (process?.life.state === 'dead') this.#replace(slot, downMs);
      else this.clock.schedule(100, look);
    };
    this.clock.schedule(0, look);
  }

  trace(what: string, more?: unknown): void {
    const { trace } = this.#options;
    if (trace === undefined) return;
    const text = more === undefined ? '' : ` ${JSON.stringify(more)}`;
    trace(`${Math.round(this.clock.now())} ms  ${what}${text.slice(0, 600)}`);
  }

  #traceCalls(): void {
    if (this.#options.trace === undefined) return;
    let seq = 0;
    const after = (): void => {
      for (const call of this.account.calls(seq)) {
        seq = call.seq;
        const answer = call.refusal ?? (call.answered ? 'ok' : 'no answer');
        this.trace(`${call.by} ${call.operation} → ${answer}`, call.input);
      }
    };
    this.account.faults.order({ id: 'trace', times: 'until-cleared', effect: { kind: 'hook', after } });
  }

  #checkHolder(name: string, operation: string): void {
    const lease = this.server.get('leases', 'sluice-system/sluice-controller') as
      | { spec?: { holderIdentity?: string } }
      | undefined;
    const holder = lease?.spec?.holderIdentity;
    if (holder !== name)
      this.monitor.report('L', `${name} sends ${operation} while the lease is held by ${holder || 'nobody'}`);
  }
}

export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error);
}
