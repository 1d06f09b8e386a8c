/** What the hand-written pages and manifests say about the program is still true of it. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configTable as alibabaTable } from '../providers/alibaba/config-table.ts';
import { configTable as localTable } from '../providers/local/config-table.ts';
import { configTable } from '../providers/aws/config-table.ts';
import { reasons } from '../src/core/reasons.ts';
import { metricTable } from '../src/observe/metric-table.ts';
import type { Fields } from '../src/core/schema.ts';
import { sections } from '../src/settings/table.ts';
import { root } from './run.ts';

interface Page {
  readonly path: string;
  readonly text: string;
}

const pages: readonly Page[] = globSync(
  ['*.md', 'docs/**/*.md', 'providers/*/*.md', 'examples/**/*.md', 'manifests/**/*.{md,yaml}'],
  { cwd: root },
).map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

/** Every match of the first group, as `page: match`, that `known` does not accept. */
function unknown(pattern: RegExp, known: (match: string, page: Page) => boolean): readonly string[] {
  return pages.flatMap((page) =>
    [...page.text.matchAll(pattern)]
      .map((match) => match[1] ?? '')
      .filter((match) => !known(match, page))
      .map((match) => `${page.path}: ${match}`),
  );
}

function settingPaths(fields: Fields, prefix: string): readonly string[] {
  return Object.entries(fields).flatMap(([name, { schema }]) => [
    `${prefix}${name}`,
    ...settingPaths(schema.fields ?? {}, `${prefix}${name}.`),
  ]);
}

describe('pages and manifests', () => {
  test('every metric that they name is exported', () => {
    const names = new Set<string>(Object.values(metricTable).map(({ name }) => name));
    const isKnown = (name: string): boolean =>
      names.has(name) || names.has(name.replace(/_(?:bucket|sum|count)$/u, ''));
    expect(unknown(/\b((?:sluice|service_controller)_[a-z_]*[a-z])\b/gu, isKnown)).toEqual([]);
  });

  test('every reason that an alert matches on exists', () => {
    const isKnown = (match: string): boolean =>
      match.split('|').every((reason) => Object.hasOwn(reasons, reason));
    expect(unknown(/\breason=~?"([A-Za-z|]+)"/gu, isKnown)).toEqual([]);
  });

  test('every setting that they name exists', () => {
    const known = new Set(
      Object.entries({
        ...sections,
        'providers.alibaba': alibabaTable,
        'providers.aws': configTable,
        'providers.local': localTable,
      }).flatMap(([name, { fields }]) => [name, ...settingPaths(fields ?? {}, `${name}.`)]),
    );
    expect(
      unknown(/`((?:controller|cluster|providers)\.[a-zA-Z.-]+)(?::[^`]*)?`/gu, (path) => known.has(path)),
    ).toEqual([]);
  });

  test('every npm script that they name exists', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      readonly scripts: Readonly<Record<string, string>>;
    };
    expect(unknown(/\bnpm run ([a-z][a-z:]*)/gu, (name) => Object.hasOwn(scripts, name))).toEqual([]);
  });

  test('every link between them leads somewhere', () => {
    const leads = (link: string, page: Page): boolean =>
      /^(?:[a-z]+:|#)/u.test(link) || existsSync(join(root, dirname(page.path), link.replace(/#.*$/u, '')));
    expect(unknown(/\]\(([^)\s]+)\)/gu, leads)).toEqual([]);
  });
});
