/**
 * Real agents announce for a real API server: every way in which a holder can go, and comes back. An outside client asks
 * all the time, TCP and UDP, both families.
 */
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  believed,
  blackout,
  has,
  lost,
  pause,
  port,
  servicePort,
  until,
  vip,
  watchTraffic,
} from './announce/lan.ts';
import { AnnounceStage, bothAddresses } from './announce/stage.ts';
import { logOf } from './agent-process.ts';
import type { Attempt } from '../../src/sandbox/bed/traffic.ts';

let stage: AnnounceStage;

beforeAll(async () => {
  stage = await AnnounceStage.make();
  await stage.startAll();
});
afterAll(() => stage?.remove());
beforeEach(async () => {
  await stage.restore();
  // What came back a moment ago is not the first choice yet.
  await pause(1_200);
});

/** All attempts while something happens, by address and protocol. */
async function during(work: () => Promise<void>): Promise<ReadonlyMap<string, readonly Attempt[]>> {
  const watching = await Promise.all(
    bothAddresses.map(async (address) => [address, await watchTraffic(stage.bed, 'x1', address)] as const),
  );
  await pause(300);
  await work();
  const seen = new Map<string, readonly Attempt[]>();
  for (const [address, end] of watching) {
    for (const [protocol, attempts] of Object.entries(await end()))
      seen.set(`${address} ${protocol}`, attempts);
  }
  return seen;
}

async function holderOf(address: string): Promise<string> {
  const holder = await stage.holder(address);
  if (holder === undefined) throw new Error(`${address} has no holder`);
  return holder;
}

/** Brings both addresses to one node, so that one event strikes both. */
async function gather(): Promise<string> {
  const node = await holderOf(vip.IPv4);
  if ((await holderOf(vip.IPv6)) === node) return node;
  const other = await holderOf(vip.IPv6);
  await stage.label(other, { 'sluice.test/announces': null });
  await until('one node holds both', async () => (await stage.holder(vip.IPv6)) === node);
  await stage.label(other, { 'sluice.test/announces': 'true' });
  await pause(1_200);
  return node;
}

test('a crashed node is taken over from within half a second, by one node that the status names', async () => {
  const node = await gather();
  const seen = await during(async () => {
    await port(stage.bed, node, 'down');
    await pause(1_500);
  });
  for (const [what, attempts] of seen) expect.soft(blackout(attempts), what).toBeLessThan(900);
  for (const address of bothAddresses) {
    const now = await believed(stage.bed, 'x1', address);
    const other = stage.candidates.find((name) => name !== node) ?? '';
    expect(now).toBe(stage.macs.get(other));
    await until('the status names the new holder', async () => {
      const object = await stage.addressObject(address);
      return JSON.stringify(object?.['status']).includes(`"node":"${other}"`);
    });
  }
});

test('where a machine is gone its neighbours are told who has its addresses, and need not ask', async () => {
  const node = await gather();
  const other = stage.candidates.find((name) => name !== node) ?? '';
  await stage.settled();
  for (const address of bothAddresses)
    expect(await believed(stage.bed, 'x1', address)).toBe(stage.macs.get(node));
  await port(stage.bed, node, 'down');
  await stage.kill(node);
  // The client sends nothing: only a gratuitous ARP and an unsolicited advertisement can have changed its mind.
  for (const address of bothAddresses)
    await until(
      `the client has been told of ${address}`,
      async () => (await believed(stage.bed, 'x1', address)) === stage.macs.get(other),
    );
  await stage.settled();
});

test('the cut-off node lets go by itself, and when it is back one MAC answers within a second', async () => {
  const node = await gather();
  await port(stage.bed, node, 'down');
  for (const address of bothAddresses) {
    await until('the cut-off node lets go', async () => !(await has(stage.bed, node, address)));
  }
  await stage.settled();
  const seen = await during(async () => {
    await port(stage.bed, node, 'up');
    await pause(2_000);
  });
  // Nothing moves back, so nothing is lost.
  for (const [what, attempts] of seen) expect.soft(lost(attempts), what).toBe(0);
  for (const address of bothAddresses) expect(await stage.holders(address)).not.toContain(node);
});

test('a short cut that heals leaves one MAC that answers within a second', async () => {
  const node = await gather();
  await port(stage.bed, node, 'down');
  await pause(700);
  await port(stage.bed, node, 'up');
  const tookMs = await stage.settled();
  expect(tookMs).toBeLessThan(2_500);
});

test('a node that is drained hands its addresses over without a lost connection', async () => {
  const node = await gather();
  const seen = await during(async () => {
    await stage.label(node, { 'sluice.test/announces': null });
    await until('both have moved', async () => {
      const holders = await Promise.all(bothAddresses.map((address) => stage.holders(address)));
      return holders.every((each) => each.length === 1 && each[0] !== node);
    });
    await pause(500);
  });
  await stage.label(node, { 'sluice.test/announces': 'true' });
  for (const [what, attempts] of seen) expect.soft(lost(attempts), what).toBe(0);
});

test('an agent that ends on a cordoned node hands over; nothing is lost', async () => {
  const node = await gather();
  await stage.cordon(node, true);
  await pause(300);
  const seen = await during(async () => {
    await stage.agent(node).stop(10_000);
    stage.agents.delete(node);
    await pause(500);
  });
  await stage.cordon(node, false);
  for (const [what, attempts] of seen) expect.soft(lost(attempts), what).toBe(0);
  for (const address of bothAddresses) expect(await holderOf(address)).not.toBe(node);
});

/** Resolves to whether the kernel of a node let one of its addresses go meanwhile. */
async function lapsedDuring(node: string, work: () => Promise<void>): Promise<boolean> {
  const monitor = stage.bed.spawn(node, 'ip', ['-o', 'monitor', 'address']);
  let gone = false;
  createInterface({ input: monitor.stdout }).on('line', (line) => {
    if (line.startsWith('Deleted') && bothAddresses.some((address) => line.includes(` ${address}/`)))
      gone = true;
  });
  try {
    await work();
  } finally {
    monitor.kill('SIGKILL');
  }
  return gone;
}

const mostStarts = 5;

test.each([
  ['ended', 10_000],
  ['killed', 0],
] as const)(
  'an agent that is %s and back within the lifetime keeps its addresses: no connection is lost, old or new',
  async (_, patienceMs) => {
    // A busy machine may need longer to start an agent than addresses live without one: that is another story.
    for (let starts = 1; starts <= mostStarts; starts += 1) {
      const node = await gather();
      const held = await Promise.all(
        bothAddresses.map((address) => stage.bed.hold('x1', { address, port: servicePort })),
      );
      let seen: ReadonlyMap<string, readonly Attempt[]> = new Map();
      const late = await lapsedDuring(node, async () => {
        seen = await during(async () => {
          await stage.agent(node).stop(patienceMs);
          await stage.start(node);
          await pause(3_500);
        });
      });
      const checks = await Promise.all(held.map((each) => each.check()));
      await Promise.all(held.map((each) => each.close()));
      if (late) {
        await stage.settled();
        continue;
      }
      for (const [what, attempts] of seen) expect.soft(lost(attempts), what).toBe(0);
      for (const check of checks) expect.soft(check).toMatchObject({ kind: 'answered' });
      for (const address of bothAddresses) expect(await holderOf(address)).toBe(node);
      return;
    }
    throw new Error(
      `in ${mostStarts} starts no agent was back before its addresses lapsed: is the machine too busy?`,
    );
  },
);

test('a frozen agent: one holder again within the lifetime and a second, and no client packet lost', async () => {
  const node = await gather();
  const frozenAt = Date.now();
  const seen = await during(async () => {
    stage.agent(node).signal('SIGSTOP');
    const begun = performance.now();
    await until('another node alone holds both', async () => {
      const holders = await Promise.all(bothAddresses.map((address) => stage.holders(address)));
      return holders.every((each) => each.length === 1 && each[0] !== node);
    });
    expect.soft(performance.now() - begun).toBeLessThan(3_500);
    await pause(500);
    stage.agent(node).signal('SIGCONT');
    await pause(1_500);
  });
  for (const [what, attempts] of seen) expect.soft(lost(attempts), what).toBe(0);
  for (const address of bothAddresses) expect(await stage.holders(address)).not.toContain(node);
  // What it heard of the other while it was frozen it has not answered with a claim of its own.
  const logs = await Promise.all([...stage.agents.values()].map(logOf));
  expect(
    logs.flat().filter(({ msg, time }) => Date.parse(String(time)) > frozenAt && msg.endsWith('is its own')),
  ).toEqual([]);
  await stage.settled();
});
