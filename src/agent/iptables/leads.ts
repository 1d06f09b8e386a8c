/**
 * Where rules lead: to which chain of ours, or to which endpoint. It is what can be read of a rule in the kernel's own
 * bytes without knowing every match of every version, and what nobody changes without changing where packets go (pure).
 */
import { formatAddress } from '../../core/cidr.ts';
import type { IpFamily } from '../../core/objects.ts';
import { attributes, notUnderstood, type DumpMessage } from '../netlink/dump.ts';
import type { ChainId } from './delta.ts';
import { prefix } from './names.ts';
import { nameOf, tableOf } from './text.ts';

/**
 * `goto CHAIN`, `jump CHAIN`, `dnat ADDRESS:PORT`; empty where a rule does anything else. Undefined: it sends to an endpoint,
 * in words that are not known here.
 */
export type Lead = string | undefined;

const intoChain = new RegExp(`-([jg]) (${prefix}\\S+)$`, 'u');
const toEndpoint = /-j DNAT --to-destination (\S+)/u;

/** Of a rule as text. */
export function leadOf(rule: string): Lead {
  const endpoint = toEndpoint.exec(rule);
  if (endpoint !== null) return `dnat ${endpoint[1]}`;
  const chain = intoChain.exec(rule);
  return chain === null ? '' : `${chain[1] === 'g' ? 'goto' : 'jump'} ${chain[2]}`;
}

/** Whether a chain of the kernel has these rules, as far as it can be read where they lead. */
export function leadsAsWritten(held: readonly Lead[], rules: readonly string[]): boolean {
  return (
    held.length === rules.length &&
    rules.every((rule, index) => {
      const wanted = leadOf(rule);
      const is = held[index];
      return is === wanted || (is === undefined && wanted?.startsWith('dnat ') === true);
    })
  );
}

/** Asks for the names of all chains of a family, also those of others' tables. */
export function chainsRequest(family: IpFamily): Buffer {
  return request(getChain, family, []);
}

/**
 * Asks for the rules of a chain; a chain that is not there has none. Of a whole table the kernel would count from the first
 * rule on for each piece of its answer: seconds where there are a hundred thousand.
 */
export function rulesRequest(family: IpFamily, id: ChainId): Buffer {
  return request(getRule, family, [name(rulePart.table, tableOf(id)), name(rulePart.chain, nameOf(id))]);
}

function request(type: number, family: IpFamily, names: readonly Buffer[]): Buffer {
  const content = Buffer.concat(names);
  const head = Buffer.alloc(20);
  head.writeUInt32LE(20 + content.length, 0);
  head.writeUInt16LE(type, 4);
  head.writeUInt16LE(dumpFlags, 6);
  head.writeUInt8(family === 'IPv4' ? 2 : 10, 16);
  return Buffer.concat([head, content]);
}

function name(kind: number, text: string): Buffer {
  const length = 4 + text.length + 1;
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(kind, 2);
  bytes.write(text, 4, 'latin1');
  return bytes;
}

/** linux/netfilter/nf_tables.h, nf_tables_compat.h */
const newChain = 10 * 256 + 3;
const getChain = 10 * 256 + 4;
const newRule = 10 * 256 + 6;
const getRule = 10 * 256 + 7;
/** NLM_F_REQUEST | NLM_F_DUMP */
const dumpFlags = 0x301;
const chainPart = { table: 1, name: 3 } as const;
const rulePart = { table: 1, chain: 2, expressions: 4 } as const;
const expressionPart = { name: 1, data: 2 } as const;
const immediatePart = { data: 2 } as const;
const verdictData = 2;
const verdictPart = { code: 1, chain: 2 } as const;
const verdict = { jump: -3, goto: -4 } as const;
const targetPart = { name: 1, info: 3 } as const;

/** Chains of ours, from the answer to `chainsRequest`. */
export function ourChain({ type, content }: DumpMessage): ChainId | undefined {
  if (type !== newChain) throw notUnderstood(`message ${type}`);
  let [table, chain] = ['', ''];
  attributes(content, 0, content.length, (kind, at, to) => {
    if (kind === chainPart.table) table = content.toString('latin1', at, to - 1);
    else if (kind === chainPart.name) chain = content.toString('latin1', at, to - 1);
  });
  return (table === 'nat' || table === 'filter') && chain.startsWith(prefix)
    ? `${table} ${chain}`
    : undefined;
}

/** Where the rules of chains lead, chain by chain, in the kernel's order. */
export class LeadReader {
  readonly #family: IpFamily;
  readonly chains = new Map<string, Lead[]>();

  constructor(family: IpFamily) {
    this.#family = family;
  }

  /** @throws SluiceError bug where it is no rule. */
  readonly take = ({ type, content }: DumpMessage): void => {
    if (type !== newRule) throw notUnderstood(`message ${type}`);
    let [table, chain] = ['', ''];
    let lead: Lead = '';
    attributes(content, 0, content.length, (kind, at, to) => {
      if (kind === rulePart.table) table = content.toString('latin1', at, to - 1);
      else if (kind === rulePart.chain) chain = content.toString('latin1', at, to - 1);
      else if (kind === rulePart.expressions) lead = this.#lead(content, at, to);
    });
    const id = `${table} ${chain}`;
    const leads = this.chains.get(id);
    if (leads === undefined) this.chains.set(id, [lead]);
    else leads.push(lead);
  };

  #lead(bytes: Buffer, from: number, end: number): Lead {
    let lead: Lead = '';
    attributes(bytes, from, end, (_, at, to) => {
      let what = '';
      attributes(bytes, at, to, (kind, begin, stop) => {
        if (kind === expressionPart.name) what = bytes.toString('latin1', begin, stop - 1);
        else if (kind !== expressionPart.data) return;
        else if (what === 'immediate') lead = verdictOf(bytes, begin, stop) ?? lead;
        else if (what === 'target') lead = this.#target(bytes, begin, stop, lead);
        else if (what === 'nat') lead = undefined;
      });
    });
    return lead;
  }

  #target(bytes: Buffer, from: number, end: number, otherwise: Lead): Lead {
    let target = '';
    let lead = otherwise;
    attributes(bytes, from, end, (kind, at, to) => {
      if (kind === targetPart.name) target = bytes.toString('latin1', at, to - 1);
      else if (kind === targetPart.info && target === 'DNAT')
        lead = endpointOf(this.#family, bytes.subarray(at, to));
    });
    return lead;
  }
}

function verdictOf(bytes: Buffer, from: number, end: number): Lead {
  let [code, chain] = [0, ''];
  attributes(bytes, from, end, (kind, at, to) => {
    if (kind !== immediatePart.data) return;
    attributes(bytes, at, to, (data, begin, stop) => {
      if (data !== verdictData) return;
      attributes(bytes, begin, stop, (part, first, last) => {
        if (part === verdictPart.code) code = bytes.readInt32BE(first);
        else if (part === verdictPart.chain) chain = bytes.toString('latin1', first, last - 1);
      });
    });
  });
  if (code === verdict.goto) return `goto ${chain}`;
  return code === verdict.jump ? `jump ${chain}` : undefined;
}

/** `struct nf_nat_range` and `nf_nat_range2` (linux/netfilter/nf_nat.h): flags, two addresses of 16 bytes, two ports. */
const rangeSize = 40;

function endpointOf(family: IpFamily, info: Buffer): Lead {
  if (info.length < rangeSize) return undefined;
  const address = hostOf(family, info);
  const port = info.readUInt16BE(4 + 32);
  return `dnat ${family === 'IPv4' ? address : `[${address}]`}:${port}`;
}

function hostOf(family: IpFamily, info: Buffer): string {
  if (family === 'IPv4') return `${info[4]}.${info[5]}.${info[6]}.${info[7]}`;
  return formatAddress({ family, value: BigInt(`0x${info.toString('hex', 4, 20)}`) });
}
