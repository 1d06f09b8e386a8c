/**
 * The way of an address of local mode, from its pool to whoever answers for it: what `explain` adds for Services of
 * class `sluice.dev/local`. Pure; the very code of the agents says which nodes may announce.
 *
 * Each address gets the first thing that stands in its way, and the one command that shows or mends it.
 */
import { factsOf, isAsked, nodesOfPool } from '../agent/announce/facts.ts';
import { askedType } from '../agent/announce/status.ts';
import {
  serviceAddressName,
  type AddressPoolObject,
  type ServiceAddressObject,
} from '../core/address-objects.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../core/objects.ts';
import type { Exclusion } from '../core/provider.ts';
import { verdict } from './address-verdict.ts';
import { pathText, type PathCheck } from './path-check.ts';

export interface AddressStory {
  readonly address: string;
  readonly pool: string | null;
  /** Nodes that may announce it. */
  readonly nodes: readonly string[];
  readonly excluded: readonly Exclusion[];
  readonly holder: {
    readonly node: string;
    readonly interface: string;
    readonly mac: string;
    readonly since: string;
    readonly reason: string;
  } | null;
  readonly probe: string;
  /** What neighbours asked, as the holder tells it. */
  readonly asked: string;
  readonly path: string;
  readonly ok: boolean;
  readonly verdict: string;
  /** One command; empty where nothing is to be done. */
  readonly command: string;
}

export interface AddressInput {
  readonly service: ServiceObject;
  readonly slices: readonly EndpointSliceObject[];
  readonly nodes: readonly NodeObject[];
  readonly objects: readonly ServiceAddressObject[];
  readonly pools: readonly AddressPoolObject[];
  readonly paths: ReadonlyMap<string, PathCheck>;
}

/** One story for each address that the Service has, or is to get. */
export function addressStories(input: AddressInput): readonly AddressStory[] {
  const { service, objects } = input;
  const shown = service.ingress.flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
  const given = objects
    .filter(({ services }) => services.some(({ key }) => key === service.key))
    .map(({ address }) => address);
  return [...new Set([...shown, ...given])].map((address) => tell(input, address));
}

function tell(input: AddressInput, address: string): AddressStory {
  const { service, objects, pools, nodes, slices, paths } = input;
  const object = objects.find(({ name }) => name === serviceAddressName(address));
  const path = paths.get(address) ?? { kind: 'not-tried', why: 'it was not asked' };
  if (object === undefined) {
    return {
      address,
      pool: null,
      nodes: [],
      excluded: [],
      holder: null,
      probe: 'none',
      asked: 'unknown',
      path: pathText(path),
      ok: false,
      verdict: `${address} stands in the status, and no ServiceAddress says whose it is: agents announce nothing without one`,
      command: `kubectl get serviceaddresses ${serviceAddressName(address)}`,
    };
  }
  const pool = pools.find(({ name }) => name === object.pool);
  const facts = factsOf(
    object,
    {
      pool: () => pool,
      service: (key) => (key === service.key ? service : undefined),
      slices: () => slices,
    },
    nodesOfPool(nodes, pool),
  );
  const { holder } = object;
  return {
    address,
    pool: object.pool,
    nodes: facts.nodes,
    excluded: facts.excluded,
    holder: holder ?? null,
    probe: probeText(object),
    asked:
      object.conditions.find(({ type }) => type === askedType)?.message ??
      (holder === undefined ? 'nobody holds it' : 'no neighbour has asked since'),
    path: pathText(path),
    ...verdict({ ...input, object, pool, facts, path }),
  };
}

function probeText(object: ServiceAddressObject): string {
  const { probe } = object;
  if (isAsked(object)) return 'asked for, not answered yet';
  if (probe === undefined) return 'none';
  const who = `by ${probe.node} on ${probe.interface}, ${probe.at}`;
  if (probe.outcome === 'taken') return `taken by ${probe.mac ?? 'another host'} (${who})`;
  return probe.outcome === 'free'
    ? `free (${who})`
    : `failed: ${probe.message ?? 'no reason given'} (${who})`;
}

/** As `explain` prints it, below the endpoints. */
export function storyLines(story: AddressStory): readonly string[] {
  const { holder, nodes, excluded } = story;
  return [
    '',
    `Address     ${story.address}${story.pool === null ? '' : `, from pool ${story.pool}`}`,
    `  Probe     ${story.probe}`,
    `  Nodes     ${nodes.length === 0 ? 'none may announce it' : nodes.join(', ')}`,
    ...excluded.map(({ reason, message }) => `            not ${reason}: ${message}`),
    `  Holder    ${holder === null ? 'nobody' : `${holder.node} on ${holder.interface} (${holder.mac}), since ${holder.since}, ${holder.reason}`}`,
    `  Asked     ${story.asked}`,
    `  Path      ${story.path}`,
    `  ${story.ok ? 'Fine' : 'Trouble'}: ${story.verdict}`,
    ...(story.command === '' ? [] : [`  Next      ${story.command}`]),
  ];
}
