/** The bed itself: its paths, its servers and clients, and that nothing of it stays behind. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bed } from '../../../src/sandbox/bed/bed.ts';
import { existing } from '../../../src/sandbox/bed/names.ts';

let bed: Bed;

beforeAll(async () => {
  bed = await Bed.make();
});
afterAll(() => bed.remove());

/** `address` of `address:port` or `[address]:port`. */
const host = (text: string | undefined): string | undefined =>
  text?.replace(/:\d+$/, '').replace(/[[\]]/g, '');

describe.each(['IPv4', 'IPv6'] as const)('paths over %s', (family) => {
  const port = 7001;

  beforeAll(async () => {
    for (const place of ['n1-a', 'n2-a', 'n2']) {
      for (const protocol of ['TCP', 'UDP'] as const) await bed.serve(place, { port, family, protocol });
    }
  });

  test.each([
    ['a pod of the same node', 'n1-b', 'n1-a'],
    ['a pod of another node', 'n1-b', 'n2-a'],
    ['a node and a pod of its own', 'n1', 'n1-a'],
    ['a node and a pod of another', 'n3', 'n1-a'],
    ['a client and a pod', 'x1', 'n1-a'],
    ['a client and a pod behind another node', 'x1', 'n2-a'],
    ['a client and a node', 'x1', 'n2'],
    ['a pod and another node', 'n1-a', 'n2'],
  ])('%s reach each other, and the server sees the true source', async (_, from, to) => {
    const places = [...bed.topology.nodes, ...bed.topology.pods, ...bed.topology.clients];
    const at = (name: string): string => places.find((place) => place.name === name)?.address[family] ?? '';
    for (const protocol of ['TCP', 'UDP'] as const) {
      const outcome = await bed.dial(from, { address: at(to), port, protocol });
      expect(outcome).toMatchObject({ kind: 'answered', self: to });
      // A node speaks into the overlay by the address of its overlay device.
      if (!from.startsWith('n') || from.includes('-')) expect(host(outcome.peer)).toBe(at(from));
    }
  });

  test('a large datagram is taken apart and arrives whole', async () => {
    const to = { address: bed.pod('n2-a').address[family], port, protocol: 'UDP' } as const;
    expect(await bed.dial('n1-b', to, { size: 5000 })).toMatchObject({ kind: 'answered', received: 5000 });
  });

  test('a port without a server is refused, an address without a route comes back as unreachable', async () => {
    const pod = bed.pod('n1-a').address[family];
    expect(await bed.dial('x1', { address: pod, port: port + 1 })).toMatchObject({ kind: 'refused' });
    const nowhere = { IPv4: '10.96.0.10', IPv6: 'fd00:10:96::10' }[family];
    for (const from of ['x1', 'n1', 'n1-a']) {
      expect(await bed.dial(from, { address: nowhere, port })).toMatchObject({ kind: 'unreachable' });
    }
  });

  test('a client picks its source port and address', async () => {
    const to = { address: bed.node('n2').address[family], port, protocol: 'UDP' } as const;
    const outcome = await bed.dial('n1', to, { source: bed.node('n1').second[family], sourcePort: 5353 });
    expect(host(outcome.peer)).toBe(bed.node('n1').second[family]);
    expect(outcome.peer).toMatch(/:5353$/);
  });
});

test('a node port of hand-written nft rules is answered by pods of two nodes', async () => {
  await bed.serve('n1-a', { port: 8080 });
  await bed.serve('n3-a', { port: 8080 });
  await bed.succeed('n1', 'nft', ['-f', '-'], {
    input: `table ip by-hand {
      chain pre {
        type nat hook prerouting priority -100
        fib daddr type local tcp dport 30080 meta mark set 1 dnat to numgen random mod 2 map { 0 : 10.244.1.10 . 8080, 1 : 10.244.3.10 . 8080 }
      }
      chain post {
        type nat hook postrouting priority 100
        meta mark 1 masquerade
      }
    }\n`,
  });
  const { kinds, self, peer } = await bed.many(
    'x1',
    { address: bed.node('n1').address.IPv4, port: 30080 },
    200,
  );
  expect(kinds).toEqual({ answered: 200 });
  expect(Object.keys(self).toSorted()).toEqual(['n1-a', 'n3-a']);
  // Masqueraded by the address of the interface that leads to the pod.
  expect(Object.keys(peer).toSorted()).toEqual(['10.244.1.0', '10.244.1.1']);
  await bed.succeed('n1', 'nft', ['delete', 'table', 'ip', 'by-hand']);
});

test('what a killed process leaves behind is removed by the next bed, and the living are left alone', async () => {
  const source = `import { Bed } from ${JSON.stringify(new URL('../../../src/sandbox/bed/bed.ts', import.meta.url).href)};
    const bed = await Bed.make({ nodes: 1, podsPerNode: 1, clients: 1 });
    await bed.start('n1', { name: 'sleeper', program: 'sleep', args: ['1000'] });
    console.log(bed.namespace('n1'));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  const [left] = (await once(child.stdout, 'data')) as [string];
  child.kill('SIGKILL');
  await once(child, 'exit');
  const name = left.trim();
  expect(existing()).toContain(name);
  const next = await Bed.make({ nodes: 1, podsPerNode: 1, clients: 1 });
  expect(existing()).not.toContain(name);
  const own = next.namespace('');
  await next.remove();
  expect(existing().filter((each) => each.startsWith(own))).toEqual([]);
  expect(existing()).toContain(bed.namespace('n1'));
});

test('nothing is added to the namespace of the machine', () => {
  const links = execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });
  expect(links).not.toMatch(/cni0|flannel|veth|p-n1/);
});
