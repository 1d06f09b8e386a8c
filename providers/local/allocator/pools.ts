/**
 * From what administrators wrote to pools that may be allocated from, with every problem of every pool.
 *
 * Each pool is judged by itself and against those that were there before it: a mistake costs the pool that has it and
 * nothing else. Of two that overlap the one created later is refused, and both are told.
 */
import type { AddressPoolObject, LabelSelector } from '../../../src/core/address-objects.ts';
import type { IpFamily } from '../../../src/core/objects.ts';
import type { Problem } from '../../../src/core/problems.ts';
import { matches } from '../../../src/core/selectors.ts';
import { anySelects, describeSelector } from './selectors.ts';
import { meets, parseRange, sizeOf, type Range } from './ranges.ts';

/** A pool without mistakes. */
export interface Pool {
  readonly name: string;
  /** Sorted, none overlapping another. */
  readonly ranges: readonly Range[];
  readonly autoAssign: boolean;
  readonly avoidEdges: boolean;
  /** Place in the order of search: the lower is tried first. */
  readonly rank: number;
  readonly namespaces: readonly string[] | undefined;
  readonly namespaceSelectors: readonly LabelSelector[];
  readonly serviceSelectors: readonly LabelSelector[];
  readonly moveOnShrink: boolean;
}

export interface JudgedPool {
  readonly name: string;
  /** Undefined where the pool is refused. */
  readonly pool: Pool | undefined;
  readonly problems: readonly Problem[];
}

/** Whom a pool is asked for. */
export interface Asker {
  readonly namespace: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Judges all pools together. The order of the input makes no difference. */
export function judgePools(objects: readonly AddressPoolObject[]): readonly JudgedPool[] {
  const accepted: { readonly name: string; readonly ranges: readonly Range[] }[] = [];
  const judged = new Map<
    string,
    { object: AddressPoolObject; ranges: readonly Range[]; problems: Problem[] }
  >();
  for (const object of objects.filter(({ deleting }) => !deleting).toSorted(byAge)) {
    const { ranges, problems } = readRanges(object);
    for (const other of accepted) {
      const clash = firstMeeting(ranges, other.ranges);
      if (clash === undefined) continue;
      const [mine, theirs] = clash;
      problems.push({
        severity: 'error',
        reason: 'PoolOverlap',
        field: 'spec.addresses',
        message: `"${mine.text}" overlaps "${theirs.text}" of pool ${other.name}, which was created earlier`,
        cure: `take the shared addresses out of one of the pools ${object.name} and ${other.name}`,
      });
      judged.get(other.name)?.problems.push({
        severity: 'warning',
        reason: 'PoolOverlap',
        field: 'spec.addresses',
        message: `"${theirs.text}" overlaps "${mine.text}" of pool ${object.name}, which was created later and is refused`,
        cure: `take the shared addresses out of one of the pools ${other.name} and ${object.name}`,
      });
    }
    judged.set(object.name, { object, ranges, problems });
    if (!problems.some(({ severity }) => severity === 'error')) accepted.push({ name: object.name, ranges });
  }
  const usable = accepted.map(({ name }) => name);
  const ordered = usable
    .map((name) => judged.get(name))
    .filter((one) => one !== undefined)
    .toSorted((a, b) => bySearch(a.object, b.object));
  const ranks = new Map(ordered.map(({ object }, index) => [object.name, index]));
  return [...judged.values()]
    .map(({ object, ranges, problems }): JudgedPool => {
      const rank = ranks.get(object.name);
      return {
        name: object.name,
        problems,
        pool: rank === undefined ? undefined : poolOf(object, ranges, rank),
      };
    })
    .toSorted((a, b) => compare(a.name, b.name));
}

function poolOf(object: AddressPoolObject, ranges: readonly Range[], rank: number): Pool {
  return {
    name: object.name,
    ranges,
    autoAssign: object.autoAssign,
    avoidEdges: object.avoidBuggyIPs,
    rank,
    namespaces: object.namespaces,
    namespaceSelectors: object.namespaceSelectors,
    serviceSelectors: object.serviceSelectors,
    moveOnShrink: object.moveOnShrink,
  };
}

function readRanges({ addresses }: AddressPoolObject): { ranges: readonly Range[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const ranges: Range[] = [];
  addresses.forEach((text, index) => {
    const field = `spec.addresses[${index}]`;
    const parsed = parseRange(text);
    if (parsed.kind === 'malformed') {
      const { message, cure } = parsed;
      problems.push({ severity: 'error', reason: 'PoolInvalid', field, message, cure });
      return;
    }
    if (parsed.warning !== undefined) {
      const cure = 'write the range as it is read';
      problems.push({ severity: 'warning', reason: 'PoolInvalid', field, message: parsed.warning, cure });
    }
    const twice = ranges.find((range) => meets(range, parsed.range));
    if (twice !== undefined) {
      const message = `"${text}" and "${twice.text}" of the same pool overlap`;
      problems.push({
        severity: 'error',
        reason: 'PoolInvalid',
        field,
        message,
        cure: 'join them, or remove one',
      });
      return;
    }
    ranges.push(parsed.range);
  });
  if (addresses.length === 0) {
    problems.push({
      severity: 'error',
      reason: 'PoolInvalid',
      field: 'spec.addresses',
      message: 'the pool has no addresses',
      cure: 'add a CIDR or a range',
    });
  }
  return { ranges: ranges.toSorted(byFirst), problems };
}

/** Why the pool does not serve this Service; undefined when it does. Automatic assignment is another question. */
export function refusal(pool: Pool, { namespace, namespaceLabels, labels }: Asker): string | undefined {
  const { name, namespaces, namespaceSelectors, serviceSelectors } = pool;
  const anywhere = namespaces === undefined && namespaceSelectors.length === 0;
  const named = namespaces?.includes(namespace) === true;
  if (!anywhere && !named && !namespaceSelectors.some((selector) => matches(selector, namespaceLabels)))
    return `pool ${name} does not serve namespace ${namespace}`;
  if (!anySelects(serviceSelectors, labels)) {
    const wanted = serviceSelectors.map((selector) => describeSelector(selector)).join(' or ');
    return `pool ${name} serves only Services labelled ${wanted}`;
  }
  return undefined;
}

export function capacityOf({ ranges, avoidEdges }: Pool, family: IpFamily): bigint {
  return ranges
    .filter((range) => range.family === family)
    .reduce((sum, range) => sum + sizeOf(range, avoidEdges), 0n);
}

function firstMeeting(mine: readonly Range[], theirs: readonly Range[]): readonly [Range, Range] | undefined {
  for (const a of mine) for (const b of theirs) if (meets(a, b)) return [a, b];
  return undefined;
}

function byAge(a: AddressPoolObject, b: AddressPoolObject): number {
  return a.createdAt - b.createdAt || compare(a.name, b.name);
}

/** By priority (0 last), then those that choose their Services before those for all, then by name. */
function bySearch(a: AddressPoolObject, b: AddressPoolObject): number {
  const [p, q] = [placeOf(a), placeOf(b)];
  if (p !== q) return p < q ? -1 : 1;
  return Number(isOpen(a)) - Number(isOpen(b)) || compare(a.name, b.name);
}

function placeOf({ priority }: AddressPoolObject): number {
  return priority === 0 ? Infinity : priority;
}

function isOpen({ namespaces, namespaceSelectors, serviceSelectors }: AddressPoolObject): boolean {
  return namespaces === undefined && namespaceSelectors.length === 0 && serviceSelectors.length === 0;
}

function byFirst(a: Range, b: Range): number {
  if (a.family !== b.family) return a.family === 'IPv4' ? -1 : 1;
  return a.first < b.first ? -1 : a.first > b.first ? 1 : 0;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
