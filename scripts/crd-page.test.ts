/** The page of our kinds says what their schemas say. */
import { expect, test } from 'vitest';
import { crdPage, type Crd, type CrdSchema } from './crd-page.ts';
import { documents, files, one } from './tree.ts';

function crd(spec: CrdSchema): Crd {
  return {
    spec: {
      group: 'sluice.dev',
      scope: 'Cluster',
      names: { kind: 'Thing', plural: 'things' },
      versions: [
        {
          name: 'v1',
          schema: { openAPIV3Schema: { type: 'object', required: ['spec'], properties: { spec } } },
          additionalPrinterColumns: [{ name: 'Age' }],
        },
      ],
    },
  };
}

test('a field is listed with its path, its bounds, its default and the message of its rule', () => {
  const page = crdPage(
    [
      {
        says: 'A thing.',
        crd: crd({
          type: 'object',
          required: ['parts'],
          properties: {
            parts: {
              type: 'array',
              maxItems: 3,
              description: 'What it is made of.',
              items: {
                type: 'object',
                required: ['name'],
                properties: {
                  name: { type: 'string', maxLength: 9 },
                  kind: { type: 'string', enum: ['a', 'b'], default: 'a' },
                },
                'x-kubernetes-validations': [{ message: 'must have a name' }],
              },
            },
          },
        }),
      },
    ],
    '',
  );
  expect(page).toContain('## Thing\n\nA thing.');
  expect(page).toContain(
    '| `spec.parts` | list of object, 0 to 3 |  | What it is made of. Needed. Must have a name. |',
  );
  expect(page).toContain('| `spec.parts[].name` | text, to 9 characters |  | Needed. |');
  expect(page).toContain('| `spec.parts[].kind` | a, b | `"a"` |  |');
});

/** Fields that stand directly under `spec` or `status`. */
function outer(schema: CrdSchema): readonly (readonly [string, CrdSchema])[] {
  return ['spec', 'status'].flatMap((part) =>
    Object.entries(schema.properties?.[part]?.properties ?? {}).map(
      ([name, field]) => [`${part}.${name}`, field] as const,
    ),
  );
}

test.each(files('manifests/crds/*.yaml').filter((path) => !path.endsWith('kustomization.yaml')))(
  'every field of %s says what it is',
  (path) => {
    const { spec } = one(documents(path)) as Crd;
    const silent = spec.versions.flatMap(({ schema }) =>
      outer(schema.openAPIV3Schema).filter(([, { description = '' }]) => description === ''),
    );
    expect(silent.map(([name]) => name)).toEqual([]);
  },
);
