/** Reads the settings file for a command: every mistake at once, then give up. */
import { readFile } from 'node:fs/promises';
import { describeFileProblem, readSettings, type Settings } from '../settings/read.ts';
import { providerChecks } from './providers.ts';
import { paint, type Shell } from './shell.ts';

/** @returns undefined when the file cannot be used; why has been said by then. */
export async function loadSettings(path: string, shell: Shell): Promise<Settings | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(error);
    shell.err(
      `${paint(shell, 'red', 'sluice:')} settings file ${path}: ${why}; name it with --config FILE\n`,
    );
    return undefined;
  }
  const { settings, problems } = readSettings(text, path, await providerChecks());
  for (const problem of problems) {
    const style = problem.severity === 'error' ? 'red' : 'yellow';
    shell.err(`${paint(shell, style, `${problem.severity}:`)} ${describeFileProblem(problem)}\n`);
  }
  return problems.some(({ severity }) => severity === 'error') ? undefined : settings;
}
