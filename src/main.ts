/** Reads the command line and runs a sub-command: nothing else. */
import { runProgram } from './commands/cli.ts';
import { sluice } from './commands/program.ts';
import { processShell } from './commands/shell.ts';

process.exitCode = await runProgram(sluice, process.argv.slice(2), processShell());
