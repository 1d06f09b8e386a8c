/**
 * The two patch forms that the writer sends, on plain values: JSON merge patch (RFC 7386), and of strategic
 * merge the one case that a Service's status has, conditions merged by type. Nothing is changed in place;
 * what a patch does not touch stays the very same value.
 */

type Values = Readonly<Record<string, unknown>>;

function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7386: null takes away, objects merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isValues(patch)) return patch;
  const result: Record<string, unknown> = isValues(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** Strategic merge of a Service: lists named `conditions` merge by `type`, all others are replaced. */
export function strategicPatch(target: unknown, patch: unknown): unknown {
  if (!isValues(patch)) return patch;
  const result: Record<string, unknown> = isValues(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (key === 'conditions' && Array.isArray(value)) result[key] = mergeByType(result[key], value);
    else result[key] = strategicPatch(result[key], value);
  }
  return result;
}

function mergeByType(target: unknown, patch: readonly unknown[]): readonly unknown[] {
  const entries = new Map<unknown, Values>();
  for (const one of Array.isArray(target) ? target : []) if (isValues(one)) entries.set(one['type'], one);
  for (const one of patch) {
    if (!isValues(one)) continue;
    const type = one['type'];
    if (one['$patch'] === 'delete') entries.delete(type);
    else entries.set(type, { ...entries.get(type), ...one });
  }
  return [...entries.values()];
}

/** Equal as JSON, whatever the order of fields. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((value, index) => sameValue(value, other[index]));
  }
  if (!isValues(one) || !isValues(other)) return false;
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  for (const key of keys) if (!sameValue(one[key], other[key])) return false;
  return true;
}
