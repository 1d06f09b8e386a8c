/** Rules to removed endpoints leave the kernel while their change still waits, and the write makes it whole. */
import { expect, test } from 'vitest';
import type { Decision } from '../../src/agent/decision.ts';
import { serviceChains } from '../../src/agent/iptables/names.ts';
import { aDecision, aNodeDecision, change, Namespace, open } from './iptables-bench.ts';

const decision = aDecision(1, { endpoints: 4 });
const other = aDecision(2, { endpoints: 3 });

const without = (...gone: readonly number[]): Decision => ({
  ...decision,
  cluster: decision.cluster.filter((_, index) => !gone.includes(index)),
});

async function loaded(space: Namespace) {
  const backend = await open(space, 'nft');
  await backend.replace(aNodeDecision(), [decision, other]);
  const before = await space.dump('nft', 'IPv4');
  return { backend, before };
}

/** What a cold start writes for it. */
async function cold(...decisions: readonly Decision[]): Promise<string> {
  await using space = await Namespace.open();
  const backend = await open(space, 'nft');
  await backend.replace(aNodeDecision(), decisions);
  await backend.close();
  return await space.dump('nft', 'IPv4');
}

test('only the rules to the removed endpoint go, which is nothing that a look finds', async () => {
  await using space = await Namespace.open();
  const { backend, before } = await loaded(space);
  expect(await backend.hasten([change(decision, without(0))])).toBe(true);
  const held = await space.dump('nft', 'IPv4');
  const gone = before.split('\n').filter((line) => !held.includes(line));
  // Its share, and its rule for all packets.
  expect(gone).toHaveLength(2);
  for (const rule of gone) expect(rule).toContain(`--to-destination ${decision.cluster[0]?.address}:8080`);
  expect(await backend.verify()).toEqual([]);
  // A second asking finds nothing more.
  expect(await backend.hasten([change(decision, without(0))])).toBe(false);
  expect(await backend.hasten([change(decision, without(0, 2))])).toBe(true);
  await backend.apply([change(decision, without(0, 2))]);
  expect(await space.dump('nft', 'IPv4')).toBe(await cold(without(0, 2), other));
  expect(await backend.verify()).toEqual([]);
  await backend.close();
});

/** Rules of the chain of its endpoints, as the kernel has them. */
async function chainOf(space: Namespace, { service }: Decision): Promise<readonly string[]> {
  const name = serviceChains({ service, portName: 'http', protocol: 'TCP' }).cluster;
  const held = await space.dump('nft', 'IPv4');
  return held.split('\n').filter((line) => line.startsWith(`-A ${name} `));
}

test.each([2, 3, 5])(
  'whichever of %i endpoints go at once: none of them is led to any more, or one at most, and nothing falls through',
  async (endpoints) => {
    await using space = await Namespace.open();
    const backend = await open(space, 'nft');
    const all = aDecision(3, { endpoints });
    await backend.replace(aNodeDecision(), [all]);
    const whole = await chainOf(space, all);
    let complete = 0;
    const sets = 2 ** endpoints - 2;
    for (let set = 1; set <= sets; set += 1) {
      const goes = (index: number): boolean => ((set >> index) & 1) === 1;
      const stay = all.cluster.filter((_, index) => !goes(index));
      const gone = all.cluster.filter((_, index) => goes(index));
      expect(await backend.hasten([change(all, { ...all, cluster: stay })])).toBe(true);
      const held = await chainOf(space, all);
      const stale = held.filter((rule) => gone.some(({ address }) => rule.endsWith(` ${address}:8080`)));
      expect(stale.length).toBeLessThanOrEqual(1);
      expect(held.length).toBeGreaterThan(stale.length);
      expect(held.at(-1)).not.toContain('statistic');
      expect(await backend.verify()).toEqual([]);
      if (stale.length === 0) complete += 1;
      await backend.apply([]);
      expect(await chainOf(space, all)).toEqual(whole);
    }
    // Of five, two have a rule for all packets: the first and the last. Of the three others some or all may stay.
    expect(sets - complete).toBe(endpoints > 3 ? 7 : 0);
    await backend.close();
  },
);

test('a change that has been undone since is made good by a write of nothing', async () => {
  await using space = await Namespace.open();
  const { backend, before } = await loaded(space);
  expect(await backend.hasten([change(decision, without(0))])).toBe(true);
  await backend.apply([]);
  expect(await space.dump('nft', 'IPv4')).toBe(before);
  // And once only.
  expect(await backend.apply([])).toEqual({ operations: 0, quarantined: [] });
  await backend.close();
});

test('a change that is refused behind it leaves the old rules, whole, and others are written', async () => {
  await using space = await Namespace.open();
  const { backend } = await loaded(space);
  const bad = { address: '999.1.1.1', port: 8080, local: false, weight: 1 };
  const wrong = { ...decision, cluster: [...decision.cluster.slice(1), bad] };
  const fewer = { ...other, cluster: other.cluster.slice(0, 1) };
  expect(await backend.hasten([change(decision, wrong), change(other, fewer)])).toBe(true);
  const written = await backend.apply([change(decision, wrong), change(other, fewer)]);
  expect(written.quarantined.map(({ key }) => key)).toEqual([decision.key]);
  expect(await space.dump('nft', 'IPv4')).toBe(await cold(decision, fewer));
  expect(await backend.verify()).toEqual([]);
  await backend.close();
});

test('a Service that goes after all goes, and one that is written anew has nothing left of it', async () => {
  await using space = await Namespace.open();
  const { backend } = await loaded(space);
  expect(await backend.hasten([change(decision, without(3))])).toBe(true);
  await backend.apply([change(decision, undefined)]);
  expect(await space.dump('nft', 'IPv4')).toBe(await cold(other));
  await backend.apply([change(undefined, decision)]);
  expect(await backend.hasten([change(decision, without(3))])).toBe(true);
  await backend.replace(aNodeDecision(), [decision, other]);
  expect(await space.dump('nft', 'IPv4')).toBe(await cold(decision, other));
  expect(await backend.apply([])).toEqual({ operations: 0, quarantined: [] });
  await backend.close();
});

test('where somebody else was faster, nothing is taken out and the write does all', async () => {
  await using space = await Namespace.open();
  const { backend } = await loaded(space);
  const chain = /-A (SLUICE-SVC-\S+)/u.exec(backend.describe(decision.key).join('\n'))?.[1] ?? '';
  await space.must('iptables-nft', '-t', 'nat', '-D', chain, '2');
  expect(await backend.hasten([change(decision, without(1))])).toBe(false);
  await backend.apply([change(decision, without(1))]);
  expect(await space.dump('nft', 'IPv4')).toBe(await cold(without(1), other));
  await backend.close();
});

test('the legacy variant, which copies the table at every commit, takes nothing out ahead', async () => {
  await using space = await Namespace.open();
  const backend = await open(space, 'legacy');
  await backend.replace(aNodeDecision(), [decision]);
  expect(await backend.hasten([change(decision, without(1))])).toBe(false);
  await backend.close();
});
