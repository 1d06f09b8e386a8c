/** The terminal (or pipe) that a command talks to, as a value: so that commands can be run in tests. */

export interface Shell {
  /** Results: what another program may read. */
  readonly out: (text: string) => void;
  /** Everything else that is said to a person. */
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Width in columns. */
  readonly columns: number;
  /** A person is watching: standard output is a terminal. */
  readonly interactive: boolean;
  /** Colours are welcome: a terminal, and no NO_COLOR (no-color.org), and not TERM=dumb. */
  readonly colour: boolean;
}

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;
export type Style = keyof typeof codes;

/** `text` in a style where the shell wants colours, else as it is. */
export function paint(shell: Pick<Shell, 'colour'>, style: Style, text: string): string {
  const [on, off] = codes[style];
  return shell.colour ? `\u001B[${on}m${text}\u001B[${off}m` : text;
}

/** The shell of this process. */
export function processShell(): Shell {
  const { env, stdout, stderr } = process;
  const interactive = stdout.isTTY;
  for (const stream of [stdout, stderr]) stream.on('error', endQuietly);
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    env,
    columns: Math.min(interactive ? stdout.columns : 100, 110),
    interactive,
    colour: interactive && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
  };
}

/** Whoever read (`head`, a pager) has enough: that is no defect. The exit code is a shell's for SIGPIPE. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(141);
}
