/** Answers of the kernel, taken apart: made by hand here, so that each may be wrong in one way. */
import { expect, test } from 'vitest';
import { attributes, MessageStream, readDumps } from './dump.ts';

function message(type: number, flags: number, content: Buffer): Buffer {
  const bytes = Buffer.alloc(16 + Math.ceil(content.length / 4) * 4);
  bytes.writeUInt32LE(16 + content.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  content.copy(bytes, 16);
  return bytes;
}

const errno = (code: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(code);
  return bytes;
};
const done = message(3, 2, errno(0));
const failed = (code: number): Buffer => message(2, 0, Buffer.concat([errno(code), Buffer.alloc(16)]));
const generation = (number: number): Buffer => {
  const content = Buffer.alloc(12);
  content.writeUInt16LE(8, 4);
  content.writeUInt16LE(1, 6);
  content.writeUInt32BE(number, 8);
  return Buffer.concat([message(0xa_0f, 0, content), failed(0)]);
};
const row = (text: string, flags = 2): Buffer =>
  message(0xa_0c, flags, Buffer.concat([Buffer.alloc(4), Buffer.from(text)]));

test('answers come one after the other, each of any number of messages', () => {
  const bytes = Buffer.concat([
    generation(7),
    row('one'),
    row('two'),
    done,
    generation(7),
    done,
    generation(7),
  ]);
  expect(
    readDumps(bytes, [1, 1]).map(({ messages, interrupted }) => ({
      messages: messages.map(({ type, content }) => `${type} ${content.toString()}`),
      interrupted,
    })),
  ).toEqual([
    { messages: ['2572 one', '2572 two'], interrupted: false },
    { messages: [], interrupted: false },
  ]);
});

test('a group has the messages of all its answers; what is not there has none', () => {
  const bytes = Buffer.concat([
    generation(7),
    Buffer.concat([row('table', 0), failed(0)]),
    failed(-2),
    row('rule'),
    done,
    generation(7),
  ]);
  expect(
    readDumps(bytes, [3]).map(({ messages }) => messages.map(({ content }) => content.toString())),
  ).toEqual([['table', 'rule']]);
});

test.each([
  ['the number of the last transaction is another', [generation(7), row('a'), done, generation(8)]],
  ['the kernel says so', [generation(7), row('a', 0x12), done, generation(7)]],
  ['the kernel says so at the end', [generation(7), row('a'), message(3, 0x12, errno(0)), generation(7)]],
])('somebody wrote meanwhile: %s', (_, parts) => {
  expect(readDumps(Buffer.concat(parts), [1]).map(({ interrupted }) => interrupted)).toEqual([true]);
});

const whole = Buffer.concat([generation(7), row('one'), done, generation(7)]);

test('what breaks off is an error, wherever, and never an empty table', () => {
  for (let length = 0; length < whole.length; length += 1)
    expect(() => readDumps(whole.subarray(0, length), [1]), String(length)).toThrow();
  expect(readDumps(whole, [1])).toHaveLength(1);
});

test.each([
  ['a refusal', [generation(7), failed(-1)], 'error 1'],
  ['a refusal at the end', [generation(7), row('a'), message(3, 2, errno(-4)), generation(7)], 'error 4'],
  ['more than was asked for', [whole, done], 'more than was asked for'],
  ['no number', [row('a'), done, row('b'), done, generation(7)], 'no number of a transaction'],
])('%s is an error', (_, parts, words) => {
  expect(() => readDumps(Buffer.concat(parts), [1])).toThrow(words);
});

test('attributes that are not whole are an error', () => {
  const told: string[] = [];
  const take = (kind: number, from: number, end: number): void => void told.push(`${kind} ${from}-${end}`);
  const good = Buffer.from('05000180610000000800020000000001', 'hex');
  attributes(good, 0, good.length, take);
  expect(told).toEqual(['1 4-5', '2 12-16']);
  for (const bad of ['0300', '03000100', '09000100aabbcc', '00000000'])
    expect(() => attributes(Buffer.from(bad, 'hex'), 0, bad.length / 2, take), bad).toThrow(
      'an attribute of',
    );
});

test('messages are the same in whatever pieces they come', () => {
  const bytes = Buffer.concat([row('one'), row('another'), done, row('three'), done]);
  for (let size = 1; size <= bytes.length; size += 1) {
    const told: string[] = [];
    const stream = new MessageStream(({ content }) => void told.push(content.toString()));
    for (let at = 0; at < bytes.length; at += size) stream.take(bytes.subarray(at, at + size));
    stream.end();
    expect(told, `pieces of ${size}`).toEqual(['one', 'another', 'three']);
  }
});

test('a stream that breaks off in a message, is refused or makes no sense is an error', () => {
  const stream = (): MessageStream => new MessageStream(() => undefined);
  for (let length = 1; length < row('one').length; length += 1) {
    const broken = stream();
    broken.take(row('one').subarray(0, length));
    expect(() => broken.end(), String(length)).toThrow('broke off');
  }
  expect(() => stream().take(failed(-1))).toThrow('error 1');
  // What is not there has nothing to tell.
  expect(() => stream().take(failed(-2))).not.toThrow();
  expect(() => stream().take(Buffer.alloc(20))).toThrow('broke off');
});
