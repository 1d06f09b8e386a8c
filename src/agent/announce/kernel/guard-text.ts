/**
 * The guard as nft reads it: what comes in for an address that we hold is taken only by the ports of its Services.
 *
 * Traffic of a Service is translated before it comes here and has another destination then; what still names our
 * address is for a process of this node: one that serves a Service (IPVS hands over here), or a daemon that listens
 * everywhere and must not be reached this way. The latter gets the answer of a closed port.
 */
import type { Holding } from '../announcer.ts';
import { protocolNumbers } from '../../nftables/words.ts';
import { addressBytes } from './wire.ts';

export const guardTable = 'sluice-guard';
const table = `inet ${guardTable}`;

/** What may be reached on each address. */
export type GuardState = ReadonlyMap<string, Holding['ports']>;

export interface GuardElements {
  readonly held4: ReadonlySet<string>;
  readonly held6: ReadonlySet<string>;
  readonly open4: ReadonlySet<string>;
  readonly open6: ReadonlySet<string>;
}

type SetName = keyof GuardElements;
const setNames: readonly SetName[] = ['held4', 'held6', 'open4', 'open6'];

export function guardElements(state: GuardState): GuardElements {
  const elements = {
    held4: new Set<string>(),
    held6: new Set<string>(),
    open4: new Set<string>(),
    open6: new Set<string>(),
  };
  for (const [address, ports] of state) {
    const four = addressBytes(address).length === 4;
    (four ? elements.held4 : elements.held6).add(address);
    const open = four ? elements.open4 : elements.open6;
    for (const { protocol, port } of ports) open.add(`${address} . ${protocolNumbers[protocol]} . ${port}`);
  }
  return elements;
}

const types: Readonly<Record<SetName, string>> = {
  held4: 'ipv4_addr',
  held6: 'ipv6_addr',
  open4: 'ipv4_addr . inet_proto . inet_service',
  open6: 'ipv6_addr . inet_proto . inet_service',
};

/** Rules, in the order in which they are asked. */
const checkRules: readonly string[] = [
  // Also errors about connections of ours, and answers to what the node itself asked by this address.
  'ct state established,related accept',
  'ip daddr . meta l4proto . th dport @open4 accept',
  'ip6 daddr . meta l4proto . th dport @open6 accept',
  'icmp type echo-request accept',
  // Neighbours make sure of an address by asking it.
  'icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert } accept',
  'meta l4proto tcp reject with tcp reset',
  'meta l4proto { icmp, ipv6-icmp } drop',
  'reject',
];

/**
 * The whole table in place of whatever is there, as one transaction of commands, each a line: so it can also be given as
 * one line.
 */
export function wholeGuard(elements: GuardElements): string {
  const lines = [
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    ...setNames.map((name) => `add set ${table} ${name} { type ${types[name]} ; }`),
    `add chain ${table} check`,
    ...checkRules.map((rule) => `add rule ${table} check ${rule}`),
    // A little before the usual place: a firewall's own rules still have the last word on what is let in.
    `add chain ${table} input { type filter hook input priority -10 ; policy accept ; }`,
    `add rule ${table} input ip daddr @held4 jump check`,
    `add rule ${table} input ip6 daddr @held6 jump check`,
  ];
  return `${lines.join('\n')}\n${guardChange(noElements, elements)}`;
}

const noElements: GuardElements = guardElements(new Map());

/** What leads from one state to another, as one transaction; empty where nothing does. */
export function guardChange(before: GuardElements, after: GuardElements): string {
  const lines: string[] = [];
  for (const [verb, from, to] of [
    ['delete', after, before],
    ['add', before, after],
  ] as const) {
    for (const name of setNames) {
      const items = [...to[name]].filter((item) => !from[name].has(item));
      if (items.length > 0) lines.push(`${verb} element ${table} ${name} { ${items.join(', ')} }\n`);
    }
  }
  return lines.join('');
}

export const removeGuard = `add table ${table}\ndelete table ${table}\n`;

/** What a listing of the table says, in a form that can be compared; undefined where it cannot be read. */
export function readListing(listing: string): { readonly rules: string; readonly elements: GuardElements } {
  const elements = {
    held4: new Set<string>(),
    held6: new Set<string>(),
    open4: new Set<string>(),
    open6: new Set<string>(),
  };
  for (const name of setNames) {
    const block = new RegExp(`\\tset ${name} \\{[^]*?\\n\\t\\}`, 'u').exec(listing)?.[0] ?? '';
    const inside = /elements = \{([^}]*)\}/u.exec(block)?.[1] ?? '';
    for (const item of inside.split(',')) {
      const text = item.trim();
      if (text !== '') elements[name].add(text);
    }
  }
  const at = listing.indexOf('\tchain ');
  return { rules: at < 0 ? '' : listing.slice(at), elements };
}

export function sameElements(a: GuardElements, b: GuardElements): boolean {
  return setNames.every(
    (name) => a[name].size === b[name].size && [...a[name]].every((item) => b[name].has(item)),
  );
}
