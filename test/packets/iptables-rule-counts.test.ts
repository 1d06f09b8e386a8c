/** What the gauges of rules say is what `iptables-save` lists, after each write; and what was written last is what it cost. */
import { fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import type { IptablesBackend } from '../../src/agent/iptables/backend.ts';
import { program, type Variant } from '../../src/agent/iptables/programs.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import { agentWorld, worldChange } from '../support/agent-worlds.ts';
import { aDecision, aNodeDecision, change, Namespace, open, variants } from './iptables-bench.ts';
import { history } from './iptables-history.ts';

/** Rules of our chains, and rules of others that lead into them. */
async function listed(space: Namespace, variant: Variant, family: IpFamily) {
  const count = async (table: string): Promise<number> => {
    const text = await space.must(program(variant, family, '-save'), '-t', table);
    return text.split('\n').filter((line) => /^-A SLUICE-|^-A .* -[jg] SLUICE-/u.test(line)).length;
  };
  return { nat: await count('nat'), filter: await count('filter') };
}

function counted(backend: IptablesBackend, of: 'total' | 'written') {
  return Object.fromEntries(backend.ruleCounts().map((count) => [count.table, count[of]]));
}

describe.each(variants)('the %s variant', (variant) => {
  test('the kernel holds as many rules as are counted, through changes of random worlds', async () => {
    const histories = fc.sample(fc.tuple(agentWorld, fc.array(worldChange, { minLength: 5, maxLength: 5 })), {
      numRuns: 4,
      seed: 21,
    });
    for (const [start, changes] of histories) {
      await using space = await Namespace.open();
      for (const family of ['IPv4', 'IPv6'] as const) {
        const [first, ...later] = history(start, changes, family);
        if (first === undefined) continue;
        const backend = await open(space, variant, family);
        expect(backend.ruleCounts()).toEqual([]);
        await backend.replace(first.node, first.decisions);
        expect(counted(backend, 'total')).toEqual(await listed(space, variant, family));
        expect(counted(backend, 'written')).toEqual(counted(backend, 'total'));
        for (const { writes } of later) {
          await backend.apply(writes);
          expect(counted(backend, 'total')).toEqual(await listed(space, variant, family));
        }
        await backend.close();
      }
    }
  });

  test('a refused change counts for nothing, a write of nothing writes none, a repair what it mends', async () => {
    await using space = await Namespace.open();
    const backend = await open(space, variant);
    const one = aDecision(1, { endpoints: 3 });
    const two = aDecision(2, { endpoints: 3 });
    await backend.replace(aNodeDecision(), [one, two]);
    const bad = { address: '999.1.1.1', port: 8080, local: false, weight: 1 };
    await backend.apply([change(one, { ...one, cluster: [bad] })]);
    expect(counted(backend, 'total')).toEqual(await listed(space, variant, 'IPv4'));

    await backend.apply([]);
    expect(counted(backend, 'written')).toEqual({ nat: 0, filter: 0 });
    const fewer = { ...two, cluster: two.cluster.slice(1) };
    await backend.apply([change(two, fewer)]);
    expect(counted(backend, 'written')).toEqual({ nat: 3, filter: 0 });

    const chain = /-A (SLUICE-SVC-\S+)/u.exec(backend.describe(two.key).join('\n'))?.[1] ?? '';
    await space.must(program(variant, 'IPv4', ''), '-t', 'nat', '-F', chain);
    await backend.replace(aNodeDecision(), [one, fewer]);
    expect(counted(backend, 'written')).toEqual({ nat: 3, filter: 0 });
    expect(counted(backend, 'total')).toEqual(await listed(space, variant, 'IPv4'));
    await backend.close();
  });
});
