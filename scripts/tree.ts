/** Reading the tree's own text and YAML, for tests of manifests, examples and pages. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { root } from './run.ts';

export function text(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Paths from the root of the tree, sorted. */
export function files(...patterns: readonly string[]): readonly string[] {
  return globSync([...patterns], { cwd: root }).toSorted();
}

/** All documents of a file as plain data. Throws on a syntax error, a duplicate key included, and on a warning. */
export function documents(path: string): readonly unknown[] {
  const parsed = parseAllDocuments(text(path));
  if (!Array.isArray(parsed)) throw new Error(`${path}: empty`);
  return parsed.map((document) => {
    const [mistake] = [...document.errors, ...document.warnings];
    if (mistake) throw new Error(`${path}: ${mistake.message}`, { cause: mistake });
    return document.toJS() as unknown;
  });
}

/** The only member of a list. */
export function one<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined || list.length > 1) throw new Error(`one expected, ${list.length} found`);
  return first;
}
