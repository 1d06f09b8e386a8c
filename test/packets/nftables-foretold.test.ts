/** A first load that is begun while the lists are still coming, against a real kernel and the real nft. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import type { Decision, NodeDecision } from '../../src/agent/decision.ts';
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

const sixthNode: Partial<NodeDecision> = {
  nodePortAddresses: ['fd00:1::1'],
  localSource: { kind: 'cidrs', cidrs: ['fd00:244::/32'] },
  serviceRanges: ['fd00:96::/108'],
};

/** The same decision with addresses of IPv6, as the API has them. */
function sixth(one: Decision): Decision {
  const text = JSON.stringify(one).replaceAll(
    /"(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?"/gu,
    (_, a: string, b: string, c: string, d: string, bits: string | undefined) => {
      const address = new URL(`http://[fd00:${a}:${b}::${c}:${d}]`).hostname.slice(1, -1);
      return JSON.stringify(bits === undefined ? address : `${address}/${96 + Number(bits)}`);
    },
  );
  return { ...(JSON.parse(text) as Decision), family: 'IPv6' };
}

/** Of the children: one lists, one writes the frame, one passes elements on, one writes the hooked chains. */
const [frame, relay, hooks] = [1, 2, 3] as const;

/**
 * A backend that has been told of decisions before its first write, and the children that it has begun. `begin` is asked
 * for each of them in its turn.
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
    expect(children).toHaveLength(hooks);
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
  // The one with the hooked chains and one that asks what is there, and no other text: had anything been refused, there
  // would be one more.
  expect(children).toHaveLength(hooks + 2);
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
  ['the frame', frame],
  ['the elements', relay],
  ['the hooked chains', hooks],
])('where %s cannot be written, the table is loaded the ordinary way', async (_what, failing) => {
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
    number === hooks ? () => start('sleep', ['60']) : start,
  );
  const writing = backend.replace(variedNode, decisions).catch(() => undefined);
  await vi.waitFor(() => expect(children[relay]?.exitCode).toBe(0));
  expect(listing(ns)).not.toContain(' hook ');
  const next = new NftablesBackend({ family: 'IPv4', start: ns.start });
  await next.replace(variedNode, decisions);
  expect(await next.verify()).toEqual([]);
  await next.close();
  children.at(-1)?.kill();
  await writing;
  await backend.close();
});

test.each(['IPv4', 'IPv6'] as const)(
  'a first load of many that was not foretold comes in the same parts (%s), and is what nft alone makes of it',
  async (family) => {
    await using ns = makeNamespace();
    await using other = makeNamespace();
    const node: NodeDecision = { ...variedNode, family, ...(family === 'IPv6' ? sixthNode : {}) };
    const decisions = [...variedDecisions(), ...manyDecisions(2000, 3).slice(10)].map((one) =>
      family === 'IPv4' ? one : sixth(one),
    );
    const begun: string[] = [];
    const start: Start = (program, args) => {
      begun.push(program);
      return ns.start(program, args);
    };
    const backend = new NftablesBackend({ family, start });
    const written = await backend.replace(node, decisions);
    expect(written.quarantined).toEqual([]);
    expect(begun).toEqual(['nft', 'nft', 'perl', 'nft', 'perl']);
    expect(await backend.verify()).toEqual([]);
    await backend.close();

    // Without perl.
    const alone = new NftablesBackend({
      family,
      start: (program, args) => other.start(program === 'perl' ? 'no-such-program' : program, args),
    });
    expect(await alone.replace(node, decisions)).toMatchObject({ quarantined: [] });
    expect(await alone.verify()).toEqual([]);
    await alone.close();
    const table = (one: Namespace): string =>
      one
        .run('nft', ['list', 'table', family === 'IPv4' ? 'ip' : 'ip6', 'sluice'])
        .replace(/last-write \{[^}]*\}/u, '');
    expect(unordered(table(ns))).toEqual(unordered(table(other)));
  },
);

test('elements that the kernel refuses among many are found: all the rest is written', async () => {
  await using ns = makeNamespace();
  const decisions = manyDecisions(2000, 3);
  const [, second] = decisions;
  // Another Service at the same address and port, with other endpoints.
  const twin = decision(5000, {
    clusterIP: second?.clusterIP,
    port: second?.port ?? 0,
    cluster: [endpoint(9)],
  });
  const backend = new NftablesBackend({ family: 'IPv4', start: ns.start });
  const written = await backend.replace(variedNode, [...decisions, twin]);
  expect(written.quarantined.map(({ key }) => key)).toEqual([twin.key]);
  expect(await backend.verify()).toEqual([]);
  await backend.close();
});
