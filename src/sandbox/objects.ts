/**
 * Putting objects into the sandbox's API server and reading them back, as `kubectl apply` would, for the
 * demo, the tests and the benches. Server-side apply, so that applying twice is harmless.
 */
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { isSluiceError, SluiceError } from '../core/errors.ts';
import type { Api } from '../kube/api.ts';
import type { RawObject } from '../kube/raw.ts';

/** Any object, as it stands in a manifest. */
export type Manifest = RawObject & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [field: string]: unknown;
};

/** Plural, and whether it lives in a namespace. Only what the sandbox ever applies. */
const resources: Readonly<Record<string, { readonly plural: string; readonly namespaced: boolean }>> = {
  Namespace: { plural: 'namespaces', namespaced: false },
  Node: { plural: 'nodes', namespaced: false },
  Service: { plural: 'services', namespaced: true },
  EndpointSlice: { plural: 'endpointslices', namespaced: true },
  ServiceAccount: { plural: 'serviceaccounts', namespaced: true },
  ConfigMap: { plural: 'configmaps', namespaced: true },
  Secret: { plural: 'secrets', namespaced: true },
  Deployment: { plural: 'deployments', namespaced: true },
  DaemonSet: { plural: 'daemonsets', namespaced: true },
  PodDisruptionBudget: { plural: 'poddisruptionbudgets', namespaced: true },
  NetworkPolicy: { plural: 'networkpolicies', namespaced: true },
  ClusterRole: { plural: 'clusterroles', namespaced: false },
  ClusterRoleBinding: { plural: 'clusterrolebindings', namespaced: false },
  Role: { plural: 'roles', namespaced: true },
  RoleBinding: { plural: 'rolebindings', namespaced: true },
  AddressPool: { plural: 'addresspools', namespaced: false },
  ServiceAddress: { plural: 'serviceaddresses', namespaced: false },
  CustomResourceDefinition: { plural: 'customresourcedefinitions', namespaced: false },
};

const applyOptions = {
  query: { fieldManager: 'sluice-sandbox', force: true },
  contentType: 'application/apply-patch+yaml',
};

/** The API path of one object. */
export function pathOf(object: Manifest): string {
  const { apiVersion, kind } = object;
  const resource = resources[kind];
  if (!resource)
    throw new SluiceError('invalid', `the sandbox does not know how to apply a ${kind}`, {
      code: 'UnknownKind',
    });
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const space = resource.namespaced ? `/namespaces/${object.metadata?.namespace ?? 'default'}` : '';
  return `${root}${space}/${resource.plural}/${object.metadata?.name ?? ''}`;
}

/** Creates or changes the object. A node's status goes through its subresource. */
export async function apply(api: Api, object: Manifest): Promise<void> {
  const path = pathOf(object);
  await api.request('PATCH', path, { ...applyOptions, body: object });
  if (object.kind === 'Node' && object['status'] !== undefined) {
    await api.request('PATCH', `${path}/status`, { ...applyOptions, body: object });
  }
}

/** Creates the object, which must not be there: cheaper for the API server than `apply`. */
export async function create(api: Api, object: Manifest): Promise<void> {
  const path = pathOf(object);
  await api.request('POST', path.slice(0, path.lastIndexOf('/')), { body: object });
}

/** Deletes the object; one that is not there is fine. */
export async function remove(api: Api, object: Manifest): Promise<void> {
  try {
    await api.request('DELETE', pathOf(object));
  } catch (error) {
    if (!isSluiceError(error) || error.kind !== 'gone') throw error;
  }
}

/** The object as it is now; undefined when it is not there. */
export async function read(api: Api, object: Manifest): Promise<Manifest | undefined> {
  try {
    return (await api.request('GET', pathOf(object))) as Manifest;
  } catch (error) {
    if (isSluiceError(error) && error.kind === 'gone') return undefined;
    throw error;
  }
}

/** Every document of a YAML file. */
export async function manifestsOf(path: string | URL): Promise<readonly Manifest[]> {
  const documents = parseAllDocuments(await readFile(path, 'utf8'));
  return documents.map((document) => document.toJS() as Manifest | null).filter((object) => object !== null);
}

export interface NodeShape {
  readonly name: string;
  readonly instance: string;
  readonly zone: string;
  /** Default: that of an EC2 instance. */
  readonly providerID?: string;
}

/** The condition of a node whose kubelet is well. */
export const nodeReady = {
  type: 'Ready',
  status: 'True',
  reason: 'KubeletReady',
  message: 'ready',
  lastHeartbeatTime: null,
  lastTransitionTime: null,
} as const;

/** A node as a cloud's node manager would have registered it. */
export function nodeManifest({ name, instance, zone, providerID }: NodeShape): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': zone } },
    spec: { providerID: providerID ?? `aws:///${zone}/${instance}` },
    status: {
      addresses: [
        { type: 'InternalIP', address: `10.0.0.${(Number(/\d+$/u.exec(name)?.[0] ?? 1) % 250) + 1}` },
      ],
      conditions: [nodeReady],
    },
  };
}

/** The n-th node of a sandbox, in one of two zones by turns. */
export function sandboxNode(index: number): Manifest {
  const zone = index % 2 === 1 ? 'eu-west-1a' : 'eu-west-1b';
  return nodeManifest({ name: `node-${index}`, instance: `i-${String(index).padStart(17, '0')}`, zone });
}

/** The n-th node of a sandbox on Alibaba Cloud. */
export function alibabaNode(index: number): Manifest {
  const instance = `i-${String(index).padStart(20, '0')}`;
  return nodeManifest({
    name: `node-${index}`,
    instance,
    zone: index % 2 === 1 ? 'cn-hangzhou-h' : 'cn-hangzhou-i',
    providerID: `cn-hangzhou.${instance}`,
  });
}

/** A slice with one endpoint on each of the named nodes. */
export function sliceManifest(
  namespace: string,
  service: string,
  port: { readonly name: string; readonly port: number; readonly protocol?: string },
  nodes: readonly string[],
): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name: `${service}-1`, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: port.name, port: port.port, protocol: port.protocol ?? 'TCP' }],
    endpoints: nodes.map((nodeName, index) => ({
      addresses: [`10.244.${index}.${(service.length % 200) + 2}`],
      nodeName,
      conditions: { ready: true, serving: true, terminating: false },
    })),
  };
}
