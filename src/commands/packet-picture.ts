/**
 * What is read to answer a question about a packet: from files, or from a cluster with the rights of an ordinary user.
 *
 * Only what the question may be about is read. What may not be read is said, and the answer goes on without it.
 */
import type { PodFacts, Picture } from '../agent/answers/resolve.ts';
import type { From, To } from '../agent/answers/question.ts';
import { canonical } from '../agent/decide/addresses.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';
import { objectKey, type EndpointSliceObject, type NodeObject, type ServiceObject } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { makeIntern } from '../kube/intern.ts';
import type { RawObject } from '../kube/raw.ts';
import { slimNode, slimService, slimSlice } from '../kube/slim.ts';
import { readManifests } from './manifest-files.ts';
import { podFacts } from './pod-facts.ts';

/** @throws SluiceError `invalid` where a file cannot be read. */
export async function pictureFromFiles(paths: readonly string[], namespace: string): Promise<Picture> {
  const { services, slices, nodes, pods, mistakes } = await readManifests(paths);
  if (mistakes.length > 0) throw new SluiceError('invalid', mistakes.join('; '), { code: 'BadFile' });
  return { services, slices, nodes, pods, namespace, unread: [] };
}

interface Asked {
  readonly from: From;
  readonly to: To;
  readonly node: string | undefined;
}

type List = { readonly items?: readonly RawObject[] };

export async function pictureFromCluster(api: Api, asked: Asked, namespace: string): Promise<Picture> {
  const unread: string[] = [];
  const intern = makeIntern();
  const slim = (raw: RawObject): ServiceObject => slimService(raw, intern);
  const read = async <T>(fallback: T, what: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (thrown) {
      const { kind, action, message } = asSluiceError(thrown);
      if (kind !== 'denied') throw thrown;
      unread.push(`${what} could not be read (${action === undefined ? message : `no right to ${action}`})`);
      return fallback;
    }
  };
  const list = async (path: string, query: Record<string, string> = {}): Promise<readonly RawObject[]> =>
    ((await api.request('GET', path, { query })) as List).items ?? [];
  const [services, nodes, pods] = await Promise.all([
    readServices(),
    readNodes(),
    asked.from.kind === 'pod' ? readPod(asked.from) : Promise.resolve([]),
  ]);
  const slices = (
    await Promise.all(services.filter((service) => mayServe(service, asked.to, namespace)).map(readSlices))
  ).flat();
  return { services, slices, nodes, pods, namespace, unread };

  async function readServices(): Promise<readonly ServiceObject[]> {
    const near = asked.to.kind === 'service' ? (asked.to.namespace ?? namespace) : namespace;
    try {
      return (await list('/api/v1/services')).map(slim);
    } catch (thrown) {
      if (asSluiceError(thrown).kind !== 'denied') throw thrown;
      if (asked.to.kind !== 'service')
        unread.push(
          `only Services of namespace ${near} could be read (no right to list services of all): one of another namespace may have the destination`,
        );
    }
    return await read([], `Services of namespace ${near}`, async () =>
      (await list(`/api/v1/namespaces/${near}/services`)).map(slim),
    );
  }

  async function readNodes(): Promise<readonly NodeObject[]> {
    const before = unread.length;
    const all = await read(undefined, 'nodes', () => list('/api/v1/nodes'));
    if (all !== undefined) return all.map((raw) => slimNode(raw, intern));
    if (asked.node === undefined) return [];
    const { node } = asked;
    unread.splice(before);
    const one = await read(undefined, `node ${node}`, () =>
      api.request('GET', `/api/v1/nodes/${encodeURIComponent(node)}`),
    );
    return one === undefined ? [] : [slimNode(one as RawObject, intern)];
  }

  async function readSlices(service: ServiceObject): Promise<readonly EndpointSliceObject[]> {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${service.namespace}/endpointslices`;
    const items = await list(path, { labelSelector: `kubernetes.io/service-name=${service.name}` });
    return items.map((raw) => slimSlice(raw, intern));
  }

  async function readPod(from: Extract<From, { kind: 'pod' }>): Promise<readonly PodFacts[]> {
    const { name, namespace: own = namespace } = from;
    try {
      const path = `/api/v1/namespaces/${own}/pods/${encodeURIComponent(name)}`;
      return [podFacts((await api.request('GET', path)) as RawObject)];
    } catch (thrown) {
      const { kind, message } = asSluiceError(thrown);
      if (kind === 'gone') return [];
      if (kind !== 'denied') throw thrown;
      throw new SluiceError('denied', `pod ${name} may not be read (${message}); name its address instead`, {
        code: 'PodUnreadable',
        cause: thrown,
      });
    }
  }
}

/** Whether the destination may be one of this Service's: then its endpoints are read. */
function mayServe(service: ServiceObject, to: To, namespace: string): boolean {
  if (to.kind === 'service') return service.key === objectKey(to.namespace ?? namespace, to.name);
  if (service.ports.some(({ nodePort }) => nodePort === to.port)) return true;
  if (to.kind === 'node') return false;
  const named = [
    ...service.clusterIPs,
    ...service.externalIPs,
    ...service.ingress.flatMap(({ ip }) => ip ?? []),
  ];
  return named.some((text) => canonical(text, to.family) === to.address);
}
