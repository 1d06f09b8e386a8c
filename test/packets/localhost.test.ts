/** Node ports at 127.0.0.1, which only the iptables backend has and only when asked: they answer, and open nothing else. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { Spawn } from '../../src/agent/tool.ts';
import { cleanUp } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { prepareBed } from './check.ts';
import { agentSettings, decide } from './meaning.ts';
import { pathStories } from './stories-path.ts';
import { Atlas } from './world.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.make();
  await prepareBed(bed);
});
afterAll(() => bed.remove());

test.each(['nft', 'legacy'] as const)(
  '%s: a process reaches a node port at 127.0.0.1, and nobody outside reaches what listens there',
  async (variant) => {
    const story = pathStories.find(({ rule }) => rule === 'N4');
    if (story === undefined) throw new Error('there is no story of N4');
    const spawn: Spawn = (program, args) => bed.spawn('n1', program, args);
    const allowLocalhost = (): Promise<void> => bed.sysctl('n1', { 'net/ipv4/conf/all/route_localnet': '1' });
    const { backend } = await openIptables({ family: 'IPv4', variant, spawn, allowLocalhost });
    const atlas = new Atlas(bed.topology, story.world, 40);
    const settings = { ...agentSettings({}, 'iptables'), localhostNodePorts: true };
    const { nodes, decisions } = decide(atlas, settings);
    const node = nodes.find(({ family }) => family === 'IPv4');
    if (node === undefined) throw new Error('nothing is decided');
    try {
      await backend.replace(
        node,
        decisions.filter(({ family }) => family === 'IPv4'),
      );
      const { kinds, self } = await bed.many(
        'n1',
        { address: '127.0.0.1', port: atlas.nodePort('web') },
        120,
      );
      expect({ kinds, who: Object.keys(self).toSorted() }).toEqual({
        kinds: { answered: 120 },
        who: ['n1-a', 'n2-a', 'n3-a'],
      });
      const become = (): Promise<void> => Promise.resolve();
      expect(await story.run({ bed, atlas, family: 'IPv4', become, iptables: variant })).toEqual([]);
    } finally {
      await backend.close();
      await cleanUp(bed, 'n1');
      await bed.sysctl('n1', { 'net/ipv4/conf/all/route_localnet': '0' });
    }
  },
);
