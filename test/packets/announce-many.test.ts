/** A thousand addresses at once. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  announcerOf,
  Bed,
  holding,
  newHeard,
  pause,
  port,
  serveServices,
  servicePort,
} from './announce/lan.ts';

let bed: Bed;
const addresses = Array.from({ length: 1_000 }, (_, i) => `10.77.${i >> 8}.${i & 255}`);

beforeAll(async () => {
  bed = await Bed.make({ nodes: 2, podsPerNode: 1, clients: 1 });
  await serveServices(bed, ['10.77.0.0/22', 'fd00:172:31::50']);
  await bed.ip('x1', 'route add 10.77.0.0/22 dev eth0');
  // A client of a thousand addresses keeps a thousand neighbours.
  await bed.succeed('x1', 'sysctl', ['-qw', 'net.ipv4.neigh.default.gc_thresh1=4096']).catch(() => undefined);
});
afterAll(() => bed.remove());

test('a thousand addresses are up, told and answering within 1.5 seconds of a crash', async () => {
  const [one, two] = [announcerOf(bed, 'n1'), announcerOf(bed, 'n2')];
  const heard = newHeard();
  onTestFinished(async () => {
    await two.stop('release');
    await one.stop('release');
    await port(bed, 'n1', 'up');
  });
  await one.start(newHeard().events);
  await two.start(heard.events);
  const all = addresses.map((address) => holding(address));
  await one.hold(all);
  const answeredBy = async (): Promise<Set<string | undefined>> => {
    const names = new Set<string | undefined>();
    for (let from = 0; from < addresses.length; from += 100) {
      const dialled = await Promise.all(
        addresses
          .slice(from, from + 100)
          .map((address) =>
            bed.dial('x1', { address, port: servicePort, protocol: 'UDP' }, { timeoutMs: 300 }),
          ),
      );
      for (const { self } of dialled) names.add(self);
    }
    return names;
  };
  expect(await answeredBy()).toEqual(new Set(['n1']));
  await port(bed, 'n1', 'down');
  const begun = performance.now();
  await two.hold(all);
  const heldAfter = performance.now() - begun;
  let names = await answeredBy();
  while (names.size > 1 && performance.now() - begun < 5_000) names = await answeredBy();
  const answeredAfter = performance.now() - begun;
  console.log(
    `1,000 addresses: the kernel has all after ${Math.round(heldAfter)} ms, all have answered after ${Math.round(answeredAfter)} ms`,
  );
  expect(names).toEqual(new Set(['n2']));
  expect(answeredAfter).toBeLessThan(1_500);
  // They stay: renewed in time, all of them.
  await pause(4_000);
  expect(heard.held).toEqual([]);
  expect(await answeredBy()).toEqual(new Set(['n2']));
  const cpu = process.cpuUsage();
  await pause(2_000);
  const { user, system } = process.cpuUsage(cpu);
  console.log(`renewing them costs this process ${Math.round((user + system) / 20_000)} % of a core`);
});
