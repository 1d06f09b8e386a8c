/** One read for many who ask. */
import { expect, test } from 'vitest';
import { SharedRead } from './shared-read.ts';

interface Round {
  readonly questions: readonly string[];
  readonly signal: AbortSignal;
  readonly answer: (text: string) => void;
  readonly fail: (error: Error) => void;
}

function scripted(): { readonly read: SharedRead<string, string>; readonly rounds: Round[] } {
  const rounds: Round[] = [];
  const read = new SharedRead<string, string>(
    (questions, signal) =>
      new Promise((resolve, reject) => {
        rounds.push({ questions, signal, answer: resolve, fail: reject });
      }),
  );
  return { read, rounds };
}

const never = new AbortController().signal;
const settle = async (): Promise<void> => {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
};

test('questions of one moment share a round; later ones wait for the next, which begins after them', async () => {
  const { read, rounds } = scripted();
  const first = Promise.all([read.ask('a', never), read.ask('b', never)]);
  await settle();
  const second = Promise.all([read.ask('c', never), read.ask('d', never)]);
  await settle();
  expect(rounds.map(({ questions }) => questions)).toEqual([['a', 'b']]);

  rounds[0]?.answer('one');
  expect(await first).toEqual(['one', 'one']);
  await settle();
  rounds[1]?.answer('two');

  expect(await second).toEqual(['two', 'two']);
  expect(rounds.map(({ questions }) => questions)).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
});

test('a round that fails fails all who waited for it, and the next one starts afresh', async () => {
  const { read, rounds } = scripted();
  const asked = [read.ask('a', never), read.ask('b', never)];
  await settle();
  rounds[0]?.fail(new Error('no'));
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);

  const again = read.ask('c', never);
  await settle();
  rounds[1]?.answer('yes');
  expect(await again).toBe('yes');
});

test('one who gives up is let go at once, and the others get their answer', async () => {
  const { read, rounds } = scripted();
  const impatient = new AbortController();
  const gone = read.ask('a', impatient.signal);
  const stays = read.ask('b', never);
  await settle();

  impatient.abort(new Error('enough'));
  await expect(gone).rejects.toThrow('enough');
  expect(rounds[0]?.signal.aborted).toBe(false);
  rounds[0]?.answer('yes');
  expect(await stays).toBe('yes');
});

test('when all have given up, the round is given up too', async () => {
  const { read, rounds } = scripted();
  const impatient = new AbortController();
  const gone = read.ask('a', impatient.signal);
  await settle();

  impatient.abort(new Error('enough'));

  await expect(gone).rejects.toThrow('enough');
  expect(rounds[0]?.signal.aborted).toBe(true);
});
