/** What an agent of a node would see, read once: complete lists from a cluster, or files. */
import { AgentDoor } from '../agent/door.ts';
import { systemClock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { EndpointSliceObject, NodeName, NodeObject, ServiceObject } from '../core/objects.ts';
import { connectBy } from './access.ts';
import type { AgentChoice } from './agent-flags.ts';
import { readManifests } from './manifest-files.ts';

export interface AgentWorld {
  readonly services: readonly ServiceObject[];
  readonly slices: readonly EndpointSliceObject[];
  readonly node: NodeObject | undefined;
  readonly mistakes: readonly string[];
}

/** A cluster that does not answer is told after this. */
const listWithinMs = 20_000;

export async function worldFromFiles(
  paths: readonly string[],
  name: NodeName | undefined,
): Promise<AgentWorld> {
  const { services, slices, nodes, mistakes } = await readManifests(paths);
  const [only] = nodes;
  const node = name === undefined && nodes.length === 1 ? only : nodes.find((one) => one.name === name);
  return { services, slices, node, mistakes };
}

export async function worldFromCluster(
  flags: Parameters<typeof connectBy>[0],
  choice: Pick<AgentChoice, 'settings'>,
  server: string | undefined,
): Promise<AgentWorld> {
  const { scope, nodeName } = choice.settings;
  const api = await connectBy(flags, { server });
  let problem: SluiceError | undefined;
  const door = new AgentDoor({
    api,
    scope,
    nodeName,
    clock: systemClock,
    random: Math.random,
    report: (event) => {
      if (event.kind === 'failed') problem = event.error;
    },
  });
  const late = Promise.withResolvers<never>();
  const cancel = systemClock.schedule(listWithinMs, () => {
    const message = `the cluster could not be read within ${listWithinMs / 1000} s: ${problem?.message ?? 'it does not answer'}`;
    late.reject(new SluiceError('transient', message, { code: 'NotListed', cause: problem }));
  });
  try {
    await Promise.race([door.start(), late.promise]);
    const services = [...door.services()];
    return {
      services,
      slices: services.flatMap(({ key }) => door.slices(key)),
      node: door.node(),
      mistakes: [],
    };
  } finally {
    cancel();
    await door.stop();
    await api.close();
  }
}
