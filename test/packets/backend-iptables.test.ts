/** The table of cases and the stories with the rules of the agent's iptables backend, in both variants of the tool. */
import type { IpFamily } from '../../src/core/objects.ts';
import { cleanUp } from '../../src/agent/iptables/cleanup.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { Spawn } from '../../src/agent/iptables/programs.ts';
import { backendProgrammer } from './backends.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import { packetSuite } from './suite.ts';

const families: readonly IpFamily[] = ['IPv4', 'IPv6'];

const inNode =
  (bed: Bed): Spawn =>
  (program, args) =>
    bed.spawn('n1', program, args);

for (const variant of ['nft', 'legacy'] as const) {
  packetSuite({
    name: `agent iptables ${variant}`,
    iptables: variant,
    rulesOnly: true,
    make: backendProgrammer({
      kind: 'iptables',
      open: async (bed, family) => (await openIptables({ family, spawn: inNode(bed), variant })).backend,
      cleanUp: async (bed) => {
        for (const family of families) await cleanUp(inNode(bed), variant, family);
      },
    }),
  });
}
