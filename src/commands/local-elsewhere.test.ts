import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { elsewhere, elsewhereMessage, machineName } from './local-elsewhere.ts';

const marked = (more: Readonly<Record<string, string>>, finalizers = ['sluice.dev/balancer']) => ({
  finalizers,
  annotations: { 'sluice.dev/served-by': 'local', ...more },
});

describe('who serves a Service', () => {
  test.each([
    ['the mark of another machine', marked({ 'sluice.dev/served-on': 'theirs' }), 'theirs'],
    ['the mark of this one', marked({ 'sluice.dev/served-on': 'mine' }), undefined],
    ['no mark', marked({}), undefined],
    ['an empty mark', marked({ 'sluice.dev/served-on': '' }), undefined],
    [
      'a mark that a person left, without our finalizer',
      marked({ 'sluice.dev/served-on': 'x' }, []),
      undefined,
    ],
    [
      'a mark beside a balancer of a cloud',
      marked({ 'sluice.dev/served-by': 'aws', 'sluice.dev/served-on': 'x' }),
      undefined,
    ],
  ])('%s', (_what, service, on) => {
    expect(elsewhere(service, 'mine')).toBe(on);
  });

  test('both messages name the machine and one command', () => {
    for (const deleting of [false, true]) {
      const said = elsewhereMessage('desk-1', { deleting });
      expect(said).toContain('desk-1');
      expect(said.match(/`sluice local --take-over`/gu)).toHaveLength(1);
    }
  });
});

describe('the name of this machine', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-machine-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('is made once and stays, and is another one for another folder', async () => {
    const name = await machineName(join(folder, 'a'));
    expect(name).toMatch(/^[a-z0-9-]+-[0-9a-f]{8}$/u);
    expect(await machineName(join(folder, 'a'))).toBe(name);
    expect(await machineName(join(folder, 'b'))).not.toBe(name);
  });

  test('a file that a crash left empty is written anew', async () => {
    await writeFile(join(folder, 'machine'), '');
    const name = await machineName(folder);
    expect(await readFile(join(folder, 'machine'), 'utf8')).toBe(`${name}\n`);
  });
});
