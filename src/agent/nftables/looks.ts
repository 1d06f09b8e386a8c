/**
 * Looks at the live kernel beside the writer: what is written while the table is being listed may stand in the listing
 * or not, so a look says nothing about that, and holds for all the rest.
 *
 * The kernel itself is asked, which nobody's writes hold up. What its rules say in bytes is held against what they said
 * right after we had written them. Where that cannot be (no perl), nft lists the table.
 */
import type { Clock } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { Difference } from '../backend.ts';
import { shapeMap } from './chains.ts';
import { differences } from './compare.ts';
import { Frame } from './frame.ts';
import type { TableKernel } from './kernel.ts';
import { keyAndValue, type Ledger, type Transaction } from './ledger.ts';
import type { Listed } from './listing.ts';
import { inSlices } from '../slices.ts';
import type { TableShape } from './table.ts';
import { tableText } from './text.ts';

/** What a table is held to be. */
export interface Held {
  readonly shape: TableShape;
  readonly ledger: Ledger;
}

export interface LooksOptions {
  readonly clock: Clock;
  readonly kernel: Pick<TableKernel, 'frame' | 'list' | 'look'>;
  readonly held: () => Held | undefined;
}

/** nft begins its listing anew at every write: with many in a row it would go on for ever. */
const patienceMs = 5_000;

export class Looks {
  readonly #options: LooksOptions;
  /** Under way. */
  readonly #looks = new Set<Look>();
  #known: { readonly held: Held; readonly frame: Frame } | undefined;

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  /** To be called before anything is written: nobody knows when the kernel has it. */
  touch(transaction: Pick<Transaction, 'chains' | 'sets'>): void {
    for (const look of this.#looks) look.touch(transaction);
  }

  /** The same for chains that go. */
  touchChains(names: readonly string[], numbers: readonly string[]): void {
    for (const look of this.#looks) look.touchChains(names, numbers);
  }

  /**
   * Chains or sets have just been written as they should be, and nothing is being written: what the kernel says of them
   * now is right. Never rejects: where it cannot be asked, nft lists the table.
   */
  async learn(): Promise<void> {
    const held = this.#options.held();
    if (held === undefined) return;
    const wanted = wantedOf(held);
    const now = await this.#options.kernel.frame(wanted.chains.keys()).catch(() => undefined);
    this.#known = now?.interrupted === false ? { held, frame: new Frame(now.frame, wanted) } : undefined;
  }

  /**
   * No write waits for it. To be called when nothing of ours is being written.
   *
   * @throws SluiceError transient (`Crossed`) where meanwhile everything is written anew, or something all the time.
   */
  async differences(held: Held): Promise<readonly Difference[]> {
    const look = new Look();
    this.#looks.add(look);
    try {
      const first = await this.#find(held, look);
      if (first.found.length === 0 || !(first.interrupted || look.isCrossed)) return first.found;
      // A set that changes while it is listed may hide an element, but not the same one twice.
      const second = await this.#find(held, look);
      const both = new Set(second.found.map(({ kind, object }) => `${kind} ${object}`));
      return first.found.filter(({ kind, object }) => both.has(`${kind} ${object}`));
    } finally {
      this.#looks.delete(look);
    }
  }

  async #find(
    held: Held,
    look: Look,
  ): Promise<{ readonly found: readonly Difference[]; readonly interrupted: boolean }> {
    const { shape, ledger } = held;
    const listed = await this.#list(held, look);
    const found: readonly Difference[] =
      listed === undefined
        ? [{ kind: 'missing', object: `table ${tableText(shape)}`, key: undefined }]
        : await inSlices(differences(listed, shape, ledger, look));
    if (held !== this.#options.held()) throw crossed('the table was written anew');
    return { found, interrupted: listed?.interrupted === true };
  }

  async #list(held: Held, look: Look): Promise<Listed | undefined> {
    const { kernel } = this.#options;
    if (this.#knownOf(held) !== undefined) {
      const table = await kernel.look(held.shape, wantedOf(held).chains.keys()).catch(() => undefined);
      const frame = this.#knownOf(held);
      // Where there is more or less than there was, nft says what.
      const { objects } = table?.frame ?? {};
      if (
        table !== undefined &&
        frame !== undefined &&
        objects !== undefined &&
        (objects === frame.objects || look.isCrossed)
      )
        return { ...frame.listed(table.frame, table.elements), interrupted: table.interrupted };
    }
    return this.#patiently(look, (signal) => kernel.list(signal));
  }

  #knownOf(held: Held): Frame | undefined {
    return this.#known?.held === held ? this.#known.frame : undefined;
  }

  async #patiently<Found>(look: Look, run: (signal: AbortSignal) => Promise<Found>): Promise<Found> {
    const stopped = new AbortController();
    const waiting = (): (() => void) =>
      this.#options.clock.schedule(patienceMs, () => {
        if (look.isCrossed) stopped.abort();
        else cancel = waiting();
      });
    let cancel = waiting();
    try {
      return await run(stopped.signal);
    } catch (error) {
      throw stopped.signal.aborted ? crossed('something was written all the time') : error;
    } finally {
      cancel();
    }
  }
}

/** As nft would list it. */
function wantedOf({ shape, ledger }: Held): ConstructorParameters<typeof Frame>[1] {
  const chains = new Map<string, readonly string[]>(
    shape.chains.map(({ name, hook, rules }) => [name, hook === undefined ? rules : [hook, ...rules]]),
  );
  for (const name of ledger.presentChains) {
    const chain = ledger.layout.chains.get(name);
    if (chain !== undefined) chains.set(name, chain.rules);
  }
  return { chains, sets: new Map(shape.sets.map((set) => [set.name, set])) };
}

/** Elements and chains that were written while a look was under way. */
class Look {
  readonly #elements = new Map<string, Set<string>>();
  readonly #chains = new Set<string>();

  get isCrossed(): boolean {
    return this.#elements.size > 0 || this.#chains.size > 0;
  }

  element(set: string, key: string): boolean {
    return this.#elements.get(set)?.has(key) === true;
  }

  chain(name: string): boolean {
    return this.#chains.has(name);
  }

  touch({ chains, sets }: Pick<Transaction, 'chains' | 'sets'>): void {
    for (const { name } of chains) this.#chains.add(name);
    for (const [set, { deletes, adds }] of sets) {
      this.#add(set, deletes);
      this.#add(
        set,
        adds.map((element) => keyAndValue(element)[0]),
      );
    }
  }

  touchChains(names: readonly string[], numbers: readonly string[]): void {
    for (const name of names) this.#chains.add(name);
    this.#add(shapeMap, numbers);
  }

  #add(set: string, keys: readonly string[]): void {
    let known = this.#elements.get(set);
    if (known === undefined) this.#elements.set(set, (known = new Set()));
    for (const key of keys) known.add(key);
  }
}

function crossed(what: string): SluiceError {
  return new SluiceError('transient', `${what} while the table was listed: look again`, { code: 'Crossed' });
}
