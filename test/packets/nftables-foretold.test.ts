/** A first load that is begun while the lists are still coming, against a real kernel and the real nft. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import type { Decision } from '../../src/agent/decision.ts';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import {
  decision,
  endpoint,
  listing,
  makeNamespace,
  manyDecisions,
  plainNode,
  unordered,
  variedDecisions,
  variedNode,
  type Namespace,
} from './nftables-world.ts';

type Start = Namespace['start'];

/** How many nft share the elements of a draft here. */
const lanes = Math.min(4, availableParallelism());

/**
 * A backend that has been told of decisions before its first write, and the children that it has begun: one that lists,
 * one for the frame, and those that share the elements. `begin` is asked for each of them in its turn.
 */
async function foretold(
  ns: Namespace,
  decisions: readonly Decision[],
  begin: (start: Start, number: number) => Start = (start) => start,
) {
  const children: ChildProcess[] = [];
  const start: Start = (program, args) => {
    const child = begin(ns.start, children.length)(program, args);
    children.push(child);
    return child;
  };
  const backend = new NftablesBackend({ family: 'IPv4', start });
  backend.prepare();
  await vi.waitFor(() => {
    backend.foretell(variedNode, decisions);
    expect(children).toHaveLength(2 + lanes);
  });
  return { backend, children };
}

test('a first load that was foretold, rightly and wrongly, ends in the table of one that was not', async () => {
  await using ns = makeNamespace();
  await using other = makeNamespace();
  const decisions = [...variedDecisions(), ...manyDecisions(2000, 3).slice(10)];
  const guessed = decisions.flatMap((one, at): Decision[] => {
    if (at % 7 === 0) return [];
    return at % 5 === 0 ? [{ ...one, cluster: [endpoint(at), endpoint(at + 1)] }] : [one];
  });
  const { backend, children } = await foretold(ns, [...guessed, decision(2500, { cluster: [endpoint(9)] })]);
  const written = await backend.replace(variedNode, decisions);
  expect(written.quarantined).toEqual([]);
  // The one with the hooked chains, and no other text: had anything been refused, there would be one more.
  expect(children).toHaveLength(2 + lanes + 1);
  expect(await backend.verify()).toEqual([]);
  // Chains of what was foretold wrongly.
  await backend.settle();
  expect(await backend.replace(variedNode, decisions)).toMatchObject({ operations: 0 });
  await backend.close();
  const cold = new NftablesBackend({ family: 'IPv4', start: other.start });
  await cold.replace(variedNode, decisions);
  await cold.close();
  expect(unordered(listing(ns))).toEqual(unordered(listing(other)));
});

test('of what was foretold nothing is written when the agent is closed, or finds another node', async () => {
  await using ns = makeNamespace();
  const many = manyDecisions(2000, 3);
  const closed = await foretold(ns, many);
  await closed.backend.close();
  const [, ...abandoned] = closed.children;
  await vi.waitFor(() =>
    expect(abandoned.map(({ signalCode }) => signalCode)).toEqual(abandoned.map(() => 'SIGKILL')),
  );
  expect(ns.run('nft', ['list', 'tables'])).toBe('');

  const moved = await foretold(ns, many);
  await moved.backend.replace(plainNode, [decision(1)]);
  expect(listing(ns)).not.toContain('10.96.0.2');
  expect(await moved.backend.verify()).toEqual([]);
  await moved.backend.close();
});

test('of what was foretold nothing is written when the agent is killed', async () => {
  await using ns = makeNamespace();
  const program = fileURLToPath(new URL('nftables-foretelling.ts', import.meta.url));
  const agent = spawn(process.execPath, [program, ns.name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const running = (): string => ns.run('ip', ['netns', 'pids', ns.name]);
  try {
    await once(agent.stdout, 'data');
    expect(running()).not.toBe('');
  } finally {
    agent.kill('SIGKILL');
  }
  // Each nft finds a text that breaks off, and ends. What counts them is in there itself.
  await vi.waitFor(() => expect(running().trim().split('\n')).toHaveLength(1), { timeout: 10_000 });
  expect(ns.run('nft', ['list', 'tables'])).toBe('');
});

test.each([
  ['the frame', 1],
  ['a part of the elements', 2],
  ['the hooked chains', 2 + lanes],
])('where nft fails with %s, the table is loaded the ordinary way', async (_what, failing) => {
  await using ns = makeNamespace();
  const decisions = manyDecisions(2000, 3);
  // One that reads everything, and then refuses.
  const { backend } = await foretold(ns, decisions, (start, number) =>
    number === failing ? () => start('sh', ['-c', 'cat > /dev/null; exit 1']) : start,
  );
  const written = await backend.replace(variedNode, decisions);
  expect(written.quarantined).toEqual([]);
  expect(await backend.verify()).toEqual([]);
  await backend.close();
});

test('a table that was left without its hooked chains serves nothing, and is loaded anew by the next agent', async () => {
  await using ns = makeNamespace();
  const decisions = manyDecisions(2000, 3);
  const { backend, children } = await foretold(ns, decisions, (start, number) =>
    // As if the agent had been killed when everything but the last part was written.
    number === 2 + lanes ? () => start('sleep', ['60']) : start,
  );
  const writing = backend.replace(variedNode, decisions).catch(() => undefined);
  await vi.waitFor(() => expect(children).toHaveLength(2 + lanes + 1));
  await vi.waitFor(() => expect(children[1 + lanes]?.exitCode).toBe(0));
  expect(listing(ns)).not.toContain(' hook ');
  const next = new NftablesBackend({ family: 'IPv4', start: ns.start });
  await next.replace(variedNode, decisions);
  expect(await next.verify()).toEqual([]);
  await next.close();
  children.at(-1)?.kill();
  await writing;
  await backend.close();
});
