/** The text of a draft, with a program in place of nft that keeps what it is given. */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ChildProcess } from 'node:child_process';
import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { changed, decided, worldChange, worldWithPackets } from '../../../test/support/agent-worlds.ts';
import type { AgentWorld } from '../../../test/support/agent-worlds.ts';
import { testDecision, testNode } from '../fixtures.ts';
import { Draft, type Mark } from './draft.ts';
import type { SpawnPiped } from './process.ts';
import { readRuleset } from './ruleset.ts';
import { allFeatures } from './table.ts';
import { render } from './text.ts';

interface Keeper {
  readonly start: SpawnPiped;
  /** What each child has been given, in the order in which they were begun. */
  readonly given: readonly string[];
  /** What was given to those whose input has ended, in the order in which it did: what nft would have carried out. */
  readonly carriedOut: () => string;
}

/** Children that carry everything out but what `refuses` says. */
function keeper(refuses: (text: string) => boolean = () => false): Keeper {
  const given: string[] = [];
  const done: string[] = [];
  const start: SpawnPiped = () => {
    const child = Object.assign(new EventEmitter(), {
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      kill: () => true,
    });
    const index = given.push('') - 1;
    child.stdin.setEncoding('utf8').on('data', (text: string) => {
      given[index] += text;
    });
    child.stdin.on('end', () => {
      const text = given[index] ?? '';
      const refused = refuses(text);
      if (!refused) done.push(text);
      child.emit('close', refused ? 1 : 0);
    });
    return child as unknown as ChildProcess;
  };
  return { start, given, carriedOut: () => done.join('') };
}

function marker() {
  const marks: { readonly name: string; forgotten: boolean }[] = [];
  const mark = (): Mark => {
    const one = { name: `afee:${marks.length + 1}`, forgotten: false };
    marks.push(one);
    const lines = [`add element ip sluice last-write { ${one.name} }`];
    return { lines, forget: () => void (one.forgotten = true) };
  };
  return { mark, marks };
}

function ours(world: AgentWorld): AgentWorld {
  return { ...world, settings: { ...world.settings, backend: 'nftables', localhostNodePorts: false } };
}

/** Elements without the numbers that history may choose: buckets and slots. */
function normal(name: string, elements: ReadonlyMap<string, string> | undefined): string[] {
  const numbered = /endpoints|sticky/.test(name);
  return [...(elements ?? [])]
    .map(([key, value]) =>
      numbered
        ? `${key.slice(0, key.lastIndexOf(' . '))} ${name.includes('buckets') ? '' : value}`
        : `${key} ${value}`,
    )
    .toSorted();
}

property.prop(
  [
    worldWithPackets(0),
    fc.array(worldChange, { maxLength: 8 }),
    fc.integer({ min: 1, max: 4 }),
    fc.nat({ max: 3 }),
  ],
  { numRuns: 150 },
)(
  'whatever was foretold, the text ends in the table of a cold start',
  async ({ world, at }, history, inOneGo, lanes) => {
    const { family } = at.node;
    const guessed = decided(ours(world), family);
    const real = decided(history.reduce(changed, ours(world)), family);
    if (guessed === undefined || real === undefined) return;
    const nft = keeper();
    const draft = new Draft({
      start: nft.start,
      node: real.node,
      features: allFeatures,
      lanes,
      elementsInCommand: 1,
    });
    for (let from = 0; from < guessed.decisions.length; from += inOneGo)
      draft.foretell(guessed.decisions.slice(from, from + inOneGo));
    // Told a second time, as something else: what counts is the end.
    const told = new Set(guessed.decisions.map(({ key }) => key));
    draft.foretell(real.decisions.filter(({ key }) => told.has(key)));
    const { mark } = marker();
    expect(await draft.finish(real.decisions, mark)).toEqual({ code: 0, error: '' });
    expect(nft.given.length).toBeLessThanOrEqual(lanes + 2);
    const warm = readRuleset([nft.carriedOut()]);
    warm.sets.get('last-write')?.elements.clear();
    const cold = readRuleset(render(real.node, real.decisions));
    for (const name of draft.ledger.unusedChains()) {
      warm.chains.delete(name);
      warm.sets.get('shapes')?.elements.delete(draft.ledger.layout.chains.get(name)?.number ?? '');
    }
    expect(new Map(warm.chains)).toEqual(new Map(cold.chains));
    for (const [name, { elements }] of cold.sets)
      expect(normal(name, warm.sets.get(name)?.elements), name).toEqual(normal(name, elements));
  },
);

/** 40 × 100 Services. */
async function foretellMany(draft: Draft, each: () => void = () => undefined): Promise<void> {
  for (let at = 0; at < 40; at += 1) {
    draft.foretell(
      Array.from({ length: 100 }, (_, one) =>
        testDecision(`s${at}-${one}`, { clusterIP: `10.96.${at}.${one}` }),
      ),
    );
    await new Promise(setImmediate);
    each();
  }
}

const brace = 'table ip sluice {\n';

test('until it is finished every text stands inside an open brace', async () => {
  const nft = keeper();
  const draft = new Draft({ start: nft.start, node: testNode, features: allFeatures, lanes: 3 });
  const open = (): void => {
    for (const text of nft.given) if (text !== '') expect(text.endsWith(brace)).toBe(true);
    const [frame = '', ...lanes] = nft.given;
    for (const lane of lanes)
      expect(() => readRuleset([frame.slice(0, -brace.length), lane])).toThrow(/the end/);
    expect(() => readRuleset([frame])).toThrow(/the end/);
  };
  await new Promise(setImmediate);
  open();
  await foretellMany(draft, open);
  expect(nft.given).toHaveLength(4);
  for (const lane of nft.given.slice(1)) expect(lane).toContain('add element ip sluice');
  await draft.finish([], marker().mark);
  const { sets } = readRuleset([nft.carriedOut()]);
  expect(sets.get('service-ips')?.elements.size).toBe(0);
});

test('nothing serves before all the rest is written', async () => {
  const nft = keeper();
  const draft = new Draft({ start: nft.start, node: testNode, features: allFeatures, lanes: 2 });
  await foretellMany(draft);
  const { mark, marks } = marker();
  expect(await draft.finish([], mark)).toMatchObject({ code: 0 });
  const hooked = nft.given.map((text) => text.includes(' hook '));
  expect(hooked).toEqual([false, false, false, true]);
  expect(nft.carriedOut().endsWith(nft.given[3] ?? '')).toBe(true);
  // Each transaction can be told for ours.
  for (const [index, { name }] of marks.entries()) expect(nft.given[index]).toContain(name);
  expect(marks).toHaveLength(4);
});

test.each([
  ['the frame', 'set cluster-ips'],
  ['some elements', 'add element ip sluice service-ips'],
])(
  'where nft refuses %s, nothing ever serves, and only the refused mark is forgotten',
  async (_what, words) => {
    const nft = keeper((text) => text.includes(words));
    const draft = new Draft({ start: nft.start, node: testNode, features: allFeatures, lanes: 2 });
    await foretellMany(draft);
    const { mark, marks } = marker();
    expect(await draft.finish([], mark)).toMatchObject({ code: 1 });
    expect(nft.carriedOut()).not.toContain(' hook ');
    for (const { name, forgotten } of marks) expect(nft.carriedOut().includes(name)).toBe(!forgotten);
  },
);
