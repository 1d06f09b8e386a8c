/**
 * A first load that is begun while the lists are still on their way: several nft read the text of decisions that are
 * likely, and what turns out otherwise is corrected at the end.
 *
 * nft acts only when its input has ended, and most of its time goes by then: so elements are shared out among as many as
 * there are processors. First one writes the frame (sets, and chains that nothing leads to yet), then all the rest write
 * elements at the same time, and last one writes the hooked chains. Until that moment nothing serves: what is half-loaded
 * does nothing, and whoever finds it loads anew. Until `finish` every input stands inside an open brace: should this
 * process be killed, each nft finds a text that breaks off, and writes nothing.
 */
import { availableParallelism } from 'node:os';
import { asSluiceError } from '../../core/errors.ts';
import type { Quarantined } from '../backend.ts';
import { sameDecision } from '../decide/changes.ts';
import type { Decision, DecisionKey, NodeDecision } from '../decision.ts';
import { elements, layoutOf } from './layout.ts';
import { Ledger, type Wish } from './ledger.ts';
import { NftRun, type Finished, type SpawnPiped } from './process.ts';
import { tableShape, type Features, type TableShape } from './table.ts';
import { chunks, tableText, TableText, type Piece } from './text.ts';

/** More would only queue up before the kernel, which takes one transaction at a time. */
const mostLanes = 4;

/** By which a transaction of ours is known. */
export interface Mark {
  readonly lines: readonly string[];
  /** The transaction was refused. */
  forget(): void;
}

export interface DraftOptions {
  readonly start: SpawnPiped;
  readonly node: NodeDecision;
  readonly features: Features;
  /** How many nft share the elements. */
  readonly lanes?: number;
  /** So many of a set go out together. */
  readonly elementsInCommand?: number;
}

export class Draft {
  readonly node: NodeDecision;
  readonly shape: TableShape;
  readonly ledger: Ledger;
  readonly #start: SpawnPiped;
  #mostLanes: number;
  readonly #text: TableText;
  readonly #frame: NftRun;
  readonly #lanes: Lane[] = [];
  readonly #refused = new Map<DecisionKey, Quarantined>();
  readonly #known = new Set<DecisionKey>();
  /** What all lanes were too busy for so far. */
  #queue: Decision[] = [];

  constructor({ start, node, features, lanes = availableParallelism(), elementsInCommand }: DraftOptions) {
    this.node = node;
    this.shape = tableShape(node, features);
    this.ledger = new Ledger(layoutOf(node));
    this.#start = start;
    this.#mostLanes = Math.min(lanes, mostLanes);
    const refused = (one: Quarantined): unknown => this.#refused.set(one.key, one);
    this.#text = new TableText(this.shape, this.ledger, refused, elementsInCommand);
    this.#frame = new NftRun(start, ['-f', '-']);
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
    for (const decision of decisions) {
      if (this.#known.has(decision.key)) continue;
      this.#known.add(decision.key);
      this.#queue.push(decision);
    }
    this.#send();
  }

  /** Makes the table that of these decisions, whatever was foretold, and has it written. */
  async finish(decisions: readonly Decision[], mark: () => Mark): Promise<Finished> {
    this.#queue = [];
    const { fresh, wishes } = this.#compared(decisions);
    // First what goes: a destination may have passed from one decision to another.
    const late = wishes.length > 0 ? fresh.splice(0) : [];
    await this.#share(this.#text.take(fresh));
    // What is left is not worth another nft; where it is all there is, the one with the frame does everything.
    this.#mostLanes = this.#lanes.length;
    await this.#share(this.#text.rest());
    const tail = chunks(this.#tail(wishes, late));
    const last = this.#lanes.length === 0 ? this.#frame : new NftRun(this.#start, ['-f', '-']);
    try {
      if (this.#lanes.length > 0) {
        const framed = await this.#end(this.#frame, mark());
        if (framed.code !== 0) return framed;
        const done = await Promise.all(this.#lanes.map(({ run }) => this.#end(run, mark())));
        const failed = done.find(({ code }) => code !== 0);
        if (failed !== undefined) return failed;
        last.write(this.#open());
      }
      last.write('}\n');
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
    for (const { run } of this.#lanes) run.kill();
  }

  /** What nft can take now. */
  #send(): void {
    if (this.#queue.length === 0) return;
    if (this.#lanes.length > 0 && this.#lanes.every(({ run }) => run.blocked)) return;
    const decisions = this.#queue;
    this.#queue = [];
    for (const piece of this.#text.take(decisions)) this.#runFor(piece).write(this.#between(piece.text));
  }

  /** As fast as it is taken. */
  async #share(pieces: Iterable<Piece>): Promise<void> {
    for (const piece of pieces) await this.#runFor(piece).feed([this.#between(piece.text)]);
  }

  #runFor({ of, text }: Piece): NftRun {
    if (of === 'frame' || this.#mostLanes === 0) return this.#frame;
    if (this.#lanes.length < this.#mostLanes) this.#lanes.push(this.#newLane());
    const lane = this.#lanes.reduce((least, one) => (one.given < least.given ? one : least));
    lane.given += text.length;
    return lane.run;
  }

  #newLane(): Lane {
    const run = new NftRun(this.#start, ['-f', '-'], { onTaken: () => this.#send() });
    run.write(this.#open());
    return { run, given: 0 };
  }

  async #end(run: NftRun, mark: Mark): Promise<Finished> {
    run.write('}\n');
    return ended(run, mark);
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
    for (const { text } of this.#text.take(late)) yield text;
    for (const { text } of this.#text.rest()) yield text;
    yield* this.#text.tail();
  }

  #writable(decision: Decision): Decision | undefined {
    try {
      elements(this.ledger.layout, decision, undefined, () => undefined);
      return decision;
    } catch (error) {
      this.#refused.set(decision.key, { key: decision.key, message: asSluiceError(error).message });
      return undefined;
    }
  }

  #open(): string {
    return `table ${tableText(this.shape)} {\n`;
  }

  /** Out of the open brace, and into the next. */
  #between(text: string): string {
    return `}\n${text}${this.#open()}`;
  }
}

/** One nft among those that share the elements. */
interface Lane {
  readonly run: NftRun;
  /** Characters. */
  given: number;
}

async function ended(run: NftRun, mark: Mark): Promise<Finished> {
  run.write(`${mark.lines.join('\n')}\n`);
  const finished = await run.end();
  if (finished.code !== 0) mark.forget();
  return finished;
}
