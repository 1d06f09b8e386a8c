/** Which Services a drain concerns, what becomes of their annotation, and which flows are open. */
import { describe, expect, test } from 'vitest';
import { parseEntry } from './conntrack/entries.ts';
import { serviceOptions } from './decide/annotations.ts';
import { anEndpoint, aService, aSlice } from '../core/fixtures.ts';
import { drainedServices, drainText, isOpenTo, markedServices, parseDrainTarget } from './drain.ts';

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

describe('the Services of a target', () => {
  const slices = [
    {
      slice: aSlice('s1', [anEndpoint('10.244.1.2', 'n1'), anEndpoint('10.244.2.2', 'n2')]),
      pods: new Map(),
    },
  ];
  test.each([
    [undefined, ['node:n1']],
    ['node:n2', ['node:n1']],
    ['node:n1', []],
    ['10.244.1.0/24', []],
  ])('with the annotation %j lack %j', (drain, unmarked) => {
    const service = aService({ annotations: drain === undefined ? {} : { 'sluice.dev/drain': drain } });
    const [found] = drainedServices({ kind: 'node', name: 'n1' }, [service], slices);
    expect(found).toMatchObject({ entries: ['node:n1'], unmarked });
  });

  test('are found by the annotation too, when their endpoints have gone', () => {
    const service = aService({ annotations: { 'sluice.dev/drain': 'node:n7, 10.244.1.9' } });
    expect(drainedServices({ kind: 'node', name: 'n7' }, [service], slices)).toEqual([]);
    expect(markedServices({ kind: 'node', name: 'n7' }, [service])).toEqual([
      { service: service.key, entries: ['node:n7'] },
    ]);
    expect(markedServices({ kind: 'address', address: '10.244.1.9' }, [service])).toHaveLength(1);
    expect(markedServices({ kind: 'node', name: 'n1' }, [service])).toEqual([]);
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
