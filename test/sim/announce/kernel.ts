/**
 * The kernel of a simulated node and the announcer that keeps addresses in it: an address goes when its lifetime has
 * passed, whether or not the process that put it there still runs.
 */
import { sleep, type Clock, type Random } from '../../../src/core/clock.ts';
import type { Announcer, Holding, ProbeAnswer } from '../../../src/agent/announce/announcer.ts';
import { readArp } from '../../../src/agent/announce/kernel/arp.ts';
import { Herald } from '../../../src/agent/announce/kernel/herald.ts';
import { addressBytes, macBytes } from '../../../src/agent/announce/kernel/wire.ts';
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

export interface EngineOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly kernel: Kernel;
  /** Somebody else answers for the address. */
  readonly ask: (address: string) => boolean;
  readonly mayRenew: () => boolean;
  /** The neighbours are told that the address is this node's. */
  readonly claim: (address: string) => void;
}

const mac = '02:00:00:00:00:01';

export class Engine implements Pick<Announcer, 'links' | 'hold' | 'repeat' | 'probe' | 'stop'> {
  readonly #clock: Clock;
  readonly #kernel: Kernel;
  readonly #ask: (address: string) => boolean;
  readonly #mayRenew: () => boolean;
  readonly #herald: Herald;
  #wanted: ReadonlySet<string> = new Set();
  /** What it believes to be in the kernel: it learns at a renewal that an address has gone. */
  readonly #up = new Set<string>();
  #stopped = false;
  linkUp = true;

  constructor({ clock, random, kernel, ask, mayRenew, claim }: EngineOptions) {
    this.#clock = clock;
    this.#kernel = kernel;
    this.#ask = ask;
    this.#mayRenew = mayRenew;
    this.#herald = new Herald({
      clock,
      random,
      where: (address) =>
        this.#up.has(address) && this.#wanted.has(address)
          ? { address: addressBytes(address), link: 1, mac: macBytes(mac) }
          : undefined,
      send: (_, frame) => claim([...(readArp(frame)?.senderIp ?? [])].join('.')),
      mayTell: mayRenew,
    });
    this.#renew();
  }

  links(): ReturnType<Announcer['links']> {
    return [
      {
        name: 'eth0',
        mac,
        up: this.linkUp,
        usable: true,
        networks: ['192.0.2.0/16'],
        defaultRoute: { ipv4: true, ipv6: true },
      },
    ];
  }

  async hold(holdings: readonly Holding[]): Promise<void> {
    const names = new Set(holdings.map(({ address }) => address));
    // What it is to hold it knows at once; the kernel is a little slower.
    this.#wanted = names;
    // Whatever ran out while the process stood still does not stand any more.
    for (const address of this.#up) if (!this.#kernel.has(address)) this.#fell(address);
    await sleep(this.#clock, 5);
    if (this.#stopped || this.#wanted !== names) return;
    const fresh = [...names].filter((address) => !this.#up.has(address));
    for (const address of this.#up) if (!names.has(address)) this.#fell(address);
    for (const address of this.#kernel.until.keys())
      if (!names.has(address)) this.#kernel.until.delete(address);
    for (const address of names) {
      this.#kernel.until.set(address, this.#end());
      this.#up.add(address);
    }
    this.#herald.tell(fresh);
  }

  repeat(addresses: readonly string[]): void {
    this.#herald.tell(addresses.filter((address) => this.#up.has(address)));
  }

  #fell(address: string): void {
    this.#up.delete(address);
    this.#herald.stop(address);
  }

  async probe(address: string): Promise<ProbeAnswer> {
    await sleep(this.#clock, 1_000);
    return this.#ask(address) ? { kind: 'taken', mac: '02:00:00:00:00:99' } : { kind: 'free' };
  }

  async stop(how: 'release' | 'keep'): Promise<void> {
    this.#stopped = true;
    this.#herald.end();
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
      for (const address of this.#wanted) {
        if (this.#kernel.has(address)) this.#kernel.until.set(address, this.#end());
        else this.#fell(address);
      }
      this.#renew();
    };
    this.#clock.schedule(announceTimings.renewMs, go);
  }

  #end(): number {
    return this.#clock.now() + announceTimings.lifetimeMs;
  }
}
