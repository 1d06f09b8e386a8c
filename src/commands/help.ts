/** The text of `--help`: made from the command table, so that it cannot tell anything else than the parser does. */
import type { AnyCommand, Program } from './table.ts';
import { defaultText, placeholder } from './flags.ts';
import type { Flag, Flags } from './flags.ts';
import { paint } from './shell.ts';
import type { Shell } from './shell.ts';

/** Breaks a paragraph into lines of at most `width` columns. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/u).filter((part) => part !== '')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return line === '' ? lines : [...lines, line];
}

function paragraphs(text: string, width: number): string {
  return text
    .split(/\n\s*\n/u)
    .map((paragraph) => wrap(paragraph, width).join('\n'))
    .join('\n\n');
}

/** Two columns: names on the left, wrapped text on the right. */
function columns(rows: readonly (readonly [string, string])[], shell: Shell): string {
  const left = Math.min(Math.max(0, ...rows.map(([name]) => name.length)), 34);
  const indent = ' '.repeat(left + 4);
  return rows
    .map(([name, text]) => {
      const lines = wrap(text, Math.max(30, shell.columns - indent.length));
      const head = `  ${paint(shell, 'bold', name)}`;
      const body = lines.join(`\n${indent}`);
      return name.length > left
        ? `${head}\n${indent}${body}`
        : `${head}${' '.repeat(left - name.length + 2)}${body}`;
    })
    .join('\n');
}

/** `-f, --filename FILE`. */
export function flagUsage(name: string, flag: Flag): string {
  const value = placeholder(flag);
  return `${flag.short === undefined ? '' : `-${flag.short}, `}--${name}${value === '' ? '' : ` ${value}`}`;
}

function flagText(flag: Flag): string {
  const standard = defaultText(flag);
  const notes = [
    ...(flag.kind === 'list' ? ['may be repeated'] : []),
    ...(standard === undefined ? [] : [`default ${standard}`]),
    ...(flag.env === undefined ? [] : [`or ${flag.env}`]),
  ];
  return notes.length === 0 ? flag.help : `${flag.help} (${notes.join('; ')})`;
}

function flagRows(flags: Flags): readonly (readonly [string, string])[] {
  return Object.entries(flags).map(([name, flag]) => [flagUsage(name, flag), flagText(flag)] as const);
}

function section(shell: Shell, title: string, body: string): string {
  return `\n\n${paint(shell, 'bold', `${title}:`)}\n${body}`;
}

function examples(shell: Shell, list: AnyCommand['examples']): string {
  if (list.length === 0) return '';
  const body = list.map(({ line, does }) => `  ${paint(shell, 'dim', `# ${does}`)}\n  ${line}`).join('\n\n');
  return section(shell, 'Examples', body);
}

/** `sluice --help`. */
export function programHelp(program: Program, shell: Shell): string {
  const rows = program.commands.map((command) => [command.name, command.summary] as const);
  return [
    paragraphs(program.description, shell.columns),
    section(shell, 'Usage', `  ${program.name} COMMAND [FLAGS]`),
    section(shell, 'Commands', columns(rows, shell)),
    examples(shell, program.examples),
    section(
      shell,
      'Exit codes',
      columns(
        program.exitCodes.map(({ code, means }) => [String(code), means] as const),
        shell,
      ),
    ),
    `\n\n\`${program.name} COMMAND --help\` tells everything about one command.\n`,
  ].join('');
}

/** `sluice COMMAND --help`. */
export function commandHelp(program: Program, command: AnyCommand, shell: Shell): string {
  const words = command.words === '' ? '' : ` ${command.words}`;
  return [
    paragraphs(`${command.summary}.\n\n${command.description}`, shell.columns),
    section(shell, 'Usage', `  ${program.name} ${command.name} [FLAGS]${words}`),
    section(shell, 'Flags', columns(flagRows({ ...command.flags, ...program.flags }), shell)),
    examples(shell, command.examples),
    '\n',
  ].join('');
}
