/**
 * The story without a cloud, with real packets: a Service gets an address from a pool, a node answers for it, an
 * outside client asks it; the node is cut off while requests run, another one takes over, and in the end nothing is left.
 * Each chapter checks what it shows.
 */
import { serviceAddressName } from '../../core/address-objects.ts';
import { blackout } from '../bed/gap.ts';
import { underlay } from '../bed/topology.ts';
import { apply, manifestsOf, read, remove, type Manifest } from '../objects.ts';
import { client, podSlice, type DemoNodes } from './nodes.ts';
import { quiet, showExplanation, sluiceCommand } from './program.ts';
import { statusOf, until, untilService, type Narrator } from './stage.ts';
import { answeredInARow, curlOf, everyMs, servePod, startRequests, webPort } from './web.ts';

export interface BareMetalStage {
  readonly nodes: DemoNodes;
  readonly narrator: Narrator;
  /** Folder with the example manifests. */
  readonly examples: URL;
  /** There is a curl(1) on this machine. */
  readonly hasCurl: boolean;
  readonly signal: AbortSignal;
}

/** A takeover that takes longer is a failure of the story. It is meant to take a third of a second. */
const longestGapMs = 2_000;

export async function tellBareMetalStory(stage: BareMetalStage): Promise<void> {
  const [pool, service] = await objects(stage);
  const address = await addressFromPool(stage, pool, service);
  await podsAnswer(stage, service, address);
  await whereItStands(stage, service);
  await ownerIsCutOff(stage, service, address);
  await nothingIsLeft(stage, service, address);
}

async function objects({ examples }: BareMetalStage): Promise<readonly [Manifest, Manifest]> {
  const [pool] = await manifestsOf(new URL('local/pool.yaml', examples));
  const [service] = await manifestsOf(new URL('local/web.yaml', examples));
  if (pool === undefined || service === undefined)
    throw new Error('examples/local has no pool or no Service');
  return [pool, service];
}

async function addressFromPool(
  { nodes, narrator, signal }: BareMetalStage,
  pool: Manifest,
  service: Manifest,
): Promise<string> {
  const { api } = nodes.sandbox;
  narrator.chapter('An address from a pool');
  await apply(api, pool);
  const { addresses } = pool['spec'] as { readonly addresses: readonly string[] };
  narrator.line(`kubectl apply -f examples/local/pool.yaml    # ${addresses.join(', ')}`);
  await apply(api, service);
  narrator.line('kubectl apply -f examples/local/web.yaml     # type LoadBalancer, port 80');
  const { value, ms } = await untilService(
    api,
    service,
    'gets an address',
    (live) => statusOf(live).address !== '',
    { signal },
  );
  const { address } = statusOf(value);
  const probe = (await addressStatus(api, address)).probe;
  narrator.good(
    `${address} after ${(ms / 1000).toFixed(2)} s; the agent on ${probe?.node ?? 'a node'} has asked the link first, and nobody had it.`,
  );
  return address;
}

interface Place {
  readonly owner: string;
  readonly mac: string;
  /** Nodes whose pods serve. */
  readonly pods: readonly string[];
}

/**
 * Waits until one node has the address, and lets the pods of the other two serve: so that what is lost with that node is
 * lost by the takeover and not with its pod.
 */
async function placed({ nodes, signal }: BareMetalStage, service: Manifest, address: string): Promise<Place> {
  const { bed, sandbox, names } = nodes;
  const { value: holder } = await until(
    `one node to answer for ${address}`,
    async () => {
      const said = (await addressStatus(sandbox.api, address)).holder;
      const holders = await holdersOf(nodes, address);
      return holders.length === 1 && holders[0] === said?.node ? said : undefined;
    },
    { signal, seen: async () => `on the interfaces of ${(await holdersOf(nodes, address)).join(', ')}` },
  );
  const pods = names.filter((name) => name !== holder.node);
  await apply(sandbox.api, podSlice(bed, service.metadata?.name ?? '', pods, webPort));
  return { owner: holder.node, mac: holder.mac, pods };
}

async function podsAnswer(stage: BareMetalStage, service: Manifest, address: string): Promise<void> {
  const { nodes, narrator, hasCurl, signal } = stage;
  const { bed, names } = nodes;
  narrator.chapter('A client outside asks it');
  for (const name of names) await servePod(bed, `${name}-a`);
  const { owner, mac, pods } = await placed(stage, service, address);
  narrator.line(
    `Node ${owner} answers for ${address} with ${mac}; the pods run on ${pods.join(' and ')}, across the overlay.`,
  );
  const url = `http://${address}/`;
  const [program, args] = curlOf(url, hasCurl);
  const heard = new Set<string>();
  await until(
    `both pods to answer at ${url}`,
    async () => {
      const said = (await bed.succeed(client, program, args).catch(() => '')).trim();
      if (said !== '' && !heard.has(said)) narrator.line(`client$ curl ${url}    ${said}`);
      if (said !== '') heard.add(said);
      return heard.size >= pods.length || undefined;
    },
    { signal, seen: () => Promise.resolve([...heard].join('; ') || 'no answer') },
  );
  narrator.good('Both pods answer, asked from outside the cluster at one address.');
}

async function whereItStands({ nodes, narrator }: BareMetalStage, service: Manifest): Promise<void> {
  const name = `svc/${service.metadata?.name ?? ''}`;
  const { bed, sandbox } = nodes;
  narrator.chapter('What sluice knows of it');
  narrator.line(`client$ sluice explain ${name}`);
  // From where the client is, so that the way to the address is looked at too.
  const [program, args] = sluiceCommand(['explain', name, '--kubeconfig', sandbox.kubeconfig]);
  showExplanation(narrator, await bed.run(client, program, args, quiet));
}

async function ownerIsCutOff(stage: BareMetalStage, service: Manifest, address: string): Promise<void> {
  const { nodes, narrator, signal } = stage;
  const { bed, sandbox } = nodes;
  narrator.chapter('The node that answers is cut off while requests run');
  const { owner } = await placed(stage, service, address);
  const requests = startRequests(`http://${address}/`, (program, args) => bed.spawn(client, program, args));
  try {
    await answeredInARow(requests, 50, signal);
    await bed.ip(underlay, `link set p-${owner} down`);
    const cutAt = requests.attempts.length;
    narrator.line(`A request every ${everyMs} ms; the cable of ${owner} is pulled.`);
    const { value: next } = await until(
      'another node to answer for it',
      async () => {
        const holder = (await addressStatus(sandbox.api, address)).holder;
        return holder !== undefined && holder.node !== owner ? holder : undefined;
      },
      { signal },
    );
    await answeredInARow(requests, 50, signal, cutAt);
    const attempts = await requests.close();
    const gap = blackout(attempts);
    const lost = attempts.filter(({ kind }) => kind !== 'answered').length;
    narrator.good(
      `${gap} ms: ${next.node} answers for ${address} now, with ${next.mac}. ${lost} of ${attempts.length} requests were lost.`,
    );
    if (lost === 0) throw new Error('no request was lost although the node that answered was cut off');
    if (gap > longestGapMs)
      throw new Error(`the takeover took ${gap} ms; ${longestGapMs} ms are far too long`);
    await bed.ip(underlay, `link set p-${owner} up`);
    await until(
      `${next.node} alone to have ${address}`,
      async () => {
        const holders = await holdersOf(nodes, address);
        return (holders.length === 1 && holders[0] === next.node) || undefined;
      },
      { signal, seen: async () => (await holdersOf(nodes, address)).join(', ') },
    );
    narrator.good(`${owner} is back and leaves the address where it is: one node answers, never two.`);
  } finally {
    await requests.close();
  }
}

async function nothingIsLeft(
  { nodes, narrator, signal }: BareMetalStage,
  service: Manifest,
  address: string,
): Promise<void> {
  narrator.chapter('Everything is deleted');
  const { api } = nodes.sandbox;
  await remove(api, service);
  const { ms } = await until(
    'the Service and its address to be gone',
    async () => {
      if ((await read(api, service)) !== undefined) return undefined;
      return (await holdersOf(nodes, address)).length === 0 || undefined;
    },
    { signal, seen: async () => `held by ${(await holdersOf(nodes, address)).join(', ') || 'nobody'}` },
  );
  narrator.good(
    `After ${(ms / 1000).toFixed(2)} s no node has the address any more. It is kept for default/${service.metadata?.name ?? ''} for a while, should that come back.`,
  );
}

/** Nodes that have the address on their interface, as the kernel says. */
async function holdersOf({ bed, names }: DemoNodes, address: string): Promise<readonly string[]> {
  const texts = await Promise.all(
    names.map((name) => bed.succeed(name, 'ip', ['-o', 'addr', 'show', 'dev', 'eth0'])),
  );
  return names.filter((_, index) => texts[index]?.includes(` ${address}/`) === true);
}

interface AddressStatus {
  readonly probe?: { readonly node: string };
  readonly holder?: { readonly node: string; readonly mac: string };
}

async function addressStatus(api: DemoNodes['sandbox']['api'], address: string): Promise<AddressStatus> {
  const metadata = { name: serviceAddressName(address) };
  const live = await read(api, { apiVersion: 'sluice.dev/v1alpha1', kind: 'ServiceAddress', metadata });
  return live?.['status'] ?? {};
}
