/**
 * The agent's backends as programmers of n1: decisions of the pure layer, written by a backend of each family inside
 * n1's network namespace. The first world is written whole, the next ones as changes.
 */
import type { IpFamily } from '../../src/core/objects.ts';
import type { Backend } from '../../src/agent/backend.ts';
import type { Decision, NodeDecision } from '../../src/agent/decision.ts';
import { diffDecisions } from '../../src/agent/decide/changes.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import type { MakeProgrammer, Programmer } from './check.ts';
import { agentSettings, decide } from './meaning.ts';

export interface BackendProgrammerOptions {
  readonly kind: Backend['name'];
  /** Opens a backend whose programs run in n1: `bed.spawn('n1', program, args)`. */
  readonly open: (bed: Bed, family: IpFamily) => Promise<Backend>;
  /** Takes away all that the backends have written, so that the next ones begin with nothing. */
  readonly cleanUp: (bed: Bed) => Promise<void>;
}

interface Written {
  readonly node: NodeDecision;
  readonly decisions: readonly Decision[];
}

/** Fails where a decision is refused, or where the kernel differs from what was written. */
export function backendProgrammer(options: BackendProgrammerOptions): MakeProgrammer {
  return async (bed, settings): Promise<Programmer> => {
    const own = agentSettings(settings, options.kind);
    const backends = await Promise.all(own.families.map((family) => options.open(bed, family)));
    const held = new Map<IpFamily, Written>();
    return {
      name: `agent ${options.kind}`,
      become: async (atlas, owns) => {
        const { nodes, decisions } = decide(atlas, own, owns);
        for (const backend of backends) {
          const node = nodes.find(({ family }) => family === backend.family);
          if (node === undefined) continue;
          const wanted = decisions.filter(({ family }) => family === backend.family);
          const before = held.get(backend.family);
          const { quarantined } =
            before !== undefined && JSON.stringify(before.node) === JSON.stringify(node)
              ? await backend.apply(diffDecisions(before.decisions, wanted))
              : await backend.replace(node, wanted);
          held.set(backend.family, { node, decisions: wanted });
          const differences = await backend.verify();
          if (quarantined.length > 0 || differences.length > 0) {
            throw new Error(
              `${backend.family}: ${JSON.stringify({ quarantined, differences }, undefined, 1)}`,
            );
          }
        }
      },
      close: async () => {
        for (const backend of backends) await backend.close();
        await options.cleanUp(bed);
      },
    };
  };
}
