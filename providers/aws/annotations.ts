/**
 * The annotation table of the AWS provider: one row is one annotation, and drives parsing, validation and
 * the reference page alike.
 *
 * The keys are those that users of the existing AWS controllers already write. A row that is not served says
 * so: `refused` where going on without it would surprise (security, addresses, routing), `ignored` with a
 * warning where it would not. Nothing is silently dropped: unknown keys are reported with a suggestion.
 */
import { unknownKeys } from '../../src/core/annotations.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { AnnotationDoc } from '../../src/core/provider.ts';
import { prefix, readRow } from './annotation-row.ts';
import { rows } from './annotation-rows.ts';
import { emptyDraft } from './draft.ts';
import type { Draft } from './draft.ts';

/** The table as the reference page and `explain` show it. */
export const annotations: readonly AnnotationDoc[] = rows.map(
  ({ key, values, fallback, means, status, note }) => ({ key, values, fallback, means, status, note }),
);

const known: readonly string[] = rows.map(({ key }) => key);

/** All annotations of a Service that concern us, with every problem that they have. */
export function readAnnotations(given: Readonly<Record<string, string>>): {
  readonly draft: Draft;
  readonly problems: readonly Problem[];
} {
  const draft = emptyDraft();
  const problems: Problem[] = [];
  for (const row of rows) {
    for (const key of keysOf(row.key, given)) {
      problems.push(...readRow(row, key, given[key] ?? '', draft));
    }
  }
  problems.push(...unknownKeys(given, [prefix], known));
  return { draft, problems };
}

function keysOf(key: string, given: Readonly<Record<string, string>>): readonly string[] {
  if (!key.endsWith('*')) return Object.hasOwn(given, key) ? [key] : [];
  const family = key.slice(0, -1);
  return Object.keys(given)
    .filter((candidate) => candidate.startsWith(family))
    .toSorted();
}
