/**
 * Local mode in figures: giving addresses out, and what a client outside the cluster loses when the node goes that
 * holds one. Each part measures its own rows.
 *
 * `npm run bench -- local` takes every row; words behind `--` choose: names of parts, and a number: how often a crash
 * is repeated (20). All but `allocator`, `services` and `laptop` need root, the kernel's tools and Go, as the packet tests do.
 */
import type { Bench, Row } from './bench.ts';
import { measureAllocator } from './local/allocator.ts';
import { announceRows, manyRows, twoNodeRows } from './local/announce.ts';
import { measureLaptop } from './local/laptop.ts';
import { measureServices } from './local/services.ts';

/**
 * Half of the agents left: 0.3 s until the other is missed, 3 s for its Lease to run out, 0.5 s until that is tried
 * again, and something for the API server.
 */
const leaseBoundMs = 4_000;

const parts = ['allocator', 'services', 'agents', 'two', 'many', 'laptop'] as const;

export const bench: Bench = {
  name: 'local',
  summary: `local mode: addresses out of pools, announced by nodes, and on a laptop; parts: ${parts.join(', ')}`,
  goal: '10,000 allocations in 0.2 s; a crash: 300 ms median, 450 ms worst of 20; planned moves, restarts, frozen agents: nothing lost; laptop proxy: 0.4 of direct, 200 Services in 150 MB',
  run: async ({ progress, args, signal }) => {
    const number = args.find((word) => /^\d+$/u.test(word));
    const named = args.filter((word) => word !== number);
    const strange = named.filter((word) => !parts.some((part) => part === word));
    if (strange.length > 0)
      throw new Error(`local: there is no ${strange.join(', ')}; choose of ${parts.join(', ')}`);
    const crashes = Number(number ?? 20);
    const others = Math.max(1, Math.min(5, crashes));
    const chosen = (part: (typeof parts)[number]): boolean => named.length === 0 || named.includes(part);
    const told = { progress, signal };
    const rows: Row[] = [];
    if (chosen('allocator')) rows.push(...measureAllocator(progress));
    if (chosen('services')) rows.push(...(await measureServices(progress)));
    if (chosen('agents')) rows.push(...(await announceRows(crashes, others, told)));
    if (chosen('two')) rows.push(...(await twoNodeRows(Math.min(3, others), told, leaseBoundMs)));
    if (chosen('many')) rows.push(...(await manyRows(told)));
    if (chosen('laptop')) rows.push(...(await measureLaptop(told)));
    return rows;
  },
};
