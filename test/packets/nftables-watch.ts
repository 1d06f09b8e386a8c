/**
 * Writes much and little with the nftables backend while it watches, then flushes the ruleset as a stranger would; prints
 * what was heard. Run inside namespaces of its own.
 */
import { spawnSync } from 'node:child_process';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import type { ForeignChange } from '../../src/agent/backend.ts';
import { decision, endpoint, manyDecisions, plainNode } from './nftables-world.ts';

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const backend = new NftablesBackend({ family: 'IPv4' });
const heard: ForeignChange[] = [];
const stop = new AbortController();
backend.watch((change) => heard.push(change), stop.signal);
await wait(300);

const decisions = manyDecisions(200, 5);
await backend.replace(plainNode, decisions);
let before = decisions[3];
for (let turn = 0; turn < 40; turn += 1) {
  const cluster = Array.from({ length: 1 + (turn % 7) }, (_, at) => endpoint(turn + at));
  const after = decision(3, { cluster });
  await backend.apply([{ key: after.key, before, after }]);
  before = after;
}
await backend.settle();
await backend.replace(plainNode, decisions);
// More than fits into a line: a file, so another process.
const more = manyDecisions(1500, 2).slice(500);
await backend.apply(more.map((after) => ({ key: after.key, before: undefined, after })));
await backend.verify();
await backend.cleanup();
await backend.replace(plainNode, decisions);
await wait(700);
const own = heard.splice(0);

spawnSync('nft', ['flush', 'ruleset']);
for (let turn = 0; turn < 3_000 && heard.length === 0; turn += 1) await wait(20);
process.stdout.write(`${JSON.stringify({ pid: process.pid, own, foreign: heard })}\n`);
stop.abort();
await backend.close();
