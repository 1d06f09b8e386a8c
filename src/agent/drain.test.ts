/** Which Services a drain concerns, what becomes of their annotation, and which flows are open. */
import { describe, expect, test } from 'vitest';
import { parseEntry } from './conntrack/entries.ts';
import { serviceOptions } from './decide/annotations.ts';
import { drainText, isOpenTo, parseDrainTarget } from './drain.ts';

test.each([
  ['pod/web-1', { kind: 'pod', name: 'web-1' }],
  ['node/node-1', { kind: 'node', name: 'node-1' }],
  ['10.244.1.5', { kind: 'address', address: '10.244.1.5' }],
  ['FD00:0::1', { kind: 'address', address: 'fd00::1' }],
  ['web-1', undefined],
  ['pod/', undefined],
  ['10.244.1.500', undefined],
])('%s', (text, expected) => expect(parseDrainTarget(text)).toEqual(expected));

describe('the annotation', () => {
  test.each([
    [undefined, ['10.244.1.5'], '10.244.1.5'],
    ['node:n2', ['10.244.1.5'], 'node:n2, 10.244.1.5'],
    ['10.244.1.5', ['10.244.1.5'], '10.244.1.5'],
  ])('%j with %j', (text, entries, expected) => expect(drainText(text, entries, false)).toBe(expected));

  test.each([
    ['node:n2, 10.244.1.5', ['10.244.1.5'], 'node:n2'],
    ['10.244.1.5', ['10.244.1.5'], null],
    [undefined, ['10.244.1.5'], null],
  ])('%j without %j', (text, entries, expected) => expect(drainText(text, entries, true)).toBe(expected));

  test('what cannot be read is told, and the rest counts', () => {
    const { options, problems } = serviceOptions({
      annotations: { 'sluice.dev/drain': '10.244.1.5, web-1, node:n2' },
    });
    expect(options.drain).toEqual([
      { by: 'range', value: '10.244.1.5/32' },
      { by: 'node', value: 'n2' },
    ]);
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining('"web-1"')]);
  });
});

describe('a tracked flow', () => {
  const line = (state: string, reply: string): string =>
    `tcp      6 431999 ${state} src=10.244.0.9 dst=10.96.0.1 sport=4000 dport=80 src=${reply} dst=10.244.0.9 sport=8080 dport=4000 [ASSURED] mark=0 use=1`;
  const sockets = new Set(['10.244.1.5 8080']);
  test.each([
    ['ESTABLISHED', '10.244.1.5', true],
    ['SYN_SENT', '10.244.1.5', true],
    ['FIN_WAIT', '10.244.1.5', true],
    ['TIME_WAIT', '10.244.1.5', false],
    ['CLOSE', '10.244.1.5', false],
    ['ESTABLISHED', '10.244.1.6', false],
  ])('%s answered by %s', (state, reply, open) => {
    const entry = parseEntry(line(state, reply));
    expect(entry && isOpenTo(sockets, entry)).toBe(open);
  });
});
