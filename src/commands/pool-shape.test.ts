import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { poolFields, poolMistakes } from './pool-shape.ts';

test('the fields are those of the kind, each with its form', async () => {
  const kind = parse(
    await readFile(new URL('../../manifests/crds/addresspools.yaml', import.meta.url), 'utf8'),
  ) as {
    readonly spec: {
      readonly versions: readonly {
        readonly schema: { readonly openAPIV3Schema: { readonly properties: { readonly spec: Schema } } };
      }[];
    };
  };
  const spec = kind.spec.versions[0]?.schema.openAPIV3Schema.properties.spec;
  const forms = Object.entries(spec?.properties ?? {}).map(([name, { type, items }]) => [
    name,
    { boolean: 'true or false', integer: 'a whole number' }[type] ??
      (items?.type === 'object' ? 'a list of selectors' : 'a list of text'),
  ]);
  expect(Object.fromEntries(forms)).toEqual(poolFields);
});

interface Schema {
  readonly type: string;
  readonly items?: { readonly type: string };
  readonly properties?: Readonly<Record<string, Schema>>;
}

test.each<[unknown, readonly string[]]>([
  [{ addresses: ['192.0.2.0/28'], autoAssign: false, nodeSelectors: [{}] }, []],
  [{ adresses: ['192.0.2.0/28'] }, ['there is no field spec.adresses; spec.addresses may be meant']],
  [{ addresses: '192.0.2.0/28' }, ['spec.addresses has to be a list of text']],
  [{ autoAssign: 'no' }, ['spec.autoAssign has to be true or false']],
  [{ priority: -1 }, ['spec.priority has to be a whole number']],
  [{ serviceSelectors: ['app=web'] }, ['spec.serviceSelectors has to be a list of selectors']],
  [['192.0.2.0/28'], ['spec is no map of fields']],
])('%j', (spec, mistakes) => {
  expect(poolMistakes(spec)).toEqual(mistakes);
});
