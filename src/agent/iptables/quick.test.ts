import { fc } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { aDecision, aNodeDecision } from '../../../test/packets/iptables-bench.ts';
import { deletions, goAhead } from './quick.ts';
import { compile, target } from './service.ts';

const share = (endpoint: string, part: string): string =>
  `-p tcp -m statistic --mode random --probability ${part} -j DNAT --to-destination ${endpoint}`;
const rest = (endpoint: string): string => `-p tcp -j DNAT --to-destination ${endpoint}`;
const three = [
  share('10.0.0.1:80', '0.3333333333'),
  share('10.0.0.2:80', '0.5000000000'),
  rest('10.0.0.3:80'),
  rest('10.0.0.1:80'),
];

test('the rule to a removed endpoint goes ahead of the rest of its chain', () => {
  const without = [share('10.0.0.1:80', '0.5000000000'), rest('10.0.0.3:80'), rest('10.0.0.1:80')];
  expect(goAhead(three, without)).toEqual([share('10.0.0.2:80', '0.5000000000')]);
});

test('the last but one may go, for the spare takes the rest then', () => {
  const without = [share('10.0.0.1:80', '0.5000000000'), rest('10.0.0.2:80'), rest('10.0.0.1:80')];
  expect(goAhead(three, without)).toEqual([rest('10.0.0.3:80')]);
});

test('an endpoint that is replaced goes ahead with its spare, and what comes in its place does not', () => {
  const replaced = [
    share('10.0.0.2:80', '0.3333333333'),
    share('10.0.0.3:80', '0.5000000000'),
    rest('10.0.0.4:80'),
    rest('10.0.0.2:80'),
  ];
  expect(goAhead(three, replaced)).toEqual([share('10.0.0.1:80', '0.3333333333'), rest('10.0.0.1:80')]);
});

test('where all rules for all packets lead to endpoints that are gone, the last of them stays and all else goes', () => {
  expect(goAhead(three, [rest('10.0.0.2:80')])).toEqual([three[0], three[2]]);
  expect(goAhead(three.slice(1), [rest('10.0.0.2:80')])).toEqual([three[2]]);
  // Asked again, it stays.
  expect(goAhead([...three.slice(1, 2), ...three.slice(3)], [rest('10.0.0.2:80')])).toEqual([]);
});

test('nothing goes where no endpoint stays', () => {
  expect(goAhead(three, [rest('10.0.0.4:80')])).toEqual([]);
  expect(goAhead([rest('10.0.0.1:80')], [rest('10.0.0.2:80')])).toEqual([]);
});

test('nothing goes ahead where endpoints only come, or only their shares change', () => {
  expect(goAhead([rest('10.0.0.3:80')], three)).toEqual([]);
  expect(goAhead(three, [share('10.0.0.1:80', '0.6000000000'), ...three.slice(1)])).toEqual([]);
});

test('with affinity both the memory of a removed endpoint and its share go ahead', () => {
  const recall = (name: string): string =>
    `-m recent --rcheck --seconds 9 --reap --name ${name} --rsource -j ${name}`;
  const before = [
    recall('SLUICE-SEP-A'),
    recall('SLUICE-SEP-B'),
    '-m statistic --mode random --probability 0.5000000000 -j SLUICE-SEP-A',
    '-j SLUICE-SEP-B',
  ];
  expect(goAhead(before, [recall('SLUICE-SEP-B'), '-j SLUICE-SEP-B'])).toEqual([before[0], before[2]]);
});

test('rules that send to no endpoint stay', () => {
  expect(goAhead(['-j MARK --or-mark 0x4000', '-g SLUICE-SVC-A'], ['-g SLUICE-SVC-A'])).toEqual([]);
});

test('deletions are one commit, and nothing where there are none', () => {
  expect(deletions('nat', new Map())).toBe('');
  expect(deletions('nat', new Map([['A', ['-j B', '-j C']]]))).toBe('*nat\n-D A -j B\n-D A -j C\nCOMMIT\n');
});

/** Endpoints of a Service, and in which step each goes: 0 is never. */
const goings = fc.record({
  steps: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 12 }),
  balancing: fc.constantFrom('random' as const, 'hash' as const),
  affinitySeconds: fc.constantFrom(undefined, 60),
  newcomer: fc.boolean(),
});

test('whatever goes, in whatever steps: every packet finds an endpoint, and of those that are gone at most one', () => {
  const layout = {
    family: 'IPv4' as const,
    node: aNodeDecision(),
    abilities: { bpf: true, randomFully: true },
  };
  let whole = 0;
  fc.assert(
    fc.property(goings, ({ steps, balancing, affinitySeconds, newcomer }) => {
      const all = aDecision(1, { endpoints: steps.length, some: { balancing, affinitySeconds } });
      const [other] = aDecision(2, { endpoints: 1, from: 500 }).cluster;
      const rules = (cluster: typeof all.cluster): readonly string[] =>
        compile({ ...all, cluster }, layout).chains.find(([name]) => name.startsWith('SLUICE-SVC-'))?.[1] ??
        [];
      const chains = compile(all, layout).chains;
      const says = (rule: string): string =>
        chains.find(([name]) => rule.endsWith(`-j ${name}`))?.[1].join('') ?? rule;
      let held = rules(all.cluster);
      for (const step of [1, 2, 3]) {
        const stays = all.cluster.filter(
          (_, index) => (steps[index] ?? 0) === 0 || (steps[index] ?? 0) > step,
        );
        const after = newcomer && other !== undefined ? [...stays, other] : stays;
        if (after.length === 0) return;
        const gone = goAhead(held, rules(after));
        held = held.filter((rule) => !gone.includes(rule));
        expect(held.at(-1)).not.toMatch(/-m (?:statistic|bpf|recent)/u);
        if (stays.length === 0) continue;
        const leads = held.filter((rule) => !stays.some((one) => says(rule).endsWith(` ${target(one)}`)));
        expect(leads.length).toBeLessThanOrEqual(1);
        expect(held.length).toBeGreaterThan(leads.length);
        // So far as three endpoints go, always; and most other times.
        if (steps.length <= 3) expect(leads).toEqual([]);
        if (leads.length === 0) whole += 1;
      }
    }),
    { numRuns: 500 },
  );
  expect(whole).toBeGreaterThan(100);
});
