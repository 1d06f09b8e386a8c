/**
 * The cluster of the bare-metal story: three nodes in network namespaces with pods on an overlay, an outside client on
 * their bridge, an agent on each node, and the real API server with the controller beside them.
 *
 * Everything of the network is in namespaces of their own; the machine's own sees none of it. It all goes with `close`,
 * and what a killed demo leaves is removed by the next one (bed/names.ts).
 */
import type { Api } from '../../kube/api.ts';
import type { RawObject } from '../../kube/raw.ts';
import { Bed } from '../bed/bed.ts';
import { bedNode } from '../bed/node-object.ts';
import { clusterRange } from '../bed/topology.ts';
import { apply, create, manifestsOf, type Manifest } from '../objects.ts';
import type { ManagedProcess } from '../processes.ts';
import { packageRoot, startSandbox, type Sandbox } from '../sandbox.ts';
import { sluiceProgram } from './program.ts';
import { until, type Narrator } from './stage.ts';

/** What cluster IPs are given from. */
const serviceRange = '10.96.0.0/16';
/** Where the agents keep their Leases. */
const agentsIn = 'sluice-agent';
/** The outside client. */
export const client = 'x1';

export interface DemoNodes {
  readonly bed: Bed;
  readonly sandbox: Sandbox;
  readonly agents: readonly ManagedProcess[];
  /** Names of the nodes. */
  readonly names: readonly string[];
  close(): Promise<void>;
}

/** The network alone: what it lacks on this machine shows here, before anything that takes long. */
export function makeBed(): Promise<Bed> {
  return Bed.make({ nodes: 3, podsPerNode: 1, clients: 1 });
}

/** Starts everything on a bed, which is removed with it. */
export async function startNodes(
  bed: Bed,
  narrator: Narrator,
  signal: AbortSignal,
  onUnexpectedEnd: (message: string) => void,
): Promise<DemoNodes> {
  let sandbox: Sandbox | undefined;
  const close = async (): Promise<void> => {
    await bed.remove();
    await sandbox?.stop();
  };
  try {
    sandbox = await startSandbox({
      local: {},
      controlPlane: { serviceCidr: serviceRange },
      progress: (message) => narrator.line(message),
      signal,
      onUnexpectedEnd,
    });
    narrator.good(`kube-apiserver at ${sandbox.controlPlane.url}`);
    narrator.good('controller under its own ServiceAccount and Role, serving local mode');
    const names = bed.topology.nodes.map(({ name }) => name);
    await bed.reach(sandbox.controlPlane.url, [...names, client]);
    for (const node of bed.topology.nodes) await create(sandbox.api, bedNode(node));
    narrator.line('Starting an agent on each node');
    const kubeconfig = await agentAccess(sandbox);
    const agents = await Promise.all(names.map((name) => startAgent(bed, name, kubeconfig)));
    const { api } = sandbox;
    await until(
      'every agent to have registered',
      async () => ((await registered(api)) >= names.length ? true : undefined),
      { signal, limitMs: 60_000 },
    );
    narrator.good(`agents on ${names.join(', ')} under theirs: sluice agent --scope all --announce`);
    return { bed, sandbox, agents, names, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function startAgent(bed: Bed, node: string, kubeconfig: string): Promise<ManagedProcess> {
  const args = [
    sluiceProgram,
    'agent',
    `--node-name=${node}`,
    `--kubeconfig=${kubeconfig}`,
    '--scope=all',
    '--announce',
    `--cluster-cidr=${clusterRange.IPv4}`,
    `--service-cidr=${serviceRange}`,
    '--log-form=json',
  ];
  return bed.start(node, { name: `agent-${node}`, program: process.execPath, args });
}

/** Namespace, ServiceAccount and Roles of the agents exactly as they are installed. @returns path of their kubeconfig */
async function agentAccess({ api, controlPlane }: Sandbox): Promise<string> {
  const account = { namespace: agentsIn, name: 'sluice-agent' };
  for (const file of ['agent/namespace', 'agent/service-account', 'agent/cluster-role', 'local/agent-role']) {
    for (const object of await manifestsOf(new URL(`manifests/overlays/${file}.yaml`, packageRoot))) {
      const { namespace } = account;
      const bare = object.kind === 'ServiceAccount';
      await apply(api, bare ? { ...object, metadata: { namespace, ...object.metadata } } : object);
    }
  }
  return (await controlPlane.addServiceAccount({ ...account, lifetimeSeconds: 86_400 })).path;
}

/** Agents that have written their Leases. */
async function registered(api: Api): Promise<number> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${agentsIn}/leases`;
  const { items = [] } = (await api.request('GET', path)) as { readonly items?: readonly RawObject[] };
  return items.filter(({ metadata }) => metadata?.name?.startsWith('sluice-agent-')).length;
}

/** The slices of a Service whose pods run on these nodes, as kubelets and the controller manager would have made them. */
export function podSlice(bed: Bed, service: string, nodes: readonly string[], port: number): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 'default',
      name: `${service}-1`,
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: nodes.map((node) => ({
      addresses: [bed.pod(`${node}-a`).address.IPv4],
      nodeName: node,
      conditions: { ready: true, serving: true, terminating: false },
    })),
  };
}
