/** Where the iptables backend has limits that the kernel sets: clients that `recent` remembers (A2), ports of health checks (H3). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limitFindings } from '../../src/agent/iptables/limits.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { Spawn } from '../../src/agent/tool.ts';
import { cleanUp } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { prepareBed } from './check.ts';
import { agentSettings, decide } from './meaning.ts';
import { Atlas, type World } from './world.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.make();
  await prepareBed(bed);
});
afterAll(() => bed.remove());

const world: World = [
  { name: 'sticky', affinitySeconds: 600, endpoints: [{ at: 'n1-a' }] },
  { name: 'checked', balancerIPs: 1, externalTrafficPolicy: 'Local', endpoints: [{ at: 'n1-a' }] },
];

test.each(['nft', 'legacy'] as const)(
  'A2, %s: the hundred-and-first client pushes out the first, and from ninety on that is told',
  async (variant) => {
    const spawn: Spawn = (program, args) => bed.spawn('n1', program, args);
    const { backend, abilities } = await openIptables({ family: 'IPv4', variant, spawn });
    const atlas = new Atlas(bed.topology, world, 41);
    const { nodes, decisions } = decide(atlas, agentSettings({}, 'iptables'));
    const own = decisions.filter(({ family }) => family === 'IPv4');
    const [node] = nodes;
    if (node === undefined) throw new Error('nothing is decided');
    const read = async (path: string): Promise<string | undefined> => {
      const { code, stdout } = await bed.run('n1', 'cat', [path]);
      return code === 0 ? stdout : undefined;
    };
    const told = async (): Promise<readonly string[]> =>
      (await limitFindings({ abilities, decisions: own, read })).map(({ code }) => code);
    const places = Number(await read('/sys/module/xt_recent/parameters/ip_list_tot'));
    const source = (number: number): string =>
      `198.51.${100 + Math.trunc(number / 200)}.${1 + (number % 200)}`;
    const sources = Array.from({ length: places + 1 }, (_, number) => source(number));
    try {
      await backend.replace(node, own);
      await bed.ip('x1', ...sources.map((address) => `addr add ${address}/32 dev lo`));
      await bed.ip('n1', `route add 198.51.100.0/22 via ${bed.client('x1').address.IPv4}`);
      const to = { address: atlas.address('sticky', 'V', 'IPv4'), port: 80 };
      const visit = async (which: readonly string[]): Promise<void> => {
        for (const address of which)
          expect((await bed.dial('x1', to, { source: address })).kind, address).toBe('answered');
      };
      await visit(sources.slice(0, Math.ceil(places * 0.9) - 1));
      expect(await told()).toEqual([]);
      await visit(sources.slice(Math.ceil(places * 0.9) - 1));
      expect(await told()).toEqual(['AffinityMemoryFull']);
      const files = await bed.succeed('n1', 'sh', ['-c', 'cat /proc/net/xt_recent/SLUICE-*']);
      expect(files).toContain(`src=${sources.at(-1)} `);
      expect(files).not.toContain(`src=${sources[0]} `);
    } finally {
      await backend.close();
      await cleanUp(bed, 'n1');
      await bed.run('n1', 'ip', ['route', 'del', '198.51.100.0/22']);
      await bed.run('x1', 'ip', ['addr', 'flush', 'dev', 'lo', 'to', '198.51.100.0/22']);
    }
  },
);

test.each(['nft', 'legacy'] as const)(
  'H3, %s: the port of a health check is let in under an INPUT policy of DROP, and no other is',
  async (variant) => {
    const spawn: Spawn = (program, args) => bed.spawn('n1', program, args);
    const { backend } = await openIptables({ family: 'IPv4', variant, spawn });
    const atlas = new Atlas(bed.topology, world, 42);
    const { nodes, decisions } = decide(atlas, agentSettings({}, 'iptables'));
    const own = decisions.filter(({ family }) => family === 'IPv4');
    const port = own.find(({ healthCheckNodePort }) => healthCheckNodePort !== 0)?.healthCheckNodePort ?? 0;
    const [node] = nodes;
    if (node === undefined) throw new Error('nothing is decided');
    const ask = async (number: number): Promise<string> =>
      (await bed.dial('x1', { address: bed.node('n1').address.IPv4, port: number }, { timeoutMs: 300 })).kind;
    const policy = (verdict: string): Promise<string> =>
      bed.succeed('n1', `iptables-${variant}`, ['-w', '5', '-P', 'INPUT', verdict]);
    const listeners = await Promise.all([port, port + 1].map((one) => bed.serve('n1', { port: one })));
    try {
      await backend.replace(node, own);
      expect([await ask(port), await ask(port + 1)]).toEqual(['answered', 'answered']);
      await policy('DROP');
      expect([await ask(port), await ask(port + 1)]).toEqual(['answered', 'silence']);
    } finally {
      await policy('ACCEPT');
      await backend.close();
      await cleanUp(bed, 'n1');
      for (const listener of listeners) await listener.close();
    }
  },
);
