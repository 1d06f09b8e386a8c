/**
 * The published schema of ELBv2 as values that the checker and the two serialisers walk.
 *
 * Everything the simulator knows about the wire is in `schema.json`, derived from the SDK (generate.ts):
 * there is no hand-written parsing per operation.
 */

import raw from './schema.json' with { type: 'json' };

/** A member's type as text: `string`, `integer`, `boolean`, `timestamp`, a shape or enumeration by name; then `[]` for a list, `{}` for a map; then `!` when required. */
export type TypeText = string;

/** What `schema.json` holds. */
export interface SchemaFile {
  readonly sdk: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly operations: Readonly<
    Record<string, { readonly input: string; readonly output: string; readonly errors: readonly string[] }>
  >;
  readonly shapes: Readonly<Record<string, Readonly<Record<string, TypeText>>>>;
  readonly enums: Readonly<Record<string, readonly string[]>>;
  /** By wire code. */
  readonly errors: Readonly<Record<string, { readonly name: string; readonly httpStatus: number }>>;
}

export type Shape =
  | { readonly kind: 'string' }
  | { readonly kind: 'enum'; readonly name: string; readonly values: readonly string[] }
  | { readonly kind: 'integer' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'timestamp' }
  | { readonly kind: 'list'; readonly of: Shape }
  | { readonly kind: 'map'; readonly of: Shape }
  | StructureShape;

export interface StructureShape {
  readonly kind: 'structure';
  readonly name: string;
  readonly members: ReadonlyMap<string, Shape>;
  readonly required: readonly string[];
}

export interface OperationSchema {
  readonly name: string;
  readonly input: StructureShape;
  readonly output: StructureShape;
  /** Wire codes of the errors that the SDK documents for the operation. */
  readonly errors: ReadonlySet<string>;
}

// The inferred literal type of the file is of no use to anyone and slows the compiler.
const file = raw as unknown as SchemaFile;

const structures = new Map<string, StructureShape>();

function structure(name: string): StructureShape {
  const known = structures.get(name);
  if (known !== undefined) return known;
  const members = new Map<string, Shape>();
  const required: string[] = [];
  const shape: StructureShape = { kind: 'structure', name, members, required };
  structures.set(name, shape);
  for (const [member, text] of Object.entries(file.shapes[name] ?? {})) {
    const bare = text.endsWith('!') ? text.slice(0, -1) : text;
    if (bare !== text) required.push(member);
    members.set(member, parse(bare));
  }
  return shape;
}

function parse(text: TypeText): Shape {
  if (text.endsWith('[]')) return { kind: 'list', of: parse(text.slice(0, -2)) };
  if (text.endsWith('{}')) return { kind: 'map', of: parse(text.slice(0, -2)) };
  if (text === 'string' || text === 'integer' || text === 'boolean' || text === 'timestamp') {
    return { kind: text };
  }
  const values = file.enums[text];
  return values === undefined ? structure(text) : { kind: 'enum', name: text, values };
}

/** Every operation of the API by name, whether the simulator serves it or not. */
export const operationSchemas: ReadonlyMap<string, OperationSchema> = new Map(
  Object.entries(file.operations).map(([name, operation]) => [
    name,
    {
      name,
      input: structure(operation.input),
      output: structure(operation.output),
      errors: new Set(operation.errors),
    },
  ]),
);

export const apiVersion = file.apiVersion;
export const xmlNamespace = file.namespace;

/** The modelled errors of the API by wire code. */
export const modelledErrors: SchemaFile['errors'] = file.errors;
