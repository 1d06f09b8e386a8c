/** The published package. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { publishedManifest } from './pack.ts';
import { root } from './run.ts';

test('it brings no dependencies and no Node along, and keeps what a user needs', () => {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  const manifest = publishedManifest(JSON.parse(text) as Parameters<typeof publishedManifest>[0]);
  expect(Object.keys(manifest).filter((key) => /dependencies|scripts|private/iu.test(key))).toEqual([]);
  expect(manifest).toMatchObject({
    name: 'sluice',
    license: 'Apache-2.0',
    type: 'module',
    bin: { sluice: 'bin/sluice.js' },
    engines: { node: expect.stringContaining('24') as string },
  });
});
