/**
 * Which attributes have to be set so that what is asked for holds, and what we set earlier but nobody asks
 * for any more goes back to its default. What others set is left alone.
 */
import { fallbackOf } from './attributes.ts';
import type { AttributeRow } from './attributes.ts';
import type { Attributes, Tags } from './observed.ts';
import { attributesTag, splitRecord } from './tags.ts';

/**
 * @param observed only what differs from the defaults; `{}` for a resource about to be made; undefined when
 *   nobody has looked, and then all that is asked for is set (the look that precedes it will tell better).
 * @param tags of the resource: they hold the record of what we set.
 */
export function attributeChanges(
  table: readonly AttributeRow[],
  wanted: Attributes,
  observed: Attributes | undefined,
  tags: Tags,
): Attributes {
  if (observed === undefined) return wanted;
  const changes: Record<string, string> = {};
  for (const [key, value] of Object.entries(wanted)) {
    if (value !== (observed[key] ?? fallbackOf(table, key))) changes[key] = value;
  }
  const recorded = splitRecord(tags[attributesTag]);
  for (const { key, short, fallback } of table) {
    if (recorded.has(short) && wanted[key] === undefined && observed[key] !== undefined) {
      changes[key] = fallback;
    }
  }
  return changes;
}

export function toAttributeList(attributes: Attributes): { Key: string; Value: string }[] {
  return Object.entries(attributes).map(([Key, Value]) => ({ Key, Value }));
}

/** The attributes after a change, again without what has its default. */
export function withChanges(
  table: readonly AttributeRow[],
  before: Attributes,
  changes: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[],
): Attributes {
  const after: Record<string, string> = { ...before };
  for (const { Key: key = '', Value: value = '' } of changes) {
    if (value === fallbackOf(table, key)) delete after[key];
    else after[key] = value;
  }
  return after;
}
