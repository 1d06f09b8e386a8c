/**
 * How elements are laid out in bytes, both ways: only plain elements of a few types; a set that this does not know is
 * left to nft.
 */
import { endianness } from 'node:os';
import type { SetShape, TableShape } from './table.ts';

/** Types of one component, with their bytes: each begins at a multiple of four. */
export const bytesOf = { ipv4_addr: 4, ipv6_addr: 16, inet_proto: 4, inet_service: 4, classid: 4 } as const;

export type Component = keyof typeof bytesOf;

/** How the elements of a set are written. */
export interface Packing {
  readonly key: readonly Component[];
  /** Empty in a set. */
  readonly value: readonly Component[];
}

/** Undefined where its elements are nft's to write: ranges, verdicts, time limits, types not known here. */
export function packingOf({ kind, lines }: Pick<SetShape, 'kind' | 'lines'>): Packing | undefined {
  // Numbers of the kernel's own are in the order of the processor; ours are written in the other.
  if (endianness() !== 'LE') return undefined;
  const [line = '', ...more] = lines;
  if (more.length > 0 || !line.startsWith('type ')) return undefined;
  const [key, value] = line.slice('type '.length).split(' : ');
  const read = { key: componentsOf(key), value: componentsOf(value) };
  const whole = read.key.length > 0 && read.value.length > 0 === (kind === 'map');
  return whole && [...read.key, ...read.value].every(isKnown) ? (read as Packing) : undefined;
}

function componentsOf(text: string | undefined): readonly string[] {
  return text === undefined ? [] : text.split(' . ');
}

export function isKnown(component: string): component is Component {
  return Object.hasOwn(bytesOf, component);
}

/** How the elements of each set of a table are written. */
export function packingsOf({ sets }: Pick<TableShape, 'sets'>): ReadonlyMap<string, Packing | undefined> {
  return new Map(sets.map((set) => [set.name, packingOf(set)]));
}

/** Bytes of a key or value. */
export function sizeOf(components: readonly Component[]): number {
  return components.reduce((sum, component) => sum + bytesOf[component], 0);
}
