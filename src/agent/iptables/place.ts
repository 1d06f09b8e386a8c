/**
 * Where in the dispatch tree a destination stands, and what the sets hold of it (pure).
 *
 * Addresses are told apart by their last byte, in two steps of four bits; node ports by ranges of 64.
 */
import type { ChainId } from './delta.ts';
import type { Layout } from './layout.ts';
import { chain, type SetName } from './names.ts';
import { portEntries, type Claim } from './service.ts';

/** Of two claims to one destination the lower one wins. */
export function rankOf({ at }: Claim): number {
  return at.kind === 'address' ? at.rank : 0;
}

/** Sorts as text the way the dispatch is to be ordered. */
export function destination({ at, protocol, port }: Claim): string {
  const padded = String(port).padStart(5, '0');
  return at.kind === 'address' ? `${at.address} ${protocol} ${padded}` : `:${protocol} ${padded}`;
}

/** Set entries of a destination. */
export function entries(claim: Claim, layout: Layout): readonly (readonly [SetName, string])[] {
  const { at, protocol, port, refuse } = claim;
  if (at.kind === 'address') {
    const entry = `${at.address},${protocol}:${port}`;
    const refusal = refuse === undefined ? [] : [[refuse === 'drop' ? 'DRP' : 'REJ', entry] as const];
    return [...refusal, ['OUR', at.address], ['DST', entry]];
  }
  const refusal = refuse === undefined ? undefined : refuse === 'drop' ? 'NPD' : 'NPR';
  return portEntries(layout.family, protocol, port).flatMap((entry): (readonly [SetName, string])[] => [
    ...(refusal === undefined ? [] : [[refusal, entry] as const]),
    ...(claim.rule === undefined ? [] : [['NP', entry] as const]),
  ]);
}

const portsInLeaf = 64;

/** Where in the tree a destination's rule stands. */
export function place({ at, protocol, port }: Claim): { readonly branch: string; readonly leaf: string } {
  if (at.kind === 'node-port') {
    const first = Math.floor(port / portsInLeaf) * portsInLeaf;
    return { branch: chain.nodePorts, leaf: `SLUICE-NP-${protocol}-${String(first).padStart(5, '0')}` };
  }
  const byte = lastByte(at.address).toString(16).padStart(2, '0').toUpperCase();
  return { branch: `SLUICE-DST-${byte.charAt(1)}`, leaf: `SLUICE-DST-${byte}` };
}

function lastByte(address: string): number {
  const text = address.slice(Math.max(address.lastIndexOf('.'), address.lastIndexOf(':')) + 1);
  if (address.includes('.')) return Number(text);
  return text === '' ? 0 : Number.parseInt(text, 16) & 0xff;
}

/** The match that leads into a chain of the tree. */
export function bits({ family }: Layout, name: string): string {
  const ports = /^SLUICE-NP-([a-z]+)-(\d+)$/.exec(name);
  if (ports !== null) {
    const [, protocol = '', from = ''] = ports;
    const first = Number(from);
    return `-p ${protocol} -m ${protocol} --dport ${first}:${first + portsInLeaf - 1}`;
  }
  const digits = name.slice('SLUICE-DST-'.length);
  const value = Number.parseInt(digits, 16);
  const mask = digits.length === 1 ? 0x0f : 0xff;
  return family === 'IPv4'
    ? `-d 0.0.0.${value}/0.0.0.${mask}`
    : `-d ::${value === 0 ? '' : value.toString(16)}/::${mask.toString(16)}`;
}

/** How far from the root of the dispatch a chain stands, 0 where it is no part of it. */
export function depth(id: ChainId): number {
  const name = id.slice(id.indexOf(' ') + 1);
  if (name === chain.dispatch || name === chain.nodePorts || name === chain.drop || name === chain.dropPorts)
    return 1;
  if (/^SLUICE-DST-.$/.test(name)) return 2;
  return /^SLUICE-(DST|NP)-/.test(name) ? 3 : 0;
}
