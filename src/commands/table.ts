/**
 * How a command declares itself: name, flags, words, examples and what it runs.
 *
 * Everything a user can know about a command line stands in this table; parsing (cli.ts), help (help.ts)
 * and the reference page are made from it. It is all that is loaded at start: `run` imports what the command
 * does, so that nobody waits for the code of the others.
 *
 * Exit codes: 0 done, 1 a problem, 64 the command line itself was wrong (EX_USAGE of BSD's sysexits.h; 2
 * is taken by `plan`, where it means "there are changes", as Terraform's users know it), 3 done as far as it goes:
 * something is left as it was, with a reason that is not a failure.
 */
import type { Flags, FlagValues } from './flags.ts';
import type { Shell } from './shell.ts';

export const exit = { ok: 0, problem: 1, changes: 2, left: 3, usage: 64 } as const;

export interface Example {
  readonly line: string;
  readonly does: string;
}

/** What a command is given. */
export interface Input<F extends Flags> {
  readonly flags: FlagValues<F>;
  /** The words that are not flags. */
  readonly words: readonly string[];
  /** What stood behind `--`. */
  readonly rest: readonly string[] | undefined;
  readonly shell: Shell;
}

export interface CommandSpec<F extends Flags> {
  /** One or two words: `plan`, `sandbox dump`. */
  readonly name: string;
  /** One line, no full stop. */
  readonly summary: string;
  /** Paragraphs, separated by empty lines: what it does, what it needs, what it never does. */
  readonly description: string;
  /** How its words are shown in usage (`svc/NAME`, `[-- COMMAND]`); empty where it takes none. */
  readonly words: string;
  /** How many words it takes. */
  readonly wordCount: readonly [min: number, max: number];
  /** Takes what stands behind `--`. */
  readonly takesRest?: boolean;
  readonly flags: F;
  readonly examples: readonly Example[];
  /** @returns the exit code, a number because a command that it runs may have its own. */
  readonly run: (input: Input<F>) => Promise<number>;
}

/** A command whose flag types are not known to the holder. */
export interface AnyCommand extends Omit<CommandSpec<Flags>, 'run'> {
  readonly run: (input: Input<Flags>) => Promise<number>;
}

/** Declares a command; `run` sees its flags with their types. */
export function command<const F extends Flags>(spec: CommandSpec<F>): AnyCommand {
  // The values handed to `run` are made by parseFlags from this very table.
  return { ...spec, run: (input) => spec.run(input as Input<F>) };
}

export interface Program {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly commands: readonly AnyCommand[];
  /** Flags of every command: `help` at least. */
  readonly flags: Flags;
  readonly examples: readonly Example[];
  readonly exitCodes: readonly { readonly code: number; readonly means: string }[];
}

const helpFlag = { kind: 'boolean', short: 'h', help: 'Show this help' } as const;

/** A program with the flags and exit codes that every program of ours has. */
export function program(spec: Omit<Program, 'flags' | 'exitCodes'>): Program {
  return {
    ...spec,
    flags: { help: helpFlag },
    exitCodes: [
      { code: exit.ok, means: 'done; for plan: nothing to do' },
      { code: exit.problem, means: 'a problem, named on standard error' },
      {
        code: exit.changes,
        means: 'plan: there are changes to make; verify: there are differences; drain: flows were left',
      },
      {
        code: exit.left,
        means:
          'migrate: done, or nothing to do, and some Services stay with the other controller for the reasons given',
      },
      { code: exit.usage, means: 'the command line is wrong: unknown command, flag or value' },
    ],
  };
}
