import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('a reader that has enough ends a command quietly', async () => {
  const bin = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));
  const child = spawn(process.execPath, [bin, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));

  const [code] = (await once(child, 'close')) as [number | null];

  expect([code, told]).toEqual([141, '']);
});
