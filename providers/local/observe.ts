/**
 * What a Service has and is to have: its ServiceAddress objects, and the answer of the pools.
 *
 * A quick look is at the picture that the watch keeps, which costs nothing; where it and what we last wrote differ, and
 * in full looks, the objects are read. Asking the pools reserves in memory; nothing is written.
 */
import { serviceAddressName, type ServiceAddressObject } from '../../src/core/address-objects.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { ObserveRequest } from '../../src/core/provider.ts';
import type { LocalCluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';
import { answerOf, isOf, seen, type LocalObserved, type SeenAddress } from './observed.ts';
import type { LocalWanted } from './wanted.ts';

export interface ObserveParts {
  readonly cluster: LocalCluster;
  readonly ledger: Ledger;
  readonly clock: Clock;
}

export async function observe(
  parts: ObserveParts,
  { owner, depth, wanted, previous, signal }: ObserveRequest<LocalWanted, LocalObserved>,
): Promise<LocalObserved> {
  const { ledger, clock } = parts;
  ledger.start();
  const known = new Map<string, SeenAddress>();
  const look = async (names: Iterable<string>): Promise<void> => {
    for (const name of names) {
      if (known.has(name)) continue;
      const object = await read(
        parts,
        name,
        depth === 'quick' ? previous : undefined,
        depth !== 'quick',
        signal,
      );
      if (object === undefined) continue;
      known.set(name, seen(object));
      ledger.noteProbe(seen(object));
    }
  };
  // First what bears the mark, so that the pools know what the link said of it.
  await look([
    ...ledger.objectsOf(owner.uid),
    ...(previous?.addresses ?? []).filter((one) => isOf(one, owner.uid)).map(({ name }) => name),
    ...ledger.allocator.heldBy(owner.uid).map(({ text }) => serviceAddressName(text)),
  ]);
  const outcome = wanted === undefined || wanted.rival !== null ? null : ledger.ask(wanted);
  await look((outcome?.grants ?? []).map(({ address }) => serviceAddressName(address)));
  const granted = outcome?.grants ?? [];
  const names = new Set(granted.map(({ address }) => serviceAddressName(address)));
  // What it left, and neither an object nor its status knows of any more, is free.
  for (const { address } of outcome?.leaving ?? []) {
    const object = known.get(serviceAddressName(address));
    const bears = object !== undefined && isOf(object, owner.uid);
    if (!bears && wanted?.published.includes(address) === false) ledger.allocator.release(owner.uid, address);
  }
  const addresses = [...known.values()]
    .filter((one) => isOf(one, owner.uid) || names.has(one.name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    owner: owner.uid,
    addresses,
    outcome,
    draining: granted
      .map(({ address }) => address)
      .filter((one) => ledger.allocator.poolOf(one) === undefined),
    stillOurs: addresses
      .filter((one) => answerOf(one) === 'taken' && ledger.isOurMac(one.probe?.mac))
      .map(({ address }) => address),
    passedOver: ledger.passedOver(owner.uid),
    homeless: granted.filter(({ pool }) => ledger.isHomeless(pool)).map(({ address }) => address),
    at: clock.wall(),
  };
}

async function read(
  { cluster }: ObserveParts,
  name: string,
  previous: LocalObserved | undefined,
  live: boolean,
  signal: AbortSignal,
): Promise<ServiceAddressObject | undefined> {
  if (live) return await cluster.readAddress(name, signal);
  const object = cluster.address(name);
  const before = previous?.addresses.find((one) => one.name === name);
  const written = before?.resourceVersion;
  // The picture may not show our own last write yet.
  const behind = written !== undefined && (object === undefined || isOlder(object.resourceVersion, written));
  return behind ? await cluster.readAddress(name, signal) : object;
}

/** Versions are opaque but for this: as numbers they grow (KEP-5504); where they are none, the picture is not trusted. */
function isOlder(version: string, than: string): boolean {
  if (version === than) return false;
  if (!/^\d+$/u.test(version) || !/^\d+$/u.test(than)) return true;
  return BigInt(version) < BigInt(than);
}
