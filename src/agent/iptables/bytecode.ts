/**
 * Small classic BPF programs for the `bpf` match: what iptables has no match of its own for.
 *
 * They run on the packet from its network header on. IPv4 options are followed; IPv6 extension headers are not, so
 * the hash of such a packet leaves the port out of what it should be, which still is a stable choice.
 */
import type { IpFamily } from '../../core/objects.ts';

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

const loadWord = 0x20;
const loadHalfIndexed = 0x48;
const loadHeaderLength = 0xb1;
const toX = 0x07;
const fromX = 0x87;
const jumpEqualX = 0x1d;
const jumpAtLeast = 0x35;
const give = 0x06;
const multiply = 0x24;
const addX = 0x0c;
const modulo = 0x94;
const shiftRight = 0x74;
const exclusiveOrX = 0xac;
const store = 0x02;
const loadX = 0x61;

function text(program: readonly Instruction[]): string {
  return `${program.length},${program.map((instruction) => instruction.join(' ')).join(',')}`;
}

/** Source and destination address are the same. */
export function sameAddress(family: IpFamily): string {
  const words = family === 'IPv4' ? [[12, 16]] : [0, 4, 8, 12].map((offset) => [8 + offset, 24 + offset]);
  const program: Instruction[] = [];
  for (const [index, [source = 0, destination = 0]] of words.entries()) {
    const left = words.length - index - 1;
    // On a difference: over the remaining comparisons of four instructions each, and over "yes".
    program.push([loadWord, 0, 0, source], [toX, 0, 0, 0], [loadWord, 0, 0, destination]);
    program.push([jumpEqualX, 0, left * 4 + 1, 0]);
  }
  program.push([give, 0, 0, 1], [give, 0, 0, 0]);
  return text(program);
}

/** A hash of the source's address and port, modulo `total`, is below `below`: the same client gets the same answer. */
export function hashBelow(family: IpFamily, total: number, below: number): string {
  const words = family === 'IPv4' ? [12] : [8, 12, 16, 20];
  const mix: readonly Instruction[] = [
    [multiply, 0, 0, 0x9e3779b1],
    [store, 0, 0, 0],
    [shiftRight, 0, 0, 15],
    [loadX, 0, 0, 0],
    [exclusiveOrX, 0, 0, 0],
    [toX, 0, 0, 0],
  ];
  const port: readonly Instruction[] =
    family === 'IPv4'
      ? // X is needed for the header's length: the hash so far waits in memory.
        [
          [fromX, 0, 0, 0],
          [store, 0, 0, 1],
          [loadHeaderLength, 0, 0, 0],
          [loadHalfIndexed, 0, 0, 0],
          [loadX, 0, 0, 1],
          [addX, 0, 0, 0],
          ...mix,
        ]
      : [[0x28, 0, 0, 40], [addX, 0, 0, 0], ...mix];
  return text([
    [0x01, 0, 0, 0],
    ...words.flatMap((offset): Instruction[] => [[loadWord, 0, 0, offset], [addX, 0, 0, 0], ...mix]),
    ...port,
    [fromX, 0, 0, 0],
    [modulo, 0, 0, total],
    [jumpAtLeast, 1, 0, below],
    [give, 0, 0, 1],
    [give, 0, 0, 0],
  ]);
}
