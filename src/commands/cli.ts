/**
 * Runs a command line against the command table: finds the command, reads its flags, shows help, and tells
 * every mistake at once with a suggestion.
 */
import { suggest } from '../core/annotations.ts';
import { isSluiceError } from '../core/errors.ts';
import { parseFlags } from './flags.ts';
import type { Flags, FlagValues } from './flags.ts';
import { commandHelp, programHelp } from './help.ts';
import { paint } from './shell.ts';
import type { Shell } from './shell.ts';
import { exit } from './table.ts';
import type { AnyCommand, Program } from './table.ts';

/** The command whose name the arguments begin with (the longest such name), and the arguments left. */
function choose(
  commands: readonly AnyCommand[],
  argv: readonly string[],
): { readonly command: AnyCommand; readonly argv: readonly string[] } | undefined {
  const byLength = commands.toSorted((a, b) => b.name.length - a.name.length);
  for (const candidate of byLength) {
    const words = candidate.name.split(' ');
    if (words.every((word, index) => argv[index] === word)) {
      return { command: candidate, argv: argv.slice(words.length) };
    }
  }
  return undefined;
}

function refuse(of: Program, shell: Shell, mistakes: readonly string[], seeAlso: string): number {
  for (const mistake of mistakes) shell.err(`${paint(shell, 'red', `${of.name}:`)} ${mistake}\n`);
  shell.err(`See \`${of.name} ${seeAlso}--help\`.\n`);
  return exit.usage;
}

function wordMistakes(
  spec: AnyCommand,
  words: readonly string[],
  rest: readonly string[] | undefined,
): string[] {
  const [min, max] = spec.wordCount;
  const mistakes: string[] = [];
  if (words.length < min) mistakes.push(`${spec.name} needs ${spec.words}`);
  const extra = words.slice(max);
  if (extra.length > 0)
    mistakes.push(`"${extra.join(' ')}" is too much: ${spec.name} takes ${spec.words || 'no words'}`);
  if (rest !== undefined && spec.takesRest !== true) mistakes.push(`${spec.name} takes nothing behind --`);
  return mistakes;
}

async function runCommand(
  of: Program,
  spec: AnyCommand,
  argv: readonly string[],
  shell: Shell,
): Promise<number> {
  const { values, words, rest, mistakes } = parseFlags({ ...spec.flags, ...of.flags }, argv, shell.env);
  if (values['help'] === true) {
    shell.out(commandHelp(of, spec, shell));
    return exit.ok;
  }
  const all = [...mistakes, ...wordMistakes(spec, words, rest)];
  if (all.length > 0) return refuse(of, shell, all, `${spec.name} `);
  try {
    return await spec.run({ flags: values as FlagValues<Flags>, words, rest, shell });
  } catch (thrown) {
    // What the outside refuses is told in one line; a defect keeps its stack.
    if (!isSluiceError(thrown) || thrown.kind === 'bug') throw thrown;
    shell.err(`${paint(shell, 'red', `${of.name}:`)} ${thrown.message}\n`);
    return exit.problem;
  }
}

/**
 * Runs what the arguments ask for.
 *
 * @returns the exit code. A defect is passed on: the caller decides how it is shown.
 */
export async function runProgram(of: Program, argv: readonly string[], shell: Shell): Promise<number> {
  const [first, ...others] = argv;
  if (first === undefined || first === '--help' || first === '-h') {
    (first === undefined ? shell.err : shell.out)(programHelp(of, shell));
    return first === undefined ? exit.usage : exit.ok;
  }
  if (first === '--version' || first === 'version') {
    shell.out(`${of.name} ${of.version}\n`);
    return exit.ok;
  }
  const asksHelp = first === 'help';
  if (asksHelp && others.length === 0) return runProgram(of, ['--help'], shell);
  const chosen = choose(of.commands, asksHelp ? others : argv);
  if (chosen) return runCommand(of, chosen.command, asksHelp ? ['--help'] : chosen.argv, shell);
  const asked = (asksHelp ? others[0] : first) ?? '';
  const near = suggest(
    asked,
    of.commands.map(({ name }) => name),
  );
  const kind = asked.startsWith('-') ? 'flag' : 'command';
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return refuse(of, shell, [`there is no ${kind} "${asked}"${hint}`], '');
}
