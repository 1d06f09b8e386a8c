/**
 * One UDP port: datagrams of each client go to one target by a socket of their own, so that answers find back.
 *
 * Invariants: at most `mostFlows` flows, the one that was silent longest goes first; a flow ends when it was silent
 * for as long as the kernel's conntrack would keep it (30 s before the first answer, 120 s after), or when its target
 * is taken away or refuses.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { BlockList } from 'node:net';
import type { Clock } from '../../../../src/core/clock.ts';
import type { Target } from '../host.ts';
import { closeQuietly, familyOf, type Network, type OpenUdpPort } from './network.ts';
import type { Targets } from './targets.ts';
import { isAllowed, type Counters } from './tcp.ts';

const mostFlows = 4_096;
const unansweredMs = 30_000;
const answeredMs = 120_000;
const sweepMs = 5_000;
/** Datagrams that wait while a flow's socket comes up. */
const mostWaiting = 64;

export interface UdpPortOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly address: string;
  readonly listenPort: number;
  readonly targets: Targets;
  readonly allowed: () => BlockList | undefined;
  readonly count: Counters;
  readonly onLost: (error: Error) => void;
}

interface Flow {
  readonly target: Extract<Target, { kind: 'node' }>;
  readonly socket: Socket;
  /** Undefined once the socket is connected. */
  waiting: Buffer[] | undefined;
  answered: boolean;
  lastAt: number;
  failed: boolean;
}

export class UdpPort {
  readonly #options: UdpPortOptions;
  /** In the order of their last datagram. */
  readonly #flows = new Map<string, Flow>();
  #port: OpenUdpPort | undefined;
  #cancelSweep: (() => void) | undefined;

  private constructor(options: UdpPortOptions) {
    this.#options = options;
  }

  static async open(options: UdpPortOptions): Promise<UdpPort> {
    const port = new UdpPort(options);
    port.#port = await options.network.listenUdp(
      options.address,
      options.listenPort,
      (data, fromPort, from) => port.#take(data, fromPort, from),
      options.onLost,
    );
    return port;
  }

  close(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#port?.close();
    for (const name of this.#flows.keys()) this.#end(name);
  }

  /** Targets were taken away: their flows end, and the next datagram finds another one. */
  targetsChanged(): void {
    for (const [name, { target }] of this.#flows) if (!this.#options.targets.has(target)) this.#end(name);
  }

  #take(data: Buffer, port: number, from: string): void {
    const { allowed, count, clock } = this.#options;
    if (!isAllowed(allowed(), from)) {
      count.refused += 1;
      return;
    }
    const name = `${from} ${port}`;
    const flow = this.#flows.get(name) ?? this.#begin(name, from, port);
    if (flow === undefined) {
      count.failed += 1;
      return;
    }
    this.#flows.delete(name);
    this.#flows.set(name, flow);
    flow.lastAt = clock.now();
    if (flow.waiting === undefined) flow.socket.send(data, () => undefined);
    else if (flow.waiting.length < mostWaiting) flow.waiting.push(data);
  }

  #begin(name: string, from: string, port: number): Flow | undefined {
    const { targets, count, clock } = this.#options;
    const target = targets.choose(from, new Set());
    if (target?.kind !== 'node') return undefined;
    if (this.#flows.size >= mostFlows) {
      const [oldest] = this.#flows.keys();
      if (oldest !== undefined) this.#end(oldest);
    }
    const socket = createSocket(familyOf(target.address));
    const flow: Flow = { target, socket, waiting: [], answered: false, lastAt: clock.now(), failed: false };
    count.open += 1;
    count.total += 1;
    // A refusal comes back as an error of the connected socket.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (flow.failed) return;
      flow.failed = true;
      targets.failed(
        target,
        error.code === 'ECONNREFUSED'
          ? `node ${target.node} refuses ${target.address}:${target.port}/UDP`
          : `node ${target.node} (${target.address}) cannot be reached: ${error.code ?? error.message}`,
      );
      if (this.#flows.get(name) === flow) this.#end(name);
    });
    socket.on('message', (data) => {
      if (!flow.answered) {
        flow.answered = true;
        targets.worked(target);
      }
      flow.lastAt = clock.now();
      this.#port?.send(data, port, from);
    });
    socket.connect(target.port, target.address, () => {
      for (const data of flow.waiting ?? []) socket.send(data, () => undefined);
      flow.waiting = undefined;
    });
    this.#flows.set(name, flow);
    this.#cancelSweep ??= clock.schedule(sweepMs, () => this.#sweep());
    return flow;
  }

  #end(name: string): void {
    const flow = this.#flows.get(name);
    if (flow === undefined) return;
    this.#flows.delete(name);
    this.#options.count.open -= 1;
    closeQuietly(flow.socket);
  }

  #sweep(): void {
    const now = this.#options.clock.now();
    for (const [name, { answered, lastAt }] of this.#flows) {
      if (now - lastAt >= (answered ? answeredMs : unansweredMs)) this.#end(name);
    }
    this.#cancelSweep =
      this.#flows.size === 0 ? undefined : this.#options.clock.schedule(sweepMs, () => this.#sweep());
  }
}
