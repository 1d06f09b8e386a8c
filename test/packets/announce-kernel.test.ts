/** The kernel engine on a LAN of namespaces: takeover, guard, probes, repairs. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { KernelAnnouncer } from '../../src/agent/announce/kernel/engine.ts';
import {
  announcerOf,
  Bed,
  believed,
  blackout,
  has,
  holding,
  lost,
  macOf,
  newHeard,
  pause,
  port,
  serveServices,
  servicePort,
  until,
  vip,
  watchTraffic,
  type Heard,
} from './announce/lan.ts';

let bed: Bed;
let macs: Record<string, string> = {};
const running: KernelAnnouncer[] = [];

beforeAll(async () => {
  bed = await Bed.make({ nodes: 2, podsPerNode: 1, clients: 2 });
  await serveServices(bed);
  for (const place of ['n1', 'n2', 'x1', 'x2']) macs = { ...macs, [place]: await macOf(bed, place) };
});
afterAll(() => bed.remove());
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop('release')));
  for (const place of ['n1', 'n2']) await port(bed, place, 'up');
});

async function announcer(node: string): Promise<KernelAnnouncer & { readonly heard: Heard }> {
  const heard = newHeard();
  const made = announcerOf(bed, node);
  await made.start(heard.events);
  running.push(made);
  return Object.assign(made, { heard });
}

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
    for (const attempts of Object.values(seen)) expect(blackout(attempts)).toBeLessThan(150);
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
