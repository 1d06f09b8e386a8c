/**
 * The words of nft for one family, and the doors through which texts from the cluster get into rules.
 *
 * nft takes one long text, so whatever comes from an object is checked here before it becomes part of it: an address is
 * an address of this family, a port is a port. What is not is refused for its own decision, before the kernel sees it.
 */
import { isIP } from 'node:net';
import { contains, formatAddress, parseCidr, type Cidr } from '../../core/cidr.ts';
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily, TransportProtocol } from '../../core/objects.ts';

/** Ours in both families; nobody else's. */
export const tableName = 'sluice';

export interface Words {
  readonly family: IpFamily;
  /** `ip` or `ip6`: the table's family and the header's name. */
  readonly header: 'ip' | 'ip6';
  /** Type of an address in a set. */
  readonly address: 'ipv4_addr' | 'ipv6_addr';
  readonly version: 4 | 6;
  readonly bits: 32 | 128;
  readonly loopback: '127.0.0.0/8' | '::1';
}

const ipv4: Words = {
  family: 'IPv4',
  header: 'ip',
  address: 'ipv4_addr',
  version: 4,
  bits: 32,
  loopback: '127.0.0.0/8',
};

const ipv6: Words = {
  family: 'IPv6',
  header: 'ip6',
  address: 'ipv6_addr',
  version: 6,
  bits: 128,
  loopback: '::1',
};

export function wordsOf(family: IpFamily): Words {
  return family === 'IPv4' ? ipv4 : ipv6;
}

/** Numbers, as `nft -p` lists them: names would cost nft a look into a file for each. */
export const protocolNumbers: Readonly<Record<TransportProtocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** @throws SluiceError `invalid` where it is not an address of this family. */
export function checkedAddress(words: Words, text: string): string {
  if (isIP(text) !== words.version || text.includes('%')) {
    throw new SluiceError('invalid', `${JSON.stringify(text)} is not an ${words.family} address`, {
      code: 'BadAddress',
    });
  }
  return text;
}

/** @throws SluiceError `invalid` where it is not a port number. */
export function checkedPort(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new SluiceError('invalid', `${port} is not a port number`, { code: 'BadPort' });
  }
  return port;
}

/**
 * Ranges of this family as an interval set takes them: none inside another (the kernel refuses those), a single address
 * without its prefix length (as nft lists it). Ranges of the other family hold nothing of this one and are left out.
 */
export function disjointRanges(words: Words, texts: readonly string[]): string[] {
  const ranges: Cidr[] = [];
  for (const text of texts) {
    const read = parseCidr(text);
    if (read.kind !== 'cidr') {
      throw new SluiceError('invalid', `${JSON.stringify(text)} is not a range of addresses`, {
        code: 'BadRange',
      });
    }
    if (read.cidr.family === words.family) ranges.push(read.cidr);
  }
  const kept: Cidr[] = [];
  for (const range of ranges.toSorted((a, b) => a.prefix - b.prefix)) {
    const first = { family: range.family, value: range.base };
    if (!kept.some((wider) => contains(wider, first))) kept.push(range);
  }
  return kept
    .map((range) => {
      const base = formatAddress({ family: range.family, value: range.base });
      return range.prefix === words.bits ? base : `${base}/${range.prefix}`;
    })
    .toSorted();
}
