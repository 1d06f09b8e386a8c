/**
 * Transactions and whole tables as the text that nft reads. A table comes as pieces, made while the child reads.
 */
import { SluiceError, asSluiceError } from '../../core/errors.ts';
import type { Decision, NodeDecision } from '../decision.ts';
import type { Quarantined } from '../backend.ts';
import { gotoText, refuse, shapeMap, type Chain } from './chains.ts';
import { layoutOf } from './layout.ts';
import { Ledger, type Transaction, type Wish } from './ledger.ts';
import { markSet } from './marks.ts';
import { allFeatures, tableShape, type BaseChain, type SetShape, type TableShape } from './table.ts';
import { tableName } from './words.ts';

/** More would not be faster, and what is foretold is to be with nft early. */
const elementsInCommand = 1000;

/** `ip sluice`. */
export function tableText({ words }: Pick<TableShape, 'words'>): string {
  return `${words.header} ${tableName}`;
}

/** The commands of one transaction, in the order in which they must come. */
export function commands(table: string, { chains, sets }: Transaction): string[] {
  const lines = chains.flatMap((chain) => chainCommands(table, chain));
  for (const [set, { deletes }] of sets) lines.push(...elementCommands('delete', table, set, deletes));
  for (const [set, { adds }] of sets) lines.push(...elementCommands('add', table, set, adds));
  return lines;
}

export function chainCommands(table: string, { name, rules }: Pick<Chain, 'name' | 'rules'>): string[] {
  return [
    `add chain ${table} ${name}`,
    // Empty unless a chain of this name was left behind.
    `flush chain ${table} ${name}`,
    ...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
  ];
}

/** Puts the mark of a transaction in place of the one before. */
export function markCommands(table: string, mark: string): string[] {
  return [`flush set ${table} ${markSet}`, `add element ${table} ${markSet} { ${mark} }`];
}

function shapeCommand(table: string, chain: Chain): string {
  return `add element ${table} ${shapeMap} { ${chain.number} : ${gotoText(chain)} }`;
}

export function elementCommands(
  verb: 'add' | 'delete',
  table: string,
  set: string,
  items: readonly string[],
): string[] {
  const lines: string[] = [];
  for (let at = 0; at < items.length; at += elementsInCommand) {
    lines.push(`${verb} element ${table} ${set} { ${items.slice(at, at + elementsInCommand).join(', ')} }`);
  }
  return lines;
}

export function setText({ kind, name, lines }: Pick<SetShape, 'kind' | 'name' | 'lines'>): string {
  return [`\t${kind} ${name} {`, ...lines.map((line) => `\t\t${line}`), '\t}', ''].join('\n');
}

export function baseChainText({ name, hook, rules }: BaseChain): string {
  const lines = [...(hook === undefined ? [] : [hook]), ...rules];
  return [`\tchain ${name} {`, ...lines.map((line) => `\t\t${line}`), '\t}', ''].join('\n');
}

/**
 * A whole table in place of whatever is there, in one transaction when it is read as one file. The ledger, fresh, learns
 * what is written; a decision that cannot be written is left out and told.
 */
export function* wholeTable(
  shape: TableShape,
  ledger: Ledger,
  decisions: Iterable<Decision>,
  onRefused: (refused: Quarantined) => void,
): Generator<string, number> {
  const text = new TableText(shape, ledger, onRefused);
  yield* text.head();
  const table = tableText(shape);
  for (const piece of text.take(decisions)) yield pieceText(table, piece);
  for (const piece of text.rest()) yield pieceText(table, piece);
  yield* text.tail();
  return text.operations;
}

/**
 * Elements of different pieces know nothing of each other; what they lead to stands in the frame. `items` are key and
 * value of one after the other; a value is empty in a set.
 */
export type Piece =
  | { readonly of: 'frame'; readonly text: string }
  | { readonly of: 'elements'; readonly set: string; readonly items: readonly string[] };

/** What nft reads of it, each line a command. */
export function pieceText(table: string, piece: Piece): string {
  if (piece.of === 'frame') return piece.text;
  const { set, items } = piece;
  const texts: string[] = [];
  for (let at = 0; at < items.length; at += 2) {
    const [key = '', value = ''] = [items[at], items[at + 1]];
    texts.push(value === '' ? key : `${key} : ${value}`);
  }
  return elementCommands('add', table, set, texts)
    .map((line) => `${line}\n`)
    .join('');
}

/**
 * The text of a whole table, part by part: the head, decisions as often as there are some, the rest of them, the tail.
 *
 * Hooked chains come last: should a reader stop half-way, nothing half-loaded serves.
 */
export class TableText {
  readonly #shape: TableShape;
  readonly #table: string;
  readonly #ledger: Ledger;
  readonly #onRefused: (refused: Quarantined) => void;
  readonly #inCommand: number;
  /** Elements that wait until there are enough of their set for a command: key, value, key, … */
  readonly #waiting = new Map<string, string[]>();
  /** Chains that they lead to. */
  readonly #declared: string[] = [];
  #operations: number;

  constructor(
    shape: TableShape,
    ledger: Ledger,
    onRefused: (refused: Quarantined) => void,
    inCommand = elementsInCommand,
  ) {
    this.#inCommand = inCommand;
    this.#shape = shape;
    this.#table = tableText(shape);
    this.#ledger = ledger;
    this.#onRefused = onRefused;
    this.#operations = shape.sets.length + shape.chains.length;
  }

  /** Of what has been written so far. */
  get operations(): number {
    return this.#operations;
  }

  *head(): Generator<string> {
    const table = this.#table;
    yield `add table ${table}\ndelete table ${table}\ntable ${table} {\n`;
    for (const set of this.#shape.sets) yield setText(set);
    yield '}\n';
    for (const { name, fixed } of this.#shape.sets) {
      for (const line of elementCommands('add', table, name, fixed ?? [])) yield `${line}\n`;
      this.#operations += fixed?.length ?? 0;
    }
  }

  /** Each piece ends with the end of a command. */
  *take(decisions: Iterable<Decision>): Generator<Piece> {
    for (const decision of decisions) {
      try {
        this.#ledger.adopt(decision, undefined, this.#tell);
      } catch (error) {
        this.#onRefused({ key: decision.key, message: asSluiceError(error).message });
      }
      for (const [set, items] of this.#waiting)
        if (items.length >= this.#inCommand * 2) yield* this.#flush(set, items);
    }
  }

  /** What was taken and still waits. */
  *rest(): Generator<Piece> {
    for (const [set, items] of this.#waiting) yield* this.#flush(set, items);
  }

  /**
   * Another decision in the place of one that was taken, or none; after what was taken is in the text.
   *
   * @throws SluiceError where it cannot be written.
   */
  *correct(wishes: readonly Wish[]): Generator<string> {
    const plan = this.#ledger.plan(wishes);
    for (const line of commands(this.#table, plan.transaction)) yield `${line}\n`;
    plan.commit();
    this.#operations += plan.transaction.operations;
  }

  *tail(): Generator<string> {
    // The chain that base chains refer to is there even while no decision leads to it.
    for (const chain of this.#ledger.missing(refuse)) {
      this.#ledger.markPresent(chain.name);
      for (const line of [...chainCommands(this.#table, chain), shapeCommand(this.#table, chain)])
        yield `${line}\n`;
    }
    yield `table ${this.#table} {\n`;
    for (const chain of this.#shape.chains) yield baseChainText(chain);
    yield '}\n';
  }

  readonly #tell = (set: string, key: string, value: string): void => {
    let items = this.#waiting.get(set);
    if (items === undefined) this.#waiting.set(set, (items = []));
    items.push(key, value);
    for (const chain of this.#ledger.missingChains(set, value)) {
      this.#ledger.markPresent(chain.name);
      this.#declared.push(...chainCommands(this.#table, chain), shapeCommand(this.#table, chain));
      this.#operations += 1 + chain.rules.length;
    }
  };

  *#flush(set: string, items: string[]): Generator<Piece> {
    const declared = this.#declared.splice(0);
    if (declared.length > 0) yield { of: 'frame', text: `${declared.join('\n')}\n` };
    if (items.length === 0) return;
    this.#operations += items.length / 2;
    yield { of: 'elements', set, items: items.splice(0) };
  }
}

/** Joins pieces into chunks of about 64 KB, as a pipe takes them. */
export function* chunks(pieces: Iterable<string>, size = 65_536): Generator<string> {
  let parts: string[] = [];
  let length = 0;
  for (const piece of pieces) {
    parts.push(piece);
    length += piece.length;
    if (length < size) continue;
    yield parts.join('');
    parts = [];
    length = 0;
  }
  if (parts.length > 0) yield parts.join('');
}

/** For a command that must not be longer than nft's line reader likes. nft knows no traffic class right before a semicolon. */
export function oneLine(lines: readonly string[]): string {
  const line = lines.join(' ; ');
  if (line.includes('\n')) throw new SluiceError('bug', 'a command has a line break', { code: 'BadCommand' });
  return line;
}

/** The table as text, for a dry run: what `replace` would write on a node that has nothing yet. */
export function* render(node: NodeDecision, decisions: Iterable<Decision>): Generator<string> {
  const ledger = new Ledger(layoutOf(node));
  yield* wholeTable(tableShape(node, allFeatures), ledger, decisions, () => undefined);
}
