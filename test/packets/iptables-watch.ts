/**
 * Writes with the nft variant of iptables while it watches, then flushes a table as a stranger would; prints what was
 * heard, and how often the kernel was looked at. Run inside namespaces of its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ForeignChange } from '../../src/agent/backend.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { Spawn } from '../../src/agent/tool.ts';
import { aDecision, aNodeDecision } from './iptables-bench.ts';

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
let looks = 0;
const start: Spawn = (program, args) => {
  if (program.endsWith('-save')) looks += 1;
  return spawn(program, [...args], { stdio: ['pipe', 'pipe', 'pipe'] });
};
const { backend } = await openIptables({ family: 'IPv4', variant: 'nft', spawn: start });
const heard: ForeignChange[] = [];
const stop = new AbortController();
const decisions = Array.from({ length: 100 }, (_, number) => aDecision(number + 1, { endpoints: 3 }));
backend.watch((change) => heard.push(change), stop.signal);
await wait(300);
await backend.replace(aNodeDecision(), decisions);
looks = 0;
const begun = performance.now();
let before = decisions[3];
for (let turn = 0; turn < 40; turn += 1) {
  const after = aDecision(4, { endpoints: 1 + (turn % 5) });
  await backend.apply([{ key: after.key, before, after }]);
  before = after;
  await wait(20);
}
// Longer than the echo of a write may take, and than the look that one asks for.
await wait(3_000);
const own = heard.splice(0);
const spent = looks;
const ms = performance.now() - begun;
spawnSync('iptables-nft', ['-t', 'nat', '-F']);
for (let turn = 0; turn < 3_000 && heard.length === 0; turn += 1) await wait(20);
process.stdout.write(`${JSON.stringify({ pid: process.pid, own, looks: spent, ms, foreign: heard })}\n`);
stop.abort();
await backend.close();
