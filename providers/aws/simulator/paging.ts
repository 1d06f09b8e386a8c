/**
 * Pages: `PageSize` entries after `Marker`, and a `NextMarker` while there are more.
 *
 * A marker names a position, not a count, so that a list that changes between two pages neither repeats nor
 * skips what stays.
 */

import type { Context } from './context.ts';
import { validation } from './errors.ts';

export interface PageInput {
  readonly Marker?: string | undefined;
  readonly PageSize?: number | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly NextMarker?: string;
}

const LARGEST_PAGE = 400;

/** One page of `items`, which come in the order of `position`. */
export function page<T>(
  context: Context,
  items: Iterable<T>,
  position: (item: T) => number,
  input: PageInput,
): Page<T> {
  const size = input.PageSize ?? context.settings.pageSize;
  if (size < 1 || size > LARGEST_PAGE) {
    throw validation(`PageSize '${size}' must be between 1 and ${LARGEST_PAGE}`);
  }
  const after = input.Marker === undefined ? -1 : readMarker(input.Marker);
  const found: T[] = [];
  let last = after;
  for (const item of items) {
    if (position(item) <= after) continue;
    if (found.length === size) return { items: found, NextMarker: writeMarker(last) };
    found.push(item);
    last = position(item);
  }
  return { items: found };
}

/** One page of a list that has no order of creation: its own order is the position. */
export function pageOfList<T>(context: Context, list: readonly T[], input: PageInput): Page<T> {
  const numbered = list.map((item, index) => ({ item, index }));
  const { items, ...rest } = page(context, numbered, (entry) => entry.index, input);
  return { items: items.map((entry) => entry.item), ...rest };
}

function writeMarker(position: number): string {
  return Buffer.from(`after:${position}`).toString('base64url');
}

function readMarker(marker: string): number {
  const match = /^after:(\d+)$/.exec(Buffer.from(marker, 'base64url').toString());
  if (match?.[1] === undefined) throw validation(`Marker '${marker}' is not valid`);
  return Number(match[1]);
}
