/**
 * What is to stand where, and until when it certainly does. Pure bookkeeping: one placement for each address and link.
 *
 * The fence of everything: a renewal is only sent while the kernel must still have the address (`standsUntil`), so a
 * renewal never brings one back that has gone.
 */
import type { SluiceError } from '../../../core/errors.ts';
import type { Holding } from '../announcer.ts';
import { addressBytes, keyOf } from './wire.ts';

export interface Placement {
  /** `address%link`. */
  readonly id: string;
  readonly address: string;
  readonly bytes: Buffer;
  readonly key: string;
  readonly linkName: string;
  /** Index of the link that it stands on; undefined where it stands nowhere. */
  link: number | undefined;
  /** On the clock: until then the kernel has it if nobody takes it away. */
  standsUntil: number;
  /** Why it does not stand. */
  trouble: SluiceError | undefined;
}

export class Placements {
  readonly #byId = new Map<string, Placement>();
  readonly #byKey = new Map<string, Placement[]>();

  /** Makes those of these holdings the only ones; what is not wanted any more. */
  become(holdings: Iterable<Holding>): readonly Placement[] {
    const wanted = new Set<string>();
    for (const { address, interfaces } of holdings) {
      for (const linkName of interfaces) {
        const id = `${address}%${linkName}`;
        wanted.add(id);
        if (!this.#byId.has(id)) this.#add(id, address, linkName);
      }
    }
    const gone = [...this.#byId.values()].filter(({ id }) => !wanted.has(id));
    for (const placement of gone) this.#remove(placement);
    return gone;
  }

  get(id: string): Placement | undefined {
    return this.#byId.get(id);
  }

  values(): Iterable<Placement> {
    return this.#byId.values();
  }

  of(key: string): readonly Placement[] {
    return this.#byKey.get(key) ?? [];
  }

  /** The address, where it stands on this link. */
  heldOn(key: string, link: number): string | undefined {
    return this.of(key).find((placement) => placement.link === link)?.address;
  }

  standing(now: number): Placement[] {
    return [...this.#byId.values()].filter(
      ({ link, standsUntil }) => link !== undefined && standsUntil > now,
    );
  }

  #add(id: string, address: string, linkName: string): void {
    const bytes = addressBytes(address);
    const key = keyOf(bytes);
    const placement: Placement = {
      id,
      address,
      bytes,
      key,
      linkName,
      link: undefined,
      standsUntil: -Infinity,
      trouble: undefined,
    };
    this.#byId.set(id, placement);
    this.#byKey.set(key, [...this.of(key), placement]);
  }

  #remove(placement: Placement): void {
    this.#byId.delete(placement.id);
    const rest = this.of(placement.key).filter((each) => each !== placement);
    if (rest.length === 0) this.#byKey.delete(placement.key);
    else this.#byKey.set(placement.key, rest);
  }
}
