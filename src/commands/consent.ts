/** Asks the person at the terminal before something is changed; where nobody is there, the answer is no. */
import { createInterface } from 'node:readline/promises';
import type { Shell } from './shell.ts';

export async function agreed(shell: Shell): Promise<boolean> {
  if (!shell.interactive) {
    shell.err('Nobody is there to ask; say --yes to go on.\n');
    return false;
  }
  const dialog = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await dialog.question('Go on? [y/N] ');
  dialog.close();
  return /^y(es)?$/iu.test(answer.trim());
}
