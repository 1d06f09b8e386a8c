/** Looks beside the writer, with a kernel that says what a test wants. */
import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import type { Decision } from '../decision.ts';
import { testDecision, testNode } from '../fixtures.ts';
import { gotoText, shapeMap } from './chains.ts';
import type { RawFrame } from './frame.ts';
import { layoutOf } from './layout.ts';
import { Ledger } from './ledger.ts';
import type { Listed, ListedSet } from './listing.ts';
import { Looks, type Held, type LooksOptions } from './looks.ts';
import type { RawTable } from './raw-table.ts';
import { allFeatures, tableShape } from './table.ts';

const one = testDecision('one', {
  clusterIP: '10.96.0.1',
  cluster: [1, 2].map((number) => ({
    address: `10.244.0.${number}`,
    port: 80,
    node: 'n2',
    local: false,
    weight: 1,
  })),
  internal: { kind: 'balance', to: 'cluster' },
});

/** A table with these decisions, as it was written. */
function heldOf(decisions: readonly Decision[]): Held {
  const ledger = new Ledger(layoutOf(testNode));
  ledger.plan(decisions.map((after) => ({ key: after.key, after }))).commit();
  ledger.markPresent('refuse');
  return { shape: tableShape(testNode, allFeatures), ledger };
}

/** The same as nft lists it. */
function listedOf({ shape, ledger }: Held): Listed {
  const sets = new Map<string, ListedSet>(
    shape.sets.map(({ name, kind, lines, fixed }) => [
      name,
      { kind, lines, elements: new Map((fixed ?? []).map((key) => [key, ''])) },
    ]),
  );
  for (const entry of ledger.entries.values())
    for (const { set, key, value } of ledger.elementsOf(entry)) sets.get(set)?.elements.set(key, value);
  const chains = new Map<string, readonly string[]>(
    shape.chains.map(({ name, hook, rules }) => [name, hook === undefined ? rules : [hook, ...rules]]),
  );
  for (const name of ledger.presentChains) {
    const chain = ledger.layout.chains.get(name);
    if (chain === undefined) continue;
    chains.set(name, chain.rules);
    sets.get(shapeMap)?.elements.set(chain.number, gotoText(chain));
  }
  return { sets, chains };
}

/** And as the kernel tells it. */
function rawOf(held: Held): RawTable & { readonly frame: { readonly chains: Map<string, string> } } {
  const { sets, chains } = listedOf(held);
  const frame = {
    objects: chains.size + sets.size,
    chains: new Map([...chains].map(([name, lines]) => [name, `bytes of ${lines.join()}`])),
    sets: new Map([...sets].map(([name, { lines }]) => [name, `bytes of ${lines.join()}`])),
  } satisfies RawFrame;
  return {
    frame,
    elements: new Map([...sets].map(([name, { elements }]) => [name, elements])),
    interrupted: false,
  };
}

interface Bed {
  readonly held: Held;
  readonly looks: Looks;
  readonly clock: VirtualClock;
  /** What was asked of the kernel, in order. */
  readonly asked: string[];
}

function bed(kernel: Partial<LooksOptions['kernel']> = {}, current?: () => Held | undefined): Bed {
  const held = heldOf([one]);
  const clock = new VirtualClock();
  const asked: string[] = [];
  const looks = new Looks({
    clock,
    held: current ?? (() => held),
    kernel: {
      frame: (...args) => {
        asked.push('frame');
        return kernel.frame?.(...args) ?? Promise.resolve(rawOf(held));
      },
      look: (...args) => {
        asked.push('look');
        return kernel.look?.(...args) ?? Promise.resolve(rawOf(held));
      },
      list: (...args) => {
        asked.push('list');
        return kernel.list?.(...args) ?? Promise.resolve(listedOf(held));
      },
    },
  });
  return { held, looks, clock, asked };
}

/** The kernel's table without one row of the Service. */
function without(row: string): RawTable {
  const raw = rawOf(heldOf([one]));
  raw.elements.get('endpoints-cluster')?.delete(row);
  return raw;
}
const [firstRow, secondRow] = ['10.96.0.1 . 6 . 80 . none', '10.96.0.1 . 6 . 80 . 0:1'];
const missing = { kind: 'missing', key: one.key };

test('the kernel is asked once it has been learned what it says; until then nft lists', async () => {
  const { held, looks, asked } = bed();
  expect(await looks.differences(held)).toEqual([]);
  await looks.learn();
  expect(await looks.differences(held)).toEqual([]);
  expect(asked).toEqual(['list', 'frame', 'look']);
});

test.each([
  ['the kernel cannot be asked', () => Promise.reject(new Error('no perl'))],
  [
    'somebody writes while it is learned',
    () => Promise.resolve({ ...rawOf(heldOf([one])), interrupted: true }),
  ],
])('where %s, nft lists', async (_, frame) => {
  const { held, looks, asked } = bed({ frame });
  await looks.learn();
  expect(await looks.differences(held)).toEqual([]);
  expect(asked).toEqual(['frame', 'list']);
});

test('where a look fails nft lists; the next asks again', async () => {
  const answers: (() => Promise<RawTable>)[] = [
    () => Promise.reject(new Error('perl was ended')),
    () => Promise.resolve(rawOf(heldOf([one]))),
  ];
  const { held, looks, asked } = bed({ look: () => (answers.shift() ?? Promise.reject.bind(Promise))() });
  await looks.learn();
  await looks.differences(held);
  await looks.differences(held);
  expect(asked).toEqual(['frame', 'look', 'list', 'look']);
});

test('a quiet kernel is believed at once', async () => {
  const { held, looks, asked } = bed({ look: () => Promise.resolve(without(firstRow)) });
  await looks.learn();
  expect(await looks.differences(held)).toMatchObject([missing]);
  expect(asked).toEqual(['frame', 'look']);
});

test('where somebody writes, what two looks find is a difference', async () => {
  const answers = [
    { ...without(firstRow), interrupted: true },
    without(secondRow),
    { ...without(firstRow), interrupted: true },
    { ...without(firstRow), interrupted: true },
  ];
  const { held, looks, asked } = bed({ look: () => Promise.resolve(answers.shift() ?? without('')) });
  await looks.learn();
  expect(await looks.differences(held)).toEqual([]);
  expect(await looks.differences(held)).toMatchObject([missing]);
  expect(asked).toEqual(['frame', 'look', 'look', 'look', 'look']);
  // Nothing found: nothing to be in doubt about.
  answers.push({ ...rawOf(held), interrupted: true });
  expect(await looks.differences(held)).toEqual([]);
  expect(asked).toHaveLength(6);
});

test('nothing is said of what is written meanwhile', async () => {
  const { held, looks } = bed({
    look: () => {
      looks.touch({ chains: [], sets: new Map([['endpoints-cluster', { deletes: [firstRow], adds: [] }]]) });
      looks.touchChains(['services'], []);
      const raw = without(firstRow);
      raw.elements.get('endpoints-cluster')?.delete(secondRow);
      (raw.frame.chains as Map<string, string>).set('services', 'being written');
      return Promise.resolve(raw);
    },
  });
  await looks.learn();
  expect(await looks.differences(held)).toMatchObject([
    { ...missing, object: expect.stringContaining(secondRow) },
  ]);
  // It was only of that look.
  const after = bed({ look: () => Promise.resolve(without(firstRow)) });
  await after.looks.learn();
  after.looks.touch({
    chains: [],
    sets: new Map([['endpoints-cluster', { deletes: [firstRow], adds: [] }]]),
  });
  expect(await after.looks.differences(after.held)).toMatchObject([missing]);
});

test('a table that is written anew meanwhile: the look says nothing at all', async () => {
  const [first, second] = [heldOf([one]), heldOf([])];
  let current = first;
  const { looks } = bed(
    {
      look: () => {
        current = second;
        return Promise.resolve(rawOf(first));
      },
    },
    () => current,
  );
  await looks.learn();
  await expect(looks.differences(first)).rejects.toMatchObject({ kind: 'transient', code: 'Crossed' });
});

test('what was learned of another table does not count', async () => {
  const [first, second] = [heldOf([one]), heldOf([one])];
  let current = first;
  const { looks, asked } = bed({}, () => current);
  await looks.learn();
  current = second;
  expect(await looks.differences(second)).toEqual([]);
  expect(asked).toEqual(['frame', 'list']);
});

test('nft is ended where writes do not let it come to its end, and not because it is slow', async () => {
  const { held, looks, clock } = bed({
    list: (signal) =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('killed')));
      }),
  });
  const ended: unknown[] = [];
  const look = looks.differences(held).catch((error: unknown) => ended.push(error));
  await clock.advance(60_000);
  expect(ended).toEqual([]);
  looks.touch({ chains: [], sets: new Map([['cluster-ips', { deletes: [], adds: ['10.96.0.9'] }]]) });
  await clock.advance(5_000);
  await look;
  expect(ended).toMatchObject([{ kind: 'transient', code: 'Crossed' }]);
});

test('where there are more chains or sets than there were, nft says which; while chains are written it need not', async () => {
  let crossing = false;
  const { held, looks, asked } = bed({
    look: () => {
      if (crossing) looks.touchChains(['to-cluster-2'], []);
      const { frame, ...rest } = rawOf(heldOf([one]));
      return Promise.resolve({ ...rest, frame: { ...frame, objects: (frame.objects ?? 0) + 1 } });
    },
  });
  await looks.learn();
  expect(await looks.differences(held)).toEqual([]);
  crossing = true;
  expect(await looks.differences(held)).toEqual([]);
  expect(asked).toEqual(['frame', 'look', 'list', 'look']);
});

test('where the kernel has no table, nft says so', async () => {
  const { held, looks, asked } = bed({
    look: () => {
      looks.touchChains(['to-cluster-2'], []);
      return Promise.resolve({
        frame: { objects: undefined, chains: new Map(), sets: new Map() },
        elements: new Map(),
        interrupted: true,
      });
    },
    list: () => Promise.resolve(undefined),
  });
  await looks.learn();
  expect(await looks.differences(held)).toMatchObject([{ kind: 'missing', object: 'table ip sluice' }]);
  expect(asked.slice(0, 3)).toEqual(['frame', 'look', 'list']);
});

test('an error of nft is told as it is', async () => {
  const { held, looks } = bed({ list: () => Promise.reject(new Error('not permitted')) });
  await expect(looks.differences(held)).rejects.toThrow('not permitted');
});

test('a table that has gone is one difference', async () => {
  const { held, looks } = bed({ list: () => Promise.resolve(undefined) });
  expect(await looks.differences(held)).toEqual([
    { kind: 'missing', object: 'table ip sluice', key: undefined },
  ]);
});
