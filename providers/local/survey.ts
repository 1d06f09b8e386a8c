/** One list of all ServiceAddresses: who misses one, and which bear the mark of a Service that nobody knows. */
import type { ObjectKey, Uid } from '../../src/core/objects.ts';
import type { Stray, Survey } from '../../src/core/provider.ts';
import type { LocalCluster } from './cluster.ts';
import type { LocalObserved } from './observed.ts';

export async function survey(
  cluster: LocalCluster,
  known: ReadonlyMap<Uid, LocalObserved>,
  signal: AbortSignal,
): Promise<Survey> {
  const objects = await cluster.listAddresses(signal);
  const marks = new Map<Uid, string[]>();
  const strays = new Map<Uid, { key: ObjectKey; resources: string[] }>();
  for (const { name, address, pool, services } of objects) {
    for (const { key, uid } of services) {
      const mine = marks.get(uid) ?? [];
      mine.push(`${name} ${address} ${pool}`);
      marks.set(uid, mine);
      if (known.has(uid)) continue;
      const stray = strays.get(uid) ?? { key, resources: [] };
      stray.resources.push(`serviceaddress ${name}`);
      strays.set(uid, stray);
    }
  }
  const disturbed = [...known].filter(([uid, observed]) => {
    const before = observed.addresses
      .filter((one) => one.services.some((service) => service.uid === uid))
      .map(({ name, address, pool }) => `${name} ${address} ${pool}`);
    return before.toSorted().join() !== (marks.get(uid) ?? []).toSorted().join();
  });
  return {
    disturbed: disturbed.map(([uid]) => uid),
    strays: [...strays].map(([uid, { key, resources }]): Stray => ({ uid, service: key, resources })),
  };
}
