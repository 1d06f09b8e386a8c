/** What a draft writes, with programs in place of nft and perl that keep what they are given. */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ChildProcess } from 'node:child_process';
import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { changed, decided, worldChange, worldWithPackets } from '../../../test/support/agent-worlds.ts';
import type { AgentWorld } from '../../../test/support/agent-worlds.ts';
import { testDecision, testNode } from '../fixtures.ts';
import { batchCommands, relayed } from '../../../test/support/netlink-batches.ts';
import { Draft, type Mark } from './draft.ts';
import type { SpawnPiped } from './process.ts';
import { readRuleset } from './ruleset.ts';
import { allFeatures, tableShape, type TableShape } from './table.ts';
import { render } from './text.ts';

interface Keeper {
  readonly start: SpawnPiped;
  /** What each child has been given, in the order in which they were begun: the frame, the elements, the hooks. */
  readonly given: readonly string[];
  /** What was given to those whose input has ended, in the order in which it did: what was carried out. */
  readonly carriedOut: () => string;
}

/** Children that carry everything out but what `refuses` says. */
function keeper(shape: TableShape, refuses: (text: string) => boolean = () => false): Keeper {
  const given: string[] = [];
  const done: string[] = [];
  const start: SpawnPiped = (program) => {
    const child = Object.assign(new EventEmitter(), {
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      kill: () => true,
    });
    const index = given.push('') - 1;
    let input = Buffer.alloc(0);
    child.stdin.on('data', (bytes: Buffer) => {
      input = Buffer.concat([input, bytes]);
      if (program === 'nft') given[index] = input.toString();
    });
    child.stdin.on('end', () => {
      const batches = program === 'nft' ? [] : relayed(input);
      if (program !== 'nft') given[index] = commands(batches);
      const refused = refuses(given[index] ?? '');
      if (!refused) done.push(given[index] ?? '');
      child.emit('close', refused ? 1 : 0);
    });
    return child as unknown as ChildProcess;
  };
  const commands = (batches: readonly Buffer[]): string =>
    batches
      .flatMap((batch) => batchCommands(batch, shape))
      // Of the mark before; what reads the text begins with an empty set.
      .filter((line) => !line.startsWith('flush set '))
      .map((line) => `${line}\n`)
      .join('');
  return { start, given, carriedOut: () => done.join('') };
}

function marker() {
  const marks: { readonly name: string; forgotten: boolean }[] = [];
  const mark = (): Mark => {
    const one = { name: `afee:${marks.length + 1}`, forgotten: false };
    marks.push(one);
    const lines = [`add element ip sluice last-write { ${one.name} }`];
    return { name: one.name, lines, forget: () => void (one.forgotten = true) };
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
    fc.integer({ min: 1, max: 2_000 }),
  ],
  { numRuns: 150 },
)(
  'whatever was foretold, the text ends in the table of a cold start',
  async ({ world, at }, history, inOneGo, inBatch) => {
    const { family } = at.node;
    const guessed = decided(ours(world), family);
    const real = decided(history.reduce(changed, ours(world)), family);
    if (guessed === undefined || real === undefined) return;
    const nft = keeper(tableShape(real.node, allFeatures));
    const draft = new Draft({
      start: nft.start,
      node: real.node,
      features: allFeatures,
      inBatch,
      elementsInCommand: 1,
    });
    for (let from = 0; from < guessed.decisions.length; from += inOneGo)
      draft.foretell(guessed.decisions.slice(from, from + inOneGo));
    // Told a second time, as something else: what counts is the end.
    const told = new Set(guessed.decisions.map(({ key }) => key));
    draft.foretell(real.decisions.filter(({ key }) => told.has(key)));
    const { mark } = marker();
    expect(await draft.finish(real.decisions, mark)).toEqual({ code: 0, error: '' });
    expect(nft.given).toHaveLength(3);
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

const testShape = tableShape(testNode, allFeatures);
const options = { node: testNode, features: allFeatures, inBatch: 20_000 };

test('until it is finished the text stands inside an open brace, and no element has left', async () => {
  const nft = keeper(testShape);
  const draft = new Draft({ ...options, start: nft.start });
  const nothing = (): void => {
    const [frame = '', elements] = nft.given;
    expect(frame.endsWith(brace)).toBe(true);
    expect(() => readRuleset([frame])).toThrow(/the end/);
    expect(elements).toBe('');
  };
  await new Promise(setImmediate);
  nothing();
  await foretellMany(draft, nothing);
  expect(nft.given).toHaveLength(2);
  await draft.finish([], marker().mark);
  expect(nft.given[1]).toContain('add element ip sluice service-ips');
  const { sets } = readRuleset([nft.carriedOut()]);
  expect(sets.get('service-ips')?.elements.size).toBe(0);
});

test('nothing serves before all the rest is written', async () => {
  const nft = keeper(testShape);
  const draft = new Draft({ ...options, start: nft.start });
  await foretellMany(draft);
  const { mark, marks } = marker();
  expect(await draft.finish([], mark)).toMatchObject({ code: 0 });
  expect(nft.given.map((text) => text.includes(' hook '))).toEqual([false, false, true]);
  expect(nft.carriedOut().endsWith(nft.given[2] ?? '')).toBe(true);
  // Each transaction can be told for ours: of the elements there are several.
  const [first, ...others] = marks.map(({ name }) => name);
  const last = others.pop();
  expect(nft.given[0]).toContain(first);
  expect(others.length).toBeGreaterThan(2);
  for (const name of others) expect(nft.given[1]).toContain(`last-write { ${name} }`);
  expect(nft.given[2]).toContain(last);
});

test.each([
  ['the frame', 'set cluster-ips'],
  ['some elements', 'add element ip sluice service-ips'],
  ['the hooked chains', ' hook '],
])('where %s are refused, nothing ever serves', async (_what, words) => {
  const nft = keeper(testShape, (text) => text.includes(words));
  const draft = new Draft({ ...options, start: nft.start });
  await foretellMany(draft);
  const { mark, marks } = marker();
  expect(await draft.finish([], mark)).toMatchObject({ code: 1 });
  expect(nft.carriedOut()).not.toContain(' hook ');
  // What was carried out can be told for ours.
  for (const { name, forgotten } of marks) if (nft.carriedOut().includes(name)) expect(forgotten).toBe(false);
});

test('where there is no program to pass elements on, that is told, and nothing serves', async () => {
  const nft = keeper(testShape);
  const start: SpawnPiped = (program, args) => {
    const child = nft.start(program, args);
    if (program === 'perl')
      queueMicrotask(() => child.emit('error', Object.assign(new Error('no'), { code: 'ENOENT' })));
    return child;
  };
  const draft = new Draft({ ...options, start });
  await foretellMany(draft);
  const { code } = await draft.finish([], marker().mark);
  expect(code).not.toBe(0);
  expect(nft.carriedOut()).not.toContain(' hook ');
});
