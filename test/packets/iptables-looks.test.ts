/** Looks at the kernel beside the iptables writer, against a real kernel. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Decision } from '../../src/agent/decision.ts';
import { differencesBeside } from '../../src/agent/iptables/beside.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import { Model } from '../../src/agent/iptables/model.ts';
import { serviceChains } from '../../src/agent/iptables/names.ts';
import { makeTools, type Variant } from '../../src/agent/iptables/programs.ts';
import { Touched } from '../../src/agent/iptables/touched.ts';
import { chooseBackends } from '../../src/commands/agent-backends.ts';
import { aDecision, aNodeDecision, change, holdLock, Namespace } from './iptables-bench.ts';

const one = aDecision(1, { endpoints: 3 });
const other = aDecision(2, { endpoints: 4 });
const third = aDecision(3, { endpoints: 2 });

const chainOf = ({ service, portName, protocol }: Decision): string =>
  serviceChains({ service, portName, protocol }).cluster;

/** Who tells of rules. */
const asking: ReadonlySet<string> = new Set(['perl', 'iptables-nft-save', 'iptables-legacy-save']);

/** A backend of which a look can be held up before it sees the rules. */
async function slowLooks(space: Namespace, variant: Variant, { perl = true } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'ipt-look-'));
  const file = join(folder, 'lock');
  let held = false;
  let begun = Promise.withResolvers<undefined>();
  const asked: string[] = [];
  const { backend } = await openIptables({
    family: 'IPv4',
    variant,
    pollMs: 3_600_000,
    spawn: (name, args) => {
      asked.push(name);
      if (name === 'perl' && !perl) return space.spawn('false', []);
      if (!held || !(asking.has(name) || args[0] === 'save')) return space.spawn(name, args);
      begun.resolve(undefined);
      return space.spawn('flock', [file, name, ...args]);
    },
  });
  return {
    backend,
    /** Everything that was started. */
    asked,
    /** What a look finds, or its error, where `meanwhile` happens before it sees the rules. */
    async look(meanwhile: () => Promise<unknown>, { reads = false } = {}): Promise<unknown> {
      begun = Promise.withResolvers();
      held = true;
      const lock = await holdLock(file);
      const answer = backend.verify().catch((error: unknown) => error);
      await begun.promise;
      // What reads the kernel itself meanwhile must not be held up.
      if (reads) held = false;
      // It would never end if it waited.
      await meanwhile();
      held = false;
      await lock[Symbol.asyncDispose]();
      return answer;
    },
    async [Symbol.asyncDispose]() {
      await backend.close();
      await rm(folder, { recursive: true });
    },
  };
}

const takeAway = (space: Namespace, decision: Decision): Promise<string> =>
  space.must('iptables-nft', '-t', 'nat', '-D', chainOf(decision), '1');

test('a write does not wait for a look, which says nothing of what was touched and all of the rest', async () => {
  await using space = await Namespace.open();
  await using slow = await slowLooks(space, 'nft');
  const { backend } = slow;
  await backend.replace(aNodeDecision(), [one, other]);
  const moved = aDecision(1, { endpoints: 3, from: 500 });
  expect(await slow.look(() => backend.apply([change(one, moved)]))).toEqual([]);
  expect(
    await slow.look(async () => {
      await backend.apply([change(moved, one), change(undefined, third)]);
      await takeAway(space, one);
      await takeAway(space, third);
      await takeAway(space, other);
      await space.must('ipset', 'del', 'SLUICE-4-DST', '10.96.0.2,tcp:80');
      await space.must('ipset', 'del', 'SLUICE-4-DST', '10.96.0.3,tcp:80');
    }),
  ).toEqual([
    { kind: 'different', object: `nat chain ${chainOf(other)}: where its rules lead`, key: other.key },
    { kind: 'missing', object: 'ipset SLUICE-4-DST entry 10.96.0.2,tcp:80', key: other.key },
  ]);
  // A quiet one says the rest too, word for word.
  const found = await backend.verify();
  expect(new Set(found.map(({ key }) => key))).toEqual(new Set([one.key, other.key, third.key]));
  expect(found.filter(({ object }) => object.startsWith('nat rule'))).toHaveLength(3);
});

test('what has gone ahead of its write is no difference, whether it went before the look or during it', async () => {
  await using space = await Namespace.open();
  await using slow = await slowLooks(space, 'nft');
  const { backend } = slow;
  await backend.replace(aNodeDecision(), [one, other, third]);
  const fewer = { ...one, cluster: one.cluster.slice(1) };
  let last = third;
  const crossing = (then: () => Promise<unknown>): Promise<unknown> =>
    slow.look(async () => {
      const next = aDecision(3, { endpoints: 1 + (last.cluster.length % 4) });
      await backend.apply([change(last, next)]);
      last = next;
      await then();
    });
  expect(await crossing(() => backend.hasten([change(one, fewer)]))).toEqual([]);
  // One that begins while rules lack, and is crossed by no write that brings them back.
  await backend.apply([]);
  expect(await backend.hasten([change(other, { ...other, cluster: other.cluster.slice(1) })])).toBe(true);
  expect(await slow.look(() => backend.hasten([change(one, fewer)]))).toEqual([]);
});

test('what is not ours, or gone, or led elsewhere is told while something is written', async () => {
  await using space = await Namespace.open();
  await using slow = await slowLooks(space, 'nft');
  const { backend } = slow;
  await backend.replace(aNodeDecision(), [one, other, third]);
  const found = await slow.look(async () => {
    await backend.apply([change(third, undefined)]);
    const at = '-p tcp -m statistic --mode random --probability 0.25 -j DNAT --to-destination'.split(' ');
    await space.must('iptables-nft', '-t', 'nat', '-R', chainOf(other), '1', ...at, '10.9.9.9:8080');
    await space.must('iptables-nft', '-t', 'nat', '-N', 'SLUICE-STRANGE');
    await space.must('iptables-nft', '-t', 'nat', '-D', 'PREROUTING', '1');
    await space.must('iptables-nft', '-t', 'filter', '-F', 'SLUICE-REFUSE');
  });
  expect(found).toEqual([
    { kind: 'different', object: `nat chain ${chainOf(other)}: where its rules lead`, key: other.key },
    { kind: 'different', object: 'filter chain SLUICE-REFUSE: where its rules lead', key: undefined },
    { kind: 'unexpected', object: 'nat chain SLUICE-STRANGE', key: undefined },
    { kind: 'missing', object: 'nat rule -A PREROUTING -j SLUICE-SERVICES', key: undefined },
  ]);
});

test.each([
  { perl: false, what: 'without perl', reads: false },
  { perl: true, what: 'where all is written anew meanwhile', reads: true },
])('$what a look that was crossed says so and no more', async ({ perl, reads }) => {
  await using space = await Namespace.open();
  await using slow = await slowLooks(space, 'nft', { perl });
  const { backend } = slow;
  await backend.replace(aNodeDecision(), [one]);
  const write = (): Promise<unknown> =>
    reads ? backend.replace(aNodeDecision(), [one, other]) : backend.apply([change(undefined, other)]);
  expect(await slow.look(write, { reads })).toMatchObject({ kind: 'transient', code: 'Crossed' });
  expect(await backend.verify()).toEqual([]);
});

test('the legacy tool lists a table as it was: its look holds for what was not touched', async () => {
  await using space = await Namespace.open();
  await using slow = await slowLooks(space, 'legacy');
  const { backend } = slow;
  await backend.replace(aNodeDecision(), [one, other]);
  const moved = aDecision(1, { endpoints: 3, from: 500 });
  const found = await slow.look(async () => {
    await backend.apply([change(one, moved)]);
    await space.must('iptables-legacy', '-t', 'nat', '-D', chainOf(other), '1');
  });
  expect(found).toMatchObject([{ kind: 'missing', key: other.key }]);
  expect(slow.asked).not.toContain('perl');
});

test.each([
  ['nft', [expect.stringMatching(/no program perl.*wait once an hour.*install perl-base/u)]],
  ['legacy', []],
] as const)(
  'without perl %s is used all the same, and says what that costs, if anything',
  async (variant, notes) => {
    await using space = await Namespace.open({ PATH: process.env['PATH'] ?? '' });
    vi.stubEnv('PATH', '/nowhere');
    onTestFinished(() => void vi.unstubAllEnvs());
    const kit = await chooseBackends({ backend: 'iptables', variant }, ['IPv4'], space.spawn);
    vi.unstubAllEnvs();
    expect(kit.notes).toEqual(notes);
    expect((await chooseBackends({ backend: 'iptables', variant }, ['IPv4'], space.spawn)).notes).toEqual([]);
  },
);

const features: readonly Partial<Decision>[] = [
  {},
  { affinitySeconds: 60, nodePort: 30_001 },
  { balancing: 'hash', balancerIPs: ['192.0.2.7'], sourceRanges: ['10.0.0.0/8'] },
  { internal: { kind: 'reject' }, external: { kind: 'drop' }, nodePort: 30_002, cluster: [] },
  {
    shortcut: { kind: 'balance', to: 'cluster' },
    external: { kind: 'balance', to: 'local' },
    nodePort: 30_003,
  },
];

test.each(['IPv4', 'IPv6'] as const)(
  '%s: where the rules of every kind lead is read as they were written',
  async (family) => {
    await using space = await Namespace.open();
    const { backend, abilities } = await openIptables({ family, variant: 'nft', spawn: space.spawn });
    const node = aNodeDecision({
      family,
      localhostNodePorts: family === 'IPv4',
      localSource: { kind: 'cidrs', cidrs: family === 'IPv4' ? ['10.244.0.0/16'] : ['fd00:10:244::/56'] },
      serviceRanges: [family === 'IPv4' ? '10.96.0.0/12' : 'fd00:10:96::/112'],
    });
    const decisions = features.map((some, index) => {
      const plain = aDecision(index, { endpoints: 1 + index, some });
      const local = plain.cluster.slice(0, 1);
      if (family === 'IPv4') return { ...plain, local };
      const six = plain.cluster.map((endpoint, at) => ({
        ...endpoint,
        address: `fd00:10:244::${index + 1}:${at}`,
      }));
      return {
        ...plain,
        key: plain.key.replace('ipv4', 'ipv6') as Decision['key'],
        family,
        clusterIP: `fd00:10:96::${index + 1}`,
        balancerIPs: plain.balancerIPs.map(() => '2001:db8::7'),
        sourceRanges: plain.sourceRanges?.map(() => 'fd00::/8'),
        cluster: six,
        local: six.slice(0, 1),
      };
    });
    await backend.replace(node, decisions);
    const model = new Model({ family, node, abilities });
    for (const decision of decisions) model.put(decision.key, decision, undefined);
    const tools = makeTools(space.spawn, 'nft', family);
    const look = (): Promise<unknown> =>
      differencesBeside({ model, tools, spawn: space.spawn, touched: new Touched() });
    expect(await look()).toEqual([]);
    // It can tell.
    for (const decision of decisions)
      if (decision.cluster.length > 0) model.put(decision.key, undefined, undefined);
    expect(await look()).not.toEqual([]);
    await backend.close();
  },
);
