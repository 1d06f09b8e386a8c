/**
 * What is true of Services and nodes, and since when: so that the monitor can tell what the controller must know
 * from what it could not know yet.
 *
 * Facts are words joined by bars: `<uid>|ours`, `<uid>|held`, `<uid>|listener|80|TCP`, `<uid>|target|i-1|30080`,
 * `<uid>|unwanted|i-1|30080` (a target that was wanted once), `instance|i-1` (a node stands on it).
 */
import type { VirtualClock } from '../support/virtual-clock.ts';
import type { ApiServer } from './api-server.ts';
import type { Cloud } from './cloud.ts';
import { instanceOf } from './people.ts';
import { truthOf, type ServiceTruth } from './truth.ts';

export class Facts {
  readonly #clock: VirtualClock;
  readonly #server: ApiServer;
  readonly #cloud: Cloud;
  /** UIDs whose finalizer was stored at some time. */
  readonly #finalized = new Set<string>();
  /** Instance → since when its targets fail their checks. */
  readonly #illSince = new Map<string, number>();
  /** Fact → since when it has been true without a break. */
  #since = new Map<string, number>();
  #truths: ReadonlyMap<string, ServiceTruth> = new Map();

  constructor(clock: VirtualClock, server: ApiServer, cloud: Cloud) {
    this.#clock = clock;
    this.#server = server;
    this.#cloud = cloud;
    for (const kind of ['services', 'nodes', 'endpointslices'] as const)
      server.listen(kind, () => this.#refresh());
  }

  get truths(): ReadonlyMap<string, ServiceTruth> {
    return this.#truths;
  }

  wasFinalized(uid: string): boolean {
    return this.#finalized.has(uid);
  }

  has(fact: string): boolean {
    return this.#since.has(fact);
  }

  /** For how long it has been true, in milliseconds; undefined when it is not. */
  age(fact: string): number | undefined {
    const since = this.#since.get(fact);
    return since === undefined ? undefined : this.#clock.now() - since;
  }

  /** It is true, and has been for so long that the controller must know. */
  old(fact: string, lagMs: number): boolean {
    const age = this.age(fact);
    return age !== undefined && age > lagMs;
  }

  /** The targets on this instance pass their checks from now on, or fail them. */
  healthChanged(instance: string, healthy: boolean): void {
    if (healthy) this.#illSince.delete(instance);
    else if (!this.#illSince.has(instance)) this.#illSince.set(instance, this.#clock.now());
  }

  /** For how long targets on the instance have failed their checks; undefined when they pass. */
  illFor(instance: string): number | undefined {
    const since = this.#illSince.get(instance);
    return since === undefined ? undefined : this.#clock.now() - since;
  }

  #refresh(): void {
    const before = this.#truths;
    this.#truths = truthOf(this.#server, this.#cloud);
    const facts = new Map<string, number>();
    const note = (fact: string): void => {
      facts.set(fact, this.#since.get(fact) ?? this.#clock.now());
    };
    for (const node of this.#server.all('nodes')) {
      const instance = instanceOf(node);
      if (instance !== undefined) note(`instance|${instance}`);
    }
    for (const truth of this.#truths.values()) {
      const { uid } = truth;
      if (truth.finalized) this.#finalized.add(uid);
      if (!truth.ours) continue;
      note(`${uid}|ours`);
      if (truth.held) note(`${uid}|held`);
      for (const { port, protocol, nodePort } of truth.listeners) {
        note(`${uid}|listener|${port}|${protocol}`);
        for (const instance of truth.targets.keys()) note(`${uid}|target|${instance}|${nodePort}`);
      }
    }
    // What was wanted once and is no more, as long as its Service is there.
    for (const fact of this.#since.keys()) {
      const [uid = '', kind, ...rest] = fact.split('|');
      if (!this.#truths.get(uid)?.ours) continue;
      const target = rest.join('|');
      if (kind === 'target' && !facts.has(fact)) note(`${uid}|unwanted|${target}`);
      else if (kind === 'unwanted' && !facts.has(`${uid}|target|${target}`)) note(fact);
    }
    this.#since = facts;
    // A Service that was finalized when it went must be remembered as such.
    for (const truth of before.values()) if (truth.finalized) this.#finalized.add(truth.uid);
  }
}
