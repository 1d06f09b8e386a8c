/**
 * The node agent beside the real kube-proxy and the bare tools: loads, changes, connections, memory, restarts.
 *
 * `npm run bench -- agent` takes every row; words behind `--` choose: names of rows, `nftables` or `iptables`, `2000`
 * or `10000`. Root, the kernel's tools and Go are needed, as for the packet tests.
 */
import { rowNames, selection, sizes } from './agent/choice.ts';
import { measureStage } from './agent/rows.ts';
import type { Bench, Row } from './bench.ts';
import { buildBundle } from './cluster/measure.ts';

export const bench: Bench = {
  name: 'agent',
  summary: `the node agent beside kube-proxy; rows: ${rowNames.join(', ')}`,
  goal: 'loads within 1.5 × of bare nft and 1.3 × of iptables-restore; changes in 2 ms; no connection lost',
  run: async ({ progress, args, signal }) => {
    const chosen = selection(args);
    progress('building the bundle');
    await buildBundle();
    const rows: Row[] = [];
    for (const size of sizes) {
      if (!chosen.sizes.includes(size)) continue;
      rows.push(...(await measureStage({ size, chosen, progress, signal })));
    }
    return rows;
  },
};
