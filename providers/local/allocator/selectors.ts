/** Several label selectors at once, and what one says in words. */
import type { LabelSelector } from '../../../src/core/address-objects.ts';
import { matches } from '../../../src/core/selectors.ts';

type Labels = Readonly<Record<string, string>>;

/** No selectors: everything; else one must agree. */
export function anySelects(selectors: readonly LabelSelector[], labels: Labels): boolean {
  return selectors.length === 0 || selectors.some((selector) => matches(selector, labels));
}

/** For messages: `team=red, tier in (web, api)`. */
export function describeSelector({ matchLabels, matchExpressions }: LabelSelector): string {
  const parts = [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values }) => {
      switch (operator) {
        case 'In':
          return `${key} in (${values.join(', ')})`;
        case 'NotIn':
          return `${key} not in (${values.join(', ')})`;
        case 'Exists':
          return key;
        case 'DoesNotExist':
          return `no ${key}`;
      }
    }),
  ];
  return parts.length === 0 ? 'everything' : parts.join(', ');
}
