import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ObjectKey } from '../../../src/core/objects.ts';
import { fileTable, parseTable, type TableEntry } from './table.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-table-'));
  path = join(folder, 'state', 'addresses.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const now = 1_000_000_000_000;
function entry(name: string, at = now): TableEntry {
  return { cluster: 'c', service: `default/${name}` as ObjectKey, addresses: ['127.80.0.1'], ports: {}, at };
}

test('what one process wrote another reads', async () => {
  await fileTable(path, () => now).update((all) => [...all, entry('web')]);
  expect(await fileTable(path, () => now).read()).toEqual([entry('web')]);
});

test('nothing is lost when many write at once', async () => {
  const tables = Array.from({ length: 20 }, () => fileTable(path, () => now));
  await Promise.all(tables.map((table, i) => table.update((all) => [...all, entry(`s${i}`)])));
  expect(await fileTable(path).read()).toHaveLength(20);
  expect((await readdir(join(folder, 'state'))).toSorted()).toEqual(['addresses.json']);
});

test('what a change throws comes out, and nothing is written', async () => {
  const table = fileTable(path, () => now);
  await table.update(() => [entry('web')]);
  await expect(
    table.update(() => {
      throw new Error('taken');
    }),
  ).rejects.toThrow('taken');
  expect(await table.read()).toEqual([entry('web')]);
});

test('a lock that a crash left behind is passed after some seconds', async () => {
  await mkdir(`${path}.lock`, { recursive: true });
  await utimes(`${path}.lock`, new Date(0), new Date(0));
  await fileTable(path, () => now).update(() => [entry('web')]);
  expect(await fileTable(path).read()).toHaveLength(1);
});

test('an entry that nobody used for three months goes at the next write', async () => {
  const table = fileTable(path, () => now);
  await table.update(() => [entry('old', now - 91 * 24 * 3_600_000), entry('new')]);
  await table.update((all) => all);
  expect((await table.read()).map(({ service }) => service)).toEqual(['default/new']);
});

test.each([
  ['nothing', ''],
  ['half of a file', '{"version":1,"entries":[{"clu'],
  ['another version', '{"version":2,"entries":[]}'],
  ['an entry of another shape', '{"version":1,"entries":[{"cluster":"c"}]}'],
  [
    'ports that are words',
    '{"version":1,"entries":[{"cluster":"c","service":"a/b","addresses":[],"ports":{"x":"y"},"at":1}]}',
  ],
])('%s is put aside, and addresses follow from names again', async (_, text) => {
  expect(parseTable(text)).toBeUndefined();
  await mkdir(join(folder, 'state'));
  await writeFile(path, text);
  const table = fileTable(path, () => now);
  expect(await table.read()).toEqual([]);
  await table.update(() => [entry('web')]);
  expect(await table.read()).toEqual([entry('web')]);
});

test('a table that cannot be written says which file', async () => {
  await writeFile(join(folder, 'state'), 'a file in the way');
  await expect(fileTable(path).update(() => [])).rejects.toMatchObject({
    kind: 'transient',
    message: expect.stringContaining(path),
  });
});
