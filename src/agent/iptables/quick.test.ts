import { expect, test } from 'vitest';
import { deletions, goAhead } from './quick.ts';

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

test('nothing goes ahead of a chain that would be left without a rule for all packets', () => {
  expect(goAhead(three, [rest('10.0.0.2:80')])).toEqual([]);
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
