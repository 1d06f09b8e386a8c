/** What has been taken out ahead is known to be lacking, until a write has made it good. */
import { expect, test } from 'vitest';
import { aDecision, aNodeDecision, change } from '../../../test/packets/iptables-bench.ts';
import type { Decision } from '../decision.ts';
import { emptyDelta, type Delta } from './delta.ts';
import { Model } from './model.ts';
import { serviceChains } from './names.ts';
import type { Refusal } from './programs.ts';
import { Shed } from './shed.ts';

const four = aDecision(1, { endpoints: 4 });
const other = aDecision(2, { endpoints: 4 });
const chain = serviceChains(four).cluster;
const id = `nat ${chain}` as const;

const without = (decision: Decision, ...gone: readonly number[]): Decision => ({
  ...decision,
  cluster: decision.cluster.filter((_, index) => !gone.includes(index)),
});

const ruleTo = (decision: Decision, index: number): string =>
  `--to-destination ${decision.cluster[index]?.address}:8080`;

/** The model of two Services, and what the kernel holds of their chains: rules go only by what is sent. */
function loaded() {
  const model = new Model({
    family: 'IPv4',
    node: aNodeDecision(),
    abilities: { bpf: true, randomFully: true },
  });
  for (const one of [four, other]) model.put(one.key, one, undefined);
  const shed = new Shed();
  const kernel = new Set<string>();
  for (const [, chains] of model.serviceChains())
    for (const [name, rules] of chains) for (const rule of rules) kernel.add(`${name.slice(4)} ${rule}`);
  const sent: string[][] = [];
  const edit = (text: string): Promise<Refusal | undefined> => {
    const lines = text.split('\n').filter((line) => line.startsWith('-D '));
    sent.push(lines);
    for (const line of lines)
      if (!kernel.delete(line.slice(3))) return Promise.resolve({ line: undefined, message: 'no such rule' });
    return Promise.resolve(undefined);
  };
  const take = (...changes: readonly (readonly [Decision, Decision | undefined])[]): Promise<boolean> =>
    shed.take(
      model,
      changes.map(([before, after]) => change(before, after)),
      edit,
    );
  /** What a write of these changes would be. */
  const writing = (...changes: readonly (readonly [Decision, Decision | undefined])[]): Delta => {
    const delta = emptyDelta();
    for (const [{ key }, after] of changes) model.put(key, after, delta);
    model.finish(delta);
    shed.complete(model, delta);
    return delta;
  };
  const rulesOf = (decision: Decision): readonly string[] =>
    [...model.serviceChains()].find(([key]) => key === decision.key)?.[1][0]?.[1] ?? [];
  return { shed, kernel, sent, take, writing, rulesOf };
}

test('a chain that lacks rules is written whole where the change that took them out has been undone', async () => {
  const { take, writing, rulesOf } = loaded();
  expect(await take([four, without(four, 1)])).toBe(true);
  const { chains, gone } = writing();
  expect([...chains]).toEqual([[id, rulesOf(four)]]);
  expect(rulesOf(four).some((rule) => rule.endsWith(ruleTo(four, 1)))).toBe(true);
  expect(gone.size).toBe(0);
});

test('it is written whole beside changes of others, and of those nothing more', async () => {
  const { take, writing, rulesOf } = loaded();
  await take([four, without(four, 1)]);
  const { chains } = writing([other, without(other, 2)]);
  expect(chains.get(id)).toEqual(rulesOf(four));
  expect(chains.get(`nat ${serviceChains(other).cluster}`)).toEqual(rulesOf(other));
  expect(chains.size).toBe(2);
});

test('what has gone is not to be deleted again, what has not is', async () => {
  const { kernel, take, writing } = loaded();
  await take([four, without(four, 1)]);
  const { gone } = writing([four, without(four, 1, 2)]);
  const left = gone.get(chain) ?? [];
  expect(left.length).toBeGreaterThan(0);
  for (const rule of left) {
    expect(rule).toContain(ruleTo(four, 2));
    expect(kernel.has(`${chain} ${rule}`)).toBe(true);
  }
});

test('where all has gone there is nothing to delete, and the chain is written as it shall be', async () => {
  const { take, writing, rulesOf } = loaded();
  const after = without(four, 0, 3);
  await take([four, after]);
  const { chains, gone } = writing([four, after]);
  expect(gone.size).toBe(0);
  expect(rulesOf(after)).not.toEqual([]);
  expect([...chains]).toEqual([[id, rulesOf(after)]]);
});

test('a chain of a Service that goes after all is not written again', async () => {
  const { take, writing } = loaded();
  await take([four, without(four, 1)]);
  const { chains } = writing([four, undefined]);
  expect(chains.has(id)).toBe(true);
  expect(chains.get(id)).toBeUndefined();
});

test('once everything has been written nothing is lacking any more', async () => {
  const { shed, take, writing } = loaded();
  await take([four, without(four, 1)]);
  shed.clear();
  expect(writing().chains.size).toBe(0);
});

test('what goes in steps is lacking as a whole, and each step takes only what is still there', async () => {
  const { shed, sent, take } = loaded();
  const gone = without(four, 1);
  expect(await take([four, gone])).toBe(true);
  expect(await take([four, gone])).toBe(false);
  expect(await take([four, without(four, 1, 2)], [other, without(other, 0)])).toBe(true);
  const lines = sent.flat();
  expect(new Set(lines).size).toBe(lines.length);
  const missing = lines.map((line) => ({
    kind: 'missing' as const,
    object: `nat rule -A ${line.slice(3)}`.replace(
      /--probability (\S+)/u,
      (_, part) => `--probability #${Math.round(Number(part) * 2 ** 31)}`,
    ),
    key: undefined,
  }));
  const strange = { kind: 'missing' as const, object: 'nat rule -A SLUICE-SVC-X -j DROP', key: undefined };
  const unexpected = missing.map((one) => ({ ...one, kind: 'unexpected' as const }));
  expect(shed.known([...missing, strange, ...unexpected])).toEqual([strange, ...unexpected]);
});

test('where the tool refuses, nothing is lacking', async () => {
  const { kernel, take, writing } = loaded();
  kernel.clear();
  expect(await take([four, without(four, 1)])).toBe(false);
  expect(writing().chains.size).toBe(0);
});

test('a change that cannot be written takes nothing out, and one of nothing sends nothing', async () => {
  const { sent, take } = loaded();
  expect(await take([four, { ...without(four, 1), port: 0 }])).toBe(false);
  expect(await take([four, undefined], [other, other])).toBe(false);
  expect(sent).toEqual([]);
});
