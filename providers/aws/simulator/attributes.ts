/**
 * Attributes: known keys with a default and a rule for values. What is stored is only what was set; what is
 * described is every known key in a fixed order.
 */

import { misconfigured } from './errors.ts';
import type { Attributes } from './store.ts';

export interface AttributeRule {
  readonly key: string;
  readonly initial: string;
  /** Returns what is wrong with a value, if anything. */
  readonly check: (value: string) => string | undefined;
}

export interface KeyValue {
  readonly Key?: string | undefined;
  readonly Value?: string | undefined;
}

/** Merges `changes` into `stored`. Throws InvalidConfigurationRequest for an unknown key or a bad value. */
export function changeAttributes(
  rules: readonly AttributeRule[],
  stored: Attributes,
  changes: readonly KeyValue[] | undefined,
  what: string,
): Attributes {
  const result: Record<string, string> = { ...stored };
  const seen = new Set<string>();
  for (const { Key: key = '', Value: value = '' } of changes ?? []) {
    const rule = rules.find((candidate) => candidate.key === key);
    if (rule === undefined) throw misconfigured(`Attribute key '${key}' is not supported by ${what}`);
    if (seen.has(key)) throw misconfigured(`Attribute key '${key}' appears twice`);
    seen.add(key);
    const problem = rule.check(value);
    if (problem !== undefined) throw misconfigured(`Value '${value}' of attribute '${key}' ${problem}`);
    result[key] = value;
  }
  return result;
}

/** Every known key with its value, in the order of the rules. */
export function listAttributes(
  rules: readonly AttributeRule[],
  stored: Attributes,
): { Key: string; Value: string }[] {
  return rules.map((rule) => ({ Key: rule.key, Value: stored[rule.key] ?? rule.initial }));
}

export function attribute(rules: readonly AttributeRule[], stored: Attributes, key: string): string {
  return stored[key] ?? rules.find((rule) => rule.key === key)?.initial ?? '';
}

export const anyText = (): undefined => undefined;

export function oneOf(...values: readonly string[]): (value: string) => string | undefined {
  return (value) => (values.includes(value) ? undefined : `must be one of ${values.join(', ')}`);
}

export const flag = oneOf('true', 'false');

export function wholeNumber(least: number, most: number): (value: string) => string | undefined {
  return (value) =>
    /^\d+$/.test(value) && Number(value) >= least && Number(value) <= most
      ? undefined
      : `must be a whole number from ${least} to ${most}`;
}

/** A whole number, or the word that switches the rule off. */
export function offOr(least: number, most: number): (value: string) => string | undefined {
  const number = wholeNumber(least, most);
  return (value) => (value === 'off' ? undefined : number(value));
}
