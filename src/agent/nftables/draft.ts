/**
 * A first load that is begun while the lists are still on their way: elements are made of decisions that are likely, and
 * what turns out otherwise is corrected at the end.
 *
 * Nearly all of a first load is elements, and reading their text is most of what nft does: they go past it. First
 * nft writes the frame (sets, and chains that nothing leads to yet), then the elements go to the kernel as they are, and
 * last nft writes the hooked chains. Until that moment nothing serves: what is half-loaded does nothing, and whoever
 * finds it loads anew. Until `finish` nft's input stands inside an open brace and no element has left: should this
 * process be killed, nothing is written.
 */
import type { Quarantined } from '../backend.ts';
import { sameDecision } from '../decide/changes.ts';
import type { Decision, DecisionKey, NodeDecision } from '../decision.ts';
import { ElementBatches } from './element-bytes.ts';
import { layoutOf, unwritable } from './layout.ts';
import { Ledger, type Wish } from './ledger.ts';
import { packingsOf, type Packing } from './packing.ts';
import { NftRun, type Finished, type SpawnPiped } from './process.ts';
import { Relay } from './relay.ts';
import { tableShape, type Features, type TableShape } from './table.ts';
import { chunks, pieceText, tableText, TableText, type Piece } from './text.ts';

/** By which a transaction of ours is known. */
export interface Mark {
  readonly name: string;
  readonly lines: readonly string[];
  /** The transaction was refused. */
  forget(): void;
}

export interface DraftOptions {
  readonly start: SpawnPiped;
  readonly node: NodeDecision;
  readonly features: Features;
  /** So many of a set go out together. */
  readonly elementsInCommand?: number;
  /** Bytes of a batch. */
  readonly inBatch?: number;
}

export class Draft {
  readonly node: NodeDecision;
  readonly shape: TableShape;
  readonly ledger: Ledger;
  readonly #start: SpawnPiped;
  readonly #text: TableText;
  readonly #frame: NftRun;
  readonly #relay: Relay;
  readonly #packings: ReadonlyMap<string, Packing | undefined>;
  readonly #batches: ElementBatches;
  readonly #refused = new Map<DecisionKey, Quarantined>();
  readonly #known = new Set<DecisionKey>();

  constructor({ start, node, features, elementsInCommand, inBatch }: DraftOptions) {
    this.node = node;
    this.shape = tableShape(node, features);
    this.ledger = new Ledger(layoutOf(node));
    this.#start = start;
    const refused = (one: Quarantined): unknown => this.#refused.set(one.key, one);
    this.#text = new TableText(this.shape, this.ledger, refused, elementsInCommand);
    this.#packings = packingsOf(this.shape);
    this.#batches = new ElementBatches(this.shape.words, inBatch);
    this.#frame = new NftRun(start, ['-f', '-']);
    this.#relay = new Relay(start);
    this.#frame.write(`${[...this.#text.head()].join('')}${this.#open()}`);
  }

  get operations(): number {
    return this.#text.operations;
  }

  get quarantined(): readonly Quarantined[] {
    return [...this.#refused.values()];
  }

  /** Of a key that was foretold before only the first counts: `finish` corrects it. */
  foretell(decisions: readonly Decision[]): void {
    const fresh: Decision[] = [];
    for (const decision of decisions) {
      if (this.#known.has(decision.key)) continue;
      this.#known.add(decision.key);
      fresh.push(decision);
    }
    this.#take(this.#text.take(fresh));
  }

  /** Makes the table that of these decisions, whatever was foretold, and has it written. */
  async finish(decisions: readonly Decision[], mark: () => Mark): Promise<Finished> {
    const { fresh, wishes } = this.#compared(decisions);
    // First what goes: a destination may have passed from one decision to another.
    const late = wishes.length > 0 ? fresh.splice(0) : [];
    this.#take(this.#text.take(fresh));
    this.#take(this.#text.rest());
    const tail = chunks(this.#tail(wishes, late));
    const last = new NftRun(this.#start, ['-f', '-']);
    try {
      this.#frame.write('}\n');
      const framed = await ended(this.#frame, mark());
      if (framed.code !== 0) return framed;
      // Which of the batches before a refused one the kernel has taken is not known: a mark that nobody ever hears of does
      // no harm.
      const filled = await this.#relay.send(this.#batches.take(() => mark().name));
      if (filled.code !== 0) return filled;
      await last.feed(tail);
      return await ended(last, mark());
    } finally {
      // Where all went well, none of them is left.
      this.abandon();
      last.kill();
    }
  }

  /** Nothing is written of it, or no more. */
  abandon(): void {
    this.#frame.kill();
    this.#relay.kill();
  }

  /** What cannot be packed is not much: nft takes it with the frame. */
  #take(pieces: Iterable<Piece>): void {
    for (const piece of pieces) {
      const packing = piece.of === 'elements' ? this.#packings.get(piece.set) : undefined;
      if (piece.of === 'elements' && packing !== undefined)
        this.#batches.add(piece.set, packing, piece.items);
      else this.#frame.write(`}\n${pieceText(tableText(this.shape), piece)}${this.#open()}`);
    }
  }

  #compared(decisions: readonly Decision[]): { fresh: Decision[]; wishes: Wish[] } {
    const fresh: Decision[] = [];
    const wishes: Wish[] = [];
    const left = new Set(this.ledger.entries.keys());
    for (const decision of decisions) {
      const held = this.ledger.entries.get(decision.key)?.decision;
      left.delete(decision.key);
      if (held === undefined) fresh.push(decision);
      else if (held !== decision && !sameDecision(held, decision))
        wishes.push({ key: decision.key, after: this.#writable(decision) });
    }
    for (const key of left) wishes.push({ key, after: undefined });
    return { fresh, wishes };
  }

  *#tail(wishes: readonly Wish[], late: readonly Decision[]): Generator<string> {
    if (wishes.length > 0) yield* this.#text.correct(wishes);
    const table = tableText(this.shape);
    for (const piece of this.#text.take(late)) yield pieceText(table, piece);
    for (const piece of this.#text.rest()) yield pieceText(table, piece);
    yield* this.#text.tail();
  }

  #writable(decision: Decision): Decision | undefined {
    const against = unwritable(this.ledger.layout, decision);
    if (against === undefined) return decision;
    this.#refused.set(decision.key, against);
    return undefined;
  }

  #open(): string {
    return `table ${tableText(this.shape)} {\n`;
  }
}

async function ended(run: NftRun, mark: Mark): Promise<Finished> {
  run.write(`${mark.lines.join('\n')}\n`);
  const finished = await run.end();
  if (finished.code !== 0) mark.forget();
  return finished;
}
