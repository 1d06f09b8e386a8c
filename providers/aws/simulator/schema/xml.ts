/** Answers and errors as the XML that ELBv2 sends, written from the published schema. */

import { unreachable } from '../../../../src/core/errors.ts';
import { type OperationSchema, type Shape, xmlNamespace } from './model.ts';

/** A successful answer. `output` must conform to the operation's output shape. */
export function writeAnswer(operation: OperationSchema, output: object, requestId: string): string {
  const body = write(operation.output, output);
  const name = operation.name;
  return (
    `<${name}Response xmlns="${xmlNamespace}"><${name}Result>${body}</${name}Result>` +
    `<ResponseMetadata><RequestId>${escape(requestId)}</RequestId></ResponseMetadata></${name}Response>`
  );
}

/** A refusal. The party at fault follows from the status, as it does at AWS. */
export function writeError(code: string, message: string, httpStatus: number, requestId: string): string {
  const type = httpStatus >= 500 ? 'Receiver' : 'Sender';
  return (
    `<ErrorResponse xmlns="${xmlNamespace}"><Error><Type>${type}</Type><Code>${escape(code)}</Code>` +
    `<Message>${escape(message)}</Message></Error><RequestId>${escape(requestId)}</RequestId></ErrorResponse>`
  );
}

function write(shape: Shape, value: unknown): string {
  switch (shape.kind) {
    case 'string':
    case 'enum':
    case 'integer':
    case 'boolean':
      return escape(String(value));
    case 'timestamp':
      return value instanceof Date ? value.toISOString() : escape(String(value));
    case 'list':
      return (value as readonly unknown[])
        .map((item) => `<member>${write(shape.of, item)}</member>`)
        .join('');
    case 'map':
      return Object.entries(value as object)
        .map(
          ([key, item]) => `<entry><key>${escape(key)}</key><value>${write(shape.of, item)}</value></entry>`,
        )
        .join('');
    case 'structure': {
      let text = '';
      for (const [name, member] of shape.members) {
        const item = (value as Readonly<Record<string, unknown>>)[name];
        if (item !== undefined) text += `<${name}>${write(member, item)}</${name}>`;
      }
      return text;
    }
    default:
      return unreachable(shape);
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\r': '&#xD;',
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"'\r]/g, (character) => ENTITIES[character] ?? character);
}
