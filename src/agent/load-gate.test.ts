import { expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { LoadGate, longestLoadMs } from './load-gate.ts';

function opened(families: number) {
  const clock = new VirtualClock();
  const heard: string[] = [];
  const gate = new LoadGate(clock, families);
  return { clock, heard, gate, load: (name: string) => gate.loaded(() => void heard.push(name)) };
}

test('who is loaded first listens when the last is', () => {
  const { heard, load } = opened(2);
  load('IPv6');
  expect(heard).toEqual([]);
  load('IPv4');
  expect(heard).toEqual(['IPv6', 'IPv4']);
});

test('the only family listens at once', () => {
  const { heard, load } = opened(1);
  load('IPv4');
  expect(heard).toEqual(['IPv4']);
});

test('a family that cannot be loaded is waited for so long and no longer, and listens once it is loaded', async () => {
  const { clock, heard, load } = opened(2);
  load('IPv4');
  await clock.advance(longestLoadMs - 1);
  expect(heard).toEqual([]);
  await clock.advance(1);
  expect(heard).toEqual(['IPv4']);
  load('IPv6');
  expect(heard).toEqual(['IPv4', 'IPv6']);
});

test('nobody listens after the end', async () => {
  const { clock, heard, gate, load } = opened(2);
  load('IPv4');
  gate.close();
  await clock.advance(longestLoadMs);
  expect(heard).toEqual([]);
});
