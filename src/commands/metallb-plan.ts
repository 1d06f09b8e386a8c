/**
 * What `sluice migrate --from metallb` would do to a cluster, looked up without changing anything: each pool is shown
 * to the API server as a dry run, and each Service of MetalLB is looked at.
 */
import { asSluiceError, isSluiceError } from '../core/errors.ts';
import type { ServiceObject } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { poolsPath, type RawPool } from '../kube/address-kinds.ts';
import { makeIntern } from '../kube/intern.ts';
import type { RawObject, RawService } from '../kube/raw.ts';
import { slimService } from '../kube/slim.ts';
import type { ConvertedPool } from './metallb-pools.ts';
import { hindrance, isOfMetallb } from './metallb-services.ts';
import { paint, type Shell } from './shell.ts';

export interface PoolPlan {
  readonly pool: ConvertedPool;
  readonly does: 'create' | 'change' | 'nothing' | 'left';
  /** Why it is left; else empty. */
  readonly why: string;
}

export interface ServicePlan {
  readonly service: ServiceObject;
  /** Why it is left; undefined: it is taken over. */
  readonly why: string | undefined;
}

export interface MetallbPlan {
  readonly pools: readonly PoolPlan[];
  readonly services: readonly ServicePlan[];
  /** Pods of MetalLB that run, as namespace/name. */
  readonly running: readonly MetallbPod[];
}

export interface MetallbPod {
  readonly namespace: string;
  readonly name: string;
  readonly daemonSet: string | undefined;
  readonly selector: string;
}

export async function planMetallb(
  api: Api,
  pools: readonly ConvertedPool[],
  only: ReadonlySet<string> | undefined,
): Promise<MetallbPlan> {
  const plans: PoolPlan[] = [];
  for (const pool of pools) plans.push(await planPool(api, pool));
  const services = (await metallbServices(api))
    .filter(({ key, name }) => only === undefined || only.has(key) || only.has(name))
    .map((service) => ({ service, why: hindrance(service) }));
  return { pools: plans, services, running: await metallbPods(api) };
}

const manager = 'sluice-migrate';
const otherValues =
  'an AddressPool of this name is there with other values, which somebody set; compare the two by hand';

async function planPool(api: Api, pool: ConvertedPool): Promise<PoolPlan> {
  const before = await found(api.request('GET', `${poolsPath}/${encodeURIComponent(pool.metadata.name)}`));
  try {
    const after = await applyPool(api, pool, true);
    if (before === undefined) return { pool, does: 'create', why: '' };
    if (specOf(before) === specOf(after)) return { pool, does: 'nothing', why: '' };
    // Ranges are a set, which would be joined with those of a pool that somebody else wrote.
    return isOurs(before) ? { pool, does: 'change', why: '' } : left(pool, otherValues);
  } catch (thrown) {
    const { kind, message } = asSluiceError(thrown);
    if (kind === 'gone')
      return left(pool, 'the cluster has no AddressPools yet: install manifests/overlays/local first');
    if (kind === 'conflict') return left(pool, otherValues);
    if (kind === 'denied' || kind === 'invalid') return left(pool, message);
    throw thrown;
  }
}

function isOurs({ metadata }: RawObject): boolean {
  return (metadata?.managedFields ?? []).some(({ manager: name }) => name === manager);
}

function left(pool: ConvertedPool, why: string): PoolPlan {
  return { pool, does: 'left', why };
}

/** Errors: `conflict` where somebody else set one of the fields to another value. */
export async function applyPool(api: Api, pool: ConvertedPool, dryRun: boolean): Promise<RawPool> {
  return (await api.request('PATCH', `${poolsPath}/${encodeURIComponent(pool.metadata.name)}`, {
    query: { fieldManager: manager, force: false, ...(dryRun ? { dryRun: 'All' } : {}) },
    contentType: 'application/apply-patch+yaml',
    body: pool,
  })) as RawPool;
}

function specOf(raw: RawObject): string {
  const { spec = {} } = raw as { readonly spec?: Readonly<Record<string, unknown>> };
  return JSON.stringify(Object.entries(spec).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function metallbServices(api: Api): Promise<readonly ServiceObject[]> {
  const intern = makeIntern();
  const raws = await list<RawService>(api, '/api/v1/services', {});
  return raws
    .map((raw) => slimService(raw, intern))
    .filter(isOfMetallb)
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** By the labels of its manifests and of its chart. */
async function metallbPods(api: Api): Promise<readonly MetallbPod[]> {
  const pods = new Map<string, MetallbPod>();
  for (const selector of ['app=metallb', 'app.kubernetes.io/name=metallb']) {
    for (const { metadata = {}, status } of await list<RawPod>(api, '/api/v1/pods', {
      labelSelector: selector,
    })) {
      if (status?.phase === 'Succeeded' || status?.phase === 'Failed') continue;
      const { namespace = '', name = '', ownerReferences = [] } = metadata;
      const daemonSet = ownerReferences.find(({ kind }) => kind === 'DaemonSet')?.name;
      pods.set(`${namespace}/${name}`, { namespace, name, daemonSet, selector });
    }
  }
  return [...pods.values()];
}

interface RawPod {
  readonly metadata?: {
    readonly namespace?: string;
    readonly name?: string;
    readonly ownerReferences?: readonly { readonly kind?: string; readonly name?: string }[];
  };
  readonly status?: { readonly phase?: string };
}

async function list<Raw>(
  api: Api,
  path: string,
  query: Readonly<Record<string, string>>,
): Promise<readonly Raw[]> {
  const items: Raw[] = [];
  let token = '';
  do {
    const page = (await api.request('GET', path, {
      query: { ...query, limit: 500, ...(token === '' ? {} : { continue: token }) },
    })) as { readonly items?: readonly Raw[]; readonly metadata?: { readonly continue?: string } };
    items.push(...(page.items ?? []));
    token = page.metadata?.continue ?? '';
  } while (token !== '');
  return items;
}

async function found(answer: Promise<unknown>): Promise<RawObject | undefined> {
  try {
    return (await answer) as RawObject;
  } catch (error) {
    if (isSluiceError(error) && (error.kind === 'gone' || error.kind === 'denied')) return undefined;
    throw error;
  }
}

const words = { create: 'create', change: 'change', nothing: 'is there', left: 'left' } as const;

/** The plan for people, a line for each thing; ends with a line break. Empty where there is nothing. */
export function tellPlan(shell: Pick<Shell, 'colour'>, { pools, services, running }: MetallbPlan): string {
  const lines: string[] = [];
  const line = (does: string, what: string, why: string | undefined): void => {
    const style = does === 'left' ? 'yellow' : does === 'is there' ? 'dim' : 'green';
    lines.push(
      `  ${paint(shell, style, does.padEnd(9))}  ${what}${why === undefined || why === '' ? '' : `: ${why}`}`,
    );
  };
  if (pools.length > 0) lines.push('AddressPools:');
  for (const { pool, does, why } of pools) line(words[does], pool.metadata.name, why);
  if (services.length > 0) lines.push('Services of MetalLB:');
  for (const { service, why } of services)
    line(
      why === undefined && running.length === 0 ? 'take over' : 'left',
      describe(service),
      why ?? waits(running),
    );
  if (services.length > 0 && running.length > 0) lines.push(...stopping(running));
  return lines.map((one) => `${one}\n`).join('');
}

export function describe({ key, ingress }: ServiceObject): string {
  const ips = ingress.flatMap(({ ip }) => ip ?? []);
  return ips.length === 0 ? key : `${key} with ${ips.join(', ')}`;
}

function waits(running: readonly MetallbPod[]): string {
  return running.length === 0 ? '' : 'MetalLB still runs';
}

/** How MetalLB is stopped with nothing of it deleted. */
function stopping(running: readonly MetallbPod[]): readonly string[] {
  const commands = new Set<string>();
  for (const { namespace, daemonSet, selector } of running) {
    if (daemonSet === undefined)
      commands.add(`kubectl -n ${namespace} scale deployment --selector ${selector} --replicas 0`);
    else {
      const patch = { spec: { template: { spec: { nodeSelector: { 'sluice.dev/stopped': 'true' } } } } };
      commands.add(
        `kubectl -n ${namespace} patch daemonset ${daemonSet} --type merge -p '${JSON.stringify(patch)}'`,
      );
    }
  }
  const pods = running.map(({ namespace, name }) => `${namespace}/${name}`);
  const shown = `${pods.slice(0, 3).join(', ')}${pods.length > 3 ? ` and ${pods.length - 3} more` : ''}`;
  return [
    `MetalLB still runs (${shown}), and two would answer for one address.`,
    'Stop it and run this command again; in between its addresses do not answer:',
    ...[...commands].map((one) => `  ${one}`),
  ];
}
