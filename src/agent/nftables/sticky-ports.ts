/**
 * Numbers for Service ports with client affinity: the kernel's memory of clients holds the number of the port, so that
 * all destinations of one port share what is remembered, and those of two ports never do.
 *
 * A number follows from the decision's name where nobody has it yet; so a restart, another node or another history
 * mostly choose the same. One that is in the kernel already is kept.
 */
import { createHash } from 'node:crypto';
import { SluiceError } from '../../core/errors.ts';
import type { DecisionKey } from '../decision.ts';

/** The upper half of a traffic class, without those for which nft has words of its own. */
const most = 0xfffe;

export class StickyPorts {
  readonly #numbers = new Map<DecisionKey, number>();
  readonly #owners = new Map<number, DecisionKey>();

  /**
   * The number of a port, from 1: the one that it has, else the one that it had where that is free, else a free one.
   *
   * @throws SluiceError `invalid` where 65,534 ports have one each.
   */
  allot(key: DecisionKey, had?: number): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.#owners.size >= most) {
      throw new SluiceError('invalid', `more than ${most} Service ports have client affinity`, {
        code: 'TooManySticky',
      });
    }
    let number = had ?? 1 + (createHash('sha256').update(key).digest().readUInt16BE(0) % most);
    while (this.#owners.has(number)) number = (number % most) + 1;
    this.#numbers.set(key, number);
    this.#owners.set(number, key);
    return number;
  }

  release(key: DecisionKey): void {
    const number = this.#numbers.get(key);
    if (number === undefined) return;
    this.#numbers.delete(key);
    this.#owners.delete(number);
  }
}
