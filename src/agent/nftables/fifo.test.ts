import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fifos, fifoInput } from './fifo.ts';
import { NftRun } from './process.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fifo-test-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function cat(path: string) {
  const child = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return { ended: once(child, 'close'), text: () => text };
}

test('what is written is read before the end, and the end is an end of file', async () => {
  const fifos = await Fifos.make(1, { folders: [folder] });
  const path = fifos.take() ?? '';
  const input = fifoInput(path);
  const reader = cat(path);
  input.write('a line\n');
  await expect.poll(reader.text).toBe('a line\n');
  // Nobody can open it a second time, and wait for ever.
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  // More than a pipe holds.
  const long = 'x'.repeat(1_000_000);
  input.end(long);
  await finished(input);
  await reader.ended;
  expect(reader.text()).toBe(`a line\n${long}`);
  await fifos.close();
});

test('nobody else may enter, each is given once, and nothing stays behind', async () => {
  const fifos = await Fifos.make(2, { folders: [folder] });
  const [inside = ''] = await readdir(folder);
  expect((await stat(join(folder, inside))).mode & 0o777).toBe(0o700);
  const taken = [fifos.take(), fifos.take()];
  expect(new Set(taken).size).toBe(2);
  for (const path of taken) expect((await stat(path ?? '')).isFIFO()).toBe(true);
  expect(fifos.take()).toBeUndefined();
  await fifos.close();
  expect(await readdir(folder)).toEqual([]);
});

test('a folder that cannot be used is passed over', async () => {
  const fifos = await Fifos.make(1, { folders: [join(folder, 'none'), folder] });
  expect(fifos.take()).toMatch(/\/nft-0$/u);
  await fifos.close();
});

test.each([
  ['is not there', () => Promise.reject(new Error('ENOENT'))],
  ['fails', () => Promise.resolve({ code: 1, out: '', error: 'read-only' })],
])('where mkfifo %s there are none, and nothing stays behind', async (_what, run) => {
  const fifos = await Fifos.make(1, { run, folders: [folder] });
  expect(fifos.take()).toBeUndefined();
  expect(await readdir(folder)).toEqual([]);
  await fifos.close();
});

test.each([
  ['by a named pipe', true, (fifos: Fifos) => fifos.take()],
  ['by standard input, where there is none', false, () => undefined],
])('a program gets its text %s', async (_how, named, path) => {
  const fifos = await Fifos.make(1, { folders: [folder] });
  let text = '';
  const run = NftRun.load((_nft, [, from = '']) => {
    expect(from !== '-').toBe(named);
    const child = spawn('cat', [from], { stdio: 'pipe' });
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString('utf8');
    });
    return child;
  }, path(fifos));
  run.write('one\n');
  await run.feed(['two\n']);
  expect(await run.end()).toEqual({ code: 0, error: '' });
  expect(text).toBe('one\ntwo\n');
  await fifos.close();
});

test('a named pipe that is gone fails, and is not waited for', async () => {
  const input = fifoInput(join(folder, 'none'));
  input.end('text');
  await expect(finished(input)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a program that ends early lets go of whoever feeds it', async () => {
  const fifos = await Fifos.make(1, { folders: [folder] });
  const run = NftRun.load(() => spawn('false', [], { stdio: 'pipe' }), fifos.take());
  const pieces = Array.from({ length: 100 }, () => 'x'.repeat(65_536));
  await run.feed(pieces);
  expect(await run.end()).toMatchObject({ code: 1 });
  await fifos.close();
});
