import { expect, test } from 'vitest';
import { VirtualClock } from '../../../../test/support/virtual-clock.ts';
import { Herald } from './herald.ts';
import { addressBytes, macBytes } from './wire.ts';

function setUp() {
  const clock = new VirtualClock();
  const started = clock.now();
  const sent: number[] = [];
  const process = { listened: true };
  const held = new Set(['a']);
  const herald = new Herald({
    clock,
    random: () => 0,
    where: (id) =>
      held.has(id)
        ? { address: addressBytes('2001:db8::1'), link: 2, mac: macBytes('02:5c:00:00:00:01') }
        : undefined,
    send: () => void sent.push(clock.now() - started),
    mayTell: () => process.listened,
  });
  return { clock, sent, process, held, herald };
}

test('neighbours are told at once, and again after a little more than one and two seconds', async () => {
  const { clock, sent, herald } = setUp();
  herald.tell(['a']);
  await clock.advance(10_000);
  expect(sent).toEqual([0, 1_100, 2_200]);
});

test('a process that has slept claims nothing before it has listened, whoever asks it to', async () => {
  const { clock, sent, process, herald } = setUp();
  process.listened = false;
  herald.tell(['a']);
  await clock.advance(300);
  expect(sent).toEqual([]);
  process.listened = true;
  await clock.advance(25);
  expect(sent).toEqual([325]);
});

test('what was given up before it had listened is told no more', async () => {
  const { clock, sent, process, held, herald } = setUp();
  herald.tell(['a']);
  process.listened = false;
  await clock.advance(1_500);
  held.delete('a');
  herald.stop('a');
  process.listened = true;
  await clock.advance(5_000);
  expect(sent).toEqual([0]);
});

test('nothing is told after the end', async () => {
  const { clock, sent, herald } = setUp();
  herald.tell(['a']);
  herald.end();
  herald.tell(['a']);
  await clock.advance(5_000);
  expect(sent).toEqual([0]);
});
