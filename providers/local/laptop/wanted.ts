/**
 * What a Service asks of the laptop: its listeners, and the nodes that they lead to. Pure.
 *
 * `wanted` says nothing of the address or of stated ports: those depend on what other Services have, and are settled
 * by the plan, which sees the table.
 */
import type { Cidr } from '../../../src/core/cidr.ts';
import { contains, parseAddress, parseCidr } from '../../../src/core/cidr.ts';
import type { ServiceObject, ServicePort } from '../../../src/core/objects.ts';
import type { Problem } from '../../../src/core/problems.ts';
import type { Desired, Parsed, World } from '../../../src/core/provider.ts';
import { chooseNodes } from '../../../src/core/targets.ts';
import type { ListenerRules, Target } from './host.ts';
import type { Transport } from './ports.ts';

/** Over what pods are reached. `auto`: node ports where they answer, else the API server. */
export type Via = 'auto' | 'nodes' | 'api';

export interface LaptopConfig {
  readonly space: Cidr;
  /** The machine has room for an address of each Service's own; else all share 127.0.0.1 (macOS). */
  readonly ownAddresses: boolean;
  /** ::1 is there. */
  readonly loopback6: boolean;
  /** Least port that this process may listen on. */
  readonly unprivilegedFrom: number;
  readonly via: Via;
}

export interface LaptopSettings {
  readonly sourceRanges: readonly string[];
  readonly affinityMs: number;
  /** Left out: those that cannot be served. */
  readonly ports: readonly {
    readonly port: number;
    readonly protocol: Transport;
    readonly nodePort: number;
  }[];
  /** `spec.loadBalancerIP`, where it lies in the space. */
  readonly asked: string | undefined;
  readonly ipv6: boolean;
}

export interface WantedListener {
  readonly port: number;
  readonly protocol: Transport;
  readonly rules: ListenerRules;
  readonly targets: readonly Target[];
}

export interface LaptopWanted {
  readonly service: string;
  readonly asked: string | undefined;
  /** Addresses of ours that the Service's status shows: they are kept where they are free. */
  readonly shown: readonly string[];
  readonly ipv6: boolean;
  readonly listeners: readonly WantedListener[];
}

export function parse(service: ServiceObject, config: LaptopConfig): Parsed<LaptopSettings> {
  const problems: Problem[] = [];
  const ports = service.ports.flatMap((port, index) => {
    const problem = refusal(port, index, config.via);
    if (problem !== undefined) {
      problems.push(problem);
      return [];
    }
    return [{ port: port.port, protocol: port.protocol as Transport, nodePort: port.nodePort }];
  });
  return {
    settings: {
      sourceRanges: readRanges(service.sourceRanges, problems),
      affinityMs: service.sessionAffinity === 'ClientIP' ? service.sessionAffinityTimeout * 1_000 : 0,
      ports,
      asked: askedAddress(service, config, problems),
      ipv6: service.ipFamilies.includes('IPv6') && config.loopback6,
    },
    problems,
  };
}

function refusal(port: ServicePort, index: number, via: Via): Problem | undefined {
  const where = `spec.ports[${index}]`;
  if (port.protocol === 'SCTP') {
    return {
      severity: 'error',
      reason: 'UnsupportedProtocol',
      field: `${where}.protocol`,
      message: `port ${port.port} is SCTP, which the laptop does not carry`,
      cure: 'use TCP or UDP',
    };
  }
  if (port.protocol === 'UDP' && via === 'api') {
    return {
      severity: 'warning',
      reason: 'UdpNotForwarded',
      field: `${where}.protocol`,
      message: `port ${port.port}/UDP is not opened: the port-forward of the API server carries TCP only`,
      cure: 'make the node ports reachable and let Sluice use them (--via auto)',
    };
  }
  if (port.nodePort === 0 && via !== 'api' && (via === 'nodes' || port.protocol === 'UDP')) {
    return {
      severity: 'error',
      reason: 'NodePortMissing',
      field: `${where}.nodePort`,
      message: `port ${port.port}/${port.protocol} has no node port to lead to`,
      cure: 'set spec.allocateLoadBalancerNodePorts to true, or name a nodePort',
    };
  }
  return undefined;
}

function readRanges(ranges: readonly string[], problems: Problem[]): readonly string[] {
  const read = ranges.flatMap((text, index) => {
    const parsed = parseCidr(text.trim());
    if (parsed.kind === 'cidr') return [parsed.cidr.text];
    problems.push({
      severity: 'error',
      reason: 'ConflictingSettings',
      field: `spec.loadBalancerSourceRanges[${index}]`,
      message: parsed.message,
      cure: 'correct the range',
    });
    return [];
  });
  return [...new Set(read)].toSorted();
}

function askedAddress(
  { loadBalancerIP }: ServiceObject,
  { space, ownAddresses }: LaptopConfig,
  problems: Problem[],
): string | undefined {
  if (loadBalancerIP === undefined || loadBalancerIP === '') return undefined;
  const address = parseAddress(loadBalancerIP);
  if (ownAddresses && address !== undefined && contains(space, address)) return loadBalancerIP;
  problems.push({
    severity: 'warning',
    reason: 'IneffectiveSetting',
    field: 'spec.loadBalancerIP',
    message: ownAddresses
      ? `${loadBalancerIP} is not an address of ${space.text}, from which this laptop gives out addresses`
      : `${loadBalancerIP} cannot be had: this system has 127.0.0.1 for all Services`,
    cure: 'remove it, or ask for an address of that range',
  });
  return undefined;
}

export function want(settings: LaptopSettings, world: World, config: LaptopConfig): Desired<LaptopWanted> {
  const { nodes, excluded } = chooseNodes(world, { mode: 'local-nodes' });
  const left = [...excluded];
  const reachable = nodes.flatMap((node) => {
    const address = node.internalIPs.find((one) => !one.includes(':')) ?? node.internalIPs[0];
    if (address !== undefined) return [{ name: node.name, address }];
    left.push({
      node: node.name,
      reason: 'NodeWithoutAddress',
      message: `node ${node.name} shows no InternalIP`,
    });
    return [];
  });
  const rules = { sourceRanges: settings.sourceRanges, affinityMs: settings.affinityMs };
  return {
    wanted: {
      service: world.service.key,
      asked: settings.asked,
      shown: world.service.ingress
        .flatMap(({ ip }) => ip ?? [])
        .filter((ip) => {
          const address = parseAddress(ip);
          return address !== undefined && contains(config.space, address);
        })
        .toSorted(),
      ipv6: settings.ipv6,
      listeners: settings.ports.map(({ port, protocol, nodePort }) => ({
        port,
        protocol,
        rules,
        targets: [
          ...(nodePort === 0 || config.via === 'api'
            ? []
            : reachable.map(({ name, address }): Target => ({
                kind: 'node',
                node: name,
                address,
                port: nodePort,
              }))),
          ...(protocol === 'TCP' && config.via !== 'nodes' ? [{ kind: 'api' } as const] : []),
        ],
      })),
    },
    problems: [],
    excluded: left,
  };
}
