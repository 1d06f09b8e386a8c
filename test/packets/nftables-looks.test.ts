/** Looks at the kernel beside the nftables writer, against a real kernel. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import { holdLock } from './iptables-bench.ts';
import {
  decision,
  endpoint,
  listing,
  makeNamespace,
  manyDecisions,
  plainNode,
  variedNode,
  type Namespace,
} from './nftables-world.ts';

/** A backend whose looks begin when `lock` is let go, and whether one waits for it. */
async function slowLooks(ns: Namespace, asker: 'perl' | 'nft') {
  const folder = await mkdtemp(join(tmpdir(), 'nft-look-'));
  const file = join(folder, 'lock');
  let begun = Promise.withResolvers<undefined>();
  let slow = false;
  const backend = new NftablesBackend({
    family: 'IPv4',
    start: (program, args) => {
      if (program === 'perl' && asker === 'nft') return ns.start('no-such-program', args);
      if (!slow || program !== asker) return ns.start(program, args);
      begun.resolve(undefined);
      return ns.start('flock', [file, program, ...args]);
    },
  });
  return {
    backend,
    /** The differences that a look finds, or its error, where `meanwhile` happens before it sees the kernel. */
    async look(meanwhile: () => Promise<unknown>): Promise<unknown> {
      begun = Promise.withResolvers();
      slow = true;
      const lock = await holdLock(file);
      const answer = backend.verify().catch((error: unknown) => error);
      await begun.promise;
      slow = false;
      // It would never end if it waited.
      await meanwhile();
      await lock[Symbol.asyncDispose]();
      return answer;
    },
    async [Symbol.asyncDispose]() {
      await backend.close();
      await rm(folder, { recursive: true });
    },
  };
}

const askers = ['perl', 'nft'] as const;

test.each(askers)('a write does not wait for a look of %s, which tells the rest', async (asker) => {
  await using ns = makeNamespace();
  await using slow = await slowLooks(ns, asker);
  const { backend } = slow;
  const [one, other] = [1, 2].map((number) =>
    decision(number, { cluster: [endpoint(number), endpoint(number + 10)] }),
  );
  if (one === undefined || other === undefined) throw new Error('no decisions');
  await backend.replace(plainNode, [one, other]);
  const rowOf = (number: number): string => `{ 10.96.0.${number} . 6 . 80 . 0:1 }`;
  const takeAway = (row: string): unknown =>
    ns.run('nft', ['delete', 'element', 'ip', 'sluice', 'endpoints-cluster', row]);

  // What it lists is what was written after it had begun.
  const moved = decision(1, { cluster: [endpoint(1), endpoint(50)] });
  expect(await slow.look(() => backend.apply([{ key: one.key, before: one, after: moved }]))).toEqual([]);
  // Of what was touched nothing is said, even where it is wrong; of the rest all.
  expect(
    await slow.look(async () => {
      await backend.apply([{ key: one.key, before: moved, after: one }]);
      takeAway(rowOf(1));
      takeAway(rowOf(2));
    }),
  ).toMatchObject([{ kind: 'missing', key: other.key }]);
  // The next look tells it.
  expect((await backend.verify()).map(({ key }) => key)).toEqual([one.key, other.key]);
  // Chains that go meanwhile are touched as well.
  const longer = decision(1, { cluster: [endpoint(1), endpoint(11), endpoint(12), endpoint(13)] });
  await backend.replace(plainNode, [longer, other]);
  await backend.apply([{ key: one.key, before: longer, after: one }]);
  expect(await slow.look(() => backend.settle())).toEqual([]);
  expect(await backend.verify()).toEqual([]);
});

test.each(askers)('a look of %s that crosses a table written anew says so', async (asker) => {
  await using ns = makeNamespace();
  await using slow = await slowLooks(ns, asker);
  const one = decision(1, { cluster: [endpoint(1), endpoint(2)] });
  await slow.backend.replace(plainNode, [one]);
  expect(await slow.look(() => slow.backend.replace(variedNode, [one]))).toMatchObject({ code: 'Crossed' });
  expect(await slow.backend.verify()).toEqual([]);
});

test('looks end, and are right, while something is written all the time', async () => {
  await using ns = makeNamespace();
  const decisions = manyDecisions(2000, 5);
  const backend = new NftablesBackend({ family: 'IPv4', start: ns.start });
  await backend.replace(plainNode, decisions);
  const begun = performance.now();
  expect(await backend.verify()).toEqual([]);
  const looked = performance.now();
  listing(ns);
  console.log(
    `a look: ${(looked - begun).toFixed(0)} ms, listing by nft alone ${(performance.now() - looked).toFixed(0)} ms`,
  );
  let before = decisions[76];
  const stopped = new AbortController();
  let writes = 0;
  const writer = (async () => {
    while (!stopped.signal.aborted) {
      // Now and then so many that a chain of their own is needed.
      const count = writes % 40 === 39 ? 6 + (writes % 7) : 5;
      const cluster = Array.from({ length: count }, (_, at) => endpoint(at * 7 + writes));
      const after = decision(77, { cluster });
      expect(await backend.apply([{ key: after.key, before, after }])).toMatchObject({ quarantined: [] });
      before = after;
      writes += 1;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  for (let look = 0; look < 8; look += 1) expect(await backend.verify()).toEqual([]);
  const crossing = writes;
  ns.run('nft', ['delete', 'element', 'ip', 'sluice', 'endpoints-cluster', '{ 10.96.0.9 . 6 . 80 . 0:3 }']);
  expect(await backend.verify()).toMatchObject([{ kind: 'missing', key: decision(9).key }]);
  stopped.abort();
  await writer;
  expect(crossing).toBeGreaterThan(16);
  await backend.close();
});
