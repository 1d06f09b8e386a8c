/** A first load that is begun while the lists are still coming, against a real kernel and the real nft. */
import type { ChildProcess } from 'node:child_process';
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

/** A backend that has been told of decisions before its first write, and the children that it has begun. */
async function foretold(ns: Namespace, decisions: readonly Decision[]) {
  const children: ChildProcess[] = [];
  const start: typeof ns.start = (program, args) => {
    const child = ns.start(program, args);
    children.push(child);
    return child;
  };
  const backend = new NftablesBackend({ family: 'IPv4', start });
  backend.prepare();
  await vi.waitFor(() => {
    backend.foretell(variedNode, decisions);
    expect(children).toHaveLength(2);
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
  // The draft and no other text: had it been refused, there would be a third.
  expect(children).toHaveLength(2);
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

test('of what was foretold nothing is written when the agent goes away, is closed, or finds another node', async () => {
  await using ns = makeNamespace();
  const many = manyDecisions(2000, 3);
  const killed = await foretold(ns, many);
  const [, draft] = killed.children;
  draft?.stdin?.end();
  await vi.waitFor(() => expect(draft?.exitCode).toBe(1));
  expect(ns.run('nft', ['list', 'tables'])).toBe('');
  await killed.backend.close();

  const closed = await foretold(ns, many);
  await closed.backend.close();
  await vi.waitFor(() => expect(closed.children[1]?.signalCode).toBe('SIGKILL'));
  expect(ns.run('nft', ['list', 'tables'])).toBe('');

  const moved = await foretold(ns, many);
  await moved.backend.replace(plainNode, [decision(1)]);
  expect(listing(ns)).not.toContain('10.96.0.2');
  expect(await moved.backend.verify()).toEqual([]);
  await moved.backend.close();
});
