/**
 * `loadBalancerSourceRanges` of one family, as rules can use them (L2, O12, §8 case 9).
 *
 * What kube-proxy does, but for one thing: where no range can be read at all, the Service is closed and not open. Who
 * mistypes the only range wanted the Service guarded. (The API server lets hardly any such text through.)
 */
import { contains, parseCidr } from '../../core/cidr.ts';
import type { Cidr } from '../../core/cidr.ts';
import type { IpFamily } from '../../core/objects.ts';
import { byText, inRanges } from './addresses.ts';

export interface GuardedBy {
  readonly ranges: readonly string[];
  readonly family: IpFamily;
  /** Ranges of the other family only: closed (true), or open as with kube-proxy (false). */
  readonly strict: boolean;
  /** The node's own address: where it is let in, so is what the node uses as a source towards its own addresses. */
  readonly primary: string | undefined;
  /** The addresses that are guarded: the node may hold them, and then has them as its source. */
  readonly own: readonly string[];
  /** The node's loopback addresses reach what is guarded. */
  readonly loopback: boolean;
}

/**
 * Who is let in: canonical, sorted, no range inside another. Undefined: everybody. Empty: nobody.
 */
export function allowedSources(by: GuardedBy): readonly string[] | undefined {
  if (by.ranges.length === 0) return undefined;
  const read = by.ranges.map((text) => parseCidr(text.trim()));
  const good = read.flatMap((one) => (one.kind === 'cidr' ? [one.cidr] : []));
  const mine = good.filter(({ family }) => family === by.family);
  if (mine.length === 0) {
    const onlyOther = good.length > 0 && good.length === read.length;
    return onlyOther && !by.strict ? undefined : [];
  }
  if (mine.some(({ prefix }) => prefix === 0)) return undefined;
  const texts = mine.map(({ text }) => text);
  if (by.primary === undefined || !inRanges(by.primary, texts)) return outermost(mine);
  const bits = by.family === 'IPv4' ? 32 : 128;
  const more = by.own.map((address) => `${address}/${bits}`);
  if (by.loopback && by.family === 'IPv4') more.push('127.0.0.0/8');
  const added = more.map((text) => parseCidr(text)).flatMap((one) => (one.kind === 'cidr' ? [one.cidr] : []));
  return outermost([...mine, ...added]);
}

/** Without repeats and without ranges that lie in others: what an interval set takes without merging. */
function outermost(ranges: readonly Cidr[]): readonly string[] {
  const kept: Cidr[] = [];
  for (const range of ranges.toSorted((a, b) => a.prefix - b.prefix)) {
    const inside = kept.some((one) => contains(one, { family: range.family, value: range.base }));
    if (!inside) kept.push(range);
  }
  return kept.map(({ text }) => text).toSorted(byText);
}
