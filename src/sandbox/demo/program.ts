/** Commands of Sluice itself, as a person would run them beside the demo, and how what they say is shown. */
import { fileURLToPath } from 'node:url';
import type { Finished, RunOptions } from '../bed/run.ts';
import { packageRoot } from '../sandbox.ts';
import type { Narrator } from './stage.ts';

/** The program that this checkout or package starts. */
export const sluiceProgram = fileURLToPath(new URL('bin/sluice.js', packageRoot));

/** Program and arguments of a command of Sluice. */
export function sluiceCommand(args: readonly string[]): readonly [string, readonly string[]] {
  return [process.execPath, [sluiceProgram, ...args]];
}

export const quiet: RunOptions = { env: { NO_COLOR: '1' } };

/** Shows what `sluice explain` said; throws where it found something wrong. */
export function showExplanation(narrator: Narrator, { code, stdout, stderr }: Finished): void {
  for (const line of stdout.trimEnd().split('\n')) narrator.line(line === '' ? '' : `  ${line}`);
  if (code !== 0) throw new Error(`sluice explain ended with ${code ?? 'a signal'}: ${stderr.trim()}`);
}
