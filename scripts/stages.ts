/**
 * What `npm test` consists of, cheap stages first.
 *
 * A check is one program that passes or fails and counts as one; a project is a set of vitest files that
 * counts its tests. A project without files yet is left out: it neither fails nor counts.
 */
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { projects } from '../vitest.config.ts';
import { root } from './run.ts';

export interface Check {
  readonly kind: 'check';
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** What mends it, where one command does. */
  readonly cure: string;
  /** The check makes sense only once this file exists. */
  readonly after?: string;
}

export interface Project {
  readonly kind: 'project';
  readonly name: string;
  readonly include: readonly string[];
  /** Names of rows in prerequisites.ts. */
  readonly needs: readonly string[];
}

export type Stage = Check | Project;

const checks: readonly Check[] = [
  { kind: 'check', name: 'format', command: 'oxfmt', args: ['--check', '.'], cure: 'npm run format' },
  { kind: 'check', name: 'lint', command: 'oxlint', args: ['--type-aware'], cure: '' },
  { kind: 'check', name: 'types', command: 'tsc', args: [], cure: '' },
  {
    kind: 'check',
    name: 'docs',
    command: 'node',
    args: ['scripts/docs.ts', '--check'],
    cure: 'npm run docs',
  },
  {
    kind: 'check',
    name: 'unused',
    command: 'knip',
    args: ['--no-progress', '--no-config-hints'],
    cure: '',
    // Before the parts are wired together, most of them are unused by definition.
    after: 'src/commands/controller.ts',
  },
];

const needs: Readonly<Record<string, readonly string[]>> = {
  wire: ['moto'],
  packets: ['packet-bed'],
  cluster: ['control-plane'],
};

export const stages: readonly Stage[] = [
  ...checks,
  ...projects.map((project): Project => ({
    kind: 'project',
    name: project.name,
    include: project.include,
    needs: needs[project.name] ?? [],
  })),
];

/** Is there anything for the stage to do yet? */
export function applies(stage: Stage): boolean {
  if (stage.kind === 'check') return stage.after === undefined || existsSync(join(root, stage.after));
  return globSync(stage.include, { cwd: root }).length > 0;
}
