/** An announcer that is frozen, killed or restarted cannot hold an address longer than its lifetime, nor loses it sooner. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../src/core/clock.ts';
import { AnnouncerProcess, announcerMain } from './announce/announcer-process.ts';
import {
  announcerOf,
  Bed,
  believed,
  has,
  holding,
  lost,
  macOf,
  newHeard,
  pause,
  serveServices,
  servicePort,
  until,
  vip,
  watchTraffic,
} from './announce/lan.ts';

let bed: Bed;
const running: AnnouncerProcess[] = [];

beforeAll(async () => {
  bed = await Bed.make({ nodes: 2, podsPerNode: 1, clients: 1 });
  await serveServices(bed);
});
afterAll(() => bed.remove());
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.kill()));
  await pause(2_100);
});

async function start(node: string): Promise<AnnouncerProcess> {
  const made = await AnnouncerProcess.start(bed, node);
  running.push(made);
  return made;
}

const both = [holding(vip.IPv4), holding(vip.IPv6)];

/** The kernel has let it go: at the end of its lifetime, and whenever this machine gives its timers a turn. */
async function gone(address: string): Promise<void> {
  await until(`${address} is gone`, async () => !(await has(bed, 'n1', address)), 30_000);
}

async function staysAway(forMs: number): Promise<void> {
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    for (const address of Object.values(vip)) expect(await has(bed, 'n1', address)).toBe(false);
    await pause(20);
  }
}

test.each(['SIGSTOP', 'SIGKILL'] as const)(
  'after %s the kernel drops its addresses within the lifetime',
  async (signal) => {
    const one = await start('n1');
    await one.hold(both);
    await pause(1_000);
    one.signal(signal);
    const begun = performance.now();
    await pause(1_000);
    // Not before: the next agent may come back for them.
    for (const address of Object.values(vip)) expect(await has(bed, 'n1', address)).toBe(true);
    for (const address of Object.values(vip)) {
      await until(`${address} is gone`, async () => !(await has(bed, 'n1', address)));
    }
    expect(performance.now() - begun).toBeLessThan(3_000);
  },
);

test('one that is thawed after its lifetime brings nothing back until it is told anew, and says so', async () => {
  const one = await start('n1');
  await one.hold(both);
  one.signal('SIGSTOP');
  for (const address of Object.values(vip)) await gone(address);
  one.signal('SIGCONT');
  await staysAway(1_500);
  await until('it says so of both', () => {
    const said = one.said.flatMap(({ code, address }) => (code === 'Lapsed' ? [address] : []));
    return Object.values(vip).every((address) => said.includes(address));
  });
  await one.hold(both);
  expect(await has(bed, 'n1', vip.IPv4)).toBe(true);
});

test('one that hears of its loss before it notices that it stood still brings nothing back either', async () => {
  let stoodStillMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + stoodStillMs };
  const heard = newHeard();
  const one = announcerOf(bed, 'n1', undefined, clock);
  await one.start(heard.events);
  try {
    await one.hold(both);
    stoodStillMs = 2_000;
    // As its lifetime would have it. The kernel's message comes at once, the next renewal within half a second.
    await bed.succeed('n1', 'ip', ['addr', 'del', `${vip.IPv4}/32`, 'dev', 'eth0']);
    await gone(vip.IPv6);
    await staysAway(1_000);
    await until('it says so of both', () => {
      const said = heard.held.flatMap(({ address, error }) => (error?.code === 'Lapsed' ? [address] : []));
      return Object.values(vip).every((address) => said.includes(address));
    });
    expect(heard.held.map(({ error }) => error?.code)).not.toContain('AddressRemoved');
    await one.hold(both);
    for (const address of Object.values(vip)) expect(await has(bed, 'n1', address)).toBe(true);
  } finally {
    await one.stop('release');
  }
});

test('a frozen one whose address another has taken over disturbs no client, frozen or thawed', async () => {
  const one = await start('n1');
  await one.hold(both);
  const two = announcerOf(bed, 'n2');
  await two.start(newHeard().events);
  try {
    const watching = await Promise.all(Object.values(vip).map((address) => watchTraffic(bed, 'x1', address)));
    await pause(200);
    one.signal('SIGSTOP');
    await two.hold(both);
    await pause(3_000);
    one.signal('SIGCONT');
    await pause(1_000);
    for (const end of watching) {
      for (const attempts of Object.values(await end())) expect(lost(attempts)).toBe(0);
    }
    for (const address of Object.values(vip)) {
      expect(await believed(bed, 'x1', address)).toBe(await macOf(bed, 'n2'));
    }
  } finally {
    await two.stop('release');
  }
});

describe.each(['SIGKILL', 'keep'] as const)('ended by %s and back within the lifetime', (how) => {
  test('takes its addresses over without a lost packet or a broken connection', async () => {
    const one = await start('n1');
    await one.hold(both);
    const held = await Promise.all(
      Object.values(vip).map((address) => bed.hold('x1', { address, port: servicePort })),
    );
    const watching = await Promise.all(Object.values(vip).map((address) => watchTraffic(bed, 'x1', address)));
    await pause(300);
    if (how === 'keep') await one.stop('keep');
    else await one.kill();
    const next = await start('n1');
    // What a start costs while it lists and asks others.
    await pause(600);
    await next.hold(both);
    await pause(2_500);
    for (const end of watching) {
      for (const attempts of Object.values(await end())) expect(lost(attempts)).toBe(0);
    }
    for (const each of held) {
      expect(await each.check()).toMatchObject({ kind: 'answered' });
      await each.close();
    }
  });

  test('takes away at once what it does not hold any more', async () => {
    const one = await start('n1');
    await one.hold(both);
    if (how === 'keep') await one.stop('keep');
    else await one.kill();
    const next = await start('n1');
    expect(await has(bed, 'n1', vip.IPv4)).toBe(true);
    await next.hold([holding(vip.IPv6)]);
    expect(await has(bed, 'n1', vip.IPv4)).toBe(false);
    expect(await has(bed, 'n1', vip.IPv6)).toBe(true);
  });
});

test('NET_ADMIN and NET_RAW are all the rights that it needs, and what is missing without them is named', async () => {
  const only = (...names: readonly string[]): string[] => {
    const set = ['-all', ...names.map((name) => `+${name}`)].join(',');
    return ['setpriv', `--bounding-set=${set}`, `--inh-caps=${set}`, '--'];
  };
  const one = await AnnouncerProcess.start(bed, 'n1', only('net_admin', 'net_raw'));
  running.push(one);
  await one.hold(both);
  for (const address of Object.values(vip)) expect(await has(bed, 'n1', address)).toBe(true);
  expect(one.said.filter(({ kind }) => kind === 'held')).toEqual([]);
  const refused = await bed.run('n2', 'setpriv', [
    ...only('net_admin').slice(1),
    process.execPath,
    announcerMain,
  ]);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('NET_RAW');
});
