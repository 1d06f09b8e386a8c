/**
 * The targets of one listener: how they do, and which one the next client gets.
 *
 * Health is learned from connections, and from probes only where it is not known: when a target is new, and while it
 * fails. A laptop at rest sends nothing. The API server is a last resort beside node ports: it costs more, and it
 * hides the client just as well.
 *
 * Invariants: a target that fails is chosen only when no other is left; a client with affinity keeps its target while
 * that is healthy.
 */
import type { Clock } from '../../../../src/core/clock.ts';
import type { TargetHealth } from '../../../../src/core/hand-over.ts';
import { targetKey, type ObservedTarget, type Target } from '../host.ts';
import type { Transport } from '../ports.ts';
import type { Network } from './network.ts';

const probeTimeoutMs = 1_500;
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;
const apiRetryMs = 5_000;
/** Port of kube-proxy's health check: whoever answers here, a refusal included, is there. */
const anyNodePort = 10_256;
/** Clients whose target is remembered, at most. */
const mostClients = 10_000;

export interface TargetsOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly protocol: Transport;
  /** Whether the Service has a pod that the API server could forward to; a reason where it has none. */
  readonly forwardable: () => string | undefined;
  /** A target changed its health. */
  readonly onChange: () => void;
}

interface Entry {
  readonly target: Target;
  health: TargetHealth;
  reason: string;
  retryMs: number;
  cancel: (() => void) | undefined;
  gone: boolean;
}

export class Targets {
  readonly #options: TargetsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #clients = new Map<string, { readonly key: string; readonly until: number }>();
  #affinityMs = 0;
  #turn = 0;

  constructor(options: TargetsOptions) {
    this.#options = options;
  }

  /** Milliseconds; 0: no affinity. */
  setAffinity(ms: number): void {
    this.#affinityMs = ms;
    if (ms === 0) this.#clients.clear();
  }

  add(targets: readonly Target[]): void {
    for (const target of targets) {
      const key = targetKey(target);
      if (this.#entries.has(key)) continue;
      const entry: Entry = {
        target,
        health: 'initial',
        reason: '',
        retryMs: firstRetryMs,
        cancel: undefined,
        gone: false,
      };
      this.#entries.set(key, entry);
      void this.#check(entry);
    }
  }

  remove(targets: readonly Target[]): void {
    for (const target of targets) {
      const key = targetKey(target);
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      entry.gone = true;
      entry.cancel?.();
      this.#entries.delete(key);
    }
  }

  has(target: Target): boolean {
    return this.#entries.has(targetKey(target));
  }

  /** Looks at every target again: after sleep, or when the network changed. */
  recheck(): void {
    for (const entry of this.#entries.values()) {
      entry.cancel?.();
      entry.retryMs = firstRetryMs;
      void this.#check(entry);
    }
  }

  close(): void {
    this.remove([...this.#entries.values()].map(({ target }) => target));
  }

  list(): readonly ObservedTarget[] {
    return [...this.#entries.values()]
      .map(({ target, health, reason }) => ({ target, health, reason }))
      .toSorted((a, b) => (targetKey(a.target) < targetKey(b.target) ? -1 : 1));
  }

  /**
   * The target for a client's next connection.
   *
   * @param tried keys of those that failed it just now.
   */
  choose(client: string, tried: ReadonlySet<string>): Target | undefined {
    const now = this.#options.clock.now();
    const kept = this.#affinityMs > 0 ? this.#clients.get(client) : undefined;
    if (kept !== undefined && kept.until > now && !tried.has(kept.key)) {
      const entry = this.#entries.get(kept.key);
      if (entry !== undefined && entry.health !== 'unhealthy') return this.#given(client, entry, now);
    }
    const left = [...this.#entries].filter(([key]) => !tried.has(key)).map(([, entry]) => entry);
    const nodes = left.filter(({ target }) => target.kind === 'node');
    const api = left.filter(({ target }) => target.kind === 'api');
    const tiers = [
      nodes.filter(({ health }) => health === 'healthy'),
      nodes.filter(({ health }) => health === 'initial'),
      api.filter(({ health }) => health !== 'unhealthy'),
      nodes,
      api,
    ];
    const tier = tiers.find(({ length }) => length > 0);
    if (tier === undefined) return undefined;
    this.#turn = (this.#turn + 1) % 0x7fff_ffff;
    const entry = tier[this.#turn % tier.length];
    return entry === undefined ? undefined : this.#given(client, entry, now);
  }

  worked(target: Target): void {
    const entry = this.#entries.get(targetKey(target));
    if (entry !== undefined && entry.health !== 'healthy') this.#becomes(entry, 'healthy', '');
  }

  failed(target: Target, reason: string): void {
    const entry = this.#entries.get(targetKey(target));
    if (entry === undefined) return;
    this.#becomes(entry, 'unhealthy', reason);
    this.#checkLater(entry);
  }

  #given(client: string, entry: Entry, now: number): Target {
    if (this.#affinityMs > 0) {
      this.#clients.delete(client);
      this.#clients.set(client, { key: targetKey(entry.target), until: now + this.#affinityMs });
      if (this.#clients.size > mostClients) {
        const [oldest] = this.#clients.keys();
        if (oldest !== undefined) this.#clients.delete(oldest);
      }
    }
    return entry.target;
  }

  #becomes(entry: Entry, health: TargetHealth, reason: string): void {
    if (entry.health === health && entry.reason === reason) return;
    entry.health = health;
    entry.reason = reason;
    if (health === 'healthy') entry.retryMs = firstRetryMs;
    this.#options.onChange();
  }

  #checkLater(entry: Entry): void {
    entry.cancel?.();
    // Of the API server nothing can be asked but whether there are pods: what failed is believed for a while.
    const ms = entry.target.kind === 'api' ? Math.max(entry.retryMs, apiRetryMs) : entry.retryMs;
    entry.cancel = this.#options.clock.schedule(ms, () => void this.#check(entry));
    entry.retryMs = Math.min(entry.retryMs * 2, longestRetryMs);
  }

  async #check(entry: Entry): Promise<void> {
    entry.cancel = undefined;
    const reason = await this.#ask(entry.target);
    if (entry.gone) return;
    this.#becomes(entry, reason === undefined ? 'healthy' : 'unhealthy', reason ?? '');
    if (reason !== undefined) this.#checkLater(entry);
  }

  /** @returns why it cannot serve. */
  async #ask(target: Target): Promise<string | undefined> {
    const { network, protocol, forwardable } = this.#options;
    if (target.kind === 'api') return forwardable();
    const { address, node, port } = target;
    const udp = protocol === 'UDP';
    const answer = await network.probe(address, udp ? anyNodePort : port, probeTimeoutMs);
    switch (answer.kind) {
      case 'open':
        return undefined;
      case 'refused':
        // Of a UDP port nobody says whether it is open; that the node answers is all that can be known.
        return udp ? undefined : `node ${node} refuses ${address}:${port}`;
      case 'unreachable':
        return `node ${node} (${address}) cannot be reached: ${answer.why}`;
    }
  }
}
