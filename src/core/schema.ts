/**
 * Small building blocks for a settings file: each says how a value is read, what stands in when it is
 * absent, and how it is described, so that validation, defaults and the reference page have one source.
 *
 * A schema never throws and never stops: it reports every mistake with its path and reads on with the
 * default in place of what it could not use.
 */
import { suggest } from './annotations.ts';
import { durationForms, formatDuration, parseDuration } from './duration.ts';

export type Path = readonly (string | number)[];

/** Takes a mistake: where, what (quoting the value found), and the cure. No full stops at the end. */
export type Report = (path: Path, message: string, cure: string) => void;

export interface Schema<T> {
  /** For the reference: `duration`, `one of a, b`. */
  readonly type: string;
  /** What stands in where nothing is given. */
  readonly standard: T;
  /** The default as one would write it; undefined where there is none, or where it follows from the parts. */
  readonly standardText: string | undefined;
  readonly read: (value: unknown, path: Path, report: Report) => T;
  /** The parts of a section. */
  readonly fields?: Fields;
}

export interface Field<T> {
  readonly schema: Schema<T>;
  /** One or two sentences for the reference. */
  readonly help: string;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

type Read<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never;
};

export function field<T>(schema: Schema<T>, help: string): Field<T> {
  return { schema, help };
}

/** `providers.aws.subnets.internal[0]`. */
export function fieldOf(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

/** Quotes a value found, shortened. */
export function quote(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}…` : json;
}

/** A leaf: `parse` answers undefined for what it does not accept. An empty value counts as absent. */
function leaf<T>(
  type: string,
  standard: T,
  standardText: string | undefined,
  parse: (value: unknown) => NonNullable<T> | undefined,
  cure: (value: unknown) => string,
): Schema<T> {
  return {
    type,
    standard,
    standardText,
    read: (value, path, report) => {
      if (value === undefined || value === null) return standard;
      const parsed = parse(value);
      if (parsed !== undefined) return parsed;
      report(path, `${quote(value)} is not ${type}`, cure(value));
      return standard;
    },
  };
}

/** Text of a form; `type` finishes the sentence "… is not". */
export function text<T extends string | undefined>(spec: {
  readonly type: string;
  readonly pattern: RegExp;
  readonly cure: string;
  readonly standard: T;
}): Schema<string | T> {
  return leaf<string | T>(
    spec.type,
    spec.standard,
    spec.standard,
    (value) => (typeof value === 'string' && spec.pattern.test(value) ? value : undefined),
    () => spec.cure,
  );
}

export function flag(standard: boolean): Schema<boolean> {
  return leaf(
    'true or false',
    standard,
    String(standard),
    (value) => (typeof value === 'boolean' ? value : undefined),
    (value) => (typeof value === 'string' ? 'Write true or false, without quotes' : 'Write true or false'),
  );
}

export function integer(spec: {
  readonly min: number;
  readonly max: number;
  readonly standard: number;
}): Schema<number> {
  const { min, max, standard } = spec;
  return leaf(
    `a whole number from ${min} to ${max}`,
    standard,
    String(standard),
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : undefined,
    (value) =>
      typeof value === 'string' ? 'Write a number, without quotes' : 'Choose a number in that range',
  );
}

/** Milliseconds. With `off`, 0 is accepted too and switches the thing off. */
export function duration(spec: {
  readonly minMs: number;
  readonly maxMs: number;
  readonly standardMs: number;
  readonly off?: boolean;
}): Schema<number> {
  const { minMs, maxMs, standardMs, off = false } = spec;
  const range = `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return leaf(
    `a duration from ${range}${off ? ', or 0' : ''}`,
    standardMs,
    formatDuration(standardMs),
    (value) => {
      const ms = value === 0 ? 0 : typeof value === 'string' ? parseDuration(value) : undefined;
      if (ms === undefined || (ms === 0 && off)) return ms;
      return ms >= minMs && ms <= maxMs ? ms : undefined;
    },
    () => `Write ${durationForms}`,
  );
}

export function choice<const C extends readonly string[], T extends C[number] | undefined>(
  choices: C,
  standard: T,
): Schema<C[number] | T> {
  return leaf<C[number] | T>(
    `one of ${choices.join(', ')}`,
    standard,
    standard,
    (value) => choices.find((candidate) => candidate === value),
    (value) => {
      const near = typeof value === 'string' ? suggest(value, choices) : undefined;
      return near === undefined ? 'Choose one of them' : `Did you mean ${near}?`;
    },
  );
}

/** A list of texts of one form; empty by default. */
export function list(item: Schema<string>): Schema<readonly string[]> {
  return {
    type: `a list, each ${item.type}`,
    standard: [],
    standardText: '[]',
    read: (value, path, report) => {
      if (value === undefined || value === null) return [];
      if (!Array.isArray(value)) {
        report(path, `${quote(value)} is not a list`, 'Write a list, such as [a, b]');
        return [];
      }
      const seen = new Set<string>();
      value.forEach((part: unknown, index) => {
        const read = item.read(part, [...path, index], report);
        if (seen.has(read) && read !== item.standard) {
          report([...path, index], `${quote(part)} stands in the list twice`, 'Remove one');
        }
        if (read !== item.standard) seen.add(read);
      });
      return [...seen];
    },
  };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @returns the mapping, empty when absent or when what stands there is no mapping (which is reported). */
export function readMapping(value: unknown, path: Path, report: Report): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {};
  if (isMapping(value)) return value;
  report(path, `${quote(value)} is not a section`, 'Write its fields below it, indented');
  return {};
}

/** Reports the keys that are not known, each with the nearest known one. */
export function reportUnknown(
  mapping: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: Path,
  report: Report,
): void {
  for (const key of Object.keys(mapping)) {
    if (known.includes(key)) continue;
    const near = suggest(key, known);
    report(
      [...path, key],
      `"${key}" is not known here`,
      near === undefined ? `Remove it; known are ${known.join(', ')}` : `Did you mean ${near}?`,
    );
  }
}

/** A section with known fields. */
export function section<const F extends Fields>(fields: F): Schema<Read<F>> {
  const build = (value: (name: string, each: Field<unknown>) => unknown): Read<F> =>
    // Every key of F gets the value that its own schema made.
    Object.fromEntries(Object.entries(fields).map(([name, each]) => [name, value(name, each)])) as Read<F>;
  return {
    type: 'a section',
    standard: build((_name, each) => each.schema.standard),
    standardText: undefined,
    fields,
    read: (value, path, report) => {
      const mapping = readMapping(value, path, report);
      reportUnknown(mapping, Object.keys(fields), path, report);
      return build((name, each) => each.schema.read(mapping[name], [...path, name], report));
    },
  };
}
