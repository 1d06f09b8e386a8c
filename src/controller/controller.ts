/**
 * The controller as one object: events go in, passes come out, one Service at a time.
 *
 * Its life: made with its doors, fed with events from the first list on, started when every list is
 * complete and the lease is held, stopped for good when the lease is lost or the process ends. Between
 * `start` and `stop` it is the only part that decides anything.
 */
import { bearsOurs } from '../core/conditions.ts';
import { claimOf, finalizer } from '../core/claim.ts';
import type { NodeObject, ObjectKey, ServiceObject } from '../core/objects.ts';
import { parsed } from '../core/parsed.ts';
import { WorkQueue } from '../core/queue.ts';
import { silent, type Telemetry } from '../core/telemetry.ts';
import type { Context } from './context.ts';
import { Drift } from './drift.ts';
import { Fanout } from './fanout.ts';
import { Memories, type ServiceMemory } from './memory.ts';
import { reconcile } from './reconcile.ts';

export interface ControllerParts extends Omit<Context, 'memories' | 'telemetry'> {
  /** Services worked on at once. */
  readonly workers: number;
  readonly telemetry?: Telemetry;
}

export class Controller {
  readonly #context: Context;
  readonly #queue: WorkQueue<ObjectKey>;
  readonly #fanout: Fanout;
  readonly #drift: Drift;
  readonly #abort = new AbortController();
  #started = false;
  /** The round of passes that follows a change of nodes: Services that still have to follow. */
  #round: { readonly since: number; readonly left: Set<ObjectKey>; failed: number } | undefined;

  constructor(parts: ControllerParts) {
    const memories = new Memories();
    const { workers, telemetry = silent, ...given } = parts;
    this.#context = { ...given, memories, telemetry };
    this.#queue = new WorkQueue<ObjectKey>({
      clock: parts.clock,
      random: parts.random,
      workers,
      work: (key, signal) => this.#pass(key, signal),
      lane: (key) => this.#lane(key),
      onPass: ({ key, outcome }) => this.#roundGoesOn(key, outcome.kind === 'retry'),
    });
    const wake = (key: ObjectKey, delayMs: number): void => {
      this.#queue.add(key, { delayMs });
    };
    this.#fanout = new Fanout({
      clock: parts.clock,
      view: parts.view,
      wake,
      forgive: (key) => this.#queue.forget(key),
      servedKeys: () => {
        const follows = new Set(
          [...parts.providers].flatMap(([name, { followsNodes }]) => (followsNodes === false ? [] : [name])),
        );
        return follows.size === 0
          ? []
          : [...memories.all()].flatMap(({ key, provider }) => (follows.has(provider) ? [key] : []));
      },
      onRound: (keys) => this.#roundBegins(keys),
    });
    this.#drift = new Drift({ context: this.#context, wake, signal: this.#abort.signal });
  }

  /** Feeds a change of a Service; `before` undefined on first sight, `after` undefined when it is gone. */
  serviceChanged(before: ServiceObject | undefined, after: ServiceObject | undefined): void {
    if (!this.#started) return;
    this.#fanout.service(before, after);
  }

  nodeChanged(before: NodeObject | undefined, after: NodeObject | undefined): void {
    if (!this.#started) return;
    this.#fanout.node(before, after);
  }

  slicesChanged(service: ObjectKey): void {
    if (!this.#started) return;
    this.#fanout.slices(service);
  }

  /**
   * Begins to work. Call once, when every list is complete and the lease is held: before that, a short
   * list would look like nodes gone.
   */
  start(): void {
    this.#started = true;
    this.#queue.start();
    for (const service of this.#context.view.services()) {
      if (this.#concerns(service)) this.#queue.add(service.key, { urgent: isUrgent(service) });
    }
    this.#drift.start();
  }

  /** Aborts what is under way, waits for it to end, and does nothing ever after. */
  async stop(reason: unknown = new Error('the controller stops')): Promise<void> {
    this.#started = false;
    this.#abort.abort(reason);
    this.#fanout.stop();
    this.#drift.stop();
    await this.#queue.stop(reason);
  }

  /** One survey of every provider now: for tests and for `sluice` commands. */
  async survey(): Promise<void> {
    for (const provider of this.#context.providers.values()) await this.#drift.surveyOnce(provider);
  }

  /** A provider saw something that concerns this Service: it is looked at live, soon. */
  look(key: ObjectKey, delayMs = 0): void {
    if (!this.#started) return;
    const memory = this.#context.memories.underKey(key);
    if (memory !== undefined) memory.liveDue = true;
    this.#queue.add(key, { delayMs });
  }

  /** For metrics and the debug endpoint. */
  get queue(): WorkQueue<ObjectKey> {
    return this.#queue;
  }

  /** What is remembered of a Service, for the debug endpoint. */
  memory(key: ObjectKey): ServiceMemory | undefined {
    return this.#context.memories.underKey(key);
  }

  async #pass(key: ObjectKey, signal: AbortSignal): ReturnType<typeof reconcile> {
    const known = this.#context.memories.underKey(key)?.owner.uid;
    const outcome = await reconcile(this.#context, key, signal);
    const now = this.#context.memories.underKey(key)?.owner.uid;
    if (now !== undefined && now !== known) this.#drift.follow(key, now);
    return outcome;
  }

  #roundBegins(keys: readonly ObjectKey[]): void {
    if (keys.length > 0) this.#round = { since: this.#context.clock.now(), left: new Set(keys), failed: 0 };
  }

  #roundGoesOn(key: ObjectKey, failed: boolean): void {
    const round = this.#round;
    if (!round?.left.delete(key)) return;
    if (failed) round.failed += 1;
    if (round.left.size > 0) return;
    this.#round = undefined;
    this.#context.telemetry.nodeSync(this.#context.clock.now() - round.since, round.failed);
  }

  #lane(key: ObjectKey): string | undefined {
    const service = this.#context.view.service(key);
    if (!service) return undefined;
    const claim = claimOf(service, this.#context.options.claim);
    if (claim.kind !== 'ours') return undefined;
    const provider = this.#context.providers.get(claim.provider);
    return provider === undefined ? undefined : provider.lane(parsed(provider, service).settings, service);
  }

  #concerns(service: ServiceObject): boolean {
    if (bearsOurs(service.conditions)) return true;
    return service.type === 'LoadBalancer' || service.finalizers.includes(finalizer);
  }
}

/** Clean-ups and newcomers go before Services that only need a check. */
function isUrgent(service: ServiceObject): boolean {
  return service.deleting || service.type !== 'LoadBalancer' || service.ingress.length === 0;
}
