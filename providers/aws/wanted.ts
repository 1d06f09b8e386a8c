/**
 * What should exist at AWS for one Service: one balancer, and a listener with a target group of its own for
 * each port. Pure: computed from settings and a snapshot of the cluster, with no look at AWS.
 */
import { chooseNodes } from '../../src/core/targets.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { ServiceObject, TransportProtocol } from '../../src/core/objects.ts';
import type { Desired, Exclusion, Owner, World } from '../../src/core/provider.ts';
import { prefix } from './annotation-row.ts';
import { balancerAttributes, groupAttributesFor, shortNames } from './attributes.ts';
import type { AttributeRow } from './attributes.ts';
import { instanceOf, notAnInstance } from './instances.ts';
import { balancerName, groupName } from './names.ts';
import type {
  Attributes,
  GroupProtocol,
  HealthCheck,
  ListenerProtocol,
  Scheme,
  SubnetMapping,
  Tags,
} from './observed.ts';
import type { PortPlan } from './ports.ts';
import type { AwsSettings } from './settings.ts';
import { attributesTag, certificatesTag, joinRecord, keysTag, ownerTags, recordWord } from './tags.ts';
import type { ResourceKind } from './tags.ts';

export interface WantedTarget {
  readonly instance: string;
  readonly port: number;
}

export interface WantedGroup {
  readonly name: string;
  readonly protocol: GroupProtocol;
  /** Port that AWS wants named; traffic goes to the port of each target. */
  readonly port: number;
  readonly healthCheck: HealthCheck;
  readonly attributes: Attributes;
  readonly tags: Tags;
  /** Sorted by instance. */
  readonly targets: readonly WantedTarget[];
}

export interface WantedListener {
  /** `443-TLS`: names the listener and its group in plans. */
  readonly key: string;
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly transports: readonly TransportProtocol[];
  /** ARNs, the default one first; empty without TLS. */
  readonly certificates: readonly string[];
  readonly sslPolicy: string;
  readonly alpn: string;
  readonly tags: Tags;
  readonly group: WantedGroup;
}

/** A listener in the Service's own words, for messages and reports: `80/TCP`, `53/TCP+UDP`. */
export function listenerLabel({ port, transports }: Pick<WantedListener, 'port' | 'transports'>): string {
  return `${port}/${transports.join('+')}`;
}

export interface AwsWanted {
  /** The name for a new balancer. */
  readonly name: string;
  readonly named: boolean;
  readonly scheme: Scheme;
  /** The user said so; otherwise an existing balancer keeps what it has. */
  readonly schemeAsked: boolean;
  readonly subnets: readonly SubnetMapping[];
  /** The user named them; those of the settings belong to the scheme. */
  readonly subnetsAsked: boolean;
  readonly securityGroups: readonly string[];
  /** Known beforehand from the settings, else taken from the balancer. */
  readonly vpc: string | undefined;
  readonly attributes: Attributes;
  readonly tags: Tags;
  /** Sorted by port. */
  readonly listeners: readonly WantedListener[];
  /** Instances that could be targets but hold no endpoint now (policy Local), sorted. */
  readonly idle: readonly string[];
}

/** Whom what is made for the world's Service belongs to. */
export function ownerOf(world: World): Owner {
  return { cluster: world.cluster, service: world.service.key, uid: world.service.uid };
}

export function want(settings: AwsSettings, world: World): Desired<AwsWanted> {
  const owner = ownerOf(world);
  const { instances, idle, excluded } = chooseInstances(settings, world);
  const wanted: AwsWanted = {
    name: settings.name ?? balancerName(owner),
    named: settings.name !== undefined,
    scheme: settings.scheme,
    schemeAsked: settings.schemeAsked,
    subnets: settings.subnets,
    subnetsAsked: settings.subnetsAsked,
    securityGroups: settings.securityGroups,
    vpc: settings.vpc,
    attributes: settings.balancerAttributes,
    tags: tagsOf(owner, 'balancer', settings.tags, balancerAttributes, settings.balancerAttributes),
    listeners: settings.ports.map((port) => listenerOf(owner, settings, port, instances)),
    idle,
  };
  return { wanted, problems: nameProblems(settings, world), excluded };
}

function listenerOf(
  owner: Owner,
  settings: AwsSettings,
  port: PortPlan,
  instances: readonly string[],
): WantedListener {
  const identity = { port: port.port, protocol: port.groupProtocol, targetType: 'instance' };
  const table = groupAttributesFor(port.groupProtocol);
  const more = port.certificates.slice(1);
  return {
    key: port.key,
    port: port.port,
    protocol: port.protocol,
    transports: port.transports,
    certificates: port.certificates,
    sslPolicy: port.sslPolicy,
    alpn: port.alpn,
    tags: {
      ...tagsOf(owner, 'listener', settings.tags, [], {}),
      ...(more.length === 0 ? {} : { [certificatesTag]: joinRecord(more.map(recordWord)) }),
    },
    group: {
      name: groupName(owner, identity),
      protocol: port.groupProtocol,
      port: port.nodePort,
      healthCheck: port.healthCheck,
      attributes: port.attributes,
      tags: tagsOf(owner, 'target-group', settings.tags, table, port.attributes),
      targets: instances.map((instance) => ({ instance, port: port.nodePort })),
    },
  };
}

/** The owner's mark, the user's tags, and the records of both that later removals go by. */
function tagsOf(
  owner: Owner,
  kind: ResourceKind,
  user: Tags,
  table: readonly AttributeRow[],
  attributes: Attributes,
): Tags {
  const keys = Object.keys(user);
  const set = shortNames(table, Object.keys(attributes));
  return {
    ...user,
    ...ownerTags(owner, kind),
    ...(keys.length === 0 ? {} : { [keysTag]: joinRecord(keys.map(recordWord)) }),
    ...(set.length === 0 ? {} : { [attributesTag]: joinRecord(set) }),
  };
}

interface Instances {
  /** Sorted. */
  readonly instances: readonly string[];
  readonly idle: readonly string[];
  readonly excluded: readonly Exclusion[];
}

function chooseInstances(settings: AwsSettings, world: World): Instances {
  const chosen = chooseNodes(world, { selector: settings.nodeSelector, mode: settings.targetMode });
  const excluded: Exclusion[] = [...chosen.excluded];
  const instances = new Set<string>();
  for (const node of chosen.nodes) {
    const instance = instanceOf(node);
    if (instance === undefined) excluded.push(notAnInstance(node));
    else instances.add(instance);
  }
  const without = new Set(
    chosen.excluded.filter(({ reason }) => reason === 'NodeWithoutEndpoint').map(({ node }) => node),
  );
  const idle =
    without.size === 0
      ? []
      : world.nodes
          .filter((node) => without.has(node.name))
          .map(instanceOf)
          .filter((instance) => instance !== undefined);
  return { instances: [...instances].toSorted(), idle: [...new Set(idle)].toSorted(), excluded };
}

/** Two Services cannot have one balancer name; the older one keeps it. */
function nameProblems(settings: AwsSettings, world: World): readonly Problem[] {
  if (settings.name === undefined) return [];
  const key = `${prefix}name`;
  const mine = world.service;
  const rival = world.services.find(
    (other) =>
      other.uid !== mine.uid && other.annotations[key]?.trim() === settings.name && isOlder(other, mine),
  );
  if (rival === undefined) return [];
  return [
    {
      severity: 'error',
      reason: 'NameConflict',
      field: annotationField(key),
      message: `the name "${settings.name}" is taken by the older Service ${rival.key}`,
      cure: 'choose another name',
    },
  ];
}

function isOlder(one: ServiceObject, other: ServiceObject): boolean {
  if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt;
  return one.key < other.key;
}
