/**
 * The kernel of a simulated node and the announcer that keeps addresses in it: an address goes when its lifetime has
 * passed, whether or not the process that put it there still runs.
 */
import { sleep, type Clock } from '../../../src/core/clock.ts';
import type { Announcer, Holding, ProbeAnswer } from '../../../src/agent/announce/announcer.ts';
import { announceTimings } from '../../../src/agent/announce/timings.ts';

/** As the engine of the kernel asks again. */
const listenedMs = 25;

/** Addresses in a kernel, each until its lifetime ends. */
export class Kernel {
  readonly #clock: Clock;
  readonly #forever: boolean;
  readonly until = new Map<string, number>();
  up = true;

  constructor(clock: Clock, forever: boolean) {
    this.#clock = clock;
    this.#forever = forever;
  }

  has(address: string): boolean {
    const until = this.until.get(address);
    return this.up && until !== undefined && (this.#forever || until > this.#clock.now());
  }
}

export class Engine implements Pick<Announcer, 'links' | 'hold' | 'repeat' | 'probe' | 'stop'> {
  readonly #clock: Clock;
  readonly #kernel: Kernel;
  readonly #ask: (address: string) => boolean;
  readonly #mayRenew: () => boolean;
  #wanted: readonly Holding[] = [];
  #stopped = false;
  linkUp = true;

  constructor(clock: Clock, kernel: Kernel, ask: (address: string) => boolean, mayRenew: () => boolean) {
    this.#clock = clock;
    this.#kernel = kernel;
    this.#ask = ask;
    this.#mayRenew = mayRenew;
    this.#renew();
  }

  links(): ReturnType<Announcer['links']> {
    return [
      {
        name: 'eth0',
        mac: '02:00:00:00:00:01',
        up: this.linkUp,
        usable: true,
        networks: ['192.0.2.0/16'],
        defaultRoute: { ipv4: true, ipv6: true },
      },
    ];
  }

  async hold(holdings: readonly Holding[]): Promise<void> {
    await sleep(this.#clock, 5);
    if (this.#stopped) return;
    this.#wanted = holdings;
    const names = new Set(holdings.map(({ address }) => address));
    for (const address of this.#kernel.until.keys())
      if (!names.has(address)) this.#kernel.until.delete(address);
    for (const address of names) this.#kernel.until.set(address, this.#end());
  }

  repeat(): void {}

  async probe(address: string): Promise<ProbeAnswer> {
    await sleep(this.#clock, 1_000);
    return this.#ask(address) ? { kind: 'taken', mac: '02:00:00:00:00:99' } : { kind: 'free' };
  }

  async stop(how: 'release' | 'keep'): Promise<void> {
    this.#stopped = true;
    if (how === 'release') this.#kernel.until.clear();
  }

  /** What has run out is not put up again by renewing: only being told does that. */
  #renew(): void {
    const go = (): void => {
      if (this.#stopped) return;
      if (!this.#mayRenew()) {
        this.#clock.schedule(listenedMs, go);
        return;
      }
      for (const { address } of this.#wanted)
        if (this.#kernel.has(address)) this.#kernel.until.set(address, this.#end());
      this.#renew();
    };
    this.#clock.schedule(announceTimings.renewMs, go);
  }

  #end(): number {
    return this.#clock.now() + announceTimings.lifetimeMs;
  }
}
