/**
 * Looks at the live kernel beside the writer. In a quiet time the tools list everything, word for word. Where a write
 * crosses that, a look with the nft variant asks the kernel itself (beside.ts); the legacy tool lists a table as it was
 * at one moment, whoever writes. What has been written meanwhile is left out of both.
 */
import { asSluiceError, SluiceError } from '../../core/errors.ts';
import type { Difference } from '../backend.ts';
import { differencesBeside } from './beside.ts';
import type { ChainId, Delta } from './delta.ts';
import { differences } from './differences.ts';
import { readHeld } from './held.ts';
import type { Model } from './model.ts';
import type { Spawn, Tools } from './programs.ts';
import type { Shed } from './shed.ts';
import { Touched } from './touched.ts';

export interface LooksOptions {
  readonly spawn: Spawn;
  readonly tools: Tools;
  readonly shed: Pick<Shed, 'chains' | 'known'>;
  readonly model: () => Model | undefined;
  /** Something is being written. */
  readonly writing: () => boolean;
}

/** One that is under way. */
interface Look {
  readonly touched: Touched;
  /** Something is written: the listing programs would begin anew at every write, one core each. */
  readonly crossed: AbortController;
}

export class Looks {
  readonly #options: LooksOptions;
  readonly #looks = new Set<Look>();

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  /** To be called before anything is written. */
  cross(): void {
    for (const look of this.#looks) look.crossed.abort();
  }

  /** The same, with what is to be written. */
  touch(delta: Delta): void {
    for (const { touched } of this.#looks) touched.add(delta);
  }

  touchChains(ids: readonly ChainId[]): void {
    for (const { touched } of this.#looks) touched.addChains(ids);
  }

  /**
   * No write waits for it.
   *
   * @throws SluiceError transient (`Crossed`) where something is being written when it begins, everything is written anew
   *   meanwhile, or something is and the kernel cannot be asked.
   */
  async differences(): Promise<readonly Difference[]> {
    return this.#look(async (model, look) => {
      try {
        return await this.#listed(model, look);
      } catch (error) {
        if (!look.crossed.signal.aborted) throw error;
      }
      // What has gone ahead of its write does not come back before it.
      look.touched.addChains(this.#options.shed.chains());
      const { spawn, tools } = this.#options;
      try {
        return await differencesBeside({ model, spawn, tools, touched: look.touched });
      } catch (error) {
        throw crossing(`something was written meanwhile, and then ${asSluiceError(error).message}`);
      }
    });
  }

  /** Only where nothing is written meanwhile: else it rejects. */
  quiet(): Promise<readonly Difference[]> {
    return this.#look((model, look) => this.#listed(model, look));
  }

  async #look(
    find: (model: Model, look: Look) => Promise<readonly Difference[]>,
  ): Promise<readonly Difference[]> {
    const model = this.#options.model();
    if (model === undefined) return [];
    if (this.#options.writing()) throw crossing('something is being written');
    const look: Look = { touched: new Touched(), crossed: new AbortController() };
    this.#looks.add(look);
    try {
      const found = await find(model, look);
      if (model !== this.#options.model()) throw crossing('everything was written anew meanwhile');
      return found;
    } finally {
      this.#looks.delete(look);
    }
  }

  async #listed(model: Model, { crossed, touched }: Look): Promise<readonly Difference[]> {
    const { shed, tools } = this.#options;
    const { saved, sets } = await readHeld(tools, tools.variant === 'nft' ? crossed.signal : undefined);
    return shed.known(differences(model, saved, sets, touched));
  }
}

function crossing(why: string): SluiceError {
  return new SluiceError('transient', `${why}: look again`, { code: 'Crossed' });
}
