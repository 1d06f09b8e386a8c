/** The table of cases and the stories with the rules of the agent's nftables backend. */
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import type { SpawnPiped } from '../../src/agent/nftables/process.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import { backendProgrammer } from './backends.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import { packetSuite } from './suite.ts';

const families: readonly IpFamily[] = ['IPv4', 'IPv6'];

const inNode =
  (bed: Bed): SpawnPiped =>
  (program, args) =>
    bed.spawn('n1', program, args);

packetSuite({
  name: 'agent nftables',
  rulesOnly: true,
  make: backendProgrammer({
    kind: 'nftables',
    open: (bed, family) => Promise.resolve(new NftablesBackend({ family, start: inNode(bed) })),
    cleanUp: async (bed) => {
      for (const family of families) {
        const backend = new NftablesBackend({ family, start: inNode(bed) });
        await backend.cleanup();
        await backend.close();
      }
    },
  }),
});
