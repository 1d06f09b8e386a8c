/** Holds an input against the description of its operation, and reads one from the flat text of the wire. */
import { CloudError, invalid, missing } from './errors.ts';
import { parameters } from './parameters.ts';
import type { Kind, Parameters } from './parameters.ts';

/** Throws MissingParam…, InvalidParameter… for the first deviation. */
export function checkInput(operation: string, input: object): void {
  const known = describe(operation);
  for (const [name, value] of Object.entries(input)) {
    if (value === undefined) continue;
    const parameter = Object.hasOwn(known, name) ? known[name] : undefined;
    if (parameter === undefined) throw invalid(name, `${operation} has no such parameter`);
    const wrong = deviation(parameter.type, value);
    if (wrong !== undefined) throw invalid(name, wrong);
  }
  const given = input as Readonly<Record<string, unknown>>;
  for (const [name, { required }] of Object.entries(known)) {
    if (required && given[name] === undefined) throw missing(name);
  }
}

function describe(operation: string): Parameters {
  const known = Object.hasOwn(parameters, operation) ? parameters[operation] : undefined;
  if (known !== undefined) return known;
  throw new CloudError('InvalidAction.NotFound', `Specified api ${operation} is not found`);
}

/** What is wrong with a value; undefined where nothing is. */
function deviation(type: Kind, value: unknown): string | undefined {
  switch (type.kind) {
    case 'text':
      if (typeof value !== 'string') return 'it must be text';
      return type.pattern === undefined || type.pattern.test(value) ? undefined : `'${value}'`;
    case 'integer':
      if (typeof value !== 'number' || !Number.isInteger(value)) return 'it must be an integer';
      return value < type.min || value > type.max ? `it must be ${type.min} to ${type.max}` : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'it must be true or false';
    case 'texts':
      if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
        return 'it must be a list of texts';
      return value.length < 1 || value.length > type.max
        ? `it must have 1 to ${type.max} entries`
        : undefined;
    case 'tags':
      if (!Array.isArray(value)) return 'it must be a list of tags';
      return value.every((one) => isObject(one) && typeof one['Key'] === 'string')
        ? undefined
        : 'a tag has no key';
    case 'json':
      return Array.isArray(value) && value.every(isObject) ? undefined : 'it must be a list of objects';
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The input that flat parameters stand for. Throws as `checkInput` where a text cannot be one of its kind. */
export function readInput(operation: string, flat: ReadonlyMap<string, string>): object {
  const known = describe(operation);
  const input: Record<string, unknown> = {};
  for (const [key, value] of flat) {
    const [name = '', index, member] = key.split('.');
    const type = Object.hasOwn(known, name) ? known[name]?.type : undefined;
    if (type === undefined) throw invalid(name, `${operation} has no such parameter`);
    if (type.kind === 'texts' || type.kind === 'tags') {
      const position = Number(index) - 1;
      const list = (input[name] ??= []) as unknown[];
      if (!Number.isInteger(position) || position < 0 || position > 1_000) throw invalid(key, 'no position');
      if (type.kind === 'texts') list[position] = value;
      else list[position] = { ...(list[position] as object | undefined), [member ?? '']: value };
    } else {
      if (index !== undefined) throw invalid(key, 'it is no list');
      input[name] = readValue(type, name, value);
    }
  }
  return input;
}

function readValue(type: Kind, name: string, value: string): unknown {
  if (type.kind === 'integer') return /^-?\d{1,9}$/.test(value) ? Number(value) : value;
  if (type.kind === 'boolean') return value === 'true' ? true : value === 'false' ? false : value;
  if (type.kind !== 'json') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw invalid(name, 'it is no JSON');
  }
}
