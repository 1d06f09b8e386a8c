/**
 * Flags as a table: what a command declares drives parsing, help and the generated reference.
 *
 * Like every parser here it reports all mistakes at once, each with its cure, and never guesses: an unknown
 * flag is an error with a suggestion, not a positional argument.
 */
import { parseArgs } from 'node:util';
import { suggest } from '../core/annotations.ts';
import { durationForms, formatDuration, parseDuration } from '../core/duration.ts';

interface FlagBase {
  /** What it does, in one line, without a full stop at the end. */
  readonly help: string;
  /** A single letter: `-f`. */
  readonly short?: string;
  /** Environment variable that stands in where the flag is not given. */
  readonly env?: string;
}

export type Flag =
  | (FlagBase & { readonly kind: 'boolean' })
  /** `value` is the placeholder in help: `FILE`. */
  | (FlagBase & { readonly kind: 'string'; readonly value: string; readonly default?: string })
  /** May be given more than once, or with commas. */
  | (FlagBase & { readonly kind: 'list'; readonly value: string })
  | (FlagBase & {
      readonly kind: 'integer';
      readonly min: number;
      readonly max: number;
      readonly default?: number;
    })
  /** Milliseconds. */
  | (FlagBase & { readonly kind: 'duration'; readonly default?: number })
  | (FlagBase & { readonly kind: 'choice'; readonly choices: readonly string[]; readonly default?: string });

/** By long name, without dashes. */
export type Flags = Readonly<Record<string, Flag>>;

type Base<F extends Flag> = F extends { readonly kind: 'integer' | 'duration' }
  ? number
  : F extends { readonly kind: 'choice'; readonly choices: readonly (infer Choice)[] }
    ? Choice
    : string;

/** The type of a flag's value: undefined is possible only where there is no default. */
export type FlagValue<F extends Flag> = F extends { readonly kind: 'boolean' }
  ? boolean
  : F extends { readonly kind: 'list' }
    ? readonly string[]
    : F extends { readonly default: unknown }
      ? Base<F>
      : Base<F> | undefined;

export type FlagValues<F extends Flags> = { readonly [Name in keyof F]: FlagValue<F[Name]> };

export interface ParsedFlags {
  readonly values: Readonly<Record<string, unknown>>;
  /** What is not a flag, up to `--`. */
  readonly words: readonly string[];
  /** What stood behind `--`; undefined when there was none. */
  readonly rest: readonly string[] | undefined;
  /** One sentence each: what is wrong and the cure. */
  readonly mistakes: readonly string[];
}

/** The placeholder of a flag's value in help; empty for a boolean. */
export function placeholder(flag: Flag): string {
  switch (flag.kind) {
    case 'boolean':
      return '';
    case 'string':
    case 'list':
      return flag.value;
    case 'integer':
      return 'N';
    case 'duration':
      return 'DURATION';
    case 'choice':
      return flag.choices.join('|');
  }
}

/** The default as a person would write it; undefined when there is none. */
export function defaultText(flag: Flag): string | undefined {
  if (flag.kind === 'boolean' || flag.kind === 'list' || flag.default === undefined) return undefined;
  return flag.kind === 'duration' ? formatDuration(flag.default) : String(flag.default);
}

function read(flag: Flag, text: string): { value: unknown } | { mistake: string } {
  switch (flag.kind) {
    case 'boolean':
      if (/^(true|1)$/iu.test(text)) return { value: true };
      if (/^(false|0|)$/iu.test(text)) return { value: false };
      return { mistake: `is "${text}"; it is either true or false` };
    case 'string':
      return text === '' ? { mistake: 'is empty; give it a value or leave it out' } : { value: text };
    case 'list':
      return {
        value: text
          .split(',')
          .map((item) => item.trim())
          .filter((item) => item !== ''),
      };
    case 'integer': {
      const value = /^-?\d{1,15}$/u.test(text) ? Number(text) : Number.NaN;
      if (value >= flag.min && value <= flag.max) return { value };
      return { mistake: `is "${text}"; it must be a whole number from ${flag.min} to ${flag.max}` };
    }
    case 'duration': {
      const value = parseDuration(text);
      return value === undefined ? { mistake: `is "${text}"; it must be ${durationForms}` } : { value };
    }
    case 'choice': {
      if (flag.choices.includes(text)) return { value: text };
      const near = suggest(text, flag.choices);
      const hint = near === undefined ? '' : ` (did you mean "${near}"?)`;
      return { mistake: `is "${text}"; it must be one of ${flag.choices.join(', ')}${hint}` };
    }
  }
}

function fallback(flag: Flag): unknown {
  if (flag.kind === 'boolean') return false;
  if (flag.kind === 'list') return [];
  return flag.default;
}

/** Reads `argv` by the table. `env` is asked for flags that are not given. */
export function parseFlags(
  flags: Flags,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedFlags {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(flags).map(([name, flag]) => [
        name,
        {
          type: flag.kind === 'boolean' ? ('boolean' as const) : ('string' as const),
          ...(flag.short === undefined ? {} : { short: flag.short }),
        },
      ]),
    ),
  });
  const mistakes: string[] = [];
  const words: string[] = [];
  let rest: string[] | undefined;
  const given = new Map<string, unknown>();

  const take = (name: string, flag: Flag, text: string, source: string): void => {
    const result = read(flag, text);
    if ('mistake' in result) {
      mistakes.push(`${source} ${result.mistake}`);
      return;
    }
    const earlier = given.get(name);
    const joined = Array.isArray(earlier) && Array.isArray(result.value);
    given.set(name, joined ? [...earlier, ...(result.value as unknown[])] : result.value);
  };

  for (const token of tokens) {
    if (token.kind === 'option-terminator') {
      rest = [];
    } else if (token.kind === 'positional') {
      (rest ?? words).push(token.value);
    } else {
      const negated = token.name.startsWith('no-') ? flags[token.name.slice(3)] : undefined;
      const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
      if (flag === undefined && negated?.kind === 'boolean' && token.value === undefined) {
        given.set(token.name.slice(3), false);
      } else if (flag === undefined) {
        const near =
          suggest(token.name, Object.keys(flags)) ?? longerOrShorter(token.name, Object.keys(flags));
        const hint = near === undefined ? 'see --help for those that exist' : `did you mean --${near}?`;
        mistakes.push(`${token.rawName} is not a flag of this command; ${hint}`);
      } else if (flag.kind === 'boolean') {
        take(token.name, flag, token.value ?? 'true', token.rawName);
      } else if (token.value === undefined || (!token.inlineValue && /^-./u.test(token.value))) {
        const found = token.value === undefined ? '' : `, and "${token.value}" looks like a flag`;
        mistakes.push(`${token.rawName} needs a value${found}; write ${token.rawName}=${placeholder(flag)}`);
      } else {
        take(token.name, flag, token.value, token.rawName);
      }
    }
  }
  for (const [name, flag] of Object.entries(flags)) {
    const text = flag.env === undefined ? undefined : env[flag.env];
    if (!given.has(name) && text !== undefined && text !== '') {
      take(name, flag, text, `environment variable ${flag.env}`);
    }
  }
  const values = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, given.has(name) ? given.get(name) : fallback(flag)]),
  );
  return { values, words, rest, mistakes };
}

/** `--node-name` where the flag is `--node`, and the other way round. */
function longerOrShorter(typed: string, known: readonly string[]): string | undefined {
  return known.find((name) => typed.startsWith(`${name}-`) || name.startsWith(`${typed}-`));
}
