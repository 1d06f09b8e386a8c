/**
 * What of a protobuf message is read: the number of each field, and the name that it has in the API's JSON.
 *
 * A number that is not named here is passed over unread, which is what makes the binary form cheap: `managedFields`
 * costs one addition. Values come out as the API's JSON has them, so that one transform serves both forms.
 */

/** `pointer`: absent is something else than zero. All others are left out when they are zero, as in the JSON. */
export type Field =
  | { readonly kind: 'text' | 'integer' | 'flag'; readonly name: string; readonly pointer?: true }
  | { readonly kind: 'texts'; readonly name: string }
  /** `map<string, string>`, an object. */
  | { readonly kind: 'map'; readonly name: string }
  /** `meta/v1 Time`, as RFC 3339 in seconds. */
  | { readonly kind: 'time'; readonly name: string }
  /** `intstr.IntOrString`: a number or a text. */
  | { readonly kind: 'number-or-name'; readonly name: string }
  | { readonly kind: 'message' | 'messages'; readonly name: string; readonly shape: Shape }
  /** Bytes that are not looked at: a `Range`. */
  | { readonly kind: 'range'; readonly name: string }
  /** `meta/v1 FieldsV1`: parsed only where its JSON contains `needle`. */
  | { readonly kind: 'fields'; readonly name: string; readonly needle: string };

/** Where something stands in what is being read: from the first byte to after the last. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** By field number. */
export type Shape = readonly (Field | undefined)[];

export function shape(fields: Readonly<Record<number, Field>>): Shape {
  const numbers = Object.keys(fields).map(Number);
  return Array.from({ length: Math.max(0, ...numbers) + 1 }, (_, number) => fields[number]);
}

export const text = (name: string): Field => ({ kind: 'text', name });
export const texts = (name: string): Field => ({ kind: 'texts', name });
export const map = (name: string): Field => ({ kind: 'map', name });
export const range = (name: string): Field => ({ kind: 'range', name });
export const integer = (name: string): Field => ({ kind: 'integer', name });
export const flag = (name: string): Field => ({ kind: 'flag', name });
export const time = (name: string): Field => ({ kind: 'time', name });
export const message = (name: string, of: Shape): Field => ({ kind: 'message', name, shape: of });
export const messages = (name: string, of: Shape): Field => ({ kind: 'messages', name, shape: of });

/** A pointer in the API's Go types: kept when it is zero. */
export function pointer(field: Field): Field {
  return field.kind === 'text' || field.kind === 'integer' || field.kind === 'flag'
    ? { ...field, pointer: true }
    : field;
}
