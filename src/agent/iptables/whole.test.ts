/** In which order everything is written, by tools that note what they are given. */
import { expect, test } from 'vitest';
import { aDecision, aNodeDecision } from '../../../test/packets/iptables-bench.ts';
import { SluiceError } from '../../core/errors.ts';
import type { Decision } from '../decision.ts';
import type { Held } from './held.ts';
import { Model } from './model.ts';
import type { Input, Refusal, Tools } from './programs.ts';
import { readSets, readTables } from './saved.ts';
import { render } from './render.ts';
import { WholeWrite } from './whole.ts';

const nothing: Held = { saved: readTables(''), sets: new Map() };

/** Notes what it is given; `refuse` looks at each line of a restore. */
class NotingTools implements Tools {
  readonly variant: Tools['variant'];
  readonly family = 'IPv4';
  readonly given: string[] = [];
  refuse: (line: string) => boolean = () => false;
  ended: (() => void) | undefined;

  constructor(variant: Tools['variant'] = 'nft') {
    this.variant = variant;
  }

  save = (): Promise<string> => Promise.resolve('');
  saveSets = (): Promise<string> => Promise.resolve('');

  sets = (lines: readonly string[]): Promise<Refusal | undefined> => {
    this.given.push(...lines);
    return Promise.resolve(undefined);
  };

  restore = async (input: Input): Promise<Refusal | undefined> => {
    let count = 0;
    for await (const text of typeof input === 'string' ? [input] : input) {
      this.ended?.();
      for (const line of text.split('\n').slice(0, -1)) {
        count += 1;
        if (this.refuse(line)) return { line: count, message: 'no' };
        this.given.push(line);
      }
    }
    return undefined;
  };

  edit = (text: string): Promise<Refusal | undefined> => this.restore(text);
  close = (): Promise<void> => Promise.resolve();

  at(text: string): number {
    return this.given.findIndex((line) => line.includes(text));
  }

  lastAt(text: string): number {
    return this.given.findLastIndex((line) => line.includes(text));
  }
}

function whole(tools: Tools, decisions: Iterable<Decision>, held = nothing): WholeWrite {
  const model = new Model({
    family: 'IPv4',
    node: aNodeDecision(),
    abilities: { bpf: true, randomFully: true },
  });
  return new WholeWrite({ model, decisions, tools, read: () => Promise.resolve(held) });
}

const many = (count: number): Decision[] =>
  Array.from({ length: count }, (_, index) => aDecision(index + 1, { endpoints: 2 }));

test('a first load begins before the last decision is made, and nothing leads to it before everything is there', async () => {
  const tools = new NotingTools();
  let made = 0;
  let madeAtFirst: number | undefined;
  tools.ended = () => {
    madeAtFirst ??= made;
  };
  const decisions = function* (): Generator<Decision> {
    for (const decision of many(2_000)) {
      made += 1;
      yield decision;
    }
  };
  const { operations, quarantined } = await whole(tools, decisions()).run();
  expect(madeAtFirst).toBeLessThan(2_000);
  expect(quarantined).toEqual([]);
  expect(operations).toBeGreaterThan(2_000 * 3);
  expect(tools.lastAt('create ')).toBeLessThan(tools.at('-A SLUICE-'));
  expect(tools.lastAt('add SLUICE-4-')).toBeLessThan(tools.at('-I PREROUTING'));
  expect(tools.lastAt('-A SLUICE-SVC-')).toBeLessThan(tools.at('-A SLUICE-DST-'));
  expect(tools.lastAt('-A SLUICE-DST-')).toBeLessThan(tools.at('-I PREROUTING'));
});

test('what a first load writes is what is rendered', async () => {
  const tools = new NotingTools();
  const decisions = many(120);
  await whole(tools, decisions).run();
  const { rules, sets } = render(aNodeDecision(), decisions);
  const isContent = (line: string): boolean => line !== '' && line !== 'COMMIT' && !line.startsWith('*');
  expect(tools.given.filter(isContent).toSorted()).toEqual(
    `${rules}${sets}`.split('\n').filter(isContent).toSorted(),
  );
});

test('where the kernel holds it all, no tool is started', async () => {
  const decisions = many(70);
  const { rules, sets } = render(aNodeDecision(), decisions);
  // As `iptables-save` prints it: marks as value and mask, jumps as rules.
  const saved = readTables(
    rules
      .replaceAll('-I ', '-A ')
      .replaceAll(/(-A (?:PREROUTING|OUTPUT|POSTROUTING|INPUT|FORWARD)) 1 /gu, '$1 ')
      .replaceAll(/--or-mark (\S+)/gu, '--set-xmark $1/$1')
      .replaceAll(/--xor-mark (\S+)/gu, '--set-xmark $1/0x0'),
  );
  const tools = new NotingTools();
  const { operations } = await whole(tools, decisions, { saved, sets: readSets(sets, 'IPv4') }).run();
  expect(operations).toBe(0);
  expect(tools.given).toEqual([]);
});

test('a destination enters the sets after its rules where packets meet our chains already', async () => {
  const tools = new NotingTools();
  const jump = '*nat\n:SLUICE-SERVICES - [0:0]\n-A PREROUTING -j SLUICE-SERVICES\nCOMMIT\n';
  await whole(tools, many(3), { saved: readTables(jump), sets: new Map() }).run();
  expect(tools.at('add SLUICE-4-DST')).toBeGreaterThan(tools.lastAt('-A SLUICE-'));
  expect(tools.at('add SLUICE-4-CIP')).toBeLessThan(tools.at('-A SLUICE-DISPATCH'));
});

test('a decision that is refused early is left out, and those that were not made yet are written', async () => {
  const tools = new NotingTools();
  tools.refuse = (line) => line.includes('--to-destination 10.244.0.1:8080');
  const [first, ...others] = many(160);
  const bad = aDecision(161, { endpoints: 2, from: 1 });
  const decisions = [bad, ...others];
  expect(first).toBeDefined();
  const { quarantined } = await whole(tools, decisions).run();
  expect(quarantined.map(({ key }) => key)).toContain(bad.key);
  expect(tools.at('svc-160:')).toBeGreaterThan(0);
  expect(tools.at('-I PREROUTING')).toBeGreaterThan(0);
});

test('where the tool fails, entries of the sets are taken back', async () => {
  const tools = new NotingTools();
  const { restore } = tools;
  tools.restore = async (input) => {
    await restore(input);
    throw new SluiceError('busy', 'the lock is held', { code: 'LockHeld' });
  };
  await expect(whole(tools, many(60)).run()).rejects.toThrow('the lock is held');
  const taken = (verb: string): string[] =>
    tools.given.filter((line) => line.startsWith(`${verb} `)).map((line) => line.slice(4));
  expect(taken('del')).toEqual(taken('add'));
  expect(taken('add').length).toBeGreaterThan(100);
});

test('the legacy tool gets one commit for each table', async () => {
  const tools = new NotingTools('legacy');
  await whole(tools, many(120)).run();
  expect(tools.given.filter((line) => line === 'COMMIT')).toHaveLength(2);
});
