/**
 * The annotation table, in the order of the reference page. Where two rows set the same thing, the later one
 * wins.
 */
import type { Row } from './annotation-row.ts';
import { balancerRows } from './annotation-rows-balancer.ts';
import { healthCheckRows } from './annotation-rows-health.ts';
import { listenerRows } from './annotation-rows-listeners.ts';
import { otherRows } from './annotation-rows-others.ts';
import { targetRows } from './annotation-rows-targets.ts';

export const rows: readonly Row[] = [
  ...balancerRows,
  ...listenerRows,
  ...targetRows,
  ...healthCheckRows,
  ...otherRows,
];
