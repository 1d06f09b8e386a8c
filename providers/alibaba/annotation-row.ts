/**
 * What a row of the annotation table is made of, and the readers of values that several rows share.
 *
 * A word may be written in three spellings: the one of the cloud's controller today, its older one, and the one
 * with a hyphen in "load-balancer", which tutorials have and that controller does not read. Values are
 * case-sensitive, as there.
 */
import { parseInteger, parseKeyValues, parseList } from '../../src/core/annotations.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { AnnotationDoc } from '../../src/core/provider.ts';
import type { ReasonCode } from '../../src/core/reasons.ts';
import type { Draft, PortPair } from './draft.ts';
import type { Setting } from './observed.ts';

/** What the keys begin with, the one that wins first. */
export const prefixes = [
  'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-',
  'service.beta.kubernetes.io/alicloud-loadbalancer-',
  'service.beta.kubernetes.io/alicloud-load-balancer-',
] as const;

export const prefix = prefixes[0];

/** One annotation being read. */
export interface Reading {
  readonly key: string;
  readonly text: string;
  readonly draft: Draft;
  /** Reports a value that cannot be used. */
  readonly refuse: (message: string, cure: string, reason?: ReasonCode) => void;
}

export interface Row extends AnnotationDoc {
  /** Without the common prefix; empty for a key that stands alone. */
  readonly word: string;
  /** Absent for rows that are not served. */
  readonly read?: (reading: Reading) => void;
  /** Blanks around the value are part of it. */
  readonly exact?: boolean;
  /** For rows that are not served by some of their values only. */
  readonly concerns?: (text: string) => boolean;
}

export interface Doc {
  readonly values: string;
  readonly fallback?: string;
  readonly means: string;
  readonly note?: string;
}

export function served(word: string, doc: Doc, read: (reading: Reading) => void): Row {
  return { fallback: '', note: '', ...doc, word, key: `${prefix}${word}`, status: 'served', read };
}

/** A Service that has it is not provisioned: going on without would surprise. */
export function refused(
  word: string,
  means: string,
  note: string,
  concerns?: (text: string) => boolean,
): Row {
  return unserved(word, `${prefix}${word}`, 'refused', means, note, concerns);
}

/** Reported and otherwise without effect. */
export function ignored(
  word: string,
  means: string,
  note: string,
  concerns?: (text: string) => boolean,
): Row {
  return unserved(word, `${prefix}${word}`, 'ignored', means, note, concerns);
}

export function unserved(
  word: string,
  key: string,
  status: 'refused' | 'ignored',
  means: string,
  note: string,
  concerns: (text: string) => boolean = () => true,
): Row {
  return { word, key, values: '', fallback: '', means, status, note, concerns };
}

/** Applies one row to one annotation. An empty value is no opinion, but where the row is exact. */
export function readRow(row: Row, key: string, given: string, draft: Draft): readonly Problem[] {
  const field = annotationField(key);
  const text = row.exact === true ? given : given.trim();
  if (text === '' && row.exact !== true) return [];
  if (row.read === undefined) {
    if (row.concerns?.(text) === false) return [];
    return [
      {
        severity: row.status === 'refused' ? 'error' : 'warning',
        reason: 'UnsupportedAnnotation',
        field,
        message: `this annotation with the value "${text}" is not served`,
        cure: row.note,
      },
    ];
  }
  const problems: Problem[] = [];
  row.read({
    key,
    text,
    draft,
    refuse: (message, cure, reason = 'InvalidAnnotation') => {
      problems.push({ severity: 'error', reason, field, message, cure });
    },
  });
  return problems;
}

export function readInteger(
  { text, refuse }: Reading,
  min: number,
  max: number,
  unit = '',
): number | undefined {
  const value = parseInteger(text, { min, max });
  if (value === undefined)
    refuse(
      `"${text}" is not a number from ${min} to ${max}`,
      `write a whole number from ${min} to ${max}${unit}`,
    );
  return value;
}

export function readWord<Word extends string>(
  { text, refuse }: Reading,
  words: readonly Word[],
): Word | undefined {
  const word = words.find((one) => one === text);
  if (word === undefined) refuse(`"${text}" is not understood`, `use one of ${words.join(', ')}`);
  return word;
}

export function readForm({ text, refuse }: Reading, pattern: RegExp, example: string): string | undefined {
  if (pattern.test(text)) return text;
  refuse(`"${text}" is not understood`, `write something like ${example}`);
  return undefined;
}

/** `k=v` pairs; what is malformed is reported and left out. */
export function readPairs({ text, refuse }: Reading): readonly (readonly [string, string])[] {
  const { entries, malformed, repeated } = parseKeyValues(text);
  for (const piece of malformed)
    refuse(`"${piece}" is not a pair`, 'write key=value pairs, separated by commas');
  for (const key of repeated) refuse(`"${key}" is named twice`, 'remove one of them');
  return entries;
}

/** `80:x,443:y`, the port on the side that `portFirst` says; a port that comes twice is an error. */
export function readPortPairs<Value>(
  { text, refuse }: Reading,
  portFirst: boolean,
  understand: (text: string) => Value | undefined,
  example: string,
): readonly PortPair<Value>[] {
  const pairs: PortPair<Value>[] = [];
  for (const piece of parseList(text)) {
    const [one = '', other = '', ...rest] = piece.split(':').map((part) => part.trim());
    const port = parseInteger(portFirst ? one : other, { min: 1, max: 65_535 });
    const value = understand(portFirst ? other : one);
    if (rest.length > 0 || port === undefined || value === undefined) {
      refuse(`"${piece}" is not understood`, `write pairs such as ${example}`);
    } else if (pairs.some((pair) => pair.port === port)) {
      refuse(`port ${port} is named twice`, 'remove one of them');
    } else {
      pairs.push({ port, value });
    }
  }
  return pairs;
}

/** A row that sets one setting of the listeners that have it. */
export function setting(
  word: string,
  name: string,
  doc: Doc,
  read: (reading: Reading) => Setting | undefined,
): Row {
  return served(word, doc, (reading) => {
    const value = read(reading);
    if (value === undefined) return;
    reading.draft.listener[name] = value;
    reading.draft.keys[name] = reading.key;
  });
}
