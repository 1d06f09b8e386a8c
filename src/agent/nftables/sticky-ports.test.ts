import { expect, test } from 'vitest';
import type { DecisionKey } from '../decision.ts';
import { StickyPorts } from './sticky-ports.ts';

const key = (number: number): DecisionKey => `default/web-${number}:/tcp/ipv4` as DecisionKey;

test('a port keeps its number until it is released, and the same name gets the same number elsewhere', () => {
  const ports = new StickyPorts();
  const first = ports.allot(key(1));
  expect(ports.allot(key(1), 7)).toBe(first);
  expect(new StickyPorts().allot(key(1))).toBe(first);
  ports.release(key(1));
  expect(ports.allot(key(1), 7)).toBe(7);
});

test('two ports never share a number, and one that the kernel knows is kept where it is free', () => {
  const ports = new StickyPorts();
  const numbers = Array.from({ length: 3000 }, (_, number) => ports.allot(key(number)));
  expect(new Set(numbers).size).toBe(3000);
  expect(Math.min(...numbers)).toBeGreaterThan(0);
  expect(Math.max(...numbers)).toBeLessThan(0xffff);
  const [taken = 0] = numbers;
  expect(ports.allot(key(9999), taken)).not.toBe(taken);
});

test('when all numbers are given out, a further port is refused by name', () => {
  const ports = new StickyPorts();
  for (let number = 0; number < 0xfffe; number += 1) ports.allot(key(number), number + 1);
  expect(() => ports.allot(key(-1))).toThrow(/65534 Service ports have client affinity/);
});
