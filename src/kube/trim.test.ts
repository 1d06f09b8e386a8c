import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';

import { withoutManagedFields } from './trim.ts';

test.each<[string, string, string]>([
  ['is emptied', '{"metadata":{"managedFields":[{"a":1}]},"b":2}', '{"metadata":{"managedFields":[]},"b":2}'],
  ['is emptied with lists inside', '{"managedFields":[[1,[2]],3]}', '{"managedFields":[]}'],
  [
    'is emptied whatever its strings hold',
    String.raw`{"managedFields":["]\"]\\"],"b":[1]}`,
    '{"managedFields":[],"b":[1]}',
  ],
  [
    'of each object of a page',
    '[{"managedFields":[1]},{"managedFields":[2]}]',
    '[{"managedFields":[]},{"managedFields":[]}]',
  ],
  ['that is not there', '{"a":[1]}', '{"a":[1]}'],
  [
    'that is only spoken of',
    String.raw`{"a":"\"managedFields\":[1]"}`,
    String.raw`{"a":"\"managedFields\":[1]"}`,
  ],
  ['without an end is left alone', '{"managedFields":[1', '{"managedFields":[1'],
])('a list %s', (_what, text, cut) => {
  expect(withoutManagedFields(text)).toBe(cut);
});

test('a list with the word that is asked for stays, and its neighbours go', () => {
  const text = '[{"managedFields":["x"]},{"managedFields":["f:keep"]},{"managedFields":["y"],"z":"f:keep"}]';

  expect(withoutManagedFields(text, '"f:keep"')).toBe(
    '[{"managedFields":[]},{"managedFields":["f:keep"]},{"managedFields":[],"z":"f:keep"}]',
  );
});

property.prop([fc.jsonValue(), fc.array(fc.jsonValue()), fc.jsonValue()])(
  'whatever stands around and inside it, the rest comes out unharmed',
  (before, fields, after) => {
    const object = { before, metadata: { managedFields: fields }, after };

    expect(JSON.parse(withoutManagedFields(JSON.stringify(object)))).toEqual(
      JSON.parse(JSON.stringify({ ...object, metadata: { managedFields: [] } })),
    );
  },
);
