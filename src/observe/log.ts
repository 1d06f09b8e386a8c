/**
 * The log: one JSON object a line in a cluster, a short readable line on a terminal.
 *
 * Steady state is silent: what is written says that something happened. Every field passes the redaction,
 * so that a secret in an error message or a parameter does not reach a file.
 */
import { pino } from 'pino';
import { isSluiceError } from '../core/errors.ts';
import { logLevels, type LogLevel } from './log-level.ts';
import { redact, redactText } from './redact.ts';

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  readonly debug: (message: string, fields?: LogFields) => void;
  readonly info: (message: string, fields?: LogFields) => void;
  readonly warn: (message: string, fields?: LogFields) => void;
  readonly error: (message: string, fields?: LogFields) => void;
  /** A log that adds these fields to every line. */
  readonly with: (fields: LogFields) => Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly form: 'json' | 'text';
  readonly write: (line: string) => void;
  /** Wall-clock milliseconds since the epoch. */
  readonly now: () => number;
}

/** An error as data: our kind and code where it is one of ours, the stack only of what nobody classified. */
export function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined || depth >= 4 ? undefined : describeError(error.cause, depth + 1);
  if (isSluiceError(error)) {
    const { kind, code, action, requestId, message } = error;
    return { kind, code, action, requestId, message, stack: kind === 'bug' ? error.stack : undefined, cause };
  }
  return { name: error.name, message: error.message, stack: depth === 0 ? error.stack : undefined, cause };
}

function plain(fields: LogFields): Record<string, unknown> {
  const described = Object.entries(fields).map(([key, value]) => [
    key,
    value instanceof Error ? describeError(value) : value,
  ]);
  return redact(Object.fromEntries(described)) as Record<string, unknown>;
}

function shortValue(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/u.test(value) ? value : JSON.stringify(value);
  if (typeof value === 'object' && value !== null && 'message' in value) {
    return JSON.stringify(value.message);
  }
  return JSON.stringify(value);
}

/** `14:03:07 info  created the balancer service=shop/web ms=41`. */
function textLine(at: number, level: LogLevel, message: string, fields: Record<string, unknown>): string {
  const clock = new Date(at).toISOString().slice(11, 19);
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${shortValue(value)}`)
    .join('');
  return `${clock} ${level.padEnd(5)} ${message}${rest}\n`;
}

/** Makes the log of a process (or of a test). */
export function createLog(options: LogOptions): Log {
  const { level, form, write, now } = options;
  const json = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  const threshold = logLevels.indexOf(level);
  const emit = (at: LogLevel, message: string, fields: LogFields): void => {
    if (logLevels.indexOf(at) < threshold) return;
    const clean = plain(fields);
    if (form === 'json') json[at](clean, redactText(message));
    else write(textLine(now(), at, redactText(message), clean));
  };
  const make = (bound: LogFields): Log => ({
    debug: (message, fields) => emit('debug', message, { ...bound, ...fields }),
    info: (message, fields) => emit('info', message, { ...bound, ...fields }),
    warn: (message, fields) => emit('warn', message, { ...bound, ...fields }),
    error: (message, fields) => emit('error', message, { ...bound, ...fields }),
    with: (fields) => make({ ...bound, ...fields }),
  });
  return make({});
}

/** For tests and for parts that have nobody to tell. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
};
