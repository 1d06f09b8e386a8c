/**
 * The annotations on a Service that the agent reads, in one table, and their values.
 *
 * What cannot be read has no effect and is a problem with a cure; it never takes the Service down. Weights tell
 * endpoints apart by what a slice says about them (address, node, zone), since slices do not carry pod labels.
 */
import { parseBool, parseInteger, parseKeyValues, parseList } from '../../core/annotations.ts';
import { agentAnnotation } from '../../core/agent-annotations.ts';
import type { ServiceObject, SliceEndpoint } from '../../core/objects.ts';
import { annotationField } from '../../core/problems.ts';
import type { Problem } from '../../core/problems.ts';
import { canonical, canonicalRange, familyOf, inRanges } from './addresses.ts';

/** Weights are rows of a look-up table in the kernel, so they are small. */
const maxWeight = 64;

export interface WeightRule {
  readonly by: 'range' | 'node' | 'zone' | 'default';
  /** A canonical range, a node's name, a zone's name; empty for the default. */
  readonly value: string;
  readonly weight: number;
}

/** Endpoints that are to be left alone. */
export interface DrainRule {
  readonly by: 'range' | 'node';
  /** A canonical range, a node's name. */
  readonly value: string;
}

export interface ServiceOptions {
  readonly balancing: 'random' | 'hash';
  /** Empty: everybody has the same. */
  readonly weights: readonly WeightRule[];
  /** Empty: nothing is drained. */
  readonly drain: readonly DrainRule[];
  /** Undefined: the agent's setting decides. */
  readonly guardEverything: boolean | undefined;
}

const plain: ServiceOptions = {
  balancing: 'random',
  weights: [],
  drain: [],
  guardEverything: undefined,
};

export interface ReadOptions {
  readonly options: ServiceOptions;
  readonly problems: readonly Problem[];
}

const plainly: ReadOptions = { options: plain, problems: [] };

/** Reads the annotations, with every problem. */
export function serviceOptions({ annotations }: Pick<ServiceObject, 'annotations'>): ReadOptions {
  const balancing = annotations[agentAnnotation.balancing.key];
  const weights = annotations[agentAnnotation.weights.key];
  const guard = annotations[agentAnnotation.guardEverything.key];
  const drain = annotations[agentAnnotation.drain.key];
  if (balancing === undefined && weights === undefined && guard === undefined && drain === undefined)
    return plainly;
  const problems: Problem[] = [];
  const wrong = (key: string, message: string): void => {
    problems.push({
      severity: 'error',
      reason: 'InvalidAnnotation',
      field: annotationField(key),
      message,
      cure: 'correct the value or remove the annotation; until then it has no effect',
    });
  };
  if (balancing !== undefined && balancing !== 'random' && balancing !== 'hash') {
    wrong(agentAnnotation.balancing.key, `"${balancing}" is not one of ${agentAnnotation.balancing.values}`);
  }
  // Who writes a value that cannot be read wants something guarded: it counts as true, which shuts and never opens.
  const guardEverything = guard === undefined ? undefined : (parseBool(guard) ?? true);
  if (guard !== undefined && parseBool(guard) === undefined) {
    wrong(
      agentAnnotation.guardEverything.key,
      `"${guard}" is not one of ${agentAnnotation.guardEverything.values}, and counts as true`,
    );
  }
  return {
    options: {
      balancing: balancing === 'hash' ? 'hash' : 'random',
      weights:
        weights === undefined
          ? []
          : weightRules(weights, (message) => {
              wrong(agentAnnotation.weights.key, message);
            }),
      drain: drainRules(drain ?? '', (message) => {
        wrong(agentAnnotation.drain.key, message);
      }),
      guardEverything,
    },
    problems,
  };
}

/** All rules or none: half of somebody's weights is a distribution that nobody asked for. */
function weightRules(text: string, wrong: (message: string) => void): readonly WeightRule[] {
  const { entries, malformed, repeated } = parseKeyValues(text);
  const rules: WeightRule[] = [];
  let good = malformed.length === 0 && repeated.length === 0;
  for (const piece of malformed) wrong(`"${piece}" is not of the form zone:NAME=WEIGHT`);
  for (const key of repeated) wrong(`"${key}" is given more than once`);
  for (const [key, value] of entries) {
    const weight = parseInteger(value, { min: 1, max: maxWeight });
    const who = selector(key);
    if (weight === undefined) wrong(`weight "${value}" of "${key}" is not a number from 1 to ${maxWeight}`);
    if (who === undefined) {
      wrong(`"${key}" is neither zone:NAME, node:NAME, an address, an address range nor "default"`);
    }
    if (weight === undefined || who === undefined) good = false;
    else rules.push({ ...who, weight });
  }
  return good ? rules.toSorted((a, b) => precedence(a) - precedence(b)) : [];
}

/** What can be read counts, whatever stands beside it: each part stands for itself. */
function drainRules(text: string, wrong: (message: string) => void): readonly DrainRule[] {
  return parseList(text).flatMap((part): readonly DrainRule[] => {
    const who = selector(part);
    if (who?.by === 'range' || who?.by === 'node') return [{ by: who.by, value: who.value }];
    wrong(`"${part}" is neither an address, an address range nor node:NAME; the rest of the list counts`);
    return [];
  });
}

/** Whether an endpoint is to get no new connections while there are others. */
export function isDrained(
  rules: readonly DrainRule[],
  address: string,
  { nodeName }: Pick<SliceEndpoint, 'nodeName'>,
): boolean {
  return rules.some(({ by, value }) => (by === 'node' ? nodeName === value : inRanges(address, [value])));
}

/** Addresses and the narrowest ranges first, then nodes, zones, and the default. */
function precedence({ by, value }: WeightRule): number {
  switch (by) {
    case 'range':
      return -Number(value.slice(value.indexOf('/') + 1));
    case 'node':
      return 1;
    case 'zone':
      return 2;
    case 'default':
      return 3;
  }
}

function selector(key: string): Pick<WeightRule, 'by' | 'value'> | undefined {
  if (key === 'default') return { by: 'default', value: '' };
  if (key.startsWith('zone:') && key.length > 5) return { by: 'zone', value: key.slice(5) };
  if (key.startsWith('node:') && key.length > 5) return { by: 'node', value: key.slice(5) };
  const family = familyOf(key);
  if (family !== undefined) {
    return { by: 'range', value: `${canonical(key, family) ?? key}/${family === 'IPv4' ? 32 : 128}` };
  }
  const range = canonicalRange(key, 'IPv4') ?? canonicalRange(key, 'IPv6');
  return range === undefined ? undefined : { by: 'range', value: range };
}

/** The first rule that fits: the narrowest range, then node, zone, default; without one, 1. */
export function weightOf(
  rules: readonly WeightRule[],
  address: string,
  endpoint: Pick<SliceEndpoint, 'nodeName' | 'zone'>,
): number {
  for (const { by, value, weight } of rules) {
    switch (by) {
      case 'range':
        if (inRanges(address, [value])) return weight;
        break;
      case 'node':
        if (endpoint.nodeName === value) return weight;
        break;
      case 'zone':
        if (endpoint.zone === value) return weight;
        break;
      case 'default':
        return weight;
    }
  }
  return 1;
}
