/**
 * The stories that a demo can tell, each with its stage: what has to be started for it, what is told, what a person can
 * do on it afterwards, and how all of it goes again.
 */
import { isSluiceError } from '../../core/errors.ts';
import type { Bed } from '../bed/bed.ts';
import type { ManagedProcess } from '../processes.ts';
import { packageRoot, startSandbox, type Sandbox } from '../sandbox.ts';
import { isProgram } from '../../agent/tool.ts';
import { withSystemFolders } from '../tools.ts';
import { tellAlibabaStory } from './alibaba.ts';
import { tellAwsStory } from './aws.ts';
import { tellBareMetalStory } from './bare-metal.ts';
import { alibabaListeners, awsListeners, Connections } from './connections.ts';
import { LaptopCluster, tellLaptopStory } from './laptop.ts';
import { client, makeBed, startNodes } from './nodes.ts';
import { lacksOf, type Lack } from './prerequisites.ts';
import type { Narrator } from './stage.ts';

export interface Story {
  readonly tell: () => Promise<void>;
  /** What a person can do while it stays up, in commands. */
  readonly playground: readonly string[];
  /** Whose last words are of interest when the story breaks off. */
  readonly processes: () => readonly ManagedProcess[];
  readonly stop: () => Promise<void>;
}

export interface StoryOptions {
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
  /** Is told when a server ends that nobody stopped. */
  readonly onUnexpectedEnd: (message: string) => void;
}

const examples = new URL('examples/', packageRoot);

/** Starts what the story of a cloud needs. */
export async function cloudStory(provider: 'aws' | 'alibaba', options: StoryOptions): Promise<Story> {
  const { narrator, signal, onUnexpectedEnd } = options;
  narrator.chapter('A control plane, a cloud and a controller');
  const sandbox = await startSandbox({
    aws: { delays: { provisioningMs: 300, registrationMs: 100, initialCheckMs: 100 } },
    awsSettings: { rates: { read: 1_000, register: 1_000, modify: 1_000 } },
    ...(provider === 'alibaba' ? { alibaba: { delays: { startingMs: 300, firstCheckMs: 100 } } } : {}),
    progress: (message) => narrator.line(message),
    signal,
    onUnexpectedEnd,
  });
  const { api, aws, alibaba } = sandbox;
  narrator.good(`kube-apiserver at ${sandbox.controlPlane.url}`);
  narrator.good(
    alibaba === undefined
      ? `simulated AWS account at ${aws.url}`
      : `simulated Alibaba Cloud account at ${alibaba.url}`,
  );
  narrator.good('controller under its own ServiceAccount and Role');
  const connections = new Connections({
    api,
    narrator,
    hasCurl: isProgram('curl', process.env['PATH'] ?? ''),
    signal,
    listeners: () => (alibaba === undefined ? awsListeners(aws.control) : alibabaListeners(alibaba.control)),
  });
  return {
    tell: () =>
      alibaba === undefined
        ? tellAwsStory({ api, cloud: aws.control, connections, narrator, examples, signal })
        : tellAlibabaStory({ api, cloud: alibaba.control, connections, narrator, signal }),
    playground: [
      `export KUBECONFIG=${sandbox.kubeconfig}`,
      'kubectl apply -f examples/web.yaml && kubectl get services',
      'npx sluice explain svc/web',
      `npx sluice plan --config ${sandbox.settings}`,
      `curl -s ${alibaba?.url ?? aws.url}/_sluice/dump`,
    ],
    processes: () => controllersOf(sandbox),
    stop: async () => {
      await connections.close();
      await sandbox.stop();
    },
  };
}

/**
 * Starts what the story without a cloud needs: nodes with real packets where this machine allows it, else what a laptop
 * allows, with the reason told.
 */
export async function localStory(laptop: boolean, options: StoryOptions): Promise<Story> {
  const { narrator } = options;
  // Tools of the network are not on everybody's PATH; what is started here looks for them there too.
  const path = withSystemFolders(process.env['PATH'] ?? '');
  process.env['PATH'] = path;
  const hasCurl = isProgram('curl', path);
  if (laptop) return laptopStory(hasCurl, options);
  const made = await bedOrReasons(path);
  if (made.kind === 'bed') return bareMetalStory(made.bed, hasCurl, options);
  narrator.chapter('Without nodes and packets');
  narrator.line('The story with three nodes in network namespaces is left out. What it lacks, and the cure:');
  for (const { what, cure } of made.lacks) narrator.line(`  ${what}: ${cure}`);
  narrator.line('What runs anywhere is told instead: sluice local.');
  return laptopStory(hasCurl, options);
}

type Made =
  | { readonly kind: 'bed'; readonly bed: Bed }
  | { readonly kind: 'lacking'; readonly lacks: readonly Lack[] };

async function bedOrReasons(path: string): Promise<Made> {
  const lacks = lacksOf({
    platform: process.platform,
    uid: process.getuid?.(),
    has: (program) => isProgram(program, path),
  });
  if (lacks.length > 0) return { kind: 'lacking', lacks };
  try {
    return { kind: 'bed', bed: await makeBed() };
  } catch (error) {
    // The words of ip(8), nft(8) or Go: a container without rights, a kernel without VXLAN, no Go on PATH.
    if (!isSluiceError(error) || error.kind !== 'invalid') throw error;
    const cure = 'root with all its powers, a kernel with veth, bridge, vxlan and nf_tables, and Go';
    return { kind: 'lacking', lacks: [{ what: error.message, cure }] };
  }
}

async function bareMetalStory(bed: Bed, hasCurl: boolean, options: StoryOptions): Promise<Story> {
  const { narrator, signal, onUnexpectedEnd } = options;
  narrator.chapter('Three nodes, pods, an outside client; a control plane, the controller and agents');
  narrator.good(
    'network namespaces: nodes n1, n2, n3 with a pod each on a VXLAN overlay, client x1 on their bridge',
  );
  const nodes = await startNodes(bed, narrator, signal, onUnexpectedEnd);
  const { kubeconfig } = nodes.sandbox;
  return {
    tell: () => tellBareMetalStory({ nodes, narrator, examples, hasCurl, signal }),
    playground: [
      `export KUBECONFIG=${kubeconfig}`,
      'kubectl apply -f examples/local/web.yaml && kubectl get services',
      `ip netns exec ${bed.namespace(client)} curl -s http://172.31.0.50/`,
      `ip -n ${bed.namespace('n1')} addr show dev eth0`,
      'npx sluice explain svc/web',
    ],
    processes: () => [...controllersOf(nodes.sandbox), ...nodes.agents],
    stop: () => nodes.close(),
  };
}

async function laptopStory(
  hasCurl: boolean,
  { narrator, signal, onUnexpectedEnd }: StoryOptions,
): Promise<Story> {
  narrator.chapter('A cluster of any kind');
  const cluster = await LaptopCluster.start(narrator, signal, onUnexpectedEnd);
  narrator.good(
    `kube-apiserver at ${cluster.plane.url}; nodes that are stand-ins on loopback; no controller, no kinds`,
  );
  const { kubeconfig } = cluster.plane;
  return {
    tell: () => tellLaptopStory({ cluster, narrator, examples, hasCurl, signal }),
    playground: [
      `export KUBECONFIG=${kubeconfig}`,
      'npx sluice local                               # in another terminal',
      'kubectl get services',
      'npx sluice explain svc/web',
    ],
    processes: () => [],
    stop: () => cluster.stop(),
  };
}

function controllersOf({ controllers }: Sandbox): readonly ManagedProcess[] {
  return controllers.map(({ process: controller }) => controller);
}
