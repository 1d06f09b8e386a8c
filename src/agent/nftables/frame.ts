/**
 * The frame of a table (its chains with their rules, its sets) as the kernel tells it, held against what it told right
 * after we had written it (pure). What a rule says in bytes is the kernel's own business: it is only compared.
 */
import { attributes, notUnderstood, type DumpMessage } from '../netlink/dump.ts';
import type { Listed, ListedSet } from './listing.ts';
import { tableName } from './words.ts';

/** What the kernel said of each, without what changes by itself (handles, counts of users). */
export interface RawFrame {
  /** How many chains and sets there are, and what else may be in a table. Undefined: no table. */
  readonly objects: number | undefined;
  readonly chains: ReadonlyMap<string, string>;
  readonly sets: ReadonlyMap<string, string>;
}

/** A part of the frame as it was right after it had been written. */
interface Known {
  readonly raw: string;
  /** As nft would list it. */
  readonly lines: readonly string[];
}

const newTable = 10 * 256;
const newChain = 10 * 256 + 3;
const newRule = 10 * 256 + 6;
const newSet = 10 * 256 + 9;
const tablePart = { objects: 3 } as const;
const chainPart = { table: 1, name: 3, hook: 4, policy: 5, type: 7, flags: 10 } as const;
const rulePart = { table: 1, chain: 2, expressions: 4 } as const;
/** Flags, types, lengths, policy, description, time limit. */
const setPart = { table: 1, name: 2, from: 3, to: 9, timeout: 11 } as const;
const mapFlag = 8;

export function readFrame(messages: Iterable<DumpMessage>): RawFrame {
  const chains = new Map<string, string>();
  const sets = new Map<string, string>();
  let objects: number | undefined;
  for (const { type, content } of messages) {
    switch (type) {
      case newTable:
        attributes(content, 0, content.length, (kind, from) => {
          if (kind === tablePart.objects) objects = content.readUInt32BE(from);
        });
        break;
      case newChain: {
        const { table, name, raw } = parts(content, chainPart.table, chainPart.name, isOfChain);
        if (table === tableName) chains.set(name, `${raw}${chains.get(name) ?? ''}`);
        break;
      }
      case newRule: {
        const { table, name, raw } = parts(content, rulePart.table, rulePart.chain, isOfRule);
        if (table === tableName) chains.set(name, `${chains.get(name) ?? ''}|${raw}`);
        break;
      }
      case newSet: {
        const { table, name, raw } = parts(content, setPart.table, setPart.name, isOfSet);
        if (table === tableName) sets.set(name, raw);
        break;
      }
      default:
        throw notUnderstood(`message ${type}`);
    }
  }
  return { chains, sets, objects };
}

const isOfChain = (kind: number): boolean =>
  kind === chainPart.hook || kind === chainPart.policy || kind === chainPart.type || kind === chainPart.flags;
const isOfRule = (kind: number): boolean => kind === rulePart.expressions;
const isOfSet = (kind: number): boolean =>
  (kind >= setPart.from && kind <= setPart.to) || kind === setPart.timeout;

function parts(
  bytes: Buffer,
  tableKind: number,
  nameKind: number,
  counts: (kind: number) => boolean,
): { readonly table: string; readonly name: string; readonly raw: string } {
  let [table, name, raw] = ['', '', ''];
  attributes(bytes, 0, bytes.length, (kind, from, end) => {
    if (kind === tableKind) table = bytes.toString('latin1', from, end - 1);
    else if (kind === nameKind) name = bytes.toString('latin1', from, end - 1);
    else if (counts(kind)) raw += `${kind}:${bytes.toString('latin1', from, end)};`;
  });
  return { table, name, raw };
}

/** What the frame of a table is known to be. */
export class Frame {
  /** One that nobody knows of may be among them where there are more. */
  readonly objects: number | undefined;
  readonly #chains = new Map<string, Known>();
  readonly #sets = new Map<string, Known & { readonly kind: ListedSet['kind'] }>();

  /** @param wanted what was written, by name, as nft would list it. */
  constructor(
    raw: RawFrame,
    wanted: {
      readonly chains: ReadonlyMap<string, readonly string[]>;
      readonly sets: ReadonlyMap<string, Pick<ListedSet, 'kind' | 'lines'>>;
    },
  ) {
    this.objects = raw.objects;
    for (const [name, lines] of wanted.chains) {
      const told = raw.chains.get(name);
      if (told !== undefined) this.#chains.set(name, { raw: told, lines });
    }
    for (const [name, { kind, lines }] of wanted.sets) {
      const told = raw.sets.get(name);
      if (told !== undefined) this.#sets.set(name, { raw: told, kind, lines });
    }
  }

  /** A frame of now, as nft would list what is as it was; what is not has lines that nobody writes. */
  listed(now: RawFrame, elements: ReadonlyMap<string, Map<string, string>>): Listed {
    const chains = new Map<string, readonly string[]>();
    for (const [name, raw] of now.chains) {
      const known = this.#chains.get(name);
      chains.set(name, known?.raw === raw ? known.lines : ['not as written']);
    }
    const sets = new Map<string, ListedSet>();
    for (const [name, raw] of now.sets) {
      const known = this.#sets.get(name);
      sets.set(name, {
        kind: known?.kind ?? (hasFlag(raw, mapFlag) ? 'map' : 'set'),
        lines: known?.raw === raw ? known.lines : ['not as written'],
        elements: elements.get(name) ?? new Map<string, string>(),
      });
    }
    return { chains, sets };
  }
}

/** The flags come first; their last byte is the fourth. */
function hasFlag(raw: string, flag: number): boolean {
  return raw.startsWith(`${setPart.from}:`) && (raw.charCodeAt(5) & flag) !== 0;
}
