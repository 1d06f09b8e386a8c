/**
 * A first load that is begun while the lists are still on their way: nft reads the text of decisions that are likely,
 * and what turns out otherwise is corrected further down in the same text.
 *
 * nft acts only when its input has ended. Until `finish` the input always stands inside an open brace: should this
 * process be killed, nft finds a text that breaks off, and writes nothing.
 */
import { asSluiceError } from '../../core/errors.ts';
import type { Quarantined } from '../backend.ts';
import { sameDecision } from '../decide/changes.ts';
import type { Decision, DecisionKey, NodeDecision } from '../decision.ts';
import { elements, layoutOf } from './layout.ts';
import { Ledger, type Wish } from './ledger.ts';
import { NftRun, type Finished, type SpawnPiped } from './process.ts';
import { tableShape, type Features, type TableShape } from './table.ts';
import { chunks, tableText, TableText } from './text.ts';

export class Draft {
  readonly node: NodeDecision;
  readonly shape: TableShape;
  readonly ledger: Ledger;
  readonly #text: TableText;
  readonly #run: NftRun;
  readonly #refused = new Map<DecisionKey, Quarantined>();
  readonly #known = new Set<DecisionKey>();
  /** What nft was too busy for so far. */
  #queue: Decision[] = [];

  constructor(start: SpawnPiped, node: NodeDecision, features: Features) {
    this.node = node;
    this.shape = tableShape(node, features);
    this.ledger = new Ledger(layoutOf(node));
    this.#text = new TableText(this.shape, this.ledger, (one) => this.#refused.set(one.key, one));
    this.#run = new NftRun(start, ['-f', '-'], { onTaken: () => this.#send() });
    this.#run.write(`${[...this.#text.head()].join('')}${this.#open()}`);
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
  async finish(decisions: readonly Decision[], marks: readonly string[]): Promise<Finished> {
    this.#queue = [];
    await this.#run.feed(chunks(this.#ending(decisions, marks)));
    return this.#run.end();
  }

  /** Nothing is written of it. */
  abandon(): void {
    this.#run.kill();
  }

  /** What nft can take now. */
  #send(): void {
    if (this.#run.blocked || this.#queue.length === 0) return;
    const pieces = [...this.#text.take(this.#queue)];
    this.#queue = [];
    if (pieces.length > 0) this.#run.write(`}\n${pieces.join('')}${this.#open()}`);
  }

  *#ending(decisions: readonly Decision[], marks: readonly string[]): Generator<string> {
    yield '}\n';
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
    // First what goes: a destination may have passed from one decision to another.
    if (wishes.length > 0) yield* this.#text.correct(wishes);
    yield* this.#text.take(fresh);
    yield* this.#text.tail();
    for (const line of marks) yield `${line}\n`;
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
}
