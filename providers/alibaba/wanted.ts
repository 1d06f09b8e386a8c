/**
 * What should exist at Alibaba Cloud for one Service: one balancer, made or brought along by the user, and a
 * listener with a VServer group for each port. Pure: computed from settings and a snapshot of the cluster.
 */
import type { ServiceObject } from '../../src/core/objects.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { Desired, Exclusion, Owner, World } from '../../src/core/provider.ts';
import { chooseNodes } from '../../src/core/targets.ts';
import { prefix } from './annotation-row.ts';
import { valueOf } from './annotations.ts';
import type { ListenerProtocol } from './client-types-listeners.ts';
import { instanceOf, keptOut, notAnInstance } from './instances.ts';
import { balancerName, groupName, memberDescription } from './names.ts';
import type { ListenerSettings, ObservedGroup } from './observed.ts';
import { listenerKey, memberKey } from './observed.ts';
import type { PortPlan } from './ports.ts';
import type { AlibabaSettings } from './settings.ts';
import { joinRecord, keysTag, ownerTags, recordWord, useTag } from './tags.ts';
import type { Tags } from './tags.ts';
import { readyEndpoints, scaled, shared } from './weights.ts';

export interface WantedMember {
  /** `serverId:port`. */
  readonly key: string;
  readonly weight: number;
}

export interface WantedGroup {
  /** Of a group that the user brought along. */
  readonly id: string | undefined;
  readonly name: string;
  readonly nodePort: number;
  readonly tags: Tags;
  /** Sorted by key. */
  readonly members: readonly WantedMember[];
}

export interface WantedListener {
  /** `80-tcp`: names the listener and its group in plans. */
  readonly key: string;
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly transport: 'TCP' | 'UDP';
  readonly description: string;
  readonly settings: ListenerSettings;
  /** Settings that Sluice chose: nobody asked for them. */
  readonly chosen: readonly string[];
  readonly forward: number | undefined;
  /** Domain → certificate; undefined is no opinion. */
  readonly domains: Readonly<Record<string, string>> | undefined;
  readonly tags: Tags;
  /** Undefined for one that only forwards. */
  readonly group: WantedGroup | undefined;
}

/** A listener in the Service's own words: `80/TCP`. */
export function listenerLabel({ port, transport }: Pick<WantedListener, 'port' | 'transport'>): string {
  return `${port}/${transport}`;
}

/** The group of a listener among those that are there. One that was taken over has another name, and serves whom it served. */
export function groupOf(
  { group, port, protocol }: Pick<WantedListener, 'group' | 'port' | 'protocol'>,
  groups: readonly ObservedGroup[],
): ObservedGroup | undefined {
  if (group === undefined) return undefined;
  if (group.id !== undefined) return groups.find(({ id }) => id === group.id);
  return (
    // Of groups that were made twice (an answer was lost) the one in use: the others go.
    groups.find(({ name, ours, usedBy }) => ours && name === group.name && usedBy.length > 0) ??
    groups.find(({ name, ours }) => ours && name === group.name) ??
    groups.find(
      ({ takenOver, usedBy }) =>
        takenOver === group.nodePort && usedBy.includes(listenerKey({ port, protocol })),
    )
  );
}

/** Settings of a balancer; all that is absent is left as it is. */
type Asked = Pick<
  AlibabaSettings,
  | 'addressType'
  | 'addressTypeAsked'
  | 'mayCreate'
  | 'reuse'
  | 'resourceGroup'
  | 'resourceGroupAsked'
  | 'deleteProtection'
  | 'modificationProtection'
  | 'instanceChargeType'
  | 'spec'
  | 'chargeType'
  | 'bandwidth'
  | 'bandwidthKey'
  | 'vpc'
  | 'vSwitch'
  | 'ip'
  | 'ipVersion'
  | 'masterZone'
  | 'slaveZone'
  | 'hostname'
  | 'recreate'
  | 'ignoreWeights'
  | 'backendsPerCall'
>;

export interface AlibabaWanted extends Asked {
  readonly name: string;
  readonly named: boolean;
  readonly tags: Tags;
  /** Our mark on a balancer that the user brought along. */
  readonly useTag: string;
  readonly service: string;
  /** On members that we put in. */
  readonly description: string;
  /** Addresses that the Service shows now. */
  readonly published: readonly string[];
  /** Sorted by port. */
  readonly listeners: readonly WantedListener[];
  /** Instances that could be members but hold no endpoint now (policy Local), sorted. */
  readonly idle: readonly string[];
}

/** Whom what is made for the world's Service belongs to. */
function ownerOf(world: World): Owner {
  return { cluster: world.cluster, service: world.service.key, uid: world.service.uid };
}

export function want(settings: AlibabaSettings, world: World): Desired<AlibabaWanted> {
  const owner = ownerOf(world);
  const chosen = chooseInstances(settings, world);
  const problems = rivals(settings, world);
  const lost = new Set(problems.map(({ field }) => field));
  const {
    region: _region,
    ports,
    tags,
    preserve: _preserve,
    weight: _weight,
    defaultWeight: _default,
    ...rest
  } = settings;
  const { nodeSelector: _selector, targetMode: _mode, name, ...asked } = rest;
  const keys = Object.keys(tags);
  const wanted: AlibabaWanted = {
    ...asked,
    name: name ?? balancerName(owner),
    named: name !== undefined,
    tags: {
      ...tags,
      ...ownerTags(owner, 'balancer'),
      ...(keys.length === 0 ? {} : { [keysTag]: joinRecord(keys.map(recordWord)) }),
    },
    useTag: useTag(owner),
    service: owner.service,
    description: memberDescription(owner),
    published: world.service.ingress.flatMap(({ ip }) => (ip === undefined ? [] : [ip])),
    listeners: ports
      .filter((port) => !lost.has(portField(world.service, port)))
      .map((port) => listenerOf(owner, settings, port, chosen)),
    idle: chosen.idle,
  };
  // Absent and undefined are the same in what is printed and compared.
  return { wanted: JSON.parse(JSON.stringify(wanted)) as AlibabaWanted, problems, excluded: chosen.excluded };
}

function listenerOf(owner: Owner, settings: AlibabaSettings, port: PortPlan, chosen: Chosen): WantedListener {
  const { nodePort, protocol, transport, forward, group } = port;
  const family = protocol === 'https' ? 'http' : protocol;
  const { instances } = chosen;
  const counts = instances.map(({ ready }) => ready);
  const weights =
    group !== undefined && settings.weight !== undefined
      ? shared(counts, settings.weight)
      : chosen.local
        ? scaled(counts)
        : counts.map(() => settings.defaultWeight);
  const members = instances.map(({ id }, i): WantedMember => ({
    key: memberKey(id, nodePort),
    weight: weights[i] ?? settings.defaultWeight,
  }));
  return {
    key: `${port.port}-${protocol}`,
    port: port.port,
    protocol,
    transport,
    description: `sluice ${owner.service} ${port.port}/${protocol}`.slice(0, 256),
    settings: port.settings,
    chosen: port.chosen,
    domains: port.domains,
    forward,
    tags: ownerTags(owner, 'listener'),
    group:
      forward === undefined
        ? {
            id: group,
            name: groupName(owner, { family, nodePort }),
            nodePort,
            tags: ownerTags(owner, 'vserver-group'),
            members: members.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
          }
        : undefined,
  };
}

interface Chosen {
  /** Sorted by id. `ready`: endpoints under policy Local, else 1. */
  readonly instances: readonly { readonly id: string; readonly ready: number }[];
  readonly local: boolean;
  readonly idle: readonly string[];
  readonly excluded: readonly Exclusion[];
}

function chooseInstances({ nodeSelector, targetMode, region }: AlibabaSettings, world: World): Chosen {
  const { nodes, excluded: left } = chooseNodes(world, { selector: nodeSelector, mode: targetMode });
  const local = world.service.externalTrafficPolicy === 'Local';
  const ready = local ? readyEndpoints(world.slices) : undefined;
  const excluded: Exclusion[] = [...left];
  const instances = new Map<string, number>();
  for (const node of nodes) {
    const id = instanceOf(node, region);
    const kept = keptOut(node);
    if (kept !== undefined) excluded.push(kept);
    else if (id === undefined) excluded.push(notAnInstance(node, region));
    else instances.set(id, ready === undefined ? 1 : (ready.get(node.name) ?? 0));
  }
  const without = new Set(
    left.filter(({ reason }) => reason === 'NodeWithoutEndpoint').map(({ node }) => node),
  );
  const idle = world.nodes
    .filter((node) => without.has(node.name) && keptOut(node) === undefined)
    .map((node) => instanceOf(node, region))
    .filter((id) => id !== undefined);
  return {
    instances: [...instances]
      .map(([id, count]) => ({ id, ready: count }))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    local,
    idle: [...new Set(idle)].toSorted(),
    excluded,
  };
}

function portField(
  { ports }: ServiceObject,
  { port, transport }: Pick<PortPlan, 'port' | 'transport'>,
): string {
  return `spec.ports[${ports.findIndex((one) => one.port === port && one.protocol === transport)}]`;
}

/** Two Services cannot have one port of a balancer that they share; the older one keeps it. */
function rivals({ reuse, ports }: AlibabaSettings, world: World): readonly Problem[] {
  if (reuse === undefined) return [];
  const mine = world.service;
  const problems: Problem[] = [];
  for (const other of world.services) {
    if (
      other.uid === mine.uid ||
      other.deleting ||
      valueOf(other.annotations, 'id') !== reuse.id ||
      !isOlder(other, mine)
    )
      continue;
    for (const port of ports) {
      if (!other.ports.some((one) => one.port === port.port && one.protocol === port.transport)) continue;
      problems.push({
        severity: 'error',
        reason: 'PortConflict',
        field: portField(mine, port),
        message: `port ${port.port}/${port.transport} of balancer ${reuse.id} is taken by the older Service ${other.key}`,
        cure: `use another port, or another balancer in ${annotationField(`${prefix}id`)}`,
      });
    }
  }
  return problems;
}

function isOlder(one: ServiceObject, other: ServiceObject): boolean {
  if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt;
  return one.key < other.key;
}
