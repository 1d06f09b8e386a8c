/**
 * What a row of the annotation table is made of, and the readers of values that several rows share.
 */
import { parseBool, parseInteger, parseKeyValues, parseList } from '../../src/core/annotations.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { AnnotationDoc } from '../../src/core/provider.ts';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { attributeMistake } from './attributes.ts';
import type { AttributeRow } from './attributes.ts';
import type { Draft } from './draft.ts';
import type { Attributes } from './observed.ts';

/** What nearly all keys begin with. */
export const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';

/** One annotation being read. */
export interface Reading {
  readonly key: string;
  /** What stands for the `*` of a family's key; empty otherwise. */
  readonly rest: string;
  readonly text: string;
  readonly draft: Draft;
  /** Reports a value that cannot be used. */
  readonly refuse: (message: string, cure: string, reason?: ReasonCode) => void;
}

export interface Row extends AnnotationDoc {
  /** Absent for rows that are not served. */
  readonly read?: (reading: Reading) => void;
}

interface Doc {
  readonly values: string;
  readonly fallback: string;
  readonly means: string;
  readonly note?: string;
}

/** A row under the common prefix. A key that ends in `*` stands for a family of keys. */
export function served(key: string, doc: Doc, read: (reading: Reading) => void): Row {
  return servedAs(`${prefix}${key}`, doc, read);
}

export function servedAs(key: string, doc: Doc, read: (reading: Reading) => void): Row {
  return { note: '', ...doc, key, status: 'served', read };
}

/** A Service that has it is not provisioned: going on without would surprise. */
export function refused(key: string, means: string, note: string): Row {
  return unserved(`${prefix}${key}`, 'refused', means, note);
}

/** Reported and otherwise without effect. */
export function ignored(key: string, means: string, note: string): Row {
  return unserved(`${prefix}${key}`, 'ignored', means, note);
}

export function unserved(key: string, status: 'refused' | 'ignored', means: string, note: string): Row {
  return { key, values: '', fallback: '', means, status, note };
}

/** Applies one row to one annotation. */
export function readRow(row: Row, key: string, text: string, draft: Draft): readonly Problem[] {
  const field = annotationField(key);
  if (row.read === undefined) {
    return [
      {
        severity: row.status === 'refused' ? 'error' : 'warning',
        reason: 'UnsupportedAnnotation',
        field,
        message: 'this annotation is not served',
        cure: row.note,
      },
    ];
  }
  const problems: Problem[] = [];
  row.read({
    key,
    rest: row.key.endsWith('*') ? key.slice(row.key.length - 1) : '',
    text: text.trim(),
    draft,
    refuse: (message, cure, reason = 'InvalidAnnotation') => {
      problems.push({ severity: 'error', reason, field, message, cure });
    },
  });
  return problems;
}

/** Go's ParseBool set, as in all AWS controllers. */
export function readBool({ text, refuse }: Reading): boolean | undefined {
  const value = parseBool(text);
  if (value === undefined) refuse(`"${text}" is neither true nor false`, 'write "true" or "false"');
  return value;
}

export function readInteger(
  { text, refuse }: Reading,
  min: number,
  max: number,
  unit = '',
): number | undefined {
  const value = parseInteger(text, { min, max });
  if (value === undefined) {
    refuse(`"${text}" is not a number from ${min} to ${max}`, `write a number from ${min} to ${max}${unit}`);
  }
  return value;
}

/** One of some words, whatever the case of its letters. */
export function readWord<Word extends string>(
  { text, refuse }: Reading,
  words: readonly Word[],
): Word | undefined {
  const word = words.find((one) => one.toLowerCase() === text.toLowerCase());
  if (word === undefined) refuse(`"${text}" is not understood`, `use one of ${words.join(', ')}`);
  return word;
}

/** A list whose entries must all match; a repeated entry is an error, an empty list too. */
export function readIds({ text, refuse }: Reading, pattern: RegExp, example: string): readonly string[] {
  const entries = parseList(text);
  if (entries.length === 0) refuse('the list is empty', `name at least one, such as ${example}`);
  const good: string[] = [];
  for (const entry of entries) {
    if (!pattern.test(entry)) refuse(`"${entry}" is not an id`, `use ids such as ${example}`);
    else if (good.includes(entry)) refuse(`"${entry}" is named twice`, 'remove one of them');
    else good.push(entry);
  }
  return good;
}

/** `k=v` pairs; what is malformed is reported and left out. */
export function readPairs({ text, refuse }: Reading): readonly (readonly [string, string])[] {
  const { entries, malformed } = parseKeyValues(text);
  for (const piece of malformed)
    refuse(`"${piece}" is not a pair`, 'write key=value pairs, separated by commas');
  return entries;
}

/** `k=v` pairs of attributes: known keys are checked, others are left to AWS to judge. */
export function readAttributes(reading: Reading, table: readonly AttributeRow[]): Attributes {
  const attributes: Record<string, string> = {};
  for (const [key, value] of readPairs(reading)) {
    const bool = table.find((row) => row.key === key)?.values === 'bool' ? parseBool(value) : undefined;
    const plain = bool === undefined ? value : String(bool);
    const mistake = attributeMistake(table, key, plain);
    if (mistake === undefined) attributes[key] = plain;
    else reading.refuse(`attribute ${key} has the value "${value}"`, `it ${mistake}`);
  }
  return attributes;
}
