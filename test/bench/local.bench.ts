/** Local mode: each part measures its own rows; what they need (root, namespaces) they say themselves. */
import type { Bench, BenchOptions, Row } from './bench.ts';
import { measureAllocator } from './local/allocator.ts';

export const bench: Bench = {
  name: 'local',
  summary: 'local mode: addresses out of pools',
  goal: '10,000 allocations and releases in pools of 65,536 in 0.2 s',
  run: ({ progress }: BenchOptions): Promise<readonly Row[]> => Promise.resolve(measureAllocator(progress)),
};
