/** The kernel engine where something goes wrong: with its addresses, its interfaces, its child. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/core/clock.ts';
import {
  believed,
  blackout,
  echoes,
  has,
  holding,
  lost,
  pause,
  servicePort,
  until,
  vip,
  watchTraffic,
} from './announce/lan.ts';
import { Pair, type HeardAnnouncer } from './announce/pair.ts';
import { watchedClock } from '../support/watched-clock.ts';

let pair: Pair;
let bed: Pair['bed'];
let macs: Pair['macs'];

beforeAll(async () => {
  pair = await Pair.make();
  ({ bed, macs } = pair);
});
afterAll(() => pair.remove());
afterEach(() => pair.rest());

const announcer = (node: string): Promise<HeardAnnouncer> => pair.announcer(node);

const families = ['IPv4', 'IPv6'] as const;

describe('what goes wrong', () => {
  const all = [holding(vip.IPv4), holding(vip.IPv6)];

  test.each(families)(
    'an address over %s that somebody takes away is put back at once, and that is said',
    async (family) => {
      const address = vip[family];
      const one = await announcer('n1');
      await one.hold(all);
      const end = await watchTraffic(bed, 'x1', address);
      await pause(200);
      await bed.ip('n1', `addr del ${address}/${family === 'IPv4' ? 32 : 128} dev eth0`);
      await pause(300);
      for (const attempts of Object.values(await end())) expect(blackout(attempts)).toBeLessThan(450);
      expect(one.heard.held.map((each) => [each.address, each.error?.code])).toEqual([
        [address, 'AddressRemoved'],
        [address, undefined],
      ]);
    },
  );

  test('a flush of all addresses of the interface brings ours back, and not the others', async () => {
    const one = await announcer('n2');
    await one.hold(all);
    await bed.ip('n2', 'addr flush dev eth0 scope host');
    await bed.ip('n2', `addr del ${vip.IPv6}/128 dev eth0`);
    await until(
      'both are back',
      async () => (await has(bed, 'n2', vip.IPv4)) && (await has(bed, 'n2', vip.IPv6)),
    );
  });

  test('an address of the node itself is left as it is', async () => {
    const own = bed.node('n1').address.IPv4;
    const one = await announcer('n1');
    await one.hold([holding(own), holding(vip.IPv4)]);
    expect(one.heard.held).toMatchObject([{ address: own, error: { code: 'AddressOfNode' } }]);
    expect(await has(bed, 'n1', vip.IPv4)).toBe(true);
    await one.hold([]);
    await pause(2_500);
    expect(await has(bed, 'n1', own)).toBe(true);
  });

  test('a claim of another to an address that is held is told with his MAC', async () => {
    const [one, two] = [await announcer('n1'), await announcer('n2')];
    await one.hold(all);
    await pause(100);
    await two.hold(all);
    await until('both are contested', () => one.heard.contested.length >= 2);
    for (const address of Object.values(vip)) {
      expect(one.heard.contested).toContainEqual({ address, mac: macs['n2'] });
    }
    expect(two.heard.contested).toEqual([]);
    // The rightful one says it again, and is believed.
    await two.hold([]);
    one.repeat(Object.values(vip));
    expect(await bed.dial('x1', { address: vip.IPv4, port: servicePort })).toMatchObject({ self: 'n1' });
  });

  test('an interface that is missing, comes, goes and comes back', async () => {
    const there = async (): Promise<void> => {
      await bed.ip('net', 'link add p-n1-b type veth peer name eth1 netns ' + bed.namespace('n1'));
      await bed.ip('net', 'link set p-n1-b master br0 up');
      await bed.ip('n1', 'link set eth1 up');
    };
    const one = await announcer('n1');
    const address = '172.31.0.60';
    await one.hold([{ address, interfaces: ['eth1'], ports: [] }]);
    expect(one.heard.held).toMatchObject([{ error: { code: 'InterfaceMissing' } }]);
    for (let turn = 0; turn < 2; turn += 1) {
      await there();
      await until('the address answers', () => echoes(bed, 'x1', address));
      await until('that is told', () => one.heard.held.at(-1)?.error === undefined);
      expect(one.heard.held.at(-1)).toEqual({ address, error: undefined });
      await until('the link is told as up', () =>
        one.heard.links.some(({ name, up, usable }) => name === 'eth1' && up && usable),
      );
      await bed.ip('net', 'link del p-n1-b');
      await until('the loss is told', () => one.heard.held.at(-1)?.error !== undefined);
    }
    expect(one.heard.held.at(-1)?.error?.code).toBe('InterfaceMissing');
  });

  test.each(families)(
    'an address over %s whose pool names another interface now moves there, and clients with it',
    async (family) => {
      await bed.ip('net', 'link add p-n1-b type veth peer name eth1 netns ' + bed.namespace('n1'));
      await bed.ip('net', 'link set p-n1-b master br0 up');
      await bed.ip('n1', 'link set eth1 up');
      const text = await bed.succeed('n1', 'ip', ['-o', 'link', 'show', 'eth1']);
      const mac = /link\/ether (\S+)/u.exec(text)?.[1];
      const one = await announcer('n1');
      await until('the new link is up', () => one.heard.links.some(({ name, up }) => name === 'eth1' && up));
      // Both interfaces are made use of, so each answers for its own addresses only.
      const beside = { address: '172.31.0.62', interfaces: ['eth1'], ports: [] };
      await one.hold([...all, beside]);
      const address = vip[family];
      const isBelieved = async (at: string | undefined): Promise<boolean> =>
        (await echoes(bed, 'x1', address)) && (await believed(bed, 'x1', address)) === at;
      await until('the client believes the first interface', () => isBelieved(macs['n1']));
      await one.hold([...all.map((each) => ({ ...each, interfaces: ['eth1'] })), beside]);
      await until('the client believes the other one', () => isBelieved(mac));
      expect(await has(bed, 'n1', address)).toBe(false);
      expect(one.heard.held.filter(({ error }) => error !== undefined)).toEqual([]);
    },
  );

  test('of two interfaces on one link only that of the address answers', async () => {
    await bed.ip('net', 'link add p-n1-b type veth peer name eth1 netns ' + bed.namespace('n1'));
    await bed.ip('net', 'link set p-n1-b master br0 up');
    await bed.ip('n1', 'addr add 172.31.0.61/24 dev eth1 noprefixroute', 'link set eth1 up');
    const [one, two] = [await announcer('n1'), await announcer('n2')];
    // The other interface is made use of as well, so both answer for their own addresses only.
    await one.hold([holding(vip.IPv4), { address: '172.31.0.62', interfaces: ['eth1'], ports: [] }]);
    const signal = new AbortController().signal;
    for (let turn = 0; turn < 6; turn += 1) {
      expect(await two.probe(vip.IPv4, 'eth0', signal)).toEqual({ kind: 'taken', mac: macs['n1'] });
    }
    for (const name of ['eth0', 'eth1']) {
      const read = async (key: string): Promise<string> =>
        (await bed.succeed('n1', 'cat', [`/proc/sys/net/ipv4/conf/${name}/${key}`])).trim();
      expect([await read('arp_announce'), await read('arp_ignore')]).toEqual(['2', '1']);
    }
  });

  test('the kernel never takes a held address as the source of its own packets', async () => {
    const one = await announcer('n1');
    await one.hold(all);
    for (const [family, target] of [
      ['-4', bed.client('x1').address.IPv4],
      ['-6', bed.client('x1').address.IPv6],
    ] as const) {
      const route = await bed.succeed('n1', 'ip', [family, 'route', 'get', target]);
      for (const address of Object.values(vip)) expect(route).not.toContain(address);
    }
  });
});

describe('the child', () => {
  const all = [holding(vip.IPv4), holding(vip.IPv6)];
  const relays: number[] = [];

  async function withRelay(clock?: Clock): Promise<HeardAnnouncer> {
    relays.length = 0;
    return pair.announcer('n1', {
      onChild: (pid) => relays.push(pid),
      ...(clock === undefined ? {} : { clock }),
    });
  }

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'struck by %s is replaced; that is said, and no address is lost',
    async (signal) => {
      const one = await withRelay();
      await one.hold(all);
      const watching = await Promise.all(
        Object.values(vip).map((address) => watchTraffic(bed, 'x1', address)),
      );
      await pause(200);
      process.kill(relays.at(-1) ?? 0, signal);
      await until('a second child is there', () => relays.length === 2);
      await until('all is said to be well', () =>
        Object.values(vip).every((address) =>
          one.heard.held.some((each) => each.address === address && each.error === undefined),
        ),
      );
      await pause(2_200);
      for (const end of watching) {
        for (const attempts of Object.values(await end())) expect(lost(attempts)).toBe(0);
      }
      const code = signal === 'SIGKILL' ? 'RelayEnded' : 'RelayStuck';
      for (const address of Object.values(vip)) {
        const told = one.heard.held.filter((each) => each.address === address);
        expect(told.at(0)).toMatchObject({ error: { code } });
        expect(told.at(-1)).toMatchObject({ error: undefined });
      }
    },
  );

  // A service manager ends every process of a service in one go, and a terminal every one of its group.
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'goes on through %s, so that addresses are renewed as the last act of an agent that ends',
    async (signal) => {
      const one = await withRelay();
      await one.hold(all);
      const renewed = new Set<string>();
      const monitor = bed.spawn('n1', 'ip', ['monitor', 'address']);
      try {
        monitor.stdout?.setEncoding('utf8').on('data', (text: string) => {
          for (const address of Object.values(vip)) if (text.includes(address)) renewed.add(address);
        });
        await until('the monitor sees renewals', () => renewed.size === all.length);
        process.kill(relays.at(-1) ?? 0, signal);
        renewed.clear();
        await one.stop('keep');
        await until('all were renewed once more', () => renewed.size === all.length);
      } finally {
        monitor.kill('SIGKILL');
      }
      expect(relays).toHaveLength(1);
      expect(one.heard.held).toEqual([]);
    },
  );

  test.each(['keep', 'release'] as const)('and every timer are gone once it has stopped: %s', async (how) => {
    const clock = watchedClock();
    const one = await withRelay(clock);
    await one.hold([...all, { ...holding(vip.IPv4), address: '172.31.0.61', interfaces: ['eth9'] }]);
    // Another child is being begun meanwhile.
    process.kill(relays.at(-1) ?? 0, 'SIGKILL');
    await until('a second child is there', () => relays.length === 2);
    await until('all is said to be well', () => one.heard.held.some(({ error }) => error === undefined));
    await one.stop(how);
    expect(clock.pending()).toEqual([]);
    // Signal 0 asks whether there is such a process.
    for (const pid of relays) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/u);
  });
});
