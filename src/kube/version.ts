/**
 * Comparing resource versions.
 *
 * Since Kubernetes 1.35 a resource version is documented as a decimal number without leading zeros that
 * clients may compare within one kind of resource. Whatever does not look like that is only ever compared
 * for equality, so a server that does otherwise makes us wait, never believe.
 */

const decimal = /^[1-9][0-9]*$/;

export type Order = 'older' | 'same' | 'newer' | 'unknown';

/** How `one` stands to `other`. By length and digits: the numbers may exceed 2^53. */
export function compareVersions(one: string, other: string): Order {
  if (one === other) return one === '' ? 'unknown' : 'same';
  if (!decimal.test(one) || !decimal.test(other)) return 'unknown';
  if (one.length !== other.length) return one.length < other.length ? 'older' : 'newer';
  return one < other ? 'older' : 'newer';
}

/** `have` is `wanted` or something after it. False when that cannot be told. */
export function reaches(have: string, wanted: string): boolean {
  const order = compareVersions(have, wanted);
  return order === 'same' || order === 'newer';
}
