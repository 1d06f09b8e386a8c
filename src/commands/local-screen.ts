/**
 * Where the table of `sluice local` goes: redrawn in place on a terminal, a line for each change elsewhere, or a line
 * of JSON for each change.
 */
import { systemClock } from '../core/clock.ts';
import { lineOf, renderRows, type LocalRow } from './local-table.ts';
import { paint, type Shell } from './shell.ts';

export interface Screen {
  readonly head: (text: string) => void;
  /** Shows the rows soon; several calls in a moment show once. */
  readonly show: (rows: () => readonly LocalRow[]) => void;
  /** Something that a person should read now. */
  readonly say: (text: string) => void;
  /** Draws what is due and stops. */
  readonly end: () => void;
}

const settleMs = 120;
/** Messages that stay below the table. */
const mostMessages = 4;

export function screenFor(shell: Shell, form: 'text' | 'json'): Screen {
  let due: (() => readonly LocalRow[]) | undefined;
  let cancel: (() => void) | undefined;
  let ended = false;
  const draw = form === 'json' ? jsonLines(shell) : shell.interactive ? inPlace(shell) : plainLines(shell);
  const flush = (): void => {
    cancel?.();
    cancel = undefined;
    const rows = due;
    due = undefined;
    if (rows !== undefined) draw.rows(rows());
  };
  return {
    head: draw.head,
    show: (rows) => {
      if (ended) return;
      due = rows;
      cancel ??= systemClock.schedule(settleMs, flush);
    },
    say: (text) => {
      if (!ended) draw.say(text);
    },
    end: () => {
      flush();
      ended = true;
    },
  };
}

interface Drawing {
  readonly head: (text: string) => void;
  readonly rows: (rows: readonly LocalRow[]) => void;
  readonly say: (text: string) => void;
}

function inPlace(shell: Shell): Drawing {
  let lines = 0;
  let last: readonly LocalRow[] = [];
  let messages: readonly string[] = [];
  const draw = (): void => {
    const shown = [
      ...renderRows(last, shell),
      ...messages.map((text) => paint(shell, 'yellow', `! ${text}`)),
    ];
    // Lines that were longer than the terminal is wide would break the count of lines to go up.
    const cut = shown.map((line) => (shell.colour ? line : line.slice(0, shell.columns)));
    shell.out(`${lines > 0 ? `\u001B[${lines}A\u001B[J` : ''}${cut.join('\n')}\n`);
    lines = cut.length;
  };
  return {
    head: (text) => shell.out(`${text}\n\n`),
    rows: (rows) => {
      last = rows;
      draw();
    },
    say: (text) => {
      const short = text.slice(0, shell.columns - 2);
      messages = [...messages.filter((one) => one !== short), short].slice(-mostMessages);
      draw();
    },
  };
}

function plainLines(shell: Shell): Drawing {
  let before = new Map<string, string>();
  return {
    head: (text) => shell.out(`${text}\n`),
    rows: (rows) => {
      const now = new Map(rows.map((row) => [row.service, lineOf(row)]));
      for (const [service, line] of now) if (before.get(service) !== line) shell.out(`${line}\n`);
      for (const service of before.keys()) if (!now.has(service)) shell.out(`${service}  gone\n`);
      before = now;
    },
    say: (text) => shell.err(`${text}\n`),
  };
}

function jsonLines(shell: Shell): Drawing {
  let before = '';
  return {
    head: () => undefined,
    rows: (rows) => {
      // Counters alone are no news.
      const text = JSON.stringify(
        rows.map((row) => ({
          ...row,
          ports: row.ports.map((port) => ({ ...port, connections: undefined })),
        })),
      );
      if (text === before) return;
      before = text;
      shell.out(`{"services":${text}}\n`);
    },
    say: (text) => shell.err(`${text}\n`),
  };
}
