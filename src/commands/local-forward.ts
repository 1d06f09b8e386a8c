/**
 * The way to the pods through the API server: which pod a connection goes to, and the stream to it.
 *
 * Endpoint slices say addresses and ports; the port-forward wants the name of a pod, which is asked for by its address
 * and kept while it works.
 */
import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { ClusterView } from '../controller/cluster.ts';
import type { Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { shortHash } from '../core/names.ts';
import { splitKey, type ObjectKey } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { forwardTo } from '../kube/port-forward.ts';
import type { Upgrader } from '../kube/upgrade.ts';
import type { ForwardDoor } from '../../providers/local/laptop/engine/engine.ts';

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** How long a name is believed without asking again. */
const believedMs = 60_000;
const mostNames = 2_000;

export function forwardDoor(
  api: Api & Upgrader,
  view: Pick<ClusterView, 'service' | 'slices'>,
  clock: Clock,
): ForwardDoor {
  const names = new Map<string, { readonly name: string; readonly at: number }>();

  const podAt = async (namespace: string, address: string, signal: AbortSignal): Promise<string> => {
    const key = `${namespace} ${address}`;
    const known = names.get(key);
    if (known !== undefined && clock.now() - known.at < believedMs) return known.name;
    const list = (await api.request('GET', `/api/v1/namespaces/${namespace}/pods`, {
      query: { fieldSelector: `status.podIP=${address}` },
      signal,
    })) as { readonly items?: readonly RawPod[] };
    const pod = (list.items ?? []).find(
      ({ metadata, status }) => status?.phase === 'Running' && metadata?.deletionTimestamp === undefined,
    );
    const name = pod?.metadata?.name;
    if (name === undefined)
      throw new SluiceError('gone', `no running pod of namespace ${namespace} has the address ${address}`, {
        code: 'PodGone',
      });
    if (names.size >= mostNames) names.clear();
    names.set(key, { name, at: clock.now() });
    return name;
  };

  return {
    lacks: (service, port) =>
      endpointsOf(view, service, port).length > 0 ? undefined : 'no pod of the Service is ready',
    open: async (service, port, client, signal): Promise<Duplex> => {
      const { namespace } = splitKey(service);
      const endpoints = endpointsOf(view, service, port);
      const chosen = client === undefined ? anyOf(endpoints) : favourite(endpoints, client);
      if (chosen === undefined)
        throw new SluiceError('transient', 'no pod of the Service is ready', { code: 'NoReadyPod' });
      const pod = await podAt(namespace, chosen.address, signal);
      try {
        return await forwardTo(api, { namespace, pod, port: chosen.port }, signal);
      } catch (error) {
        // The pod may have been replaced by another one of its address.
        names.delete(`${namespace} ${chosen.address}`);
        throw error;
      }
    },
  };
}

function anyOf(endpoints: readonly Endpoint[]): Endpoint | undefined {
  return endpoints.length === 0 ? undefined : endpoints[randomInt(endpoints.length)];
}

/** Rendezvous hash: a client stays with its pod while that is there, whatever becomes of the others. */
function favourite(endpoints: readonly Endpoint[], client: string): Endpoint | undefined {
  const weight = ({ address, port }: Endpoint): string => shortHash(20, client, address, String(port));
  return endpoints.toSorted((a, b) => (weight(a) < weight(b) ? -1 : 1))[0];
}

interface RawPod {
  readonly metadata?: { readonly name?: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly phase?: string };
}

/** Ready endpoints of a TCP port of the Service; where there is none, those that still serve while they end. */
function endpointsOf(
  view: Pick<ClusterView, 'service' | 'slices'>,
  key: ObjectKey,
  port: number,
): readonly Endpoint[] {
  const service = view.service(key);
  const name = service?.ports.find((one) => one.port === port && one.protocol === 'TCP')?.name;
  if (service === undefined || name === undefined) return [];
  const ready: Endpoint[] = [];
  const ending: Endpoint[] = [];
  for (const slice of view.slices(key)) {
    if (slice.addressType === 'FQDN') continue;
    const target = slice.ports.find((one) => one.name === name && one.protocol === 'TCP')?.port;
    if (target === undefined) continue;
    for (const endpoint of slice.endpoints) {
      const address = endpoint.addresses[0];
      if (address === undefined) continue;
      if (endpoint.ready || service.publishNotReadyAddresses) ready.push({ address, port: target });
      else if (endpoint.serving) ending.push({ address, port: target });
    }
  }
  return ready.length > 0 ? ready : ending;
}
