/**
 * What the API server would say of the form of an AddressPool, for those that come from files: fields that there are
 * not, and values of another kind. What the values mean is judged elsewhere, by the code that judges them in a cluster.
 */
import { suggest } from '../core/annotations.ts';

type Form = 'true or false' | 'a whole number' | 'a list of text' | 'a list of selectors';

/** As in manifests/crds/addresspools.yaml. */
export const poolFields: Readonly<Record<string, Form>> = {
  addresses: 'a list of text',
  autoAssign: 'true or false',
  avoidBuggyIPs: 'true or false',
  priority: 'a whole number',
  namespaces: 'a list of text',
  namespaceSelectors: 'a list of selectors',
  serviceSelectors: 'a list of selectors',
  nodeSelectors: 'a list of selectors',
  interfaces: 'a list of text',
  moveOnShrink: 'true or false',
};

/** One sentence for each mistake in the form of `spec`. */
export function poolMistakes(spec: unknown): readonly string[] {
  if (spec === undefined) return [];
  if (!isMap(spec)) return ['spec is no map of fields'];
  return Object.entries(spec).flatMap(([field, value]) => {
    const form = Object.hasOwn(poolFields, field) ? poolFields[field] : undefined;
    if (form === undefined) {
      const meant = suggest(field, Object.keys(poolFields));
      return [`there is no field spec.${field}${meant === undefined ? '' : `; spec.${meant} may be meant`}`];
    }
    return has(form, value) ? [] : [`spec.${field} has to be ${form}`];
  });
}

function has(form: Form, value: unknown): boolean {
  switch (form) {
    case 'true or false':
      return typeof value === 'boolean';
    case 'a whole number':
      return Number.isInteger(value) && Number(value) >= 0;
    case 'a list of text':
      return Array.isArray(value) && value.every((one) => typeof one === 'string');
    case 'a list of selectors':
      return Array.isArray(value) && value.every(isMap);
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
