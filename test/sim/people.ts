/**
 * What people and the cluster's other controllers do to the API objects: the hands behind a history's events.
 *
 * Each verb picks its object by a number, modulo what is there, so that a history stays meaningful when
 * steps are taken out of it. A verb that finds nothing to act on does nothing.
 */
import type { RawNode, RawService, RawSlice } from '../../src/kube/raw.ts';
import type { ApiServer } from './api-server.ts';

export type Port = NonNullable<NonNullable<RawService['spec']>['ports']>[number];

/** How a Service is born. */
export interface Shape {
  readonly ports: readonly Port[];
  readonly policy: 'Cluster' | 'Local';
  readonly loadBalancerClass?: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly allocateNodePorts?: boolean;
  readonly type?: string;
}

/** Under which names Services come and go: few, so that names are used again. */
export const slots = [
  'shop/web',
  'shop/api',
  'ops/dns',
  'ops/a-name-that-is-quite-long-for-a-service',
] as const;

/** The name that some Services ask for; a stranger's balancer, or another Service's, may have it already. */
export const takenName = 'wanted-by-many';

export class People {
  readonly #server: ApiServer;
  readonly #providerID: (number: number) => string;
  #nodes = 0;

  constructor(server: ApiServer, providerID: (number: number) => string) {
    this.#server = server;
    this.#providerID = providerID;
    // What the endpoint slice controller does when a Service is gone.
    server.listen('services', () => {
      const last = server.journal('services').at(-1);
      if (last?.type !== 'DELETED') return;
      const { namespace, name } = last.object.metadata ?? {};
      server.delete('endpointslices', `${namespace}/${name}-x1`);
    });
  }

  /** All Services, or those that a test picks; undefined when there is none. */
  pick(number: number, among: (service: RawService) => boolean = () => true): string | undefined {
    const keys = [...this.#server.all('services')].filter(among).map((one) => nameOf(one));
    return keys[number % Math.max(keys.length, 1)];
  }

  createService(slot: number, shape: Shape): void {
    const key = slots[slot % slots.length] ?? slots[0];
    if (this.#server.get('services', key) !== undefined) return;
    const [namespace = '', name = ''] = key.split('/');
    this.#server.create('services', {
      metadata: { namespace, name, annotations: shape.annotations },
      spec: {
        type: shape.type ?? 'LoadBalancer',
        ports: shape.ports,
        externalTrafficPolicy: shape.policy,
        ...(shape.loadBalancerClass === undefined ? {} : { loadBalancerClass: shape.loadBalancerClass }),
        ...(shape.allocateNodePorts === false ? { allocateLoadBalancerNodePorts: false } : {}),
        clusterIPs: ['10.0.0.1'],
        ipFamilies: ['IPv4'],
      },
    });
    this.#server.create('endpointslices', {
      metadata: { namespace, name: `${name}-x1`, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [],
      endpoints: [],
    });
  }

  changeService(
    key: string | undefined,
    change: (spec: NonNullable<RawService['spec']>) => RawService['spec'],
  ): void {
    if (key === undefined) return;
    this.#server.update('services', key, (service) => {
      if (service.metadata?.deletionTimestamp !== undefined) return undefined;
      const spec = change(service.spec ?? {});
      return spec === undefined ? undefined : { ...service, spec };
    });
  }

  /** Undefined takes the annotation away. */
  annotate(key: string | undefined, annotation: string, value: string | undefined): void {
    if (key === undefined) return;
    this.#server.update('services', key, (service) => {
      const { [annotation]: _old, ...others } = service.metadata?.annotations ?? {};
      const annotations = value === undefined ? others : { ...others, [annotation]: value };
      return { ...service, metadata: { ...service.metadata, annotations } };
    });
  }

  label(key: string | undefined, value: string): void {
    if (key === undefined) return;
    this.#server.update('services', key, (service) => ({
      ...service,
      metadata: { ...service.metadata, labels: { step: value } },
    }));
  }

  deleteService(key: string | undefined): void {
    if (key !== undefined) this.#server.delete('services', key);
  }

  /** `kubectl delete --force` of those who then also take the finalizers off. */
  forceDelete(key: string | undefined): void {
    if (key === undefined) return;
    this.#server.delete('services', key);
    this.#server.stripFinalizers('services', key);
  }

  /** Gone and there again before anybody could look: same name and shape, another UID. */
  replace(key: string | undefined): void {
    const before = key === undefined ? undefined : this.#server.get('services', key);
    if (key === undefined || before === undefined) return;
    const slice = this.#server.get('endpointslices', `${key}-x1`);
    this.forceDelete(key);
    const { annotations = {}, namespace, name } = before.metadata ?? {};
    const own = Object.entries(annotations).filter(([one]) => one !== 'sluice.dev/served-by');
    this.#server.create('services', {
      metadata: { namespace: namespace ?? '', name: name ?? '', annotations: Object.fromEntries(own) },
      spec: before.spec ?? {},
    });
    if (slice !== undefined) this.#server.create('endpointslices', slice);
  }

  /** Undefined: as a node of this cloud; an empty text: not filled in yet. */
  joinNode(providerID?: string): string {
    this.#nodes += 1;
    const name = `n${this.#nodes}`;
    this.#server.create('nodes', {
      metadata: {
        name,
        labels: { 'topology.kubernetes.io/zone': 'eu-west-1a', pool: this.#nodes % 2 ? 'odd' : 'even' },
      },
      spec: { providerID: providerID ?? this.#providerID(this.#nodes) },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: [{ type: 'InternalIP', address: `10.1.0.${this.#nodes}` }],
      },
    });
    return name;
  }

  pickNode(number: number): string | undefined {
    const names = [...this.#server.all('nodes')].map((node) => node.metadata?.name ?? '');
    return names[number % Math.max(names.length, 1)];
  }

  nodeCount(): number {
    return [...this.#server.all('nodes')].length;
  }

  leaveNode(name: string | undefined): void {
    if (name !== undefined) this.#server.delete('nodes', name);
  }

  changeNode(name: string | undefined, change: (node: RawNode) => RawNode): void {
    if (name !== undefined) this.#server.update('nodes', name, change);
  }

  taintNode(name: string | undefined, tainted: boolean): void {
    const taint = { key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' };
    this.changeNode(name, (node) => ({ ...node, spec: { ...node.spec, taints: tainted ? [taint] : [] } }));
  }

  excludeNode(name: string | undefined, value: string | undefined): void {
    this.changeNode(name, (node) => {
      const { [excludeLabel]: _old, ...labels } = node.metadata?.labels ?? {};
      const next = value === undefined ? labels : { ...labels, [excludeLabel]: value };
      return { ...node, metadata: { ...node.metadata, labels: next } };
    });
  }

  fillProviderID(name: string | undefined): void {
    this.changeNode(name, (node) => {
      if (node.spec?.providerID !== '') return node;
      const providerID = this.#providerID(Number(name?.slice(1)));
      return { ...node, spec: { ...node.spec, providerID } };
    });
  }

  /** A node's heartbeat, or a passing weakness: nothing that concerns a balancer. */
  heartbeat(name: string | undefined, ready: 'True' | 'False'): void {
    this.changeNode(name, (node) => ({
      ...node,
      metadata: { ...node.metadata, annotations: { beat: String(this.#server.version) } },
      status: { ...node.status, conditions: [{ type: 'Ready', status: ready }] },
    }));
  }

  /** Which nodes hold an endpoint, and in which state each is. */
  setEndpoints(
    key: string | undefined,
    endpoints: readonly { readonly node: string; readonly state: 'ready' | 'not-ready' | 'terminating' }[],
  ): void {
    if (key === undefined) return;
    this.#server.update('endpointslices', `${key}-x1`, (slice: RawSlice) => ({
      ...slice,
      endpoints: endpoints.map(({ node, state }, index) => ({
        addresses: [`10.2.${node.slice(1)}.${index + 1}`],
        nodeName: node,
        conditions: {
          ready: state === 'ready',
          serving: state !== 'not-ready',
          terminating: state === 'terminating',
        },
      })),
    }));
  }
}

export const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** The instance that a node stands on, whether it may be a target or not. */
export function instanceOf(node: RawNode | undefined): string | undefined {
  return /(i-[0-9a-f]+)$/.exec(node?.spec?.providerID ?? '')?.[1];
}

export function nameOf(object: RawService): string {
  return `${object.metadata?.namespace}/${object.metadata?.name}`;
}
