/**
 * Checks a value against the published schema: required members present, no member that the API does not
 * know, every value of the declared type, every enumeration value a known one.
 */

import { unreachable } from '../../../../src/core/errors.ts';
import type { Shape } from './model.ts';

export interface SchemaProblem {
  /** Where, as the API writes it: `DefaultActions[0].Type`. */
  readonly path: string;
  readonly message: string;
}

/** All deviations of `value` from `shape`; none when it conforms. Members that are `undefined` count as absent. */
export function checkShape(shape: Shape, value: unknown): readonly SchemaProblem[] {
  // The usual answer is "none": the list is only made when there is something to put into it.
  return walk(shape, value, '', none);
}

const none: readonly SchemaProblem[] = [];
type Problems = readonly SchemaProblem[];

function walk(shape: Shape, value: unknown, path: string, problems: Problems): Problems {
  switch (shape.kind) {
    case 'string':
      return typeof value === 'string' ? problems : expected('a string', value, path, problems);
    case 'enum':
      if (typeof value === 'string' && shape.values.includes(value)) return problems;
      return expected(`one of [${shape.values.join(', ')}]`, value, path, problems);
    case 'integer':
      return Number.isInteger(value) ? problems : expected('an integer', value, path, problems);
    case 'boolean':
      return typeof value === 'boolean' ? problems : expected('true or false', value, path, problems);
    case 'timestamp':
      return value instanceof Date && !Number.isNaN(value.getTime())
        ? problems
        : expected('a date', value, path, problems);
    case 'list': {
      if (!Array.isArray(value)) return expected('a list', value, path, problems);
      let found = problems;
      for (let index = 0; index < value.length; index += 1) {
        found = walk(shape.of, value[index], `${path}[${index}]`, found);
      }
      return found;
    }
    case 'map': {
      if (!isObject(value)) return expected('a map', value, path, problems);
      let found = problems;
      for (const [key, item] of Object.entries(value)) found = walk(shape.of, item, `${path}.${key}`, found);
      return found;
    }
    case 'structure': {
      if (!isObject(value)) return expected('a structure', value, path, problems);
      let found = problems;
      for (const name in value) {
        const item = value[name];
        if (item === undefined) continue;
        const member = shape.members.get(name);
        const at = path === '' ? name : `${path}.${name}`;
        found =
          member === undefined
            ? report(`is not a member of ${shape.name}`, at, found)
            : walk(member, item, at, found);
      }
      for (const name of shape.required) {
        if (value[name] === undefined) {
          found = report('is required', path === '' ? name : `${path}.${name}`, found);
        }
      }
      return found;
    }
    default:
      return unreachable(shape);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function expected(what: string, value: unknown, path: string, problems: Problems): Problems {
  return report(`must be ${what}, not ${JSON.stringify(value) ?? 'undefined'}`, path, problems);
}

function report(message: string, path: string, problems: Problems): Problems {
  return [...problems, { path, message }];
}
