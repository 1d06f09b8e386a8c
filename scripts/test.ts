/**
 * `npm test`: every check and every test, cheap ones first, with one closing line `N passed, N failed`
 * (`, N skipped`).
 *
 * All stages run even when an early one failed, so that one run shows everything there is to mend. The
 * output of a stage is shown only when it failed. Exit code 1 when anything failed or nothing ran at all.
 *
 *   npm test
 *   npm test -- --only lint,unit,sim
 *   npm test -- --histories 200000
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prerequisites } from './prerequisites.ts';
import { readReport, reportVariable } from './report.ts';
import { run } from './run.ts';
import { applies, stages } from './stages.ts';
import type { Check, Project, Stage } from './stages.ts';

/** What a stage contributes to the closing line; failures and skips by name. */
interface Outcome {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
  /** Passed, but only at the second try. */
  readonly again: readonly string[];
}

/** A hanging stage is ended: the whole run has to fit into a CI's patience. */
const limitMs = 40 * 60_000;
const progressMs = 20_000;

const say = (line: string): void => console.log(line);
const padded = (name: string): string => name.padEnd(10);

function readOptions(): { only: readonly string[] | undefined; env: Record<string, string> } {
  const { values } = parseArgs({ options: { only: { type: 'string' }, histories: { type: 'string' } } });
  const only = values.only?.split(',').map((name) => name.trim());
  const unknown = only?.find((name) => !stages.some((stage) => stage.name === name));
  if (unknown !== undefined) {
    throw new Error(
      `--only: no stage is called "${unknown}"; there are ${stages.map((s) => s.name).join(', ')}`,
    );
  }
  if (values.histories !== undefined && !/^[1-9]\d*$/.test(values.histories)) {
    throw new Error(`--histories: "${values.histories}" is not a whole number above 0`);
  }
  return { only, env: values.histories === undefined ? {} : { SLUICE_HISTORIES: values.histories } };
}

async function runCheck(check: Check): Promise<Outcome> {
  const result = await run(check.command, check.args, { limitMs });
  if (result.code === 0) {
    say(`${padded(check.name)} passed, ${result.seconds.toFixed(1)} s`);
    return { passed: 1, failed: [], skipped: [], again: [] };
  }
  say(result.output.trimEnd());
  say(
    `${padded(check.name)} FAILED, ${result.seconds.toFixed(1)} s${check.cure && ` (mend it with: ${check.cure})`}`,
  );
  return { passed: 0, failed: [check.name], skipped: [], again: [] };
}

/** @returns the environment for the project, or why it cannot run. */
async function prepare(project: Project): Promise<Record<string, string> | string> {
  const env: Record<string, string> = {};
  for (const need of project.needs) {
    const found = await prerequisites[need]?.();
    if (found?.kind === 'missing') return found.message;
    if (found) Object.assign(env, found.env);
  }
  return env;
}

async function runProject(project: Project, env: Record<string, string>, folder: string): Promise<Outcome> {
  const prepared = await prepare(project);
  if (typeof prepared === 'string') {
    const failed = process.env['CI'] === 'true';
    say(`${padded(project.name)} ${failed ? 'FAILED' : 'skipped'}: ${prepared}`);
    const named = [`${project.name} (whole stage): ${prepared}`];
    return { passed: 0, failed: failed ? named : [], skipped: failed ? [] : named, again: [] };
  }
  const report = join(folder, `${project.name}.jsonl`);
  const result = await run('vitest', ['run', '--project', project.name], {
    limitMs,
    // Programs that tests start by the dozen from their sources are compiled once.
    env: { NODE_COMPILE_CACHE: join(folder, 'compiled'), ...env, ...prepared, [reportVariable]: report },
    progress: {
      everyMs: progressMs,
      tell: (seconds) => {
        const soFar = readReport(report);
        say(
          `${padded(project.name)} … ${seconds.toFixed(0)} s, ${soFar.files} files done, ${soFar.passed} passed`,
        );
      },
    },
  });
  const { passed, failed, skipped, again } = readReport(report);
  const unexplained =
    result.code !== 0 && failed.length === 0
      ? [`${project.name}: vitest ended with ${result.code ?? 'a signal'}`]
      : [];
  const outcome = { passed, failed: [...failed, ...unexplained], skipped, again };
  const bad = outcome.failed.length > 0;
  if (bad) say(result.output.trimEnd());
  const counts = `${passed} passed${bad ? `, ${outcome.failed.length} FAILED` : ''}`;
  say(
    `${padded(project.name)} ${counts}${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}, ${result.seconds.toFixed(1)} s`,
  );
  return outcome;
}

async function main(): Promise<void> {
  const { only, env } = readOptions();
  const wanted = (stage: Stage): boolean => (only?.includes(stage.name) ?? true) && applies(stage);
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const outcomes: Outcome[] = [];
  try {
    for (const stage of stages.filter(wanted)) {
      outcomes.push(stage.kind === 'check' ? await runCheck(stage) : await runProject(stage, env, folder));
      if (process.exitCode !== undefined) throw new Error('interrupted');
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.flatMap((outcome) => outcome.failed);
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  const again = outcomes.flatMap((outcome) => outcome.again);
  if (again.length > 0) {
    say(`\npassed at the second try only:\n${again.map((name) => `  ${name}`).join('\n')}`);
  }
  if (skipped.length > 0) say(`\nskipped:\n${skipped.map((name) => `  ${name}`).join('\n')}`);
  if (failed.length > 0) say(`\nfailed:\n${failed.map((name) => `  ${name}`).join('\n')}`);
  say('');
  say(`${passed} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`);
  process.exitCode = failed.length > 0 || passed === 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
