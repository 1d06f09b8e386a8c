/** Removed endpoints leave the kernel ahead of the rewriting of their chains, on a real kernel. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Decision, Endpoint } from '../../src/agent/decision.ts';
import { decisionKey } from '../../src/agent/decision.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { Spawn, Variant } from '../../src/agent/iptables/programs.ts';
import { aDecision, aNodeDecision, change, Namespace } from './iptables-bench.ts';

/** A backend, and what its restores have been fed with since the last look: commits, by process. */
async function recorded(space: Namespace, variant: Variant, family: 'IPv4' | 'IPv6' = 'IPv4') {
  const restores: string[][] = [];
  const spawn: Spawn = (name, args) => {
    const child = space.spawn(name, args);
    const { stdin } = child;
    if (!name.endsWith('-restore') || stdin === null) return child;
    const text: string[] = [];
    restores.push(text);
    const tee = new PassThrough();
    tee.on('data', (data: Buffer) => text.push(data.toString('utf8')));
    tee.pipe(stdin);
    child.stdin = tee;
    return child;
  };
  const { backend } = await openIptables({ family, spawn, variant, pollMs: 3_600_000 });
  const commits = (): string[][] =>
    restores
      .map((parts) =>
        parts
          .splice(0)
          .join('')
          .replaceAll(/^#.*\n/gmu, ''),
      )
      .filter((text) => text !== '')
      .map((text) => text.split(/(?<=^COMMIT\n)/mu));
  return { backend, commits };
}

const deletesOnly = (commit: string | undefined): boolean =>
  commit !== undefined && /^\*nat\n(?:-D SLUICE-\S+ .+\n)+COMMIT\n$/u.test(commit);

const six = (decision: Decision): Decision => ({
  ...decision,
  key: decisionKey(decision.service, 'http', 'TCP', 'IPv6'),
  family: 'IPv6',
  clusterIP: 'fd00:10:96::1',
  cluster: decision.cluster.map((endpoint, at): Endpoint => ({
    ...endpoint,
    address: `fd00:10:244::${at + 1}`,
  })),
});

const kinds: readonly (readonly [string, 'IPv4' | 'IPv6', Decision])[] = [
  ['random', 'IPv4', aDecision(1, { endpoints: 4 })],
  ['random over IPv6', 'IPv6', six(aDecision(1, { endpoints: 4 }))],
  ['UDP', 'IPv4', aDecision(1, { endpoints: 4, some: { protocol: 'UDP' } })],
  ['hash', 'IPv4', aDecision(1, { endpoints: 4, some: { balancing: 'hash' } })],
  ['affinity', 'IPv4', aDecision(1, { endpoints: 4, some: { affinitySeconds: 100 } })],
];

describe('on the nft variant', () => {
  test.each(kinds)(
    'a removed endpoint goes in a commit of its own, first: %s',
    async (_, family, decision) => {
      await using space = await Namespace.open();
      const { backend, commits } = await recorded(space, 'nft', family);
      await backend.replace(
        { ...aNodeDecision(), family, serviceRanges: [], localSource: { kind: 'none' } },
        [decision],
      );
      commits();
      const without = { ...decision, cluster: decision.cluster.toSpliced(1, 1) };
      const written = await backend.apply([change(decision, without)]);
      expect(written.quarantined).toEqual([]);
      const done = commits();
      // One restore: the tool has found every rule that it was told to delete.
      expect(done).toHaveLength(1);
      expect(deletesOnly(done[0]?.[0])).toBe(true);
      expect(await backend.verify()).toEqual([]);
      await backend.close();
    },
  );

  test.each([0, 1, 2, 3])('endpoint %i of four goes ahead, with the spare that is its', async (gone) => {
    await using space = await Namespace.open();
    const { backend, commits } = await recorded(space, 'nft');
    const decision = aDecision(1, { endpoints: 4 });
    await backend.replace(aNodeDecision(), [decision]);
    commits();
    await backend.apply([change(decision, { ...decision, cluster: decision.cluster.toSpliced(gone, 1) })]);
    const done = commits();
    expect(done).toHaveLength(1);
    expect(deletesOnly(done[0]?.[0])).toBe(true);
    expect(await backend.verify()).toEqual([]);
    await backend.close();
  });

  test('a rule that somebody else has taken away stops nobody', async () => {
    await using space = await Namespace.open();
    const { backend, commits } = await recorded(space, 'nft');
    const decision = aDecision(1, { endpoints: 4 });
    await backend.replace(aNodeDecision(), [decision]);
    const chain = /-A (SLUICE-SVC-\S+)/u.exec(backend.describe(decision.key).join('\n'))?.[1] ?? '';
    await space.must('iptables-nft', '-t', 'nat', '-D', chain, '2');
    commits();
    const written = await backend.apply([
      change(decision, { ...decision, cluster: decision.cluster.toSpliced(1, 1) }),
    ]);
    expect(written.quarantined).toEqual([]);
    expect(commits()).toHaveLength(2);
    expect(await backend.verify()).toEqual([]);
    await backend.close();
  });

  test('a change that is refused behind it leaves the old rules, whole', async () => {
    await using space = await Namespace.open();
    const { backend } = await recorded(space, 'nft');
    const decision = aDecision(1, { endpoints: 4 });
    await backend.replace(aNodeDecision(), [decision]);
    const bad = { address: '999.1.1.1', port: 8080, local: false, weight: 1 };
    const written = await backend.apply([
      change(decision, { ...decision, cluster: [...decision.cluster.slice(1), bad] }),
    ]);
    expect(written.quarantined.map(({ key }) => key)).toEqual([decision.key]);
    expect(await backend.verify()).toEqual([]);
    await backend.close();
  });
});

test('changes are carried out by one process, and the next by another where it has ended', async () => {
  await using space = await Namespace.open();
  const children: ChildProcess[] = [];
  const spawn: Spawn = (name, args) => {
    const child = space.spawn(name, args);
    if (args.includes('--verbose')) children.push(child);
    return child;
  };
  const { backend } = await openIptables({ family: 'IPv4', spawn, variant: 'nft', pollMs: 3_600_000 });
  const sizes = [4, 3, 2, 4, 1, 4];
  const worlds = sizes.map((endpoints) => aDecision(1, { endpoints }));
  await backend.replace(aNodeDecision(), worlds.slice(0, 1));
  for (const [at, after] of worlds.entries()) {
    const before = worlds[at - 1];
    if (before === undefined) continue;
    if (at === 3) {
      const [only, ...more] = children;
      expect(more).toEqual([]);
      only?.kill('SIGKILL');
      if (only?.signalCode === null) await once(only, 'close');
    }
    await backend.apply([change(before, after)]);
    expect(await backend.verify()).toEqual([]);
  }
  await backend.close();
  expect(children.map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual(['SIGKILL', 0]);
});

test('an ipset waits for the next change; where it has ended another is begun, and none outlives the backend', async () => {
  await using space = await Namespace.open();
  const children: ChildProcess[] = [];
  const spawn: Spawn = (name, args) => {
    const child = space.spawn(name, args);
    if (name === 'ipset' && args[0] === 'restore') children.push(child);
    return child;
  };
  const { backend } = await openIptables({ family: 'IPv4', spawn, variant: 'nft', pollMs: 3_600_000 });
  const waiting = (): ChildProcess[] =>
    children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  await backend.replace(aNodeDecision(), []);
  for (const index of [1, 2, 3]) {
    const [ready, ...more] = waiting();
    expect(more).toEqual([]);
    const begun = children.length;
    if (index === 2) {
      ready?.kill('SIGKILL');
      if (ready?.signalCode === null) await once(ready, 'close');
    }
    await backend.apply([change(undefined, aDecision(index, { endpoints: 1 }))]);
    expect(await backend.verify()).toEqual([]);
    // One for what comes before the rules, one for what comes after them.
    expect(children.length - begun).toBe(index === 2 ? 3 : 2);
  }
  await backend.close();
  expect(waiting()).toEqual([]);
});

test('the legacy variant, which copies the table at every commit, writes once', async () => {
  await using space = await Namespace.open();
  const { backend, commits } = await recorded(space, 'legacy');
  const decision = aDecision(1, { endpoints: 4 });
  await backend.replace(aNodeDecision(), [decision]);
  commits();
  await backend.apply([change(decision, { ...decision, cluster: decision.cluster.toSpliced(1, 1) })]);
  const [only, ...more] = commits();
  expect(more).toEqual([]);
  expect(only?.filter((commit) => commit !== '')).toHaveLength(1);
  expect(await backend.verify()).toEqual([]);
  await backend.close();
});
