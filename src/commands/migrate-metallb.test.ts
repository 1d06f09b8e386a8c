/** What `migrate --from metallb` reads of files. The rest is proven on a live cluster. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runProgram } from './cli.ts';
import { sluice } from './program.ts';
import { exit } from './table.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-metallb-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const pool = (name: string): string =>
  `kind: IPAddressPool\nmetadata: {name: ${name}}\nspec: {addresses: [192.0.2.0/28]}\n`;

async function migrate(...paths: readonly string[]) {
  const told = { out: '', err: '' };
  const code = await runProgram(
    sluice,
    ['migrate', '--from', 'metallb', ...paths.flatMap((path) => ['-f', path])],
    {
      out: (text) => void (told.out += text),
      err: (text) => void (told.err += text),
      env: {},
      columns: 100,
      interactive: false,
      colour: false,
    },
  );
  return { code, ...told };
}

test('files and folders are read, documents one after the other', async () => {
  writeFileSync(join(folder, 'a.yaml'), `${pool('one')}---\n${pool('two')}`);
  const { code, out } = await migrate(folder);
  expect(code).toBe(exit.changes);
  expect([...out.matchAll(/name: (\w+)/gu)].map(([, name]) => name)).toEqual(['one', 'two']);
});

test('what cannot be read is told all at once, and nothing is made of the rest', async () => {
  writeFileSync(join(folder, 'a.yaml'), pool('one'));
  writeFileSync(join(folder, 'b.yaml'), 'kind: [');
  const { code, out, err } = await migrate(folder, join(folder, 'none'));
  expect(code).toBe(exit.problem);
  expect(out).toBe('');
  expect(err).toContain('b.yaml');
  expect(err).toContain('none: there is no such file or folder');
});
