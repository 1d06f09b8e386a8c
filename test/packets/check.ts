/**
 * Sends the packets of a row and compares what came of them with what was expected, in words.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { unreachable } from '../../src/core/errors.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Destination, Tally } from '../../src/sandbox/bed/traffic.ts';
import type { Case, Expectation, PacketRow, Settings, Target } from './cases/row.ts';
import type { Atlas } from './world.ts';

/** Who writes the rules of n1. */
export interface Programmer {
  readonly name: string;
  /** Brings n1, with the addresses that a case lends it, to serve the world; resolves once it does. */
  become(atlas: Atlas, owns?: Case['owns']): Promise<void>;
  close(): Promise<void>;
}

export type MakeProgrammer = (bed: Bed, settings: Settings) => Promise<Programmer>;

/** Ports at which every pod and node of a bed for cases answers; at all but the first it adds the port to its name. */
export const servedPorts = [8080, 8081, 9090];

/** Silence is believed after so many milliseconds; nothing in a bed takes that long. */
const silenceMs = 250;

/** Servers at every pod and node, and n1 as every client's default route. */
export async function prepareBed(bed: Bed): Promise<void> {
  const { nodes, pods, clients } = bed.topology;
  const served = [...nodes, ...pods].flatMap(({ name: place }) =>
    servedPorts.flatMap((port, index) =>
      (['TCP', 'UDP'] as const).flatMap((protocol) =>
        (['IPv4', 'IPv6'] as const).map((family) =>
          bed.serve(place, { port, protocol, family, name: index === 0 ? place : `${place}:${port}` }),
        ),
      ),
    ),
  );
  await Promise.all([...served, ...clients.map(({ name }) => bed.route(name, 'n1'))]);
}

/** What is wrong with a row in one family, a sentence each; nothing where all is as expected. */
export async function checkRow(
  bed: Bed,
  atlas: Atlas,
  row: PacketRow,
  expected: Expectation,
  family: IpFamily,
): Promise<string[]> {
  const to = destination(atlas, row.to, row.protocol ?? 'TCP', family);
  const options = {
    timeoutMs: 500,
    ...(row.size === undefined ? {} : { size: row.size }),
    ...(row.source === undefined ? {} : { source: atlas.place(row.source, family) }),
  };
  switch (expected.kind) {
    case 'reaches': {
      // The first large datagram is what the path's MTU is found out by.
      if (row.size !== undefined) await bed.dial(row.from, to, { ...options, timeoutMs: silenceMs });
      const tally = await bed.many(row.from, to, enough(expected.who.length), options);
      return [
        ...compareNames(tally, expected.who),
        ...compareSources(bed, tally, row.from, expected.source, family),
      ];
    }
    case 'sticks': {
      const tally = await bed.many(row.from, to, enough(expected.who.length), { ...options, parallel: 1 });
      const [first = '', ...others] = Object.keys(tally.self);
      if (!expected.who.includes(first) || others.length > 0) return [`reached ${describe(tally)}`];
      return onlyAnswers(tally);
    }
    case 'refused':
    case 'silence':
    case 'untouched': {
      // One that is wrongly served may be so only at some endpoints.
      const parallel = 8;
      const tally = await bed.many(row.from, to, parallel, { ...options, parallel, timeoutMs: silenceMs });
      const kinds = Object.keys(tally.kinds);
      const wanted = kindsOf(expected.kind);
      return kinds.every((kind) => wanted.includes(kind)) ? [] : [`came to ${describe(tally)}`];
    }
    default:
      return unreachable(expected);
  }
}

/** So many that missing one of n by chance is less likely than 1 in a thousand million (n = 1: a few suffice). */
function enough(count: number): number {
  return count === 1 ? 10 : 60 * (count - 1);
}

function kindsOf(expected: 'refused' | 'silence' | 'untouched'): string[] {
  switch (expected) {
    case 'refused':
      return ['refused'];
    case 'silence':
      // A process whose datagram is dropped in OUTPUT is told so by the kernel.
      return ['silence', 'denied'];
    case 'untouched':
      return ['unreachable'];
  }
}

/** Where a row goes. */
export function destination(
  atlas: Atlas,
  target: Target,
  protocol: 'TCP' | 'UDP',
  family: IpFamily,
): Destination {
  if (target.at === 'free cluster IP') return { address: atlas.freeClusterIP(family), port: 80, protocol };
  if (target.at === 'node port') {
    const address = target.address ?? atlas.place(target.node ?? 'n1', family);
    return { address, port: atlas.nodePort(target.of, target.port), protocol };
  }
  const ports = atlas.world.find(({ name }) => name === target.of)?.ports ?? [{ port: 80 }];
  const port = target.portNumber ?? ports[target.port ?? 0]?.port ?? 0;
  return { address: atlas.address(target.of, target.at, family), port, protocol };
}

function describe(tally: Tally): string {
  return JSON.stringify({ ...tally.kinds, by: tally.self });
}

function onlyAnswers(tally: Tally): string[] {
  return Object.keys(tally.kinds).every((kind) => kind === 'answered') ? [] : [`came to ${describe(tally)}`];
}

function compareNames(tally: Tally, who: readonly string[]): string[] {
  const reached = Object.keys(tally.self).toSorted();
  if (reached.join() !== who.toSorted().join()) return [`reached ${describe(tally)}`];
  return onlyAnswers(tally);
}

function compareSources(
  bed: Bed,
  tally: Tally,
  from: string,
  source: 'kept' | 'node',
  family: IpFamily,
): string[] {
  const node = bed.node('n1');
  const nodes = new Set(
    [node.address, node.second, node.gateway, node.vtep.address].map((each) => each[family]),
  );
  const own = [...bed.topology.pods, ...bed.topology.clients].find(({ name }) => name === from)?.address[
    family
  ];
  return Object.entries(tally.seen).flatMap(([server, peers]) => {
    const itself = server.split(':')[0] === from;
    const kept = server.split(':')[0] === 'n1' ? from !== 'n1' : source === 'kept' && !itself;
    const right = (peer: string): boolean => (kept ? peer === own : nodes.has(peer));
    const wrong = Object.keys(peers).filter((peer) => !right(peer));
    return wrong.map((peer) => `${server} saw ${peer}`);
  });
}

/** Asks until it holds; rejects with what was awaited. */
export async function until(
  awaited: string,
  holds: () => Promise<boolean>,
  limitMs = 60_000,
  everyMs = 5,
): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new Error(`${awaited}: not within ${limitMs} ms`);
    await sleep(everyMs);
  }
}

/**
 * Forgets what a node tracks of TCP tries from before an address was served. They were not translated, and are remembered so
 * for two minutes: a new connection from the same port would follow them past the rules and be refused, and ports of a
 * client come round again after some thousand connections. To be called once, when the addresses are served; what is
 * open to them stays.
 */
export async function forgetEarlier(bed: Bed, node: string, ...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) await forgetUntranslated(bed, node, address);
}

async function forgetUntranslated(bed: Bed, node: string, address: string): Promise<void> {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const untranslated = ['-f', family, '-p', 'tcp', '--orig-dst', address, '--reply-src', address];
  // It fails where there was none.
  await bed.run(node, 'conntrack', ['-D', ...untranslated]);
  const left = await bed.succeed(node, 'conntrack', ['-L', ...untranslated]);
  if (left.trim() !== '') throw new Error(`${node} still tracks untranslated tries for ${address}:\n${left}`);
}
