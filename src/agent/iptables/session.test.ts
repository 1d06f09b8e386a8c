/** The long-lived restore, with the shell's programs in place of the tool. */
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { scaledClock } from '../../../test/support/scaled-clock.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { RestoreSession } from './session.ts';

/** A session whose tool is a line of shell, and how often it was started. */
function sessionWith(script: string, clock: Clock = systemClock) {
  const starts: (readonly string[])[] = [];
  const session = new RestoreSession(
    (_, args) => {
      starts.push(args);
      return spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'pipe'] });
    },
    'iptables-nft-restore',
    ['--noflush'],
    clock,
  );
  return { session, starts };
}

const failing =
  'while read -r line; do case $line in bad*) echo "no" >&2; exit 2;; *) echo "$line";; esac; done';

test('texts are carried out by one program, which is asked to repeat comments', async () => {
  const { session, starts } = sessionWith('cat');
  for (let turn = 0; turn < 5; turn += 1)
    expect(await session.execute('*nat\nCOMMIT\n')).toMatchObject({ code: 0, error: '' });
  expect(starts).toEqual([['--noflush', '--verbose']]);
  await session.close();
});

test('a refusal has the words and the code of the tool, and the next text another program', async () => {
  const { session, starts } = sessionWith(failing);
  expect(await session.execute('one\ntwo\n')).toEqual({ code: 0, error: '', linesBefore: 0 });
  const refused = await session.execute('bad\n');
  expect(refused).toMatchObject({ code: 2, error: 'no' });
  // Two lines and the comment behind them.
  expect(refused.linesBefore).toBeGreaterThanOrEqual(3);
  expect(await session.execute('one\n')).toEqual({ code: 0, error: '', linesBefore: 0 });
  expect(starts).toHaveLength(2);
  await session.close();
});

test('a tool that keeps its words until its end is ended for them, and run once for each text from then on', async () => {
  const { session, starts } = sessionWith('kept=$(cat); echo "$kept"', scaledClock(100));
  for (let turn = 0; turn < 3; turn += 1)
    expect(await session.execute('one\n')).toMatchObject({ code: 0, error: '' });
  expect(starts).toHaveLength(3);
  await session.close();
});

test('a tool that ends by itself without an answer has not said that all is done', async () => {
  const { session } = sessionWith('read -r line');
  expect(await session.execute('one\n')).toMatchObject({ code: undefined });
  await session.close();
});

test('a tool that answers late is ended, and the next text goes to another', async () => {
  const slow = 'sleep 0.2; while read -r line; do echo "$line"; done; sleep 0.2';
  const { session, starts } = sessionWith(slow, scaledClock(100));
  expect(await session.execute('one\n')).toMatchObject({ code: 0 });
  expect(await session.execute('two\n')).toMatchObject({ code: 0 });
  expect(starts).toHaveLength(2);
  await session.close();
});

test('a tool that a signal has ended has no code', async () => {
  const { session } = sessionWith('read -r line; kill -9 $$');
  expect(await session.execute('one\n')).toMatchObject({ code: undefined });
  await session.close();
});

test('a tool that cannot be started is an error that says so', async () => {
  const session = new RestoreSession(
    (name, args) => spawn(name, args, { stdio: ['pipe', 'pipe', 'pipe'] }),
    '/nowhere/iptables-nft-restore',
    [],
    systemClock,
  );
  await expect(session.execute('one\n')).rejects.toMatchObject({ kind: 'invalid', code: 'ToolMissing' });
});
