/**
 * What this backend cannot do for some Services on this node, told instead of being done otherwise in silence: no
 * balancing by a hash without the kernel's `bpf` match, and no memory for more clients of an endpoint than `recent` has.
 */
import { readFile } from 'node:fs/promises';
import type { Decision } from '../decision.ts';
import type { ServiceFinding } from '../preflight.ts';
import type { Abilities } from './layout.ts';
import { endpointChain } from './names.ts';
import { target } from './service.ts';

/** The files of the kernel's `recent` match. Undefined where there is no such file. */
export type ReadFile = (path: string) => Promise<string | undefined>;

export const readKernelFile: ReadFile = async (path) => {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** Said when the backend is chosen, before any Service asks for it. */
export const noHashNote =
  'the kernel lacks the bpf match of iptables (xt_bpf): Services that ask to be balanced by a hash are balanced at random';

export interface Limits {
  readonly abilities: Abilities;
  readonly decisions: Iterable<Decision>;
  readonly read?: ReadFile;
}

export async function limitFindings({
  abilities,
  decisions,
  read = readKernelFile,
}: Limits): Promise<readonly ServiceFinding[]> {
  const all = [...decisions];
  return [...(abilities.bpf ? [] : unhashed(all)), ...(await fullLists(all, read))];
}

function unhashed(decisions: readonly Decision[]): readonly ServiceFinding[] {
  const services = new Set(
    decisions.filter(({ balancing }) => balancing === 'hash').map(({ service }) => service),
  );
  return [...services].map((service) => ({
    code: 'HashNotPossible' as const,
    service,
    message: `${service} asks to be balanced by a hash, and is balanced at random: the kernel lacks the bpf match of iptables; load the module xt_bpf and restart the agent, or use --backend nftables`,
  }));
}

/** From this part of the places on it is told that they run out. */
const nearly = 0.9;
/** Where the parameter cannot be read: the kernel's own. */
const usualPlaces = 100;

/** A2: the kernel remembers so many clients of an endpoint; one more pushes out the one that was away the longest. */
async function fullLists(decisions: readonly Decision[], read: ReadFile): Promise<readonly ServiceFinding[]> {
  const sticky = decisions.filter(({ affinitySeconds }) => affinitySeconds !== undefined);
  if (sticky.length === 0) return [];
  const places = Number((await read('/sys/module/xt_recent/parameters/ip_list_tot')) ?? usualPlaces);
  const found: ServiceFinding[] = [];
  const told = new Set<string>();
  for (const decision of sticky) {
    for (const endpoint of [...decision.cluster, ...decision.local]) {
      if (told.has(decision.service)) break;
      const text = await read(`/proc/net/xt_recent/${endpointChain(decision, target(endpoint))}`);
      const clients = text === undefined ? 0 : text.split('\n').length - 1;
      if (clients < places * nearly) continue;
      told.add(decision.service);
      found.push({
        code: 'AffinityMemoryFull',
        service: decision.service,
        message: `the kernel remembers at most ${places} clients of an endpoint of ${decision.service}, which has client affinity, and has nearly as many: further ones push out others, which then may get another endpoint; load the module xt_recent with a larger ip_list_tot (options xt_recent ip_list_tot=10000), or use --backend nftables`,
      });
    }
  }
  return found;
}
