/**
 * What neighbours say about addresses: questions for one that we hold are counted, claims to one that we hold are told,
 * answers to a probe go to who waits for them. A frame that bears a MAC of this node is our own, on its way back.
 */
import type { Clock } from '../../../core/clock.ts';
import type { AnnouncerEvents } from '../announcer.ts';
import { readArp } from './arp.ts';
import { readDiscovery } from './neighbours6.ts';
import { keyOf, macText } from './wire.ts';

export interface EarsOptions {
  readonly clock: Clock;
  readonly events: Pick<AnnouncerEvents, 'asked' | 'contested'>;
  /** The text of an address that we hold on this link. */
  readonly heldOn: (key: string, link: number) => string | undefined;
  readonly isOwnMac: (mac: Buffer) => boolean;
}

interface Probe {
  readonly key: string;
  readonly link: number;
  answered(mac: string): void;
}

/** One contest is told so often at most, however often the other repeats himself. */
const contestedEveryMs = 1_000;
const unspecified4 = '\0'.repeat(4);
const unspecified6 = '\0'.repeat(16);

export class Ears {
  readonly #options: EarsOptions;
  readonly #probes = new Set<Probe>();
  readonly #asked = new Map<string, number>();
  readonly #contested = new Map<string, number>();

  constructor(options: EarsOptions) {
    this.#options = options;
  }

  arp(frame: Buffer, link: number): void {
    const arp = readArp(frame);
    if (arp === undefined || this.#options.isOwnMac(arp.senderMac)) return;
    const sender = keyOf(arp.senderIp);
    const target = keyOf(arp.targetIp);
    if (sender !== unspecified4) this.#claimed(sender, link, arp.senderMac);
    if (arp.kind === 'request' && target !== sender) this.#question(target, link);
  }

  discovery(frame: Buffer, link: number): void {
    const said = readDiscovery(frame);
    if (said === undefined || this.#options.isOwnMac(said.sourceMac)) return;
    const source = keyOf(said.source);
    const target = keyOf(said.target);
    if (said.kind === 'advertisement') this.#claimed(target, link, said.sourceMac);
    else {
      if (source !== unspecified6) this.#claimed(source, link, said.sourceMac);
      this.#question(target, link);
    }
  }

  /** Hears answers from now on; the returned function ends that. */
  probe(key: string, link: number, answered: (mac: string) => void): () => void {
    const probe: Probe = { key, link, answered };
    this.#probes.add(probe);
    return () => this.#probes.delete(probe);
  }

  /** Tells the questions since the last time. */
  tellQuestions(): void {
    for (const [address, count] of this.#asked) this.#options.events.asked(address, count);
    this.#asked.clear();
    const old = this.#options.clock.now() - contestedEveryMs;
    for (const [what, at] of this.#contested) if (at < old) this.#contested.delete(what);
  }

  #question(key: string, link: number): void {
    const address = this.#options.heldOn(key, link);
    if (address !== undefined) this.#asked.set(address, (this.#asked.get(address) ?? 0) + 1);
  }

  #claimed(key: string, link: number, mac: Buffer): void {
    for (const probe of this.#probes) {
      if (probe.key === key && probe.link === link) probe.answered(macText(mac));
    }
    const address = this.#options.heldOn(key, link);
    if (address === undefined) return;
    const who = macText(mac);
    const what = `${address} ${who}`;
    const now = this.#options.clock.now();
    if (now - (this.#contested.get(what) ?? -Infinity) < contestedEveryMs) return;
    this.#contested.set(what, now);
    this.#options.events.contested(address, who);
  }
}
