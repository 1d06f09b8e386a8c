/**
 * `npm run docs`: writes the reference pages from the tables in the source. `--check` writes nothing and
 * fails when a page does not match its table: `npm test` runs that.
 *
 * A provider's annotations come from `providers/<name>/annotations.ts` (export `annotations`) and go
 * between the lines `<!-- generated: annotations -->` and `<!-- end: annotations -->` of its README; a
 * README without them gets them at its end. Its settings come from `providers/<name>/config-table.ts` (export
 * `configTable`) and go to the page of all settings.
 */
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import type { Program } from '../src/commands/table.ts';
import { answerReasons, notServedReasons } from '../src/agent/answers/words.ts';
import { endpointReasons } from '../src/agent/decide/explain.ts';
import { agentAnnotationDocs } from '../src/core/agent-annotations.ts';
import { reasons } from '../src/core/reasons.ts';
import type { Schema } from '../src/core/schema.ts';
import type { AnnotationDoc } from '../src/core/provider.ts';
import { metricTable } from '../src/observe/metric-table.ts';
import { sections } from '../src/settings/table.ts';
import {
  agentAnnotationsPage,
  annotationsTable,
  between,
  commandsPage,
  note as generatedNote,
  metricsPage,
  reasonsPage,
  settingsPage,
  type ReasonSection,
} from './reference.ts';
import { crdPage, type Crd } from './crd-page.ts';
import { root } from './run.ts';

const agentCodes: readonly ReasonSection[] = [
  {
    title: 'Where a packet goes',
    says: 'The answer of `sluice explain --from … --to …`.',
    codes: answerReasons,
  },
  {
    title: 'Why an endpoint gets new connections on a node, or does not',
    says: 'Each endpoint of the Service in `sluice explain --from … --to …`.',
    codes: endpointReasons,
  },
  {
    title: 'Why the agent has nothing to do with a Service',
    says: 'Services that have the destination that is asked about, and are not served by the agent.',
    codes: notServedReasons,
  },
];

interface Page {
  /** From the root of the checkout. */
  readonly path: string;
  readonly text: string;
}

/** A README that has no place for the table yet gets one at its end. */
function withAnnotations(readme: string, generated: string): string {
  const text = between(readme, 'annotations', generated);
  if (text !== undefined) return text;
  const head = readme === '' ? '' : `${readme.trimEnd()}\n\n`;
  const place = `${head}## Annotations\n\n<!-- generated: annotations -->\n<!-- end: annotations -->\n`;
  return between(place, 'annotations', generated) ?? place;
}

/** `providers.<name>` → what validates that section. */
async function providerSettings(): Promise<Readonly<Record<string, Schema<unknown>>>> {
  const found: Record<string, Schema<unknown>> = {};
  for (const file of globSync('providers/*/config-table.ts', { cwd: root }).toSorted()) {
    const { configTable } = (await import(join(root, file))) as { readonly configTable: Schema<unknown> };
    found[`providers.${basename(dirname(file))}`] = configTable;
  }
  return found;
}

/** The CRDs, each with the comment that its file opens with. */
function kinds(): readonly { readonly crd: Crd; readonly says: string }[] {
  return globSync('manifests/crds/*.yaml', { cwd: root })
    .toSorted()
    .filter((path) => basename(path) !== 'kustomization.yaml')
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const [comment = ''] = /^(?:# .*\n)+/u.exec(text) ?? [];
      const says = comment.replaceAll(/^# /gmu, '').trim().replaceAll('\n', ' ');
      return { crd: parse(text) as Crd, says };
    });
}

/** One maker for each page, so that a module that does not load spoils its own page only. */
function makers(): readonly (() => Promise<Page>)[] {
  const made: (() => Promise<Page>)[] = [
    async () => ({ path: 'docs/reference/reasons.md', text: reasonsPage(reasons, agentCodes) }),
    async () => ({
      path: 'docs/reference/agent-annotations.md',
      text: agentAnnotationsPage(agentAnnotationDocs),
    }),
    async () => ({ path: 'docs/reference/metrics.md', text: metricsPage(metricTable) }),
    async () => ({
      path: 'docs/reference/settings.md',
      text: settingsPage({ ...sections, ...(await providerSettings()) }),
    }),
  ];
  made.push(() =>
    Promise.resolve({ path: 'docs/reference/kinds.md', text: crdPage(kinds(), generatedNote) }),
  );
  const commands = join(root, 'src/commands/program.ts');
  if (existsSync(commands)) {
    made.push(async () => {
      const { sluice } = (await import(commands)) as { readonly sluice: Program };
      return { path: 'docs/reference/commands.md', text: commandsPage(sluice) };
    });
  }
  for (const file of globSync('providers/*/annotations.ts', { cwd: root }).toSorted()) {
    made.push(async () => {
      const { annotations } = (await import(join(root, file))) as {
        readonly annotations: readonly AnnotationDoc[];
      };
      const path = join(dirname(file), 'README.md');
      const present = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : '';
      return { path, text: withAnnotations(present, annotationsTable(annotations)) };
    });
  }
  return made;
}

/** Writes a page that does not match, or tells it. */
function settle({ path, text }: Page, checkOnly: boolean): void {
  const full = join(root, path);
  const present = existsSync(full) ? readFileSync(full, 'utf8') : undefined;
  if (present === text) return;
  if (checkOnly) {
    console.error(`${path} does not match the table that it is made from; run \`npm run docs\``);
    process.exitCode = 1;
    return;
  }
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
  console.log(`wrote ${path}`);
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
for (const make of makers()) {
  try {
    settle(await make(), values.check);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
