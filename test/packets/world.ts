/**
 * Worlds in terms of a bed: Services with fixed addresses and endpoints named by their places, written short, and
 * turned into the objects that an API server would hold, with every field that it would have filled in.
 *
 * Every Service is dual-stack, so that each case holds for both families.
 */
import type { IpFamily, TransportProtocol } from '../../src/core/objects.ts';
import type { Manifest } from '../../src/sandbox/objects.ts';
import type { Topology } from '../../src/sandbox/bed/topology.ts';

export interface WorldEndpoint {
  /** The pod or node that serves; a node's address makes it a host-network endpoint. */
  readonly at: string;
  /** By default true. */
  readonly ready?: boolean;
  /** By default as `ready`. */
  readonly serving?: boolean;
  /** By default false. */
  readonly terminating?: boolean;
  readonly hintZones?: readonly string[];
  readonly hintNodes?: readonly string[];
  /** Endpoints of one Service with different words here stand in different slices; by default `1`. */
  readonly slice?: string;
  /** Its slice does not say on which node it runs. */
  readonly nodeless?: true;
  /** Port of its slice, where it is another one than the Service's `targetPort`. */
  readonly port?: number;
}

export interface WorldPort {
  readonly name?: string;
  readonly protocol?: TransportProtocol;
  readonly port: number;
  /** By default 8080. */
  readonly targetPort?: number;
}

export interface WorldService {
  readonly name: string;
  /** By default ClusterIP, or what the other fields need. */
  readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** By default one TCP port 80. */
  readonly ports?: readonly WorldPort[];
  readonly endpoints: readonly WorldEndpoint[];
  /** How many external IPs and balancer IPs it has; by default none. */
  readonly externalIPs?: number;
  /** External IPs as they are, beside those. */
  readonly externalIPsAt?: readonly string[];
  readonly balancerIPs?: number;
  /** The balancer IPs of this Service of the world instead of its own. */
  readonly balancerIPsOf?: string;
  readonly ipMode?: 'VIP' | 'Proxy';
  readonly internalTrafficPolicy?: 'Cluster' | 'Local';
  readonly externalTrafficPolicy?: 'Cluster' | 'Local';
  /** `sessionAffinity: ClientIP` for so many seconds. */
  readonly affinitySeconds?: number;
  readonly sourceRanges?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Node port of the first port, where the case needs a certain one. */
  readonly nodePort?: number;
}

export type World = readonly WorldService[];

export type Spot = 'V' | 'E' | 'L';

const defaultPort: WorldPort = { port: 80 };
const firstNodePort = 30_000;
const portsPerService = 4;
const servicesPerWorld = 8;

/**
 * Where things of a world are. `block` (0 to 80) keeps the addresses and node ports of one world apart from those
 * of others, so that worlds may follow each other without reusing an address.
 */
export class Atlas {
  readonly world: World;
  readonly #block: number;
  readonly topology: Topology;

  constructor(topology: Topology, world: World, block: number) {
    this.topology = topology;
    this.world = world;
    this.#block = block;
  }

  /** Cluster IP, first external IP or first balancer IP of a Service. */
  address(service: string, spot: Spot, family: IpFamily, which = 0): string {
    const index = this.#index(service);
    // Per Service one cluster IP and up to fifteen of the others.
    const [third, fourth] = [this.#block + 1, 1 + index * 16 + which];
    const host = (third * 256 + fourth).toString(16);
    switch (spot) {
      case 'V':
        return family === 'IPv4'
          ? `10.96.${third}.${1 + index}`
          : `fd00:10:96::${(third * 256 + 1 + index).toString(16)}`;
      case 'E':
        return family === 'IPv4' ? `198.18.${third}.${fourth}` : `2001:db8:e::${host}`;
      case 'L':
        return family === 'IPv4' ? `198.19.${third}.${fourth}` : `2001:db8:a::${host}`;
    }
  }

  /** A cluster IP that no Service of the world has. */
  freeClusterIP(family: IpFamily): string {
    const third = this.#block + 1;
    return family === 'IPv4' ? `10.96.${third}.200` : `fd00:10:96::${(third * 256 + 200).toString(16)}`;
  }

  /** `metadata.name` of a Service: addresses cannot be changed, so each world has Services of its own. */
  objectName(service: string): string {
    return `${service}-${this.#block}`;
  }

  nodePort(service: string, port = 0): number {
    const index = this.#index(service);
    const chosen = port === 0 ? this.world[index]?.nodePort : undefined;
    return chosen ?? firstNodePort + (this.#block * servicesPerWorld + index) * portsPerService + port;
  }

  /** The address of a place of the bed: `n1`, `n1-a`, `x1`, or `n1/second`. */
  place(name: string, family: IpFamily): string {
    const { nodes, pods, clients } = this.topology;
    const [bare, second] = name.split('/');
    const node = nodes.find((place) => place.name === bare);
    if (node !== undefined && second === 'second') return node.second[family];
    const found = [...nodes, ...pods, ...clients].find((place) => place.name === name);
    if (found === undefined) throw new Error(`the bed has no ${name}`);
    return found.address[family];
  }

  manifests(): Manifest[] {
    return this.world.flatMap((service) => [this.#service(service), ...this.#slices(service)]);
  }

  #index(service: string): number {
    const index = this.world.findIndex(({ name }) => name === service);
    if (index < 0 || index >= servicesPerWorld) throw new Error(`the world has no Service ${service}`);
    return index;
  }

  #service(service: WorldService): Manifest {
    const { name, ports = [defaultPort], externalIPs = 0, balancerIPs = 0 } = service;
    const type = service.type ?? (balancerIPs > 0 ? 'LoadBalancer' : 'ClusterIP');
    const external = type !== 'ClusterIP' || externalIPs > 0 || service.externalIPsAt !== undefined;
    const families: readonly IpFamily[] = ['IPv4', 'IPv6'];
    const some = (spot: Spot, many: number, of = name): string[] =>
      families.flatMap((family) =>
        Array.from({ length: many }, (_, which) => this.address(of, spot, family, which)),
      );
    const clusterIPs = families.map((family) => this.address(name, 'V', family));
    const local = service.externalTrafficPolicy === 'Local';
    return {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        namespace: 'default',
        name: this.objectName(name),
        ...(service.labels ? { labels: service.labels } : {}),
        ...(service.annotations ? { annotations: service.annotations } : {}),
      },
      spec: {
        type,
        clusterIP: clusterIPs[0],
        clusterIPs,
        ipFamilies: families,
        ipFamilyPolicy: 'RequireDualStack',
        ports: ports.map((port, index) => ({
          name: port.name ?? '',
          protocol: port.protocol ?? 'TCP',
          port: port.port,
          targetPort: port.targetPort ?? 8080,
          ...(type === 'ClusterIP' ? {} : { nodePort: this.nodePort(name, index) }),
        })),
        externalIPs: [...some('E', externalIPs), ...(service.externalIPsAt ?? [])],
        internalTrafficPolicy: service.internalTrafficPolicy ?? 'Cluster',
        ...(external ? { externalTrafficPolicy: service.externalTrafficPolicy ?? 'Cluster' } : {}),
        ...(type === 'LoadBalancer' && local
          ? { healthCheckNodePort: this.nodePort(name, portsPerService - 1) }
          : {}),
        ...(service.affinitySeconds === undefined
          ? {}
          : {
              sessionAffinity: 'ClientIP',
              sessionAffinityConfig: { clientIP: { timeoutSeconds: service.affinitySeconds } },
            }),
        ...(service.sourceRanges === undefined ? {} : { loadBalancerSourceRanges: service.sourceRanges }),
      },
      ...(type === 'LoadBalancer'
        ? {
            status: {
              loadBalancer: {
                ingress: some('L', balancerIPs, service.balancerIPsOf).map((ip) => ({
                  ip,
                  ipMode: service.ipMode ?? 'VIP',
                })),
              },
            },
          }
        : {}),
    };
  }

  #slices(service: WorldService): Manifest[] {
    const { name, ports = [defaultPort], endpoints } = service;
    const slices = new Map<string, WorldEndpoint[]>();
    for (const endpoint of endpoints) {
      const slice = endpoint.slice ?? '1';
      slices.set(slice, [...(slices.get(slice) ?? []), endpoint]);
    }
    return (['IPv4', 'IPv6'] as const).flatMap((family) =>
      [...slices].map(([slice, members]) => ({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          namespace: 'default',
          name: `${this.objectName(name)}-${slice}-${family.toLowerCase()}`,
          labels: { 'kubernetes.io/service-name': this.objectName(name) },
        },
        addressType: family,
        ports: ports.map((port) => ({
          name: port.name ?? '',
          protocol: port.protocol ?? 'TCP',
          port: members[0]?.port ?? port.targetPort ?? 8080,
        })),
        endpoints: members.map((endpoint) => this.#endpoint(endpoint, family)),
      })),
    );
  }

  #endpoint(endpoint: WorldEndpoint, family: IpFamily): object {
    const {
      at,
      ready = true,
      serving = ready,
      terminating = false,
      hintZones,
      hintNodes,
      nodeless,
    } = endpoint;
    const nodeName = at.split('-')[0];
    return {
      addresses: [this.place(at, family)],
      ...(nodeless === true ? {} : { nodeName }),
      conditions: { ready, serving, terminating },
      ...(hintZones === undefined && hintNodes === undefined
        ? {}
        : {
            hints: {
              ...(hintZones === undefined ? {} : { forZones: hintZones.map((zone) => ({ name: zone })) }),
              ...(hintNodes === undefined ? {} : { forNodes: hintNodes.map((node) => ({ name: node })) }),
            },
          }),
    };
  }
}
