/**
 * The AWS Query form: `Action=…&Version=…&Tags.member.1.Key=…`, read into the SDK's own JSON shape.
 *
 * The same schema drives every operation. What cannot be read is left as the text that came, so that the
 * schema check names it together with all other problems.
 */

import { unreachable } from '../../../../src/core/errors.ts';
import type { Shape, StructureShape } from './model.ts';

interface Node {
  value?: string;
  readonly children: Map<string, Node>;
}

/** The members of a request, by the operation's input shape. `Action` and `Version` are left out. */
export function readQuery(shape: StructureShape, form: URLSearchParams): Record<string, unknown> {
  const root: Node = { children: new Map() };
  for (const [key, value] of form) {
    if (key === 'Action' || key === 'Version') continue;
    let node = root;
    for (const part of key.split('.')) {
      let next = node.children.get(part);
      if (next === undefined) node.children.set(part, (next = { children: new Map() }));
      node = next;
    }
    node.value = value;
  }
  return readStructure(shape, root);
}

function readStructure(shape: StructureShape, node: Node): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, child] of node.children) {
    const member = shape.members.get(name);
    // A member that the API does not know stays, for the check to report it.
    result[name] = member === undefined ? (child.value ?? {}) : read(member, child);
  }
  return result;
}

function read(shape: Shape, node: Node): unknown {
  switch (shape.kind) {
    case 'string':
    case 'enum':
      return node.value;
    case 'integer':
      return node.value !== undefined && /^-?\d+$/.test(node.value) ? Number(node.value) : node.value;
    case 'boolean':
      return node.value === 'true' ? true : node.value === 'false' ? false : node.value;
    case 'timestamp':
      return new Date(node.value ?? Number.NaN);
    case 'list': {
      // The SDK writes an empty list as an empty value of the list itself.
      const members = node.children.get('member');
      if (members === undefined) return node.children.size === 0 && node.value === '' ? [] : node.value;
      return [...members.children]
        .toSorted(([a], [b]) => Number(a) - Number(b))
        .map(([, child]) => read(shape.of, child));
    }
    case 'map': {
      const result: Record<string, unknown> = {};
      for (const child of node.children.get('entry')?.children.values() ?? []) {
        const value = child.children.get('value');
        if (value !== undefined) result[child.children.get('key')?.value ?? ''] = read(shape.of, value);
      }
      return result;
    }
    case 'structure':
      return readStructure(shape, node);
    default:
      return unreachable(shape);
  }
}
