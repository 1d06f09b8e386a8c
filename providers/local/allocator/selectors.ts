/** Label selectors with the meaning that the API gives them (metav1.LabelSelector). */
import type { LabelSelector } from '../../../src/core/address-objects.ts';

type Labels = Readonly<Record<string, string>>;

/** All parts must agree; an empty selector chooses everything. */
export function selects({ matchLabels, matchExpressions }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      const value = labels[key];
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
      }
    })
  );
}

/** No selectors: everything; else one must agree. */
export function anySelects(selectors: readonly LabelSelector[], labels: Labels): boolean {
  return selectors.length === 0 || selectors.some((selector) => selects(selector, labels));
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
