/**
 * The annotation table of the Alibaba provider: one row is one annotation, and drives parsing, validation and
 * the reference page alike.
 *
 * Each row is read in three spellings; where they differ the newest wins, and the other is reported. A row that
 * is not served says so; unknown keys are reported with a suggestion. An empty value is no opinion.
 */
import { unknownKeys } from '../../src/core/annotations.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { AnnotationDoc } from '../../src/core/provider.ts';
import { prefixes, readRow } from './annotation-row.ts';
import type { Row } from './annotation-row.ts';
import { balancerRows } from './annotation-rows-balancer.ts';
import { healthCheckRows, listenerRows } from './annotation-rows-listeners.ts';
import { targetRows } from './annotation-rows-targets.ts';
import { emptyDraft } from './draft.ts';
import type { Draft } from './draft.ts';

const rows: readonly Row[] = [...balancerRows, ...listenerRows, ...healthCheckRows, ...targetRows];

/** The table as the reference page and `explain` show it. */
export const annotations: readonly AnnotationDoc[] = rows.map(
  ({ key, values, fallback, means, status, note }) => ({ key, values, fallback, means, status, note }),
);

const spelled = rows.map((row) => ({ row, keys: spellings(row) }));
const known: readonly string[] = spelled.flatMap(({ keys }) => keys);

/** Wider than the known spellings, so that a misspelling of them is found too. */
const family = ['service.beta.kubernetes.io/alibaba-cloud-', 'service.beta.kubernetes.io/alicloud-'];

/** What must be written without anything around it, not even blanks. */
const exact: ReadonlySet<string> = new Set(['bandwidth']);

function spellings({ word, key }: Row): readonly string[] {
  return word === '' ? [key] : prefixes.map((prefix) => `${prefix}${word}`);
}

/** The key under which a Service says it, in whichever spelling; undefined where it does not. */
export function valueOf(given: Readonly<Record<string, string>>, word: string): string | undefined {
  return prefixes
    .map((prefix) => given[`${prefix}${word}`]?.trim())
    .find((text) => text !== undefined && text !== '');
}

/** All annotations of a Service that concern us, with every problem that they have. */
export function readAnnotations(given: Readonly<Record<string, string>>): {
  readonly draft: Draft;
  readonly problems: readonly Problem[];
} {
  const draft = emptyDraft();
  const problems: Problem[] = [];
  for (const { row, keys } of spelled) {
    const strict = exact.has(row.word);
    const present = keys.filter((key) => {
      const text = given[key];
      return text !== undefined && (strict || text.trim() !== '');
    });
    const [key, ...others] = present;
    if (key === undefined) continue;
    problems.push(...readRow(strict ? { ...row, exact: true } : row, key, given[key] ?? '', draft));
    for (const other of others) {
      if (given[other] !== given[key])
        problems.push(outweighed(other, given[other] ?? '', key, given[key] ?? ''));
    }
  }
  problems.push(...unknownKeys(given, family, known));
  return { draft, problems };
}

function outweighed(key: string, text: string, winner: string, winning: string): Problem {
  return {
    severity: 'warning',
    reason: 'IneffectiveSetting',
    field: annotationField(key),
    message: `"${text}" has no effect beside ${winner}, which says "${winning}"`,
    cure: 'remove one of the two',
  };
}
