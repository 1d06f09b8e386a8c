/**
 * A program that has told a backend of many Services before its first write, says so, and waits: to be killed by a test.
 * Its argument is the network namespace.
 */
import { spawn } from 'node:child_process';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import { manyDecisions, variedNode } from './nftables-world.ts';

const [namespace = ''] = process.argv.slice(2);
let drafts = 0;
const backend = new NftablesBackend({
  family: 'IPv4',
  start: (program, args) => {
    if (args[0] === '-f' || program === 'perl') drafts += 1;
    return spawn('ip', ['netns', 'exec', namespace, program, ...args], { stdio: 'pipe' });
  },
});
backend.prepare();
const decisions = manyDecisions(2000, 3);
const timer = setInterval(() => {
  backend.foretell(variedNode, decisions);
  if (drafts < 2) return;
  clearInterval(timer);
  // Time for them to read what they were given.
  setTimeout(() => process.stdout.write('told\n'), 500);
}, 5);
// Until it is killed.
setInterval(() => undefined, 60_000);
