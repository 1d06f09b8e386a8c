/** Packets that two rules of the node's own meet are counted one by one, as kube-proxy's metrics of the same names. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { Spawn } from '../../src/agent/tool.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { cleanUp } from './agent-process.ts';
import { prepareBed } from './check.ts';
import { agentSettings, decide } from './meaning.ts';
import { rawStories } from './stories-raw.ts';
import { Atlas } from './world.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.make();
  await prepareBed(bed);
});
afterAll(() => bed.remove());

test.each(['nft', 'legacy'] as const)('%s', async (variant) => {
  const story = rawStories.find(({ rule }) => rule === 'M5');
  if (story?.run === undefined) throw new Error('there is no story of M5');
  const spawn: Spawn = (program, args) => bed.spawn('n1', program, args);
  const allowLocalhost = (): Promise<void> => bed.sysctl('n1', { 'net/ipv4/conf/all/route_localnet': '1' });
  const { backend } = await openIptables({ family: 'IPv4', variant, spawn, allowLocalhost });
  const atlas = new Atlas(bed.topology, [{ name: 'web', type: 'NodePort', endpoints: [{ at: 'n2-a' }] }], 41);
  const plain = agentSettings({}, 'iptables');
  const load = async (localhostNodePorts: boolean): Promise<void> => {
    const { nodes, decisions } = decide(atlas, { ...plain, localhostNodePorts });
    const node = nodes.find(({ family }) => family === 'IPv4');
    if (node === undefined) throw new Error('nothing is decided');
    const own = decisions.filter(({ family }) => family === 'IPv4');
    await backend.replace({ ...node, dropInvalid: true }, own);
  };
  try {
    expect(await backend.packetCounts()).toEqual({ invalidDropped: undefined, toLocalhost: undefined });
    await load(false);
    expect(await backend.packetCounts()).toEqual({ invalidDropped: 0, toLocalhost: undefined });
    const become = (): Promise<void> => Promise.resolve();
    // Three resets of no connection.
    expect(await story.run({ bed, atlas, family: 'IPv4', become, iptables: variant })).toEqual([]);
    expect(await backend.packetCounts()).toEqual({ invalidDropped: 3, toLocalhost: undefined });

    await load(true);
    const to = { address: '127.0.0.1', port: atlas.nodePort('web') };
    expect((await bed.many('n1', to, 7)).kinds).toEqual({ answered: 7 });
    expect(await backend.packetCounts()).toMatchObject({ toLocalhost: 7 });
  } finally {
    await backend.close();
    await cleanUp(bed, 'n1');
    await bed.sysctl('n1', { 'net/ipv4/conf/all/route_localnet': '0' });
  }
});
