/** The kernel engine on a LAN of namespaces: an address that is held and moves, the guard before it, probes. */
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { IpFamily } from '../../src/core/objects.ts';
import {
  believed,
  blackout,
  echoes,
  has,
  holding,
  lost,
  pause,
  port,
  servicePort,
  until,
  vip,
  watchTraffic,
} from './announce/lan.ts';
import { Pair, type HeardAnnouncer } from './announce/pair.ts';

let pair: Pair;
let bed: Pair['bed'];
let macs: Pair['macs'];

beforeAll(async () => {
  pair = await Pair.make();
  ({ bed, macs } = pair);
});
afterAll(() => pair.remove());
afterEach(() => pair.rest());

/** A daemon of n1 at port 9100, for the length of a test. */
async function listening(family: IpFamily): Promise<void> {
  const daemon = await bed.serve('n1', { port: 9100, family });
  onTestFinished(async () => void (await daemon.close()));
}

const announcer = (node: string): Promise<HeardAnnouncer> => pair.announcer(node);

const families = ['IPv4', 'IPv6'] as const;

describe.each(families)('%s', (family) => {
  const address = vip[family];
  const to = { address, port: servicePort } as const;

  test('an address that is held answers, by the MAC of its node', async () => {
    const one = await announcer('n1');
    await one.hold([holding(address)]);
    expect(await bed.dial('x1', to)).toMatchObject({ kind: 'answered', self: 'n1' });
    expect(await bed.dial('x1', { ...to, protocol: 'UDP' })).toMatchObject({ kind: 'answered', self: 'n1' });
    expect(await believed(bed, 'x1', address)).toBe(macs['n1']);
    await until('the question is counted', () => (one.heard.asked.get(address) ?? 0) > 0);
    await one.hold([]);
    expect(await has(bed, 'n1', address)).toBe(false);
  });

  test('a takeover the moment a node is cut off leaves a gap of some milliseconds', async () => {
    const [one, two] = [await announcer('n1'), await announcer('n2')];
    await one.hold([holding(address)]);
    const end = await watchTraffic(bed, 'x1', address);
    await pause(300);
    await port(bed, 'n1', 'down');
    await two.hold([holding(address)]);
    await pause(500);
    const seen = await end();
    for (const attempts of Object.values(seen)) expect(blackout(attempts)).toBeLessThan(450);
    expect(await believed(bed, 'x1', address)).toBe(macs['n2']);
  });

  test('a planned move, put up there before it is taken down here, loses nothing', async () => {
    const [one, two] = [await announcer('n1'), await announcer('n2')];
    await one.hold([holding(address)]);
    const end = await watchTraffic(bed, 'x1', address);
    await pause(300);
    await two.hold([holding(address)]);
    await one.hold([]);
    await pause(300);
    for (const attempts of Object.values(await end())) expect(lost(attempts)).toBe(0);
    expect(await believed(bed, 'x1', address)).toBe(macs['n2']);
  });
});

test.each(families)(
  'a new address over %s answers the very first packet, by a node that knows no neighbour',
  async (family) => {
    const one = await announcer('n1');
    await one.hold([]);
    const base = family === 'IPv4' ? '172.31.0.' : 'fd00:172:31::1:';
    await listening(family);
    for (let turn = 120; turn < 180; turn += 1) {
      await bed.ip('n1', 'neigh flush dev eth0');
      const address = `${base}${turn}`;
      await one.hold([holding(address, [{ protocol: 'TCP', port: 9100 }])]);
      // Less than the second after which TCP asks again: the first packet or none.
      const outcome = await bed.dial('x1', { address, port: 9100 }, { timeoutMs: 900 });
      expect(outcome, address).toMatchObject({ kind: 'answered' });
    }
  },
);

describe.each(families)('the guard over %s', (family) => {
  const address = vip[family];

  test('shuts every port but those of the Service, and leaves the node and pings alone', async () => {
    await listening(family);
    const one = await announcer('n1');
    await one.hold([holding(address)]);
    expect(await bed.dial('x1', { address, port: 9100 })).toMatchObject({ kind: 'refused' });
    expect(await bed.dial('x1', { address, port: 9101 })).toMatchObject({ kind: 'refused' });
    expect(await bed.dial('x1', { address, port: 9100, protocol: 'UDP' })).toMatchObject({ kind: 'refused' });
    const node = bed.node('n1').address[family];
    expect(await bed.dial('x1', { address: node, port: 9100 })).toMatchObject({ kind: 'answered' });
    expect(await echoes(bed, 'x1', address)).toBe(true);
  });

  test('opens and shuts ports without touching connections that stand', async () => {
    await listening(family);
    const one = await announcer('n1');
    await one.hold([holding(address)]);
    const translated = await bed.hold('x1', { address, port: servicePort });
    await one.hold([holding(address, [{ protocol: 'TCP', port: 9100 }])]);
    // A process of the node that serves the Service's port, as with IPVS or a Pod in the node's network.
    expect(await bed.dial('x1', { address, port: 9100 })).toMatchObject({ kind: 'answered', self: 'n1' });
    const direct = await bed.hold('x1', { address, port: 9100 });
    await one.hold([holding(address, [])]);
    expect(await bed.dial('x1', { address, port: 9100 })).toMatchObject({ kind: 'refused' });
    for (const each of [translated, direct]) {
      expect(await each.check()).toMatchObject({ kind: 'answered' });
      await each.close();
    }
  });

  test('stands before the address answers: no try of a flood gets through to a daemon', async () => {
    await listening(family);
    const one = await announcer('n1');
    const prober = await bed.probe('x1', { address, port: 9100 }, { everyMs: 2, timeoutMs: 200 });
    for (let turn = 0; turn < 5; turn += 1) {
      await one.hold([holding(address)]);
      await pause(50);
      await one.hold([]);
      await pause(20);
    }
    await pause(200);
    const attempts = await prober.close();
    expect(attempts.filter(({ kind }) => kind === 'answered')).toEqual([]);
    expect(attempts.some(({ kind }) => kind === 'refused')).toBe(true);
  });
});

test('a guard that somebody removed is written again, and with release nothing of it stays', async () => {
  const one = await announcer('n1');
  await one.hold([holding(vip.IPv4)]);
  await bed.succeed('n1', 'nft', ['delete', 'table', 'inet', 'sluice-guard']);
  const listed = async (): Promise<string> =>
    (await bed.run('n1', 'nft', ['list', 'table', 'inet', 'sluice-guard'])).stdout;
  await until('the guard is back', async () => (await listed()).includes(vip.IPv4));
  await one.stop('release');
  expect(await listed()).toBe('');
});

describe('a probe', () => {
  const signal = new AbortController().signal;

  test.each(families)(
    'finds over %s who has an address, and by which MAC, and nobody where nobody is',
    async (family) => {
      const one = await announcer('n1');
      const client = bed.client('x1').address[family];
      const begun = performance.now();
      expect(await one.probe(client, 'eth0', signal)).toEqual({ kind: 'taken', mac: macs['x1'] });
      expect(performance.now() - begun).toBeLessThan(500);
      expect(await one.probe(vip[family], 'eth0', signal)).toEqual({ kind: 'free' });
      expect(performance.now() - begun).toBeLessThan(2_000);
    },
  );

  test.each(families)('over %s of an address that another node announces names that node', async (family) => {
    const [one, two] = [await announcer('n1'), await announcer('n2')];
    await two.hold([holding(vip[family])]);
    expect(await one.probe(vip[family], 'eth0', signal)).toEqual({ kind: 'taken', mac: macs['n2'] });
    expect(await two.probe(vip[family], 'eth0', signal)).toEqual({ kind: 'free' });
  });

  test('of an address of the node itself says so, and one that cannot be made says why', async () => {
    const one = await announcer('n1');
    const own = bed.node('n1').address.IPv4;
    expect(await one.probe(own, 'eth0', signal)).toEqual({ kind: 'taken', mac: macs['n1'] });
    expect(await one.probe(vip.IPv4, 'eth7', signal)).toMatchObject({
      kind: 'failed',
      error: { code: 'InterfaceMissing' },
    });
    const soon = AbortSignal.timeout(100);
    expect(await one.probe(vip.IPv4, 'eth0', soon)).toMatchObject({
      kind: 'failed',
      error: { code: 'Aborted' },
    });
    await port(bed, 'n1', 'down');
    await until('the link is seen down', () => one.links().some(({ name, up }) => name === 'eth0' && !up));
    expect(await one.probe(vip.IPv4, 'eth0', signal)).toMatchObject({
      kind: 'failed',
      error: { code: 'InterfaceDown' },
    });
  });
});
