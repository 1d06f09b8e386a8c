/** Rows `memory`: the agent after its load and at its highest, and the tools that it runs. */
import type { Row } from '../bench.ts';
import type { Mode } from './stage.ts';
import type { Started } from './start.ts';
import { sizeText, type Size } from './world.ts';

const memoryGoals: Readonly<Record<number, number>> = { 2_000: 110, 10_000: 200 };

export function memoryRows(size: Size, mode: Mode, own: readonly Started[]): readonly Row[] {
  const label = `${mode}, ${sizeText(size)}`;
  const value = memoryGoals[size.services];
  const most = (pick: (one: Started) => number): number => Math.max(...own.map(pick));
  return [
    {
      what: `${label}: agent's resident memory after the load`,
      unit: 'MB',
      ours: most(({ memory }) => memory.resident),
      ...(value === undefined ? {} : { goal: { kind: 'at most', value } as const }),
    },
    { what: `${label}: agent's memory at its highest`, unit: 'MB', ours: most(({ memory }) => memory.peak) },
    {
      what: `${label}: its children, highest sum`,
      unit: 'MB',
      ours: most(({ childrenPeak }) => childrenPeak),
    },
  ];
}
