/**
 * A connection tracking table that is really full: what becomes of connections, and what the agent says of it. The limit
 * is that of the machine and cannot be lowered in a namespace, so the table of one is filled to it.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AgentGround, says, service, web } from './agent-ground.ts';
import { until } from './check.ts';

const ground = new AgentGround();

/** Connections that stand for ten minutes, none of which the kernel may push out for another. */
async function fill(limit: number): Promise<void> {
  const file = join(tmpdir(), `sluice-conntrack-${process.pid}`);
  const ports = 60_000;
  const lines = Array.from({ length: limit }, (_, at) => {
    const client = `198.18.${Math.floor(at / ports)}.1`;
    const port = 1_024 + (at % ports);
    return `-A -t 600 -u SEEN_REPLY,ASSURED -s ${client} -d 198.19.0.2 -r 198.19.0.2 -q ${client} -p tcp --sport ${port} --dport 80 --reply-port-src 80 --reply-port-dst ${port} --state ESTABLISHED\n`;
  });
  await writeFile(file, lines.join(''));
  try {
    // Where it is full before all of them are in, the rest is refused.
    await ground.bed.run('n1', 'conntrack', ['-R', file]);
  } finally {
    await rm(file);
  }
}

async function events(): Promise<string> {
  return JSON.stringify(await ground.cluster.api.request('GET', '/apis/events.k8s.io/v1/events'));
}

test('in a full table open connections go on and new ones are dropped, and the agent says so; with room all is served', async () => {
  const limit = Number(await readFile('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8'));
  await ground.cluster.become([service(), ground.slice(['n1-a'])]);
  const agent = await ground.start(['--backend=nftables']);
  await ground.serves(agent, 'n1-a');
  const open = await ground.bed.hold('n1-b', web);
  await fill(limit);
  expect(await open.check()).toMatchObject({ kind: 'answered' });
  await open.close();
  expect(await ground.who()).toBeUndefined();
  expect(await ground.who(ground.outside, 'x1')).toBeUndefined();
  await says(agent, 'the connection tracking table of the node is full');
  await ground.bed.succeed('n1', 'conntrack', ['-F']);
  await ground.serves(agent, 'n1-a');
  await ground.serves(agent, 'n1-a', ground.outside);
  // What it could not write while no connection could be opened.
  await until('the event is there', async () => (await events()).includes('ConntrackFull'));
});
