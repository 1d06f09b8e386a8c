/** Reading answers: digits are kept, and an error is one whatever its status. */
import { expect, test } from 'vitest';
import { readAnswer } from './answer.ts';

test.each([
  ['{"OrderId":9007199254740993}', { OrderId: '9007199254740993' }],
  ['{"LoadBalancerId":12}', { LoadBalancerId: '12' }],
  ['{"Port":80,"Bandwidth":-1}', { Port: 80, Bandwidth: -1 }],
  ['{"Big":123456789012345678901}', { Big: '123456789012345678901' }],
  ['{"Code":"200","X":{"Y":[1]}}', { Code: '200', X: { Y: [1] } }],
])('%s', (text, expected) => {
  expect(readAnswer(text, 200)).toEqual(expected);
});

test.each([
  [
    'an error with status 200',
    '{"Code":"SystemBusy","Message":"later","RequestId":"R"}',
    { kind: 'refused', code: 'SystemBusy', requestId: 'R' },
  ],
  ['a page', '<html>planted</html>', { kind: 'unreadable', code: 'UnreadableAnswer' }],
  ['nothing', '', { kind: 'unreadable' }],
  ['half an answer', '{"LoadBalancerId":"lb-', { kind: 'unreadable' }],
  ['a list', '[]', { kind: 'unreadable' }],
  ['null', 'null', { kind: 'unreadable' }],
])('%s', (_what, text, expected) => {
  expect(() => readAnswer(text, 200)).toThrow(expect.objectContaining(expected));
});

test('what came is not quoted', () => {
  expect(() => readAnswer('<html>planted</html>', 200)).not.toThrow(/planted/);
});
