/**
 * The health-check node ports of the Services: which are wished for, what each answers, and the listeners behind them.
 *
 * Invariant: no port of a family is opened before that family's rules are in the kernel, so that no balancer is told
 * to send traffic where nothing forwards it.
 */
import type { IpFamily, ObjectKey } from '../../core/objects.ts';
import type { HealthCheck } from '../decide/facts.ts';
import type { Turned } from '../decide/turns.ts';
import type { NodeDecision } from '../decision.ts';
import { HealthListeners, type HealthPort, type ListenerOptions } from './listeners.ts';

export interface HealthChecksOptions extends Omit<ListenerOptions, 'ready'> {
  /** The first whole write of the family has succeeded. */
  readonly programmed: (family: IpFamily) => boolean;
  readonly nodePortAddresses: (family: IpFamily) => NodeDecision['nodePortAddresses'];
}

export class HealthChecks {
  readonly #options: HealthChecksOptions;
  readonly #listeners: HealthListeners;
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
      if (after === undefined) this.#checks.delete(checkKey(of.service, of.family));
      else this.#checks.set(checkKey(of.service, of.family), after);
    }
    return moved;
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
