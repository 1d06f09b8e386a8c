/**
 * `sluice explain svc/NAME`: where a Service stands and what it waits for, with the rights of an ordinary
 * user of its namespace.
 */
import type { ClusterView } from '../controller/cluster.ts';
import { preview, type PreviewContext } from '../controller/preview.ts';
import type { ClusterIdentity } from '../core/provider.ts';
import { controllerOptions } from '../controller/options.ts';
import { servedOnAnnotation } from '../core/annotations.ts';
import { claimOf } from '../core/claim.ts';
import { systemClock } from '../core/clock.ts';
import { Neighbourhood } from '../core/neighbours.ts';
import { asSluiceError } from '../core/errors.ts';
import { objectKey, type EndpointSliceObject, type NodeObject, type ServiceObject } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { makeIntern } from '../kube/intern.ts';
import { addressesPath, poolsPath, slimPool, slimServiceAddress } from '../kube/address-kinds.ts';
import type { RawObject } from '../kube/raw.ts';
import { slimNode, slimSlice } from '../kube/slim.ts';
import { readClusterId, Writer } from '../kube/writer.ts';
import type { Settings } from '../settings/read.ts';
import { connectBy } from './access.ts';
import { addressStories, type AddressStory } from './explain-address.ts';
import { laptopStory, type LaptopStory } from './explain-laptop.ts';
import { knownMachineName } from './local-elsewhere.ts';
import { stateFolder } from './local-machine.ts';
import { checkPath, type PathCheck } from './path-check.ts';
import { explanation, explanationText, type EventLine } from './explain-report.ts';
import { plannedSteps } from './plan-report.ts';
import { allProviders, startProviders, usualSettings } from './providers.ts';
import type { Door } from '../controller/door.ts';
import type { LocalDoor } from './local-cluster.ts';
import { openDoor, openLocalDoor } from './picture.ts';
import { agentSays } from './explain-packet.ts';
import { loadSettings } from './settings.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';
import type { ExplainFlags } from './explain-flags.ts';

/** @returns the exit code. */
export async function explainService(
  flags: ExplainFlags,
  words: readonly string[],
  shell: Shell,
): Promise<number> {
  const settings = flags.config === undefined ? undefined : await loadSettings(flags.config, shell);
  if (flags.config !== undefined && !settings) return exit.problem;
  const api = await connectBy(flags);
  const [first = '', second] = (words[0] ?? '').replace(/^(svc|service)s?\//u, '').split('/');
  const namespace = second === undefined ? (flags.namespace ?? api.namespace ?? 'default') : first;
  const name = second ?? first;
  const picture = settings?.providers.has('local') ? await openPicture(api, settings) : undefined;
  const running = settings
    ? await startProviders(settings, {
        clock: systemClock,
        random: Math.random,
        onCall: () => undefined,
        ...(picture?.local === undefined ? {} : { cluster: picture.local }),
      })
    : await allProviders();
  try {
    const service = await new Writer(api).getService(objectKey(namespace, name));
    const unread: string[] = [];
    const slices = await readOr([], unread, 'endpoints', () => readSlices(api, namespace, service.name));
    const nodes = await readOr([], unread, 'nodes', () => readNodes(api));
    // Without either the way of an address ends somewhere, and it would look as if it were the address's fault.
    const hasGround = unread.length === 0;
    const cluster = await clusterOf(api, settings, unread);
    // What was not read is not empty: a plan on it would be about another cluster.
    const whole = unread.length === 0;
    const events = await readOr([], unread, 'events', () =>
      readEvents(api, namespace, service.name, service.uid),
    );
    const names = [...running.providers.keys()];
    const neighbours = Neighbourhood.of(picture?.local?.services() ?? []);
    const options = controllerOptions(settings?.controller ?? (await usualSettings()).controller, names, () =>
      neighbours.shown(),
    );
    const context: PreviewContext = {
      clock: systemClock,
      cluster,
      view: viewOf(service, slices, nodes),
      providers: running.providers,
      options,
    };
    const abort = new AbortController();
    process.once('SIGINT', () => abort.abort(new Error('interrupted')));
    // Without the controller's settings there is no account to look at: only what the Service says is checked.
    const fresh =
      settings && whole
        ? await readOr(undefined, unread, 'cloud account', () =>
            preview(context, service, true, abort.signal),
          )
        : undefined;
    const said = fresh ?? (await preview(context, service, false, abort.signal));
    const agents = said.provider === undefined ? agentSays(service, flags) : undefined;
    const isLocal = isOfLocalMode(service, options);
    const laptop = isLocal ? await readLaptop(service, shell.env) : undefined;
    const inCluster = isLocal && laptop === undefined;
    if (inCluster && !hasGround) unread.push('the way of each address (it needs endpoints and nodes)');
    const announced =
      inCluster && hasGround
        ? await readOr(undefined, unread, 'addresses of local mode', () =>
            readStories(api, service, slices, nodes),
          )
        : undefined;
    const explained = explanation({
      ...(announced === undefined ? {} : announced === 'no kinds' ? { withoutKinds: true } : { announced }),
      ...(laptop === undefined ? {} : { laptop }),
      service,
      slices,
      events,
      claim: options.claim,
      problems: agents === undefined ? said.problems : [...said.problems, ...agents.problems],
      ...(agents?.serve === true ? { byAgents: true } : {}),
      excluded: nodes.length > 0 ? said.excluded : [],
      plan: fresh === undefined ? undefined : plannedSteps(fresh),
      unread,
    });
    shell.out(
      flags.output === 'json'
        ? `${JSON.stringify(explained, undefined, 2)}\n`
        : explanationText(explained, (style, text) => paint(shell, style, text)),
    );
    return explained.ok ? exit.ok : exit.problem;
  } catch (thrown) {
    const error = asSluiceError(thrown);
    const why =
      error.kind === 'gone'
        ? `there is no Service ${name} in namespace ${namespace}; see kubectl get services -n ${namespace}` +
          // Whoever writes pod/web is told that it was read as a namespace.
          (second === undefined ? '' : ' (write svc/NAME, or NAMESPACE/NAME)')
        : error.message;
    shell.err(`${paint(shell, 'red', 'sluice:')} ${why}\n`);
    return exit.problem;
  } finally {
    running.close();
    await picture?.close();
    await api.close();
  }
}

function isOfLocalMode(service: ServiceObject, { claim }: ReturnType<typeof controllerOptions>): boolean {
  const claimed = claimOf(service, claim);
  return claimed.kind === 'ours' && claimed.provider === 'local';
}

async function readStories(
  api: Api,
  service: ServiceObject,
  slices: readonly EndpointSliceObject[],
  nodes: readonly NodeObject[],
): Promise<readonly AddressStory[] | 'no kinds'> {
  const [objects, pools] = await Promise.all([
    readAll(api, addressesPath, slimServiceAddress),
    readAll(api, poolsPath, slimPool),
  ]).catch((thrown: unknown) => {
    if (asSluiceError(thrown).kind === 'gone') return [];
    throw thrown;
  });
  if (objects === undefined || pools === undefined) return 'no kinds';
  const paths = await pathsOf(service);
  return addressStories({ service, slices, nodes, objects, pools, paths });
}

async function pathsOf(service: ServiceObject): Promise<ReadonlyMap<string, PathCheck>> {
  const paths = new Map<string, PathCheck>();
  for (const { ip } of service.ingress) if (ip !== undefined) paths.set(ip, await checkPath(ip, service));
  return paths;
}

/** Undefined where no `sluice local` has marked the Service. */
async function readLaptop(
  service: ServiceObject,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LaptopStory | undefined> {
  const machine = service.annotations[servedOnAnnotation];
  if (machine === undefined) return undefined;
  const here = await knownMachineName(stateFolder(env));
  return laptopStory({ service, machine, here, paths: await pathsOf(service) });
}

async function readAll<T>(api: Api, path: string, slim: (raw: RawObject) => T): Promise<readonly T[]> {
  const list = (await api.request('GET', path)) as { readonly items?: readonly RawObject[] };
  return (list.items ?? []).map(slim);
}

/** Addresses are given with all Services in view: where that may not be read, the plan is left out. */
async function openPicture(
  api: Api,
  settings: Settings,
): Promise<{ readonly local: LocalDoor | undefined; close(): Promise<void> } | undefined> {
  let door: Door | undefined;
  try {
    door = await openDoor(api);
    const opened = door;
    const local = await openLocalDoor(api, door, settings);
    return {
      local,
      close: async () => {
        await local?.stop();
        await opened.stop();
      },
    };
  } catch {
    await door?.stop();
    return undefined;
  }
}

/** The picture that a plan of one Service needs. */
function viewOf(
  service: ServiceObject,
  slices: readonly EndpointSliceObject[],
  nodes: readonly NodeObject[],
): ClusterView {
  return {
    service: (key) => (key === service.key ? service : undefined),
    services: () => [service],
    nodes: () => nodes,
    slices: () => slices,
    caughtUp: () => true,
  };
}

async function clusterOf(
  api: Api,
  settings: Settings | undefined,
  unread: string[],
): Promise<ClusterIdentity> {
  const unknown = '00000000-0000-0000-0000-000000000000';
  const id =
    settings?.cluster.id ??
    (settings
      ? await readOr<string>(unknown, unread, 'identity of the cluster', () => readClusterId(api))
      : unknown);
  return { name: settings?.cluster.name ?? id, id };
}

async function readNodes(api: Api): Promise<readonly NodeObject[]> {
  const list = (await api.request('GET', '/api/v1/nodes')) as { readonly items?: readonly RawObject[] };
  const intern = makeIntern();
  return (list.items ?? []).map((raw) => slimNode(raw, intern));
}

/** What the caller may not read is named, and the answer goes on without it. */
async function readOr<T>(fallback: T, unread: string[], what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    const { kind, action, message } = asSluiceError(thrown);
    // An ordinary user of a namespace lacks some rights, and that is in order.
    const why = kind === 'denied' && action !== undefined ? `no right to ${action}` : message;
    unread.push(`${what} (${why})`);
    return fallback;
  }
}

async function readSlices(
  api: Api,
  namespace: string,
  name: string,
): Promise<readonly EndpointSliceObject[]> {
  const list = (await api.request('GET', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
    query: { labelSelector: `kubernetes.io/service-name=${name}` },
  })) as { readonly items?: readonly RawObject[] };
  const intern = makeIntern();
  return (list.items ?? []).map((raw) => slimSlice(raw, intern));
}

interface RawEvent {
  readonly eventTime?: string;
  readonly deprecatedLastTimestamp?: string;
  readonly metadata?: { readonly creationTimestamp?: string };
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly type?: string;
  readonly reason?: string;
  readonly note?: string;
  readonly reportingController?: string;
  readonly regarding?: { readonly uid?: string; readonly kind?: string; readonly name?: string };
}

const mostEvents = 10;

async function readEvents(
  api: Api,
  namespace: string,
  name: string,
  uid: string,
): Promise<readonly EventLine[]> {
  const list = (await api.request('GET', `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, {
    query: { fieldSelector: `regarding.kind=Service,regarding.name=${name}` },
  })) as { readonly items?: readonly RawEvent[] };
  return (list.items ?? [])
    .filter((event) => event.regarding?.uid === uid)
    .map((event) => ({
      at:
        event.series?.lastObservedTime ??
        event.eventTime ??
        event.deprecatedLastTimestamp ??
        event.metadata?.creationTimestamp ??
        '',
      type: event.type ?? 'Normal',
      reason: event.reason ?? '',
      note: event.note ?? '',
      count: event.series?.count ?? 1,
      by: event.reportingController ?? '',
    }))
    .toSorted((a, b) => a.at.localeCompare(b.at))
    .slice(-mostEvents);
}
