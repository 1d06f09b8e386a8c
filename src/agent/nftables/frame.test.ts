/** The frame of a table held against what it was, from messages made by hand. */
import { expect, test } from 'vitest';
import type { DumpMessage } from '../netlink/dump.ts';
import { Frame, readFrame } from './frame.ts';

const attribute = (type: number, content: string | Buffer): Buffer => {
  const inner = typeof content === 'string' ? Buffer.from(`${content}\0`) : content;
  const bytes = Buffer.alloc(Math.ceil((inner.length + 4) / 4) * 4);
  bytes.writeUInt16LE(inner.length + 4, 0);
  bytes.writeUInt16LE(type, 2);
  inner.copy(bytes, 4);
  return bytes;
};
const message = (type: number, ...attributes: readonly Buffer[]): DumpMessage => ({
  type: 10 * 256 + type,
  content: Buffer.concat(attributes),
});
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

const chain = (name: string, { table = 'sluice', policy = '00000001', users = '00000002' } = {}) =>
  message(
    3,
    attribute(1, table),
    attribute(2, hex('0000000000000007')),
    attribute(3, name),
    attribute(5, hex(policy)),
    attribute(6, hex(users)),
  );
const rule = (name: string, expressions: string, { table = 'sluice', handle = '0000000000000009' } = {}) =>
  message(
    6,
    attribute(1, table),
    attribute(2, name),
    attribute(3, hex(handle)),
    attribute(4, hex(expressions)),
  );
const set = (name: string, { flags = '00000000', size = '00000008', users = '01' } = {}) =>
  message(
    9,
    attribute(1, 'sluice'),
    attribute(2, name),
    attribute(3, hex(flags)),
    attribute(5, hex(size)),
    attribute(16, hex(users)),
  );

const written = [chain('services'), rule('services', 'aa'), rule('services', 'bb'), set('pods')];
const frame = new Frame(readFrame(written), {
  chains: new Map([
    ['services', ['first', 'second']],
    ['not-there', ['third']],
  ]),
  sets: new Map([['pods', { kind: 'set', lines: ['type ipv4_addr'] }]]),
});
const now = (messages: readonly DumpMessage[]) => {
  const { chains, sets } = frame.listed(
    readFrame(messages),
    new Map([['pods', new Map([['10.0.0.1', '']])]]),
  );
  return {
    chains: Object.fromEntries(chains),
    sets: Object.fromEntries([...sets].map(([name, { kind, lines }]) => [name, `${kind} ${lines.join()}`])),
  };
};
const asWritten = { chains: { services: ['first', 'second'] }, sets: { pods: 'set type ipv4_addr' } };
const strange = ['not as written'];

test('what is as it was is listed as it was written, whatever changes by itself', () => {
  expect(now(written)).toEqual(asWritten);
  expect(
    now([
      chain('services', { users: '00000009' }),
      rule('services', 'aa', { handle: '0000000000000042' }),
      rule('services', 'bb'),
      set('pods', { users: '07' }),
      // Of somebody else, by the same names.
      chain('services', { table: 'another' }),
      rule('services', 'cc', { table: 'another' }),
    ]),
  ).toEqual(asWritten);
  expect(
    frame.listed(readFrame(written), new Map([['pods', new Map([['10.0.0.1', '']])]])).sets.get('pods')
      ?.elements,
  ).toEqual(new Map([['10.0.0.1', '']]));
});

test.each([
  ['a rule is another', [chain('services'), rule('services', 'aa'), rule('services', 'bc'), set('pods')]],
  ['a rule has gone', [chain('services'), rule('services', 'aa'), set('pods')]],
  [
    'rules have changed places',
    [chain('services'), rule('services', 'bb'), rule('services', 'aa'), set('pods')],
  ],
  [
    'a rule is there twice',
    [chain('services'), rule('services', 'aa'), rule('services', 'bb'), rule('services', 'bb'), set('pods')],
  ],
  ['two rules are one', [chain('services'), rule('services', 'aabb'), set('pods')]],
  [
    'the policy is another',
    [chain('services', { policy: '00000000' }), rule('services', 'aa'), rule('services', 'bb'), set('pods')],
  ],
])('of a chain: %s', (_, messages) => {
  expect(now(messages)).toEqual({ ...asWritten, chains: { services: strange } });
});

test('chains and sets that nobody knows of, or that have gone', () => {
  expect(now([...written, chain('not-there'), chain('stranger'), set('map', { flags: '00000008' })])).toEqual(
    {
      chains: { ...asWritten.chains, 'not-there': strange, stranger: strange },
      sets: { ...asWritten.sets, map: 'map not as written' },
    },
  );
  expect(now([])).toEqual({ chains: {}, sets: {} });
  expect(now([...written.slice(0, 3), set('pods', { size: '00000004' })]).sets).toEqual({
    pods: `set ${strange[0]}`,
  });
});

test('how much a table holds', () => {
  const table = message(0, attribute(1, 'sluice'), attribute(3, hex('00000029')));
  expect(readFrame([table, ...written]).objects).toBe(41);
  expect(readFrame(written).objects).toBeUndefined();
});

test('what is not understood is an error', () => {
  expect(() => readFrame([message(12)])).toThrow('message 2572');
});
