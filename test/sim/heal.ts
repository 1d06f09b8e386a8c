/**
 * The end of faults: all that stands is taken back, and users mend what only they can mend. From here on nothing
 * excuses a difference.
 */
import { clusterId, clusterTag, uidTag } from './marks.ts';
import { instanceOf, nameOf, takenName } from './people.ts';
import { blowId, type World } from './world.ts';

/** Standing orders of the simulation itself, and blows that a sweep has still to deal. */
const lasting: ReadonlySet<string> = new Set(['monitor', 'trace', blowId]);

export async function heal(world: World): Promise<void> {
  const { account, monitor } = world;
  world.trace('── faults cease, users mend');
  monitor.eventHappened();
  calm(world);
  // What a fault hid is seen again by then.
  await world.clock.advance(10_000);
  // What users mend now is an event like any other change of theirs.
  monitor.eventHappened();
  for (const { kind, id, name, tags } of account.resources()) {
    if (kind !== 'balancer') continue;
    account.hand.protect(id, false);
    if (name === takenName && tags[clusterTag] === undefined) account.hand.deleteBalancer(id);
  }
  for (const service of world.server.all('services')) mend(world, nameOf(service));
}

function calm(world: World): void {
  const { account, server, monitor } = world;
  world.endAll();
  for (const { id } of account.faults.list()) if (!lasting.has(id)) account.faults.clear(id);
  account.calm(world.surroundings);
  account.setHealth(undefined, true);
  for (const node of server.all('nodes')) {
    const id = instanceOf(node);
    if (id === undefined) continue;
    account.setInstance(id, true);
    account.setHealth(id, true);
    monitor.facts.healthChanged(id, true);
  }
  world.apiFaults = world.apiFaults.filter(({ due }) => due);
  world.cloudDeath = undefined;
  world.lag = undefined;
  world.revive();
}

/** What the Service's user does when it says what is wrong with it. */
function mend({ account, server, people, cloud }: World, key: string): void {
  const { words, rules } = cloud;
  const { metadata = {}, spec: had = {}, status = {} } = server.get('services', key) ?? {};
  const annotations = metadata.annotations ?? {};
  const own = account
    .balancers()
    .find(({ tags }) => tags[clusterTag] === clusterId && tags[uidTag] === metadata.uid);
  for (const held of ['sluice.dev/paused', 'sluice.dev/plan-only', 'sluice.dev/drift-policy'])
    if (annotations[held] !== undefined) people.annotate(key, held, undefined);
  for (const [name, value] of Object.entries(words.broken))
    if (annotations[name] === value) people.annotate(key, name, undefined);
  // Only who has the name may go on asking for it.
  if (annotations[words.nameKey] !== undefined && own?.name !== takenName)
    people.annotate(key, words.nameKey, undefined);
  const [side] = words.side;
  if (own !== undefined && annotations[side] !== undefined) people.annotate(key, side, own.side);
  const shows = (status.loadBalancer?.ingress ?? []).length > 0;
  if (own === undefined && shows && words.recreate !== undefined)
    people.annotate(key, words.recreate[0], words.recreate[1]);
  people.changeService(key, (spec) => {
    const nodePorts = new Map<number, number | undefined>();
    const ports = (spec.ports ?? [])
      .filter(({ protocol }) => protocol !== 'SCTP')
      .map((one) => {
        const port = one.port ?? 0;
        if (!nodePorts.has(port)) nodePorts.set(port, one.nodePort);
        const { nodePort: _old, ...rest } = one;
        const nodePort = nodePorts.get(port);
        return nodePort === undefined ? rest : { ...rest, nodePort };
      });
    const fallback = [{ name: 'http', port: 80, protocol: 'TCP' }];
    const { allocateLoadBalancerNodePorts: _off, ...others } = spec;
    return { ...others, ports: ports.length === 0 ? fallback : ports };
  });
  const ports = server.get('services', key)?.spec?.ports ?? had.ports ?? [];
  for (const misfit of rules.listenersOf(ports, annotations).misfits) people.annotate(key, misfit, undefined);
}
