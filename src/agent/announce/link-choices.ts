/**
 * The choice of links for each address, made once: links hardly ever change, and facts stay the same objects while
 * nothing about an address does.
 */
import type { Link } from './announcer.ts';
import type { AddressFacts } from './facts.ts';
import { chooseLinks, type LinkChoice } from './links.ts';

export class LinkChoices {
  #choices = new WeakMap<AddressFacts, LinkChoice>();
  #links: readonly Link[] = [];
  #text = '';

  /** What the node has now. */
  see(links: readonly Link[]): void {
    const text = JSON.stringify(links);
    if (text === this.#text) return;
    this.#text = text;
    this.#links = links;
    this.#choices = new WeakMap();
  }

  for(facts: AddressFacts): LinkChoice {
    let choice = this.#choices.get(facts);
    if (choice === undefined) {
      choice = chooseLinks(facts.address, facts.interfaces, this.#links);
      this.#choices.set(facts, choice);
    }
    return choice;
  }
}
