/**
 * Reading annotation values: the small parsers that every provider's table is built from.
 *
 * Annotations are text that people type, so each parser says plainly "not understood" (undefined, or the
 * pieces that are malformed) and never guesses. The sets of accepted spellings are those that users of the
 * existing controllers already write (Go's ParseBool, comma lists, `k=v` lists with escapable commas).
 *
 * The annotations of our own, which every provider serves, are at the end.
 */
import { agentAnnotationDocs } from './agent-annotations.ts';
import { localAnnotation } from './local-annotations.ts';
import { annotationField } from './problems.ts';
import type { Problem } from './problems.ts';
import type { AnnotationDoc, ProviderName } from './provider.ts';

const yes: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const no: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** The spellings of Go's strconv.ParseBool; anything else is undefined. */
export function parseBool(text: string): boolean | undefined {
  if (yes.has(text)) return true;
  return no.has(text) ? false : undefined;
}

/** A decimal integer within bounds: no sign but `-`, no leading zero, no blanks, no fraction. */
export function parseInteger(
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  if (!/^(0|-?[1-9][0-9]{0,14})$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** Comma-separated, trimmed; empty pieces are left out. */
export function parseList(text: string): readonly string[] {
  return text
    .split(',')
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '');
}

export interface KeyValues {
  /** In order of first appearance; where a key repeats, the last value wins. */
  readonly entries: readonly (readonly [key: string, value: string])[];
  /** Pieces without `=` or without a key, as written. */
  readonly malformed: readonly string[];
  /** Keys that appear more than once. */
  readonly repeated: readonly string[];
}

/** `k=v,k2=v2`; `\,` is a comma inside a value; only the first `=` separates. */
export function parseKeyValues(text: string): KeyValues {
  const entries = new Map<string, string>();
  const malformed: string[] = [];
  const repeated = new Set<string>();
  for (const piece of text.split(/(?<!\\),/)) {
    const plain = piece.replaceAll('\\,', ',').trim();
    if (plain === '') continue;
    const equals = plain.indexOf('=');
    const key = plain.slice(0, Math.max(0, equals)).trim();
    if (key === '') {
      malformed.push(plain);
      continue;
    }
    if (entries.has(key)) repeated.add(key);
    entries.set(key, plain.slice(equals + 1).trim());
  }
  return { entries: [...entries], malformed, repeated: [...repeated] };
}

/**
 * The known key that somebody most likely meant, or undefined when none is near.
 *
 * What two keys share up to a separator is left out of the comparison, so that a long common prefix does
 * not make strangers look alike; a third of the rest may differ.
 */
export function suggest(key: string, known: readonly string[]): string | undefined {
  const typed = key.toLowerCase();
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    // What they share does not change by how much their lengths differ, and most are ruled out by that alone.
    const apart = Math.abs(typed.length - candidate.length);
    if (apart > allowedChanges(typed, candidate)) continue;
    const meant = candidate.toLowerCase();
    const shared = sharedPrefix(typed, meant);
    const [a, b] = [typed.slice(shared), meant.slice(shared)];
    const allowed = allowedChanges(a, b);
    if (apart > allowed) continue;
    const distance = editDistance(a, b);
    if (distance <= allowed && (best === undefined || distance < best.distance))
      best = { candidate, distance };
  }
  return best?.candidate;
}

function allowedChanges(a: string, b: string): number {
  return Math.max(1, Math.floor(Math.max(a.length, b.length) / 3));
}

function sharedPrefix(a: string, b: string): number {
  let boundary = 0;
  for (let i = 0; i < a.length && a[i] === b[i]; i++) {
    if (a[i] === '/' || a[i] === '-' || a[i] === '.') boundary = i + 1;
  }
  return boundary;
}

/** Damerau-Levenshtein, optimal string alignment: insertions, deletions, changes, swapped neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, changed);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/**
 * A warning for each annotation that begins with one of `prefixes` and is not known.
 *
 * A known key that ends in `*` stands for every key that begins so (`…-attributes.*`).
 */
export function unknownKeys(
  annotations: Readonly<Record<string, string>>,
  prefixes: readonly string[],
  known: readonly string[],
): readonly Problem[] {
  const ours = Object.keys(annotations).filter((key) => prefixes.some((prefix) => key.startsWith(prefix)));
  if (ours.length === 0) return [];
  const exact = new Set(known);
  const families = known.filter((key) => key.endsWith('*')).map((key) => key.slice(0, -1));
  const candidates = known.filter((key) => !key.endsWith('*'));
  return ours
    .filter((key) => !exact.has(key) && !families.some((family) => key.startsWith(family)))
    .toSorted()
    .map((key): Problem => {
      const meant = suggest(key, candidates);
      return {
        severity: 'warning',
        reason: 'UnknownAnnotation',
        field: annotationField(key),
        message: 'this annotation is not known and has no effect',
        cure: meant === undefined ? 'remove it or correct its spelling' : `did you mean "${meant}"?`,
      };
    });
}

/** Everything of ours on a Service begins with this. */
export const ownPrefix = 'sluice.dev/';

/** Which provider holds resources for the Service: written by Sluice beside its finalizer, not by users. */
export const servedByAnnotation = 'sluice.dev/served-by';

/** Which machine serves the Service, in laptop mode: written by `sluice local` beside its finalizer. */
export const servedOnAnnotation = 'sluice.dev/served-on';

/** When that machine last said that it lives, on one or more of its Services; its own clock. */
export const servedAtAnnotation = 'sluice.dev/served-at';

/** What we write on a Service ourselves, beside the finalizer; it goes with it. */
export const ownMarks: readonly string[] = [servedByAnnotation, servedOnAnnotation, servedAtAnnotation];

export const providerNames: readonly ProviderName[] = ['aws', 'alibaba', 'local'];

/** What the Service itself says about how it is served. Undefined: the settings of the controller decide. */
export interface OwnSettings {
  readonly paused: boolean;
  readonly planOnly: boolean;
  readonly provider: ProviderName | undefined;
  readonly driftPolicy: 'correct' | 'report' | undefined;
  readonly publish: 'active' | 'early' | undefined;
  readonly targets: 'all-nodes' | 'local-nodes' | undefined;
}

const own = {
  paused: doc('paused', 'true, false', 'false', 'Leaves the Service and its balancer exactly as they are.'),
  planOnly: doc('plan-only', 'true, false', 'false', 'Shows what would be done, and does nothing.'),
  provider: doc('provider', 'aws, alibaba, local', '', 'Chooses the provider of a Service without a class.'),
  driftPolicy: doc(
    'drift-policy',
    'correct, report',
    '',
    'Whether changes made behind our back are put right or only reported.',
  ),
  publish: doc(
    'publish',
    'active, early',
    '',
    'Whether the address is shown when the balancer is active, or as soon as it is known.',
  ),
  targets: doc(
    'targets',
    'all-nodes, local-nodes',
    'local-nodes',
    'Under policy Local: whether only nodes that hold an endpoint are targets.',
  ),
} as const;

/** The table behind `ownAnnotations`, for the reference page. An empty fallback: the controller's settings decide. */
export const ownAnnotationDocs: readonly AnnotationDoc[] = Object.values(own);

/** Under our prefix, and read by every provider or by the agent, or written by ourselves. */
const everywhereKnown: readonly string[] = [
  ...[...ownAnnotationDocs, ...agentAnnotationDocs].map(({ key }) => key),
  ...ownMarks,
];

function doc(word: string, values: string, fallback: string, means: string): AnnotationDoc {
  return { key: `${ownPrefix}${word}`, values, fallback, means, status: 'served', note: '' };
}

/**
 * Reads our own annotations, with all problems; what cannot be read has its default.
 *
 * @param served keys under our prefix that the provider at hand reads itself.
 */
export function ownAnnotations(
  annotations: Readonly<Record<string, string>>,
  served: readonly string[] = [],
): { readonly settings: OwnSettings; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const read = <Value>(
    { key, values }: AnnotationDoc,
    parse: (text: string) => Value | undefined,
  ): Value | undefined => {
    const text = annotations[key];
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) {
      problems.push({
        severity: 'error',
        reason: 'InvalidAnnotation',
        field: annotationField(key),
        message: `"${text}" is not one of ${values}`,
        cure: 'correct the value or remove the annotation',
      });
    }
    return value;
  };
  const settings: OwnSettings = {
    // Who writes "paused: ture" wants the Service left alone, so a value that cannot be read pauses as well.
    paused: read(own.paused, parseBool) ?? annotations[own.paused.key] !== undefined,
    planOnly: read(own.planOnly, parseBool) ?? annotations[own.planOnly.key] !== undefined,
    provider: read(own.provider, oneOf(providerNames)),
    driftPolicy: read(own.driftPolicy, oneOf(['correct', 'report'])),
    publish: read(own.publish, oneOf(['active', 'early'])),
    targets: read(own.targets, oneOf(['all-nodes', 'local-nodes'])),
  };
  return { settings, problems: [...problems, ...unknownOwn(annotations, served)] };
}

/**
 * A warning for each annotation under our own prefix that is not known.
 *
 * @param served keys under our prefix that are known besides those that every provider and the agent read; by default
 * those of all providers, for who does not know which one is at hand.
 */
export function unknownOwn(
  annotations: Readonly<Record<string, string>>,
  served: readonly string[] = Object.values(localAnnotation),
): readonly Problem[] {
  return unknownKeys(annotations, [ownPrefix], [...everywhereKnown, ...served]);
}

function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word | undefined {
  return (text) => words.find((word) => word === text);
}
