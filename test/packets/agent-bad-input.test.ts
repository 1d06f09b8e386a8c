/** What a node is given that cannot work, or only just: each has a clear word, and rules that work stay as they are. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../src/agent/backend.ts';
import type { Decision } from '../../src/agent/decision.ts';
import { decisionKey } from '../../src/agent/decision.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import {
  decision,
  endpoint,
  makeNamespace,
  manyDecisions,
  plainNode,
  type Namespace,
} from './nftables-world.ts';

const main = fileURLToPath(new URL('src/main.ts', packageRoot));

/** Runs the agent in a namespace to its end. */
async function agent(
  ns: Namespace,
  args: readonly string[],
  env: readonly string[] = [],
): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = ns.start('env', [
    ...env,
    process.execPath,
    main,
    'agent',
    '--node-name=n1',
    '--log-form=json',
    ...args,
  ]);
  const said: string[] = [];
  child.stdin?.end();
  child.stdout?.on('data', (text: Buffer) => said.push(text.toString()));
  child.stderr?.on('data', (text: Buffer) => said.push(text.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, said: said.join('') };
}

test('an agent that cannot read its kubeconfig, or has no tools, names that, ends, and leaves the rules', async () => {
  await using ns = makeNamespace();
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bad-'));
  try {
    const backend = new NftablesBackend({ family: 'IPv4', start: ns.start });
    await backend.replace(plainNode, manyDecisions(5, 3));
    await backend.close();
    const rules = (): string => ns.run('nft', ['-a', 'list', 'table', 'ip', 'sluice']);
    const before = rules();
    const broken = join(folder, 'broken.yaml');
    await writeFile(broken, 'clusters: [}');
    for (const path of ['/nowhere/config', folder, broken]) {
      const { code, said } = await agent(ns, ['--backend=nftables', `--kubeconfig=${path}`]);
      expect([code, said]).toEqual([1, expect.stringContaining(path)]);
      expect(said).toContain('the rules that are there stay');
    }
    const { code, said } = await agent(ns, ['--kubeconfig=/nowhere/config'], [`PATH=${folder}`]);
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/neither backend can be used here.*no program nft/u),
    ]);
    // Both at once.
    expect(said).toContain('/nowhere/config');
    expect(rules()).toBe(before);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** A Service of so many ports, each with a node port and two endpoints. */
function ports(count: number, change: Partial<Decision> = {}): Decision[] {
  return Array.from({ length: count }, (_, at) => {
    const portName = `p${at}`;
    const one = decision(1, change);
    return {
      ...one,
      key: decisionKey(one.service, portName, 'TCP', 'IPv4'),
      portName,
      port: 1_000 + at,
      nodePort: 30_000 + at,
      cluster: change.cluster ?? [endpoint(1, { port: 5_000 + at }), endpoint(2, { port: 5_000 + at })],
    };
  });
}

describe('a Service of a thousand ports', () => {
  const openers: readonly (readonly [string, (ns: Namespace) => Promise<Backend>])[] = [
    ['nftables', async (ns) => new NftablesBackend({ family: 'IPv4', start: ns.start })],
    ...(['nft', 'legacy'] as const).map(
      (variant) =>
        [
          `iptables-${variant}`,
          async (ns: Namespace) => (await openIptables({ family: 'IPv4', variant, spawn: ns.start })).backend,
        ] as const,
    ),
  ];
  test.each(openers)('%s: is written whole, changed whole, and is gone again', async (_name, open) => {
    await using ns = makeNamespace();
    const backend = await open(ns);
    const all = ports(1_000);
    expect((await backend.replace(plainNode, all)).quarantined).toEqual([]);
    expect(await backend.verify()).toEqual([]);
    const moved = all.map((before) => ({
      key: before.key,
      before,
      after: { ...before, cluster: before.cluster.slice(1) },
    }));
    expect((await backend.apply(moved)).quarantined).toEqual([]);
    expect(await backend.verify()).toEqual([]);
    const gone = moved.map(({ key, after }) => ({ key, before: after, after: undefined }));
    expect((await backend.apply(gone)).quarantined).toEqual([]);
    expect(await backend.verify()).toEqual([]);
    await backend.close();
  });
});
