/** The text of a draft, with a program in place of nft that keeps what it is given. */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ChildProcess } from 'node:child_process';
import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { changed, decided, worldChange, worldWithPackets } from '../../../test/support/agent-worlds.ts';
import type { AgentWorld } from '../../../test/support/agent-worlds.ts';
import { testDecision, testNode } from '../fixtures.ts';
import { Draft } from './draft.ts';
import type { SpawnPiped } from './process.ts';
import { readRuleset } from './ruleset.ts';
import { allFeatures } from './table.ts';
import { render } from './text.ts';

function keeper(): { readonly start: SpawnPiped; readonly text: () => string } {
  const parts: string[] = [];
  const start: SpawnPiped = () => {
    const child = Object.assign(new EventEmitter(), {
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      kill: () => true,
    });
    child.stdin.setEncoding('utf8').on('data', (text: string) => parts.push(text));
    child.stdin.on('end', () => child.emit('close', 0));
    return child as unknown as ChildProcess;
  };
  return { start, text: () => parts.join('') };
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
  [worldWithPackets(0), fc.array(worldChange, { maxLength: 8 }), fc.integer({ min: 1, max: 4 })],
  { numRuns: 150 },
)(
  'whatever was foretold, the text ends in the table of a cold start',
  async ({ world, at }, history, inOneGo) => {
    const { family } = at.node;
    const guessed = decided(ours(world), family);
    const real = decided(history.reduce(changed, ours(world)), family);
    if (guessed === undefined || real === undefined) return;
    const nft = keeper();
    const draft = new Draft(nft.start, real.node, allFeatures);
    for (let from = 0; from < guessed.decisions.length; from += inOneGo)
      draft.foretell(guessed.decisions.slice(from, from + inOneGo));
    // Told a second time, as something else: what counts is the end.
    const told = new Set(guessed.decisions.map(({ key }) => key));
    draft.foretell(real.decisions.filter(({ key }) => told.has(key)));
    expect(await draft.finish(real.decisions, [])).toEqual({ code: 0, error: '' });
    const warm = readRuleset([nft.text()]);
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

test('until it is finished the text stands inside an open brace', async () => {
  const nft = keeper();
  const draft = new Draft(nft.start, testNode, allFeatures);
  expect(() => readRuleset([nft.text()])).toThrow(/the end/);
  for (let at = 0; at < 40; at += 1) {
    draft.foretell(
      Array.from({ length: 100 }, (_, one) =>
        testDecision(`s${at}-${one}`, { clusterIP: `10.96.${at}.${one}` }),
      ),
    );
    await new Promise(setImmediate);
    expect(() => readRuleset([nft.text()])).toThrow(/the end/);
  }
  expect(nft.text()).toContain('add element ip sluice service-ips');
  await draft.finish([], []);
  const { sets } = readRuleset([nft.text()]);
  expect(sets.get('service-ips')?.elements.size).toBe(0);
});
