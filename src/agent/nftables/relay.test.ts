/** The child that carries changes, with a program of our own in place of perl. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { RelaySession } from './relay.ts';
import type { SpawnPiped } from './process.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-relay-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Answers as the kernel would, by what a batch says; in two pieces, as a pipe may bring it. */
const answering = `
let input = Buffer.alloc(0);
for await (const bytes of process.stdin) {
  input = Buffer.concat([input, bytes]);
  while (input.length >= 4 && input.length >= 4 + input.readUInt32LE(0)) {
    const batch = input.toString('utf8', 4, 4 + input.readUInt32LE(0));
    input = input.subarray(4 + Buffer.byteLength(batch));
    if (batch === 'die') {
      process.stderr.write('netlink: no answer');
      process.exit(1);
    }
    if (batch !== 'good') process.stdout.write(\`netlink: \${batch}\`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.stdout.write('\\n');
  }
}
`;

const file = join(folder, 'answering.mjs');
writeFileSync(file, answering);

function session(program = file) {
  const started: string[] = [];
  const start: SpawnPiped = (name, args) => {
    started.push(`${name} ${args.slice(2).join(' ')}`);
    return spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'pipe'] });
  };
  return { session: new RelaySession(start), started };
}

const batch = (text: string): Buffer => Buffer.from(text);

test('each batch has its answer, and one child gives them all', async () => {
  const { session: one, started } = session();
  expect(await one.send(batch('good'))).toBe('');
  expect(await one.send(batch('No such file or directory'))).toBe('netlink: No such file or directory');
  expect(await one.send(batch('good'))).toBe('');
  await one.close();
  expect(started).toEqual(['perl answer']);
  expect(one.useless).toBe(false);
  // Closed, it is begun again by whoever needs it.
  expect(await one.send(batch('good'))).toBe('');
  await one.close();
  expect(started).toHaveLength(2);
});

test('a child that ends in the middle leaves its work in doubt, and the next batch begins another', async () => {
  const { session: one, started } = session();
  expect(await one.send(batch('good'))).toBe('');
  await expect(one.send(batch('die'))).rejects.toMatchObject({
    kind: 'ambiguous',
    code: 'ChildEnded',
    message: 'perl ended before it answered: netlink: no answer',
  });
  expect(one.useless).toBe(false);
  expect(await one.send(batch('good'))).toBe('');
  expect(started).toHaveLength(2);
  await one.close();
});

test('one that ends without ever having answered is not asked again', async () => {
  const { session: one } = session(join(folder, 'there-is-none.mjs'));
  expect(one.useless).toBe(false);
  await expect(one.send(batch('good'))).rejects.toMatchObject({ kind: 'ambiguous' });
  expect(one.useless).toBe(true);
  await one.close();
});

test('a program that is not there', async () => {
  const one = new RelaySession((_, args) =>
    spawn(join(folder, 'there-is-none'), [...args], { stdio: ['pipe', 'pipe', 'pipe'] }),
  );
  await expect(one.send(batch('good'))).rejects.toMatchObject({ kind: 'ambiguous' });
  expect(one.useless).toBe(true);
  await one.close();
});
