/**
 * Where the agent's figures are taken: a real API server that holds the world, and a fresh node for each program, with
 * a pod that answers at every endpoint and a pod that asks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { create, manifestsOf } from '../../../src/sandbox/objects.ts';
import { lastWords, type ManagedProcess } from '../../../src/sandbox/processes.ts';
import { packageRoot } from '../../../src/sandbox/sandbox.ts';
import { Bed } from '../../../src/sandbox/bed/bed.ts';
import { clusterRange } from '../../../src/sandbox/bed/topology.ts';
import { PacketCluster, serviceRange } from '../../packets/cluster.ts';
import { startKubeProxy } from '../../packets/kube-proxy.ts';
import { spread } from '../cluster/measure.ts';
import { endpointRanges, podRanges, worldPort, worldService, worldSlice, type Size } from './world.ts';

export const node = 'n1';
/** The pod that answers at every endpoint, and the pod that asks. */
export const server = 'n1-a';
export const client = 'n1-b';

export type Mode = 'nftables' | 'iptables';
export type Program = 'ours' | 'kube-proxy';

export class Stage implements AsyncDisposable {
  readonly cluster: PacketCluster;
  readonly size: Size;

  private constructor(cluster: PacketCluster, size: Size) {
    this.cluster = cluster;
    this.size = size;
  }

  static async open(size: Size): Promise<Stage> {
    const cluster = await PacketCluster.start();
    await spread(size.services, 16, async (index) => {
      await create(cluster.api, worldService(index));
      await create(cluster.api, worldSlice(index, size.endpoints));
    });
    return new Stage(cluster, size);
  }

  /** A node without any rules. The caller removes it. */
  async node(): Promise<Bed> {
    const bed = await makeNode();
    await this.cluster.join(bed);
    return bed;
  }

  /** Starts a program in a node; `started` was just before. */
  async start(
    bed: Bed,
    program: Program,
    mode: Mode,
    more: readonly string[] = [],
  ): Promise<{ readonly process: ManagedProcess; readonly started: number }> {
    const { kubeconfig } = this.cluster;
    const started = now();
    const made =
      program === 'kube-proxy'
        ? await startKubeProxy(bed, node, { mode, kubeconfig })
        : await startBundle(bed, mode, kubeconfig, more);
    return { process: made, started };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop();
  }
}

/** Milliseconds of the wall clock with its fractions, so that they compare with a log's. */
export const now = (): number => performance.timeOrigin + performance.now();

export async function makeNode(): Promise<Bed> {
  const bed = await Bed.make({ nodes: 1, podsPerNode: 2, clients: 1 });
  for (const range of endpointRanges) await bed.attract(server, range);
  await bed.serve(server, { port: worldPort });
  return bed;
}

const bundle = fileURLToPath(new URL('dist/sluice.js', packageRoot));
let count = 0;

/** What is shipped, in place of kube-proxy. */
async function startBundle(
  bed: Bed,
  mode: Mode,
  kubeconfig: string,
  more: readonly string[],
): Promise<ManagedProcess> {
  count += 1;
  const flags = [
    `--node-name=${node}`,
    `--kubeconfig=${kubeconfig}`,
    '--scope=all',
    `--backend=${mode}`,
    ...(mode === 'iptables' ? ['--iptables-variant=nft'] : []),
    `--cluster-cidr=${podRanges.join()},${clusterRange.IPv6}`,
    `--service-cidr=${serviceRange.IPv4},${serviceRange.IPv6}`,
    '--log-level=debug',
    '--log-form=json',
    ...more,
  ];
  const profile = process.env['SLUICE_BENCH_PROFILE'];
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  return bed.start(node, {
    name: `agent-${count}`,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...(await deployed()) },
    program: process.execPath,
    args: [...profiling, bundle, 'agent', ...flags],
  });
}

/** A connection that is not answered is given up after this, so a figure is exact to about as much. */
const answerMs = 30;

/**
 * Asks one Service again and again until an endpoint answers. @returns when.
 *
 * @throws GaveUp after `limit`, Error where the program that is to serve it has ended.
 */
export async function untilAnswered(
  bed: Bed,
  program: ManagedProcess,
  address: string,
  options: { readonly everyMs: number; readonly limit: number },
): Promise<number> {
  for (;;) {
    const { kind } = await bed.dial(client, { address, port: 80 }, { timeoutMs: answerMs });
    if (kind === 'answered') return now();
    const exit = program.ended();
    if (exit !== undefined) throw new Error(await lastWords(program, exit));
    if (now() > options.limit) throw new GaveUp(address);
    await sleep(options.everyMs);
  }
}

/** A program does not serve in the time that it was given. */
export class GaveUp extends Error {}

/** @returns undefined where a peer does not come to serve in time; its figures are then missing. */
export async function unlessGivenUp<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof GaveUp) return undefined;
    throw error;
  }
}

/** What the DaemonSet sets. The share of the memory limit is made a size: there is no limit here. */
async function deployed(): Promise<Readonly<Record<string, string>>> {
  const [set] = await manifestsOf(new URL('manifests/overlays/agent/daemon-set.yaml', packageRoot));
  const [container] = (set?.['spec'] as DaemonSetSpec | undefined)?.template.spec.containers ?? [];
  const limitMi = Number(/^(\d+)Mi$/u.exec(container?.resources.limits.memory ?? '')?.[1] ?? 0);
  const sized = (value: string): string =>
    value.replace(
      /--max-old-space-size-percentage=(\d+)/u,
      (_, share: string) => `--max-old-space-size=${Math.round((limitMi * Number(share)) / 100)}`,
    );
  return Object.fromEntries(
    (container?.env ?? []).flatMap(({ name, value }) => (value === undefined ? [] : [[name, sized(value)]])),
  );
}

interface DaemonSetSpec {
  readonly template: {
    readonly spec: {
      readonly containers: readonly {
        readonly env: readonly { readonly name: string; readonly value?: string }[];
        readonly resources: { readonly limits: { readonly memory: string } };
      }[];
    };
  };
}
