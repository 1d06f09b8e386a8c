/**
 * The node's links and addresses as the kernel tells them: filled by lists, kept up to date by changes.
 */
import type { Link } from '../announcer.ts';
import type { Message } from './netlink.ts';
import {
  delAddress,
  delLink,
  newAddress,
  newLink,
  readAddress,
  readDefaultRoute,
  readLink,
  type AddressFacts,
  type ArpSettings,
  type LinkFacts,
} from './rtnetlink.ts';
import { addressText, keyOf, macText } from './wire.ts';

export interface Lists {
  readonly links: readonly Message[];
  readonly addresses: readonly Message[];
  readonly routes4: readonly Message[];
  readonly routes6: readonly Message[];
}

/** What a change means for addresses that are held. */
export type Effect =
  | { readonly kind: 'none' }
  /** A link is there anew, carries again, or has another MAC. */
  | { readonly kind: 'link-ready'; readonly link: number }
  | { readonly kind: 'link-changed'; readonly link: number }
  | { readonly kind: 'link-gone'; readonly link: number }
  | { readonly kind: 'address-gone'; readonly link: number; readonly key: string };

export class LinkTable {
  #links = new Map<number, LinkFacts>();
  #addresses = new Map<number, Map<string, AddressFacts>>();
  #default4: ReadonlySet<number> = new Set();
  #default6: ReadonlySet<number> = new Set();

  /** Takes over whole lists. */
  replaceAll({ links, addresses, routes4, routes6 }: Lists): void {
    this.#links = new Map();
    this.#addresses = new Map();
    for (const message of [...links, ...addresses]) this.apply(message);
    this.#default4 = new Set(routes4.flatMap(readDefaultRoute));
    this.#default6 = new Set(routes6.flatMap(readDefaultRoute));
  }

  apply(message: Message): Effect {
    switch (message.type) {
      case newLink:
        return this.#newLink(readLink(message));
      case delLink: {
        const link = readLink(message)?.index;
        // A bridge tells of a port that left it with the same word; that link is still there.
        if (link === undefined || message.body.readUInt8(0) !== 0) return { kind: 'none' };
        this.#links.delete(link);
        this.#addresses.delete(link);
        return { kind: 'link-gone', link };
      }
      case newAddress: {
        const facts = readAddress(message);
        if (facts !== undefined) this.#on(facts.link).set(keyOf(facts.address), facts);
        return { kind: 'none' };
      }
      case delAddress: {
        const facts = readAddress(message);
        if (facts === undefined) return { kind: 'none' };
        const key = keyOf(facts.address);
        const known = this.#on(facts.link).get(key);
        // One and the same address can stand there with two lengths.
        if (known !== undefined && known.length !== facts.length) return { kind: 'none' };
        this.#on(facts.link).delete(key);
        return { kind: 'address-gone', link: facts.link, key };
      }
      default:
        return { kind: 'none' };
    }
  }

  named(name: string): LinkFacts | undefined {
    for (const link of this.#links.values()) if (link.name === name) return link;
    return undefined;
  }

  link(index: number): LinkFacts | undefined {
    return this.#links.get(index);
  }

  /** Our address stands on the link, as far as was heard. */
  bearsOurs(key: string, link: number): boolean {
    return this.#addresses.get(link)?.get(key)?.ours === true;
  }

  /** The link on which the node has this address for itself. */
  ownOf(key: string): LinkFacts | undefined {
    for (const [index, addresses] of this.#addresses) {
      const facts = addresses.get(key);
      if (facts !== undefined && !facts.ours) return this.#links.get(index);
    }
    return undefined;
  }

  /** Everything that bears our mark. */
  *ours(): Iterable<AddressFacts> {
    for (const addresses of this.#addresses.values()) {
      for (const facts of addresses.values()) if (facts.ours) yield facts;
    }
  }

  /** What we asked for ourselves is not told as a change. */
  noteOurs(address: Buffer, link: number): void {
    this.#on(link).set(keyOf(address), { address, link, length: address.length * 8, ours: true });
  }

  noteArp(index: number, arp: ArpSettings): void {
    const link = this.#links.get(index);
    if (link !== undefined) this.#links.set(index, { ...link, arp });
  }

  noteTaken(address: Buffer, link: number): void {
    this.#addresses.get(link)?.delete(keyOf(address));
  }

  isOwnMac(mac: Buffer): boolean {
    for (const link of this.#links.values()) if (link.mac.equals(mac)) return true;
    return false;
  }

  /** As the port says them, by index. */
  snapshot(): readonly Link[] {
    return [...this.#links.values()]
      .filter(({ mac }) => mac.length === 6)
      .toSorted((a, b) => a.index - b.index)
      .map(({ index, name, mac, up, usable }) => ({
        name,
        mac: macText(mac),
        up,
        usable,
        networks: [...(this.#addresses.get(index)?.values() ?? [])]
          .filter(({ ours }) => !ours)
          .map(({ address, length }) => `${addressText(address)}/${length}`),
        defaultRoute: { ipv4: this.#default4.has(index), ipv6: this.#default6.has(index) },
      }));
  }

  #newLink(facts: LinkFacts | undefined): Effect {
    if (facts === undefined) return { kind: 'none' };
    const before = this.#links.get(facts.index);
    // Some messages leave out what has not changed.
    this.#links.set(facts.index, { ...facts, arp: facts.arp ?? before?.arp });
    if (before === undefined || (facts.up && !before.up) || !facts.mac.equals(before.mac)) {
      return { kind: 'link-ready', link: facts.index };
    }
    return before.enabled === facts.enabled && before.name === facts.name && before.up === facts.up
      ? { kind: 'none' }
      : { kind: 'link-changed', link: facts.index };
  }

  #on(link: number): Map<string, AddressFacts> {
    let addresses = this.#addresses.get(link);
    if (addresses === undefined) this.#addresses.set(link, (addresses = new Map()));
    return addresses;
  }
}
