/**
 * The story of a laptop, without root: `sluice local` beside a cluster in which nothing is installed, real requests to the
 * address of a Service, a node that dies while they run, and a cluster left as it was found. Each chapter checks
 * what it shows.
 *
 * The cluster is a real API server; its nodes are stand-ins that answer at node ports on loopback.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import { connect, type Connection } from '../../kube/connection.ts';
import { blackout } from '../bed/gap.ts';
import { run } from '../bed/run.ts';
import { startControlPlane, type ControlPlane } from '../control-plane.ts';
import { apply, manifestsOf, read, sliceManifest, type Manifest } from '../objects.ts';
import type { ManagedProcess } from '../processes.ts';
import { StandIns } from '../stand-ins.ts';
import { quiet, showExplanation, sluiceCommand, sluiceProgram } from './program.ts';
import { statusOf, until, untilService, type Narrator } from './stage.ts';
import { answeredInARow, curlOf, everyMs, startRequests } from './web.ts';

export interface LaptopStage {
  readonly cluster: LaptopCluster;
  readonly narrator: Narrator;
  readonly examples: URL;
  readonly hasCurl: boolean;
  readonly signal: AbortSignal;
}

const nodes = [1, 2, 3];
const graceMs = 5_000;
/** Nothing is cut off here without an answer, so only a busy machine is waited for. */
const limitMs = 5_000;

/** An API server with three nodes and nothing of ours in it. */
export class LaptopCluster {
  readonly plane: ControlPlane;
  readonly api: Connection;
  readonly standIns = new StandIns();

  private constructor(plane: ControlPlane, api: Connection) {
    this.plane = plane;
    this.api = api;
  }

  static async start(
    narrator: Narrator,
    signal: AbortSignal,
    onUnexpectedEnd: (message: string) => void,
  ): Promise<LaptopCluster> {
    const progress = (message: string): void => narrator.line(message);
    const plane = await startControlPlane({ progress, signal, onUnexpectedEnd });
    const cluster = new LaptopCluster(plane, await connect({ path: plane.kubeconfig }));
    for (const node of nodes) {
      await apply(cluster.api, {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: `node-${node}` },
        spec: {},
        status: { addresses: [{ type: 'InternalIP', address: cluster.standIns.address(node) }] },
      });
    }
    return cluster;
  }

  /** Starts `sluice local`. It ends with the cluster. */
  local(): Promise<ManagedProcess> {
    const { supervisor, kubeconfig, folder } = this.plane;
    return supervisor.start({
      name: 'sluice-local',
      program: process.execPath,
      args: [sluiceProgram, 'local', '--kubeconfig', kubeconfig, '--output', 'json'],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        SLUICE_STATE_DIR: folder,
      },
    });
  }

  async stop(): Promise<void> {
    await this.standIns.closeAll();
    await this.api.close();
    await this.plane.stop();
  }
}

export async function tellLaptopStory(stage: LaptopStage): Promise<void> {
  const { cluster, narrator, examples } = stage;
  const [service] = await manifestsOf(new URL('local/web.yaml', examples));
  if (service === undefined) throw new Error('examples/local has no Service');
  narrator.chapter('npx sluice local');
  const local = await cluster.local();
  try {
    const url = await addressOnThisMachine(stage, local, service);
    await requestsAreAnswered(stage, url);
    await whereItStands(stage, service);
    await nodeDies(stage, url);
    await leftAsItWasFound(stage, local, service, url);
  } catch (error) {
    const said = (await local.tail(10)).trimEnd();
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}\nsluice local said:\n${said}`,
      {
        cause: error,
      },
    );
  }
}

interface Row {
  readonly service: string;
  readonly state: string;
  readonly ports: readonly { readonly url: string; readonly healthy: number; readonly targets: number }[];
}

async function addressOnThisMachine(
  { cluster, narrator, signal }: LaptopStage,
  local: ManagedProcess,
  service: Manifest,
): Promise<string> {
  narrator.line('No root, nothing installed in the cluster; it takes whatever kubeconfig there is.');
  await apply(cluster.api, service);
  narrator.line('kubectl apply -f examples/local/web.yaml     # type LoadBalancer, port 80');
  // As kubelets and the controller manager would have written it: a pod on each node.
  const names = nodes.map((node) => `node-${node}`);
  await apply(cluster.api, sliceManifest('default', 'web', { name: 'http', port: 80 }, names));
  const nodePort = await nodePortOf(cluster.api, service);
  for (const node of nodes) await cluster.standIns.open(node, nodePort);
  const { value: row, ms } = await until(
    'sluice local to serve default/web',
    async () => {
      const one = (await rowsOf(local)).find((each) => each.service === 'default/web');
      return one?.ports.every(({ healthy }) => healthy === nodes.length) === true ? one : undefined;
    },
    { signal, seen: async () => JSON.stringify(await rowsOf(local)) },
  );
  const [port] = row.ports;
  if (port === undefined) throw new Error('sluice local shows no port of default/web');
  narrator.table([
    ['SERVICE', 'URL', 'NODES'],
    [row.service, port.url, `${port.healthy} of ${port.targets}`],
  ]);
  const live = await read(cluster.api, service);
  narrator.good(`The Service shows ${statusOf(live).address} after ${(ms / 1000).toFixed(2)} s.`);
  return port.url;
}

async function requestsAreAnswered({ narrator, hasCurl, signal }: LaptopStage, url: string): Promise<void> {
  narrator.chapter('Requests to it');
  const [program, args] = curlOf(url, hasCurl);
  const heard = new Set<string>();
  await until(
    'all three nodes to have answered',
    async () => {
      const { code, stdout, stderr } = await run(program, args);
      if (code !== 0) throw new Error(`${url} does not answer: ${stderr.trim()}`);
      if (!heard.has(stdout)) narrator.line(`$ curl ${url}    ${stdout.trim()}`);
      heard.add(stdout);
      return heard.size >= nodes.length || undefined;
    },
    { signal },
  );
  narrator.good('Each connection goes to a node port, by turns.');
}

async function whereItStands({ cluster, narrator }: LaptopStage, service: Manifest): Promise<void> {
  const name = `svc/${service.metadata?.name ?? ''}`;
  narrator.chapter('What sluice knows of it');
  narrator.line(`$ npx sluice explain ${name}`);
  const [program, args] = sluiceCommand(['explain', name, '--kubeconfig', cluster.plane.kubeconfig]);
  // The first look at whether the node ports answer comes a moment after the address.
  let told = await run(program, args, quiet);
  for (let again = 0; told.code !== 0 && again < 20; again += 1) {
    await sleep(500);
    told = await run(program, args, quiet);
  }
  showExplanation(narrator, told);
}

async function nodeDies({ cluster, narrator, signal }: LaptopStage, url: string): Promise<void> {
  narrator.chapter('A node dies while requests run');
  const requests = startRequests(url, (program, args) => spawn(program, args), limitMs);
  try {
    await answeredInARow(requests, 50, signal);
    await cluster.standIns.close(2);
    await answeredInARow(requests, 100, signal, requests.attempts.length);
    const attempts = await requests.close();
    const lost = attempts.filter(({ kind }) => kind !== 'answered').length;
    narrator.good(
      `node-2 answers no more: ${lost} of ${attempts.length} requests were lost, one every ${everyMs} ms; the longest gap was ${blackout(attempts)} ms.`,
    );
    // What was under way at node-2 in this moment may be lost; what comes after it may not.
    if (lost > 2) throw new Error(`${lost} requests were lost although two nodes went on answering`);
  } finally {
    await requests.close();
  }
}

async function leftAsItWasFound(
  { cluster, narrator, signal }: LaptopStage,
  local: ManagedProcess,
  service: Manifest,
  url: string,
): Promise<void> {
  narrator.chapter('Ctrl-C');
  local.signal('SIGINT');
  const { code } = await local.exited;
  if (code !== 0) throw new Error(`sluice local ended with ${code ?? 'a signal'}`);
  const { value } = await untilService(
    cluster.api,
    service,
    'is as it was found',
    (live) => statusOf(live).address === '' && (live?.metadata?.finalizers ?? []).length === 0,
    { signal, limitMs: graceMs },
  );
  if (statusOf(value).conditions.length > 0) throw new Error('conditions were left on the Service');
  const after = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
  if (after !== undefined) throw new Error(`${url} still answers`);
  narrator.good('The Service is as it was found, and the next `sluice local` gives it the same address.');
}

/** The table as `sluice local` wrote it last. */
async function rowsOf(local: ManagedProcess): Promise<readonly Row[]> {
  const lines = (await local.tail(50)).split('\n');
  const last = lines.findLast((line) => line.startsWith('{"'));
  if (last === undefined) return [];
  try {
    return (JSON.parse(last) as { readonly services?: readonly Row[] }).services ?? [];
  } catch {
    // The end of what is being written.
    return [];
  }
}

async function nodePortOf(api: Connection, service: Manifest): Promise<number> {
  const live = await read(api, service);
  const spec = live?.['spec'] as { readonly ports?: readonly { readonly nodePort?: number }[] } | undefined;
  const nodePort = spec?.ports?.[0]?.nodePort;
  if (nodePort === undefined) throw new Error('the API server gave no node port');
  return nodePort;
}
