/** Whether a label selector, as the API writes it, chooses an object. */
import type { LabelSelector } from './address-objects.ts';

/** An empty selector chooses everything; `NotIn` also what lacks the label (as in the API). */
export function matches(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const named = Object.entries(selector.matchLabels).every(([key, value]) => labels[key] === value);
  return (
    named &&
    selector.matchExpressions.every(({ key, operator, values }) => {
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
