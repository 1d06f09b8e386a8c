/** Reads the command line and runs a sub-command: nothing else. */
import { runProgram } from './commands/cli.ts';
import { sluice } from './commands/program.ts';
import { paint, processShell } from './commands/shell.ts';
import { exit } from './commands/table.ts';
import { isSluiceError } from './core/errors.ts';

const shell = processShell();
try {
  process.exitCode = await runProgram(sluice, process.argv.slice(2), shell);
} catch (thrown) {
  // What the outside did is told in a line; a stack is for defects.
  if (!isSluiceError(thrown) || thrown.kind === 'bug') throw thrown;
  shell.err(`${paint(shell, 'red', 'sluice:')} ${thrown.message}\n`);
  process.exitCode = exit.problem;
}
