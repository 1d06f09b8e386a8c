/**
 * From events to keys: which Services have to look again when something changed.
 *
 * Costs nothing for what does not matter (item 7, 11, 12 of the AWS notes): heartbeats, labels, other
 * people's annotations and our own status writes wake nobody. Bursts are gathered: a thousand node events
 * become a few rounds, not a thousand.
 */
import type { Clock } from '../core/clock.ts';
import { nodesWithEndpoints } from '../core/endpoints.ts';
import type { NodeName, NodeObject, ObjectKey, ServiceObject } from '../core/objects.ts';
import { endpointsMatter, nodeMatters, serviceMatters } from '../core/service-diff.ts';
import type { ClusterView } from './cluster.ts';

/** A lone node event is followed at once; in a burst, rounds start no more often than this. */
const nodeRoundMs = 2_000;
const nodeGatherMs = 50;
/** Endpoint bursts of one Service are gathered for this long (item 41.5). */
const endpointGatherMs = 1_000;

export interface Wake {
  /** The Service has to look again, after `delayMs` or as soon as a worker is free. */
  (key: ObjectKey, delayMs: number): void;
}

export class Fanout {
  readonly #clock: Clock;
  readonly #view: ClusterView;
  readonly #wake: Wake;
  /** The user changed the Service: earlier failures count no more, so a mended typo is not kept waiting. */
  readonly #forgive: (key: ObjectKey) => void;
  /** Keys whose targets follow the nodes: those of Services that we serve. */
  readonly #servedKeys: () => Iterable<ObjectKey>;
  readonly #endpoints = new Map<ObjectKey, ReadonlyMap<NodeName, number>>();
  /** Told which keys a round wakes. */
  readonly #onRound: (keys: readonly ObjectKey[]) => void;
  #lastRound = Number.NEGATIVE_INFINITY;
  #roundDue: (() => void) | undefined;

  constructor(parts: {
    clock: Clock;
    view: ClusterView;
    wake: Wake;
    forgive: (key: ObjectKey) => void;
    servedKeys: () => Iterable<ObjectKey>;
    onRound: (keys: readonly ObjectKey[]) => void;
  }) {
    this.#clock = parts.clock;
    this.#view = parts.view;
    this.#wake = parts.wake;
    this.#forgive = parts.forgive;
    this.#servedKeys = parts.servedKeys;
    this.#onRound = parts.onRound;
  }

  /** `before` undefined: seen for the first time; `after` undefined: gone. */
  service(before: ServiceObject | undefined, after: ServiceObject | undefined): void {
    const key = (after ?? before)?.key;
    if (key === undefined) return;
    if (after === undefined) this.#endpoints.delete(key);
    if (
      before === undefined ||
      after === undefined ||
      before.uid !== after.uid ||
      serviceMatters(before, after)
    ) {
      this.#forgive(key);
      this.#wake(key, 0);
    }
  }

  node(before: NodeObject | undefined, after: NodeObject | undefined): void {
    if (before && after && !nodeMatters(before, after)) return;
    if (this.#roundDue) return;
    const sinceLast = this.#clock.now() - this.#lastRound;
    this.#roundDue = this.#clock.schedule(Math.max(nodeGatherMs, nodeRoundMs - sinceLast), () =>
      this.#round(),
    );
  }

  #round(): void {
    this.#roundDue = undefined;
    this.#lastRound = this.#clock.now();
    const keys = [...this.#servedKeys()];
    this.#onRound(keys);
    for (const key of keys) this.#wake(key, 0);
  }

  /** Some slice of this Service changed, came or went. */
  slices(key: ObjectKey): void {
    const service = this.#view.service(key);
    if (service?.type !== 'LoadBalancer' || service.externalTrafficPolicy !== 'Local') {
      // What was known of it grows old unseen; should the policy come back, the next change counts.
      this.#endpoints.delete(key);
      return;
    }
    const before = this.#endpoints.get(key);
    const after = nodesWithEndpoints(this.#view.slices(key));
    this.#endpoints.set(key, after);
    if (before === undefined || endpointsMatter(before, after)) this.#wake(key, endpointGatherMs);
  }

  stop(): void {
    this.#roundDue?.();
    this.#roundDue = undefined;
  }
}
