/** Tells what cannot be held, and that it is held again: each change once. */
import type { SluiceError } from '../../../core/errors.ts';
import type { Placement } from './placements.ts';

export class HeldReport {
  /** By address; what was told last. */
  readonly #told = new Map<string, string>();
  readonly #tell: (address: string, error: SluiceError | undefined) => void;

  constructor(tell: (address: string, error: SluiceError | undefined) => void) {
    this.#tell = tell;
  }

  /** Of an address on several links the first trouble counts. */
  update(placements: Iterable<Placement>): void {
    const troubles = new Map<string, SluiceError>();
    for (const { address, trouble } of placements) {
      if (trouble !== undefined && !troubles.has(address)) troubles.set(address, trouble);
    }
    for (const [address, error] of troubles) {
      const text = `${error.code} ${error.message}`;
      if (this.#told.get(address) === text) continue;
      this.#told.set(address, text);
      this.#tell(address, error);
    }
    for (const address of this.#told.keys()) {
      if (troubles.has(address)) continue;
      this.#told.delete(address);
      this.#tell(address, undefined);
    }
  }
}
