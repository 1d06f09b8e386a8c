/**
 * Derives `schema.json` from the published AWS SDK: operations, shapes, required members, enumerations and
 * errors of ELBv2. The simulator checks every request and answer against that file, so that it cannot drift
 * into a dialect of its own; a test derives it again and compares, so that the file cannot drift from the SDK.
 *
 * Shapes and errors come from the SDK's run-time schemas; which member holds which enumeration, and which
 * errors an operation documents, are only in its type declarations and are read from there. Anything in the
 * SDK that this file does not understand is an error, never a guess.
 *
 * Run: `node providers/aws/simulator/schema/generate.ts`
 */

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as sdk from '@aws-sdk/client-elastic-load-balancing-v2';
import type { SchemaFile } from './model.ts';

const PACKAGE = '@aws-sdk/client-elastic-load-balancing-v2';
const SIMPLE: Readonly<Record<number, string>> = { 0: 'string', 1: 'integer', 2: 'boolean', 4: 'timestamp' };
const LIST = 64;
const MAP = 128;

type Thunk = () => unknown;
type Enums = Readonly<Record<string, readonly string[]>>;

interface Declarations {
  /** `Structure.Member` to the name of its enumeration. */
  readonly enumOf: ReadonlyMap<string, string>;
  /** Operation to the modelled error names that its documentation lists. */
  readonly throws: ReadonlyMap<string, readonly string[]>;
}

/** The schema file's content, derived from the installed SDK. */
export function deriveSchema(): SchemaFile {
  const root = dirname(dirname(createRequire(import.meta.url).resolve(PACKAGE)));
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const enums = readEnums();
  const declarations = readDeclarations(root, enums);
  const shapes: Record<string, Record<string, string>> = {};
  const operations: Record<string, { input: string; output: string; errors: string[] }> = {};
  const errors: Record<string, { name: string; httpStatus: number }> = {};

  const add = (schema: unknown[]): string => {
    const name = String(schema[2]);
    if (shapes[name] !== undefined) return name;
    const members: Record<string, string> = {};
    shapes[name] = members;
    const names = schema[4] as string[];
    const types = schema[5] as unknown[];
    const required = Number(schema[6] ?? 0);
    names.forEach((member, index) => {
      const found = declarations.enumOf.get(`${name}.${member}`);
      const type = typeOf(types[index], add);
      const named = found === undefined ? type : type.replace('string', found);
      // The SDK puts required members first and states how many they are.
      members[member] = index < required ? `${named}!` : named;
    });
    return name;
  };

  for (const [key, value] of Object.entries(sdk).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (!key.endsWith('$') || !Array.isArray(value)) continue;
    const schema = value as unknown[];
    if (schema[0] === 9) {
      const name = String(schema[2]);
      operations[name] = {
        input: add((schema[4] as Thunk)() as unknown[]),
        output: add((schema[5] as Thunk)() as unknown[]),
        errors: [...(declarations.throws.get(name) ?? [])],
      };
    } else if (schema[0] === -3) {
      const traits = schema[3] as Record<string, unknown>;
      const wire = traits['awsQueryError'] as [string, number] | undefined;
      if (wire !== undefined) errors[wire[0]] = { name: String(schema[2]), httpStatus: wire[1] };
    }
  }
  const codeOf = new Map(Object.entries(errors).map(([code, error]) => [error.name, code]));
  for (const operation of Object.values(operations)) {
    operation.errors = operation.errors.map((name) => codeOf.get(name) ?? name).toSorted();
  }
  return {
    sdk: manifest.version,
    apiVersion: '2015-12-01',
    namespace: 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/',
    operations,
    shapes: sorted(shapes),
    enums: sorted(enums),
    errors: sorted(errors),
  };
}

function typeOf(ref: unknown, add: (schema: unknown[]) => string): string {
  if (typeof ref === 'number') {
    const simple = SIMPLE[ref & ~(LIST | MAP)];
    if (simple === undefined) throw new Error(`schema type ${ref} is unknown to this generator`);
    if (ref & LIST) return `${simple}[]`;
    if (ref & MAP) return `${simple}{}`;
    return simple;
  }
  if (typeof ref === 'function') return typeOf((ref as Thunk)(), add);
  if (Array.isArray(ref)) {
    const schema = ref as unknown[];
    if (schema[3] !== 0) throw new Error(`traits on ${String(schema[2])} are unknown to this generator`);
    if (schema[0] === 3) return add(schema);
    if (schema[0] === 1) return `${typeOf(schema[4], add)}[]`;
  }
  throw new Error(`schema ${JSON.stringify(ref)} is unknown to this generator`);
}

/** The SDK exports an enumeration as an object whose values are all strings. */
function readEnums(): Enums {
  const found: Record<string, string[]> = {};
  for (const [key, value] of Object.entries(sdk)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
    const values: unknown[] = Object.values(value);
    if (values.length > 0 && values.every((item) => typeof item === 'string')) {
      found[key] = values.toSorted();
    }
  }
  return found;
}

function readDeclarations(root: string, enums: Enums): Declarations {
  const models = readFileSync(join(root, 'dist-types/models/models_0.d.ts'), 'utf8');
  const enumOf = new Map<string, string>();
  for (const [, name, body] of models.matchAll(/^export interface (\w+) \{\n(.*?)^\}/gms)) {
    for (const [, member, type] of (body ?? '').matchAll(/^ {4}(\w+)\??: (\w+)(?:\[\])? \| undefined;/gm)) {
      if (type !== undefined && enums[type] !== undefined) enumOf.set(`${name}.${member}`, type);
    }
  }
  const throws = new Map<string, readonly string[]>();
  for (const file of readdirSync(join(root, 'dist-types/commands'))) {
    const operation = /^(\w+)Command\.d\.ts$/.exec(file)?.[1];
    if (operation === undefined) continue;
    const text = readFileSync(join(root, 'dist-types/commands', file), 'utf8');
    const names = [...text.matchAll(/@throws \{@link (\w+Exception)\} \((?:client|server) fault\)/g)];
    throws.set(
      operation,
      names.map((match) => match[1] ?? ''),
    );
  }
  return { enumOf, throws };
}

function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

if (import.meta.main) {
  writeFileSync(new URL('schema.json', import.meta.url), `${JSON.stringify(deriveSchema(), null, 2)}\n`);
}
