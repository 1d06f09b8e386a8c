/**
 * The whole of announcing on a LAN of namespaces: a real API server with our kinds, a pool, a Service with an address of
 * each family in its status, and real agents as processes of their own, one for each node.
 *
 * The pods that serve are on the last node, which announces nothing unless it is asked to: so what is lost in a takeover
 * is lost by the takeover, and not with the endpoints of a node that is gone.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { create, manifestsOf, pathOf, read, remove, type Manifest } from '../../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../../src/sandbox/processes.ts';
import { packageRoot } from '../../../src/sandbox/sandbox.ts';
import { serviceAddressName } from '../../../src/core/address-objects.ts';
import { startAgent } from '../agent-process.ts';
import { Bed } from '../../../src/sandbox/bed/bed.ts';
import { PacketCluster } from '../cluster.ts';
import { believed, has, macOf, podPort, port, servicePort, until, vip } from './lan.ts';

export const system = 'sluice-system';
/** Where the agents keep their Leases, by default. */
const agentsIn = 'sluice-agent';
export const bothAddresses: readonly string[] = Object.values(vip);
const bundle = fileURLToPath(new URL('dist/sluice.js', packageRoot));
const poolName = 'lan';
const poolLabel = 'sluice.test/announces';

export interface StageOptions {
  /** By default 3; the last one serves and does not announce. */
  readonly nodes?: number;
  /** By default all but the last. */
  readonly announcing?: readonly string[];
}

export class AnnounceStage implements AsyncDisposable {
  readonly bed: Bed;
  readonly cluster: PacketCluster;
  /** Nodes that the pool chooses. */
  readonly candidates: readonly string[];
  /** Where the endpoints are. */
  readonly server: string;
  readonly macs = new Map<string, string>();
  readonly agents = new Map<string, ManagedProcess>();

  /** Nodes whose pods have servers. */
  readonly #serving = new Set<string>();

  private constructor(bed: Bed, cluster: PacketCluster, candidates: readonly string[]) {
    this.bed = bed;
    this.cluster = cluster;
    this.candidates = candidates;
    this.server = bed.topology.nodes.at(-1)?.name ?? 'n1';
  }

  static async make({ nodes = 3, announcing }: StageOptions = {}): Promise<AnnounceStage> {
    const [bed, cluster] = await Promise.all([
      Bed.make({ nodes, podsPerNode: 1, clients: 1 }),
      PacketCluster.start(),
      // What is shipped: whether an agent is back within the lifetime of its addresses depends on how fast it starts.
      promisify(execFile)(process.execPath, ['scripts/build.ts'], { cwd: packageRoot }),
    ]);
    const names = bed.topology.nodes.map(({ name }) => name);
    const stage = new AnnounceStage(bed, cluster, announcing ?? names.slice(0, -1));
    await stage.#prepare();
    return stage;
  }

  async #prepare(): Promise<void> {
    const { bed, cluster } = this;
    await cluster.join(bed);
    for (const name of ['addresspools', 'serviceaddresses']) {
      for (const crd of await manifestsOf(new URL(`manifests/crds/${name}.yaml`, packageRoot))) {
        await create(cluster.api, crd);
      }
    }
    const core = { apiVersion: 'v1' } as const;
    for (const name of [system, agentsIn])
      await create(cluster.api, { ...core, kind: 'Namespace', metadata: { name } });
    await create(cluster.api, {
      ...core,
      kind: 'Secret',
      metadata: { namespace: system, name: 'sluice-heartbeat' },
      data: { key: randomBytes(32).toString('base64') },
    });
    for (const name of this.candidates) await this.label(name, { [poolLabel]: 'true' });
    const pool: Manifest = {
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'AddressPool',
      metadata: { name: poolName },
      spec: {
        addresses: ['172.31.0.32-172.31.0.63', 'fd00:172:31::20-fd00:172:31::6f', '10.77.0.0/22'],
        nodeSelectors: [{ matchLabels: { [poolLabel]: 'true' } }],
        interfaces: ['eth0'],
      },
    };
    // The kinds are served a moment after their definition is.
    await until(
      'the kinds are served',
      () =>
        create(cluster.api, pool).then(
          () => true,
          () => false,
        ),
      20_000,
    );
    for (const place of bed.topology.nodes) this.macs.set(place.name, await macOf(bed, place.name));
    for (const family of ['IPv4', 'IPv6'] as const) {
      for (const protocol of ['TCP', 'UDP'] as const) {
        await bed.serve(`${this.server}-a`, { port: podPort, protocol, family });
      }
    }
    await this.serve('web', bothAddresses);
  }

  /** A Service that shows these addresses, and their objects; its endpoints on these nodes. */
  async serve(
    name: string,
    addresses: readonly string[],
    { local = false, on = [this.server] }: { readonly local?: boolean; readonly on?: readonly string[] } = {},
  ): Promise<void> {
    const { api } = this.cluster;
    const service = serviceOf(name, local);
    await create(api, service);
    for (const slice of this.#slices(name, on)) await create(api, slice);
    const uid = (await read(api, service))?.metadata?.uid ?? '';
    for (const address of addresses) {
      await create(api, {
        apiVersion: 'sluice.dev/v1alpha1',
        kind: 'ServiceAddress',
        metadata: { name: serviceAddressName(address) },
        spec: { address, pool: poolName, services: [{ service: `default/${name}`, uid }] },
      });
    }
    const ingress = addresses.map((ip) => ({ ip, ipMode: 'VIP' }));
    await this.patch(service, { status: { loadBalancer: { ingress } } }, 'status');
  }

  /** Takes a Service and its addresses away. */
  async unserve(name: string, addresses: readonly string[]): Promise<void> {
    const { api } = this.cluster;
    await remove(api, serviceOf(name, false));
    for (const slice of this.#slices(name, [])) await remove(api, slice);
    for (const address of addresses) await remove(api, addressObject(address));
  }

  /** Moves the endpoints of a Service. */
  async endpoints(name: string, on: readonly string[]): Promise<void> {
    for (const slice of this.#slices(name, on)) await this.patch(slice, { endpoints: slice['endpoints'] });
  }

  /** Starts servers in the pods of these nodes, which call themselves by the pod, and stay. */
  async servers(nodes: readonly string[]): Promise<void> {
    for (const node of nodes) {
      if (this.#serving.has(node)) continue;
      this.#serving.add(node);
      for (const family of ['IPv4', 'IPv6'] as const) {
        for (const protocol of ['TCP', 'UDP'] as const) {
          await this.bed.serve(`${node}-a`, { port: podPort, protocol, family });
        }
      }
    }
  }

  /** Asks the agents to probe for an address that nobody has yet, as the controller does. */
  async ask(address: string): Promise<void> {
    await create(this.cluster.api, {
      ...addressObject(address),
      spec: { address, pool: poolName, services: [], probeAfter: new Date().toISOString() },
    });
  }

  async forget(address: string): Promise<void> {
    await remove(this.cluster.api, addressObject(address));
  }

  /** Changes the pool's spec. */
  async pool(spec: object): Promise<void> {
    const object = { apiVersion: 'sluice.dev/v1alpha1', kind: 'AddressPool', metadata: { name: poolName } };
    await this.patch(object, { spec });
  }

  async label(node: string, labels: Readonly<Record<string, string | null>>): Promise<void> {
    await this.patch(nodeObject(node), { metadata: { labels } });
  }

  async cordon(node: string, unschedulable: boolean): Promise<void> {
    await this.patch(nodeObject(node), { spec: { unschedulable } });
  }

  async patch(object: Manifest, body: object, sub = ''): Promise<void> {
    const path = sub === '' ? pathOf(object) : `${pathOf(object)}/${sub}`;
    await this.cluster.api.request('PATCH', path, { contentType: 'application/merge-patch+json', body });
  }

  /** The object of an address as it is now. */
  async addressObject(address: string): Promise<Manifest | undefined> {
    return read(this.cluster.api, addressObject(address));
  }

  /**
   * Starts an agent; `through` runs it, as `setpriv` does. Before the others on a busy machine: what is promised, such as
   * to be back within a lifetime, is promised to an agent that runs.
   */
  async start(
    node: string,
    {
      args = [],
      through = [],
    }: { readonly args?: readonly string[]; readonly through?: readonly string[] } = {},
  ): Promise<ManagedProcess> {
    const agent = await startAgent(this.bed, node, {
      kubeconfig: this.cluster.kubeconfig,
      main: bundle,
      args: ['--announce', `--namespace=${system}`, '--scope=labelled', ...args],
      through: ['nice', '-n', '-19', ...through],
    });
    this.agents.set(node, agent);
    return agent;
  }

  /** Starts agents on all nodes and waits until every address has one holder. */
  async startAll(nodes: readonly string[] = this.bed.topology.nodes.map(({ name }) => name)): Promise<void> {
    await Promise.all(nodes.map((node) => this.start(node)));
    await this.settled();
  }

  agent(node: string): ManagedProcess {
    const agent = this.agents.get(node);
    if (agent === undefined) throw new Error(`no agent runs on ${node}`);
    return agent;
  }

  /** Kills what is left of an agent and forgets it. */
  async kill(node: string): Promise<void> {
    await this.agents.get(node)?.stop(0);
    this.agents.delete(node);
  }

  /** Nodes that have an address on their interface. */
  async holders(address: string): Promise<readonly string[]> {
    const nodes = this.bed.topology.nodes.map(({ name }) => name);
    const held = await Promise.all(nodes.map((node) => has(this.bed, node, address)));
    return nodes.filter((_, i) => held[i]);
  }

  async holder(address: string): Promise<string | undefined> {
    const [holder, ...others] = await this.holders(address);
    return others.length === 0 ? holder : undefined;
  }

  /** One holder each, and an answer by its MAC. Milliseconds that it took. */
  settled(addresses: readonly string[] = bothAddresses, limitMs = 30_000): Promise<number> {
    return until(
      `${addresses.join(', ')} each have one holder that answers`,
      async () => {
        for (const address of addresses) {
          const holder = await this.holder(address);
          if (holder === undefined) return false;
          const { kind } = await this.bed.dial('x1', { address, port: servicePort }, { timeoutMs: 300 });
          if (kind !== 'answered') return false;
          if ((await believed(this.bed, 'x1', address)) !== this.macs.get(holder)) return false;
        }
        return true;
      },
      limitMs,
    ).catch(async (error: unknown) => {
      const logs = await Promise.all(
        [...this.agents].map(async ([node, agent]) => `── ${node}\n${await agent.tail(15)}`),
      );
      throw new Error(`${String(error)}\n${logs.join('\n')}`, { cause: error });
    });
  }

  /** Everything as at the beginning: all ports up, an agent on each node, each a candidate as it was, one holder each. */
  async restore(nodes: readonly string[] = this.bed.topology.nodes.map(({ name }) => name)): Promise<void> {
    for (const { name } of this.bed.topology.nodes) {
      await port(this.bed, name, 'up');
      await this.cordon(name, false);
      if (this.candidates.includes(name)) await this.label(name, { [poolLabel]: 'true' });
      this.agents.get(name)?.signal('SIGCONT');
    }
    for (const node of nodes) {
      if (this.agents.get(node)?.ended() !== undefined) this.agents.delete(node);
      if (!this.agents.has(node)) await this.start(node);
    }
    await this.settled();
  }

  async remove(): Promise<void> {
    await this.cluster.stop();
    await this.bed.remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }

  #slices(name: string, on: readonly string[]): readonly Manifest[] {
    return (['IPv4', 'IPv6'] as const).map((family) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: 'default',
        name: `${name}-${family.toLowerCase()}`,
        labels: { 'kubernetes.io/service-name': name },
      },
      addressType: family,
      ports: (['TCP', 'UDP'] as const).map((protocol) => ({
        name: protocol.toLowerCase(),
        port: podPort,
        protocol,
      })),
      endpoints: on.map((node) => ({
        addresses: [this.bed.pod(`${node}-a`).address[family]],
        nodeName: node,
        conditions: { ready: true },
      })),
    }));
  }
}

function addressObject(address: string): Manifest {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'ServiceAddress',
    metadata: { name: serviceAddressName(address) },
  };
}

function nodeObject(name: string): Manifest {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name } };
}

function serviceOf(name: string, local: boolean): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'default',
      name,
      labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' },
    },
    spec: {
      type: 'LoadBalancer',
      loadBalancerClass: 'sluice.dev/local',
      ipFamilyPolicy: 'RequireDualStack',
      ipFamilies: ['IPv4', 'IPv6'],
      externalTrafficPolicy: local ? 'Local' : 'Cluster',
      ports: [
        { name: 'tcp', port: servicePort, targetPort: podPort, protocol: 'TCP' },
        { name: 'udp', port: servicePort, targetPort: podPort, protocol: 'UDP' },
      ],
    },
  };
}
