/**
 * Who imports whom, read from the import lines of the tree: what imports.test.ts judges.
 *
 * Deliberately independent of the linter, which sees one line at a time: this also knows dynamic imports,
 * and what is reached through others.
 */
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { root } from './run.ts';

export interface Import {
  /** Path of a file of ours from the root of the checkout, or the name of a package or built-in. */
  readonly to: string;
  /** Loaded only when the line is reached: `import('…')`. */
  readonly dynamic: boolean;
  /** Only types: nothing is loaded. */
  readonly types: boolean;
}

/** File → what it imports, types included. Paths from the root of the checkout. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>;

const staticImport = /^(?:import|export)\b( type\b)?(?:[^'"`;]*?\bfrom)?\s*'([^']+)'/gmu;
const dynamicImport = /\bimport\(()\s*'([^']+)'\s*\)/gmu;

/** The imports of one file, comments left aside. */
export function importsOf(file: string, text: string): readonly Import[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//gu, '').replaceAll(/^\s*\/\/.*$/gmu, '');
  const target = (specifier: string): string =>
    specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier;
  const found = (pattern: RegExp, dynamic: boolean): Import[] =>
    [...code.matchAll(pattern)].map((match) => ({
      to: target(match[2] ?? ''),
      dynamic,
      types: (match[1] ?? '') !== '',
    }));
  return [...found(staticImport, false), ...found(dynamicImport, true)];
}

/** All files of the product, without tests. */
export function readGraph(): ImportGraph {
  const files = globSync(['src/**/*.ts', 'providers/**/*.ts'], { cwd: root })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => !file.endsWith('.test.ts'));
  return new Map(
    files.map((file) => [file, importsOf(file, readFileSync(posix.join(root, file), 'utf8'))] as const),
  );
}

/** Everything that is loaded when `start` is, by static imports, `start` included. */
export function reachable(graph: ImportGraph, start: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [start];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const each of graph.get(file) ?? []) if (!each.dynamic && !each.types) open.push(each.to);
  }
  return seen;
}

/** The first cycle found, as the files along it, or undefined. */
export function findCycle(graph: ImportGraph): readonly string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const each of graph.get(file) ?? []) {
      const cycle = each.dynamic ? undefined : visit(each.to);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file);
    if (cycle) return cycle;
  }
  return undefined;
}
