/**
 * The health-check node ports of the Services: which are wished for, what each answers, and the listeners behind them.
 *
 * Invariants: no port of a family is opened before that family's rules are in the kernel, and no answer grows before the
 * rules that it speaks of are, so that no balancer is told to send traffic where nothing forwards it. An answer shrinks
 * at once.
 */
import type { IpFamily, ObjectKey } from '../../core/objects.ts';
import type { HealthCheck } from '../decide/facts.ts';
import type { Turned } from '../decide/turns.ts';
import type { NodeDecision } from '../decision.ts';
import { HealthListeners, type HealthPort, type ListenerOptions } from './listeners.ts';

export interface HealthChecksOptions extends Omit<ListenerOptions, 'ready'> {
  /** The first whole write of the family has succeeded. */
  readonly programmed: (family: IpFamily) => boolean;
  /** Calls back when all that is known now of the family is in the kernel; at once where it is already. */
  readonly whenWritten: (family: IpFamily, then: () => void) => void;
  readonly nodePortAddresses: (family: IpFamily) => NodeDecision['nodePortAddresses'];
}

export class HealthChecks {
  readonly #options: HealthChecksOptions;
  readonly #listeners: HealthListeners;
  /** What is decided, and what is answered until the rules for it are written. */
  readonly #decided = new Map<string, HealthCheck>();
  readonly #checks = new Map<string, HealthCheck>();

  constructor(options: HealthChecksOptions) {
    this.#options = options;
    this.#listeners = new HealthListeners({
      ...options,
      ready: (service, family) => this.#checks.get(checkKey(service, family))?.ready,
    });
  }

  /** Sockets that answer. */
  get listening(): number {
    return this.#listeners.listening;
  }

  /** Every port that is wished for. */
  ports(): ReadonlySet<number> {
    return new Set([...this.#checks.values()].map(({ port }) => port));
  }

  /** @returns whether a port came, went or moved: then `sync` is due. */
  turn(changes: Iterable<Turned<HealthCheck>>): boolean {
    let moved = false;
    for (const { before, after } of changes) {
      const of = after ?? before;
      if (of === undefined) continue;
      if (before?.port !== after?.port) moved = true;
      const key = checkKey(of.service, of.family);
      if (after === undefined) {
        this.#decided.delete(key);
        this.#checks.delete(key);
      } else this.#answer(key, after);
    }
    return moved;
  }

  #answer(key: string, check: HealthCheck): void {
    const ready = Math.min(check.ready, this.#checks.get(key)?.ready ?? 0);
    this.#decided.set(key, check);
    this.#checks.set(key, { ...check, ready });
    if (ready === check.ready) return;
    this.#options.whenWritten(check.family, () => {
      if (this.#decided.get(key) === check) this.#checks.set(key, check);
    });
  }

  sync(): void {
    const ports: HealthPort[] = [];
    for (const { service, family, port } of this.#checks.values()) {
      if (!this.#options.programmed(family)) continue;
      const addresses = this.#options.nodePortAddresses(family);
      const everywhere = family === 'IPv4' ? '0.0.0.0' : '::';
      ports.push({ service, family, port, addresses: addresses === 'all' ? [everywhere] : addresses });
    }
    this.#listeners.sync(ports);
  }

  async close(): Promise<void> {
    await this.#listeners.close();
  }
}

function checkKey(service: ObjectKey, family: IpFamily): string {
  return `${service} ${family}`;
}
