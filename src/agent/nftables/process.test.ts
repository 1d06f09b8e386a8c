/** The children, with programs of our own in place of nft. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { runNft, Session, type SpawnPiped } from './process.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-nft-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program that stands in for nft. */
function stub(script: string): SpawnPiped {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.mjs`);
  writeFileSync(file, script);
  return (_, args) => spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Like `nft -i`: silent where it obeys, an echo on standard error where it does not understand. */
const interactive = `
import { createInterface } from 'node:readline';
const echo = (line, word) => process.stderr.write(\`Error: \${word}\\n\${line}\\n\${' '.repeat(line.length)}^\\n\`);
for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith('zz-')) echo(line, 'syntax error, unexpected newline, expecting string');
  else if (line.startsWith('bad')) echo(line, 'No such file or directory');
  else if (line.startsWith('die')) process.exit(3);
}
`;

test('what was carried out gives no words, what was refused gives those of nft and nothing else', async () => {
  const session = new Session(stub(interactive));
  expect(await session.execute('good')).toBe('');
  expect(await session.execute('bad line')).toBe('Error: No such file or directory\nbad line\n        ^');
  expect(await session.execute('good')).toBe('');
  await session.close();
});

test('a child that ends in the middle leaves its work in doubt, and the next line begins another', async () => {
  let started = 0;
  const start = stub(interactive);
  const session = new Session((program, args) => {
    started += 1;
    return start(program, args);
  });
  await expect(session.execute('die now')).rejects.toMatchObject({ kind: 'ambiguous', code: 'ChildEnded' });
  expect(await session.execute('good')).toBe('');
  expect(started).toBe(2);
  await session.close();
});

test('no child reads more than a hundred lines, and none is waited for', async () => {
  const lines: number[] = [];
  const start = stub(interactive);
  const session = new Session((program, args) => {
    lines.push(0);
    return start(program, args);
  });
  for (let line = 0; line < 250; line += 1) {
    expect(await session.execute(line % 50 === 0 ? 'bad line' : 'good')).toBe(
      line % 50 === 0 ? 'Error: No such file or directory\nbad line\n        ^' : '',
    );
    lines[lines.length - 1] = (lines.at(-1) ?? 0) + 1;
    if (line % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(lines).toEqual([100, 100, 50]);
  await session.close();
});

test('a missing program is named with its cure', async () => {
  const missing: SpawnPiped = () => spawn(join(folder, 'no-such-nft'), { stdio: ['pipe', 'pipe', 'pipe'] });
  await expect(runNft(missing, ['-f', '-'], ['x'])).rejects.toMatchObject({
    code: 'ToolMissing',
    message: expect.stringContaining('install nftables'),
  });
  await expect(new Session(missing).execute('x')).rejects.toMatchObject({ code: 'ToolMissing' });
});

test('a child that ends before it has read everything is no hang: its code and words are told', async () => {
  const early = stub(
    `process.stderr.write('Error: too much\\n'); process.exitCode = 1; process.stdin.destroy();`,
  );
  const pieces = Array.from({ length: 200 }, () => 'x'.repeat(65_536));
  expect(await runNft(early, ['-f', '-'], pieces)).toEqual({ code: 1, error: 'Error: too much' });
});
