/**
 * No connection is lost while endpoints come and go: a compiled load of new connections meets a Service that goes from
 * ten endpoints to two, to one and back to ten, all of them alive, again and again. Every writer, 50,000 connections and
 * more; the bench makes 300,000.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Backend } from '../../src/agent/backend.ts';
import { decisionKey, type Decision } from '../../src/agent/decision.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import type { Spawn } from '../../src/agent/tool.ts';
import { objectKey } from '../../src/core/objects.ts';
import { cleanUp } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { agentSettings, decide } from './meaning.ts';
import { Atlas } from './world.ts';

const connectionsAtLeast = 50_000;
/** A writer of milliseconds shows more of them; what two look-ups of one packet can lose is seldom (one in hundreds). */
const updatesAtLeast = { nftables: 1_000, iptables: 200 } as const;
/** After which a slow machine has done enough, if it has done a tenth. */
const limitMs = 45_000;

let bed: Bed;
const servers: { close(): Promise<unknown> }[] = [];
const pods = Array.from({ length: 10 }, (_, index) => `n${1 + (index % 2)}-${'abcde'[index >> 1] ?? ''}`);

beforeAll(async () => {
  bed = await Bed.make({ nodes: 2, podsPerNode: 5, clients: 1 });
  for (const pod of pods) servers.push(await bed.serve(pod, { port: 8080, fast: true }));
  await bed.route('x1', 'n1');
});
afterAll(async () => {
  for (const server of servers) await server.close();
  await bed.remove();
});

const spawn: Spawn = (program, args) => bed.spawn('n1', program, args);

const writers = [
  ['nftables', () => Promise.resolve(new NftablesBackend({ family: 'IPv4', start: spawn }))],
  ['iptables-nft', async () => (await openIptables({ family: 'IPv4', spawn, variant: 'nft' })).backend],
  ['iptables-legacy', async () => (await openIptables({ family: 'IPv4', spawn, variant: 'legacy' })).backend],
] as const satisfies readonly (readonly [string, () => Promise<Backend>])[];

/** So many Services besides, which nobody asks. */
function others(like: Decision): Decision[] {
  return Array.from({ length: 200 }, (_, number) => {
    const service = objectKey('default', `other-${number}`);
    const key = decisionKey(service, like.portName, like.protocol, like.family);
    return { ...like, key, service, clusterIP: `10.97.0.${number}`, nodePort: 0 };
  });
}

test.each(writers)('%s: no connection is lost while endpoints come and go', async (name, open) => {
  const settings = agentSettings({}, name === 'nftables' ? 'nftables' : 'iptables');
  const worlds = [10, 2, 1].map((count) => {
    const endpoints = pods.slice(0, count).map((at) => ({ at }));
    const atlas = new Atlas(bed.topology, [{ name: 'web', type: 'NodePort', endpoints }], 1);
    const { nodes, decisions } = decide(atlas, settings);
    const [web] = decisions.filter(({ family }) => family === 'IPv4');
    const node = nodes.find(({ family }) => family === 'IPv4');
    if (web === undefined || node === undefined) throw new Error('nothing is decided');
    return { web, node };
  });
  const [first] = worlds;
  if (first === undefined) return;
  const backend = await open();
  onTestFinished(async () => {
    await backend.close();
    await cleanUp(bed, 'n1');
  });
  const { quarantined } = await backend.replace(first.node, [first.web, ...others(first.web)]);
  expect(quarantined).toEqual([]);

  const atCluster = { address: first.web.clusterIP ?? '', port: first.web.port };
  const load = await bed.load('x1', atCluster, { threads: 4 });
  const enough = updatesAtLeast[backend.name];
  const started = performance.now();
  const order = [1, 2, 0];
  let updates = 0;
  let before = first.web;
  let answered = 0;
  while (answered < connectionsAtLeast || updates < enough) {
    if (performance.now() - started > limitMs) break;
    const after = worlds[order[updates % order.length] ?? 0]?.web ?? before;
    await backend.apply([{ key: after.key, before, after }]);
    before = after;
    updates += 1;
    // So that connections meet each of the worlds.
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (updates % 20 === 0) answered = (await load.peek()).connections;
  }
  const result = await load.close();
  console.log(
    `churn ${name}: ${result.connections} connections, ${updates} updates, ${Math.round(result.perSecond)} a second`,
  );
  expect(result.failures).toEqual([]);
  expect(result.lost).toEqual({});
  expect(result.connections).toBeGreaterThan(connectionsAtLeast / 10);
  expect(updates).toBeGreaterThan(enough / 10);
  // All ten have been met: the load really saw the changes.
  expect(Object.keys(result.endpoints)).toHaveLength(pods.length);
  expect(await backend.verify()).toEqual([]);
});
