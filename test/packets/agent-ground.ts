/**
 * What tests of the agent as its own process stand on: a bed, an API server, agents on n1 that end with their test,
 * a Service or two to ask, and questions to the kernel.
 */
import { afterAll, afterEach, beforeAll, expect, onTestFinished } from 'vitest';
import type { Manifest } from '../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { cleanUp, logOf, startAgent, type AgentOptions } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Prober } from '../../src/sandbox/bed/ongoing.ts';
import type { Attempt, Destination } from '../../src/sandbox/bed/traffic.ts';
import { forgetEarlier, until } from './check.ts';
import { PacketCluster } from './cluster.ts';

export const proxyName = 'service.kubernetes.io/service-proxy-name';
const nodePort = 30_501;

/** Backend and variant, with the flags that ask for them. */
export const kinds = [
  ['nftables', ['--backend=nftables']],
  ['iptables-nft', ['--backend=iptables', '--iptables-variant=nft']],
  ['iptables-legacy', ['--backend=iptables', '--iptables-variant=legacy']],
] as const;

interface Made {
  readonly name?: string;
  /** Last number of the cluster IP. */
  readonly host?: number;
  readonly spec?: object;
  readonly labels?: Readonly<Record<string, string>>;
}

export function service({
  name = 'web',
  host = 7,
  spec = {},
  labels = { [proxyName]: 'sluice' },
}: Made = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, labels },
    spec: {
      type: 'NodePort',
      clusterIP: `10.96.5.${host}`,
      ports: [
        { name: 'web', port: 80, targetPort: 8080, nodePort: nodePortOf(host) },
        { name: 'dns', port: 53, targetPort: 8080, protocol: 'UDP', nodePort: nodePortOf(host) + 1 },
      ],
      ...spec,
    },
  };
}

/** The TCP node port of the Service whose cluster IP ends in this number; that of UDP is the next. */
export function nodePortOf(host = 7): number {
  return nodePort + host * 2;
}

/** The TCP port at the cluster IP that ends in this number. */
export const at = (host = 7): Destination => ({ address: `10.96.5.${host}`, port: 80 });
export const web = at();

export type Lost = Pick<Attempt, 'atUs' | 'kind' | 'us'> & { readonly from: string };

/** Declares its own set-up and clean-up in the file that makes one. */
export class AgentGround {
  #bed: Bed | undefined;
  #cluster: PacketCluster | undefined;
  readonly #running: ManagedProcess[] = [];

  constructor() {
    beforeAll(async () => {
      const [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
      this.#bed = bed;
      this.#cluster = cluster;
      await cluster.join(bed);
      for (const pod of ['n1-a', 'n1-b', 'n2-a']) {
        for (const protocol of ['TCP', 'UDP'] as const) await bed.serve(pod, { port: 8080, protocol });
      }
      await bed.route('x1', 'n1');
    });
    afterEach(async () => {
      for (const agent of this.#running.splice(0)) {
        agent.signal('SIGCONT');
        await agent.stop(5_000);
      }
      await this.cluster.become([]);
      await cleanUp(this.bed, 'n1');
      // What was refused at a node port a moment ago is tracked, untranslated, for ten seconds: the kernel's own way.
      await this.bed.run('n1', 'conntrack', ['-F']);
    });
    afterAll(async () => {
      await this.#cluster?.stop();
      await this.#bed?.remove();
    });
  }

  get bed(): Bed {
    if (this.#bed === undefined) throw new Error('the bed is made before the first test');
    return this.#bed;
  }

  get cluster(): PacketCluster {
    if (this.#cluster === undefined) throw new Error('the cluster is made before the first test');
    return this.#cluster;
  }

  get outside(): Destination {
    return { address: this.bed.node('n1').address.IPv4, port: nodePortOf() };
  }

  slice(pods: readonly string[], name = 'web'): Manifest {
    return {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { namespace: 'default', name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [
        { name: 'web', port: 8080, protocol: 'TCP' },
        { name: 'dns', port: 8080, protocol: 'UDP' },
      ],
      endpoints: pods.map((pod) => ({
        addresses: [this.bed.pod(pod).address.IPv4],
        nodeName: this.bed.pod(pod).node,
        conditions: { ready: true },
      })),
    };
  }

  /** An agent on n1. It ends with the test. */
  async start(args: readonly string[] = [], more: Partial<AgentOptions> = {}): Promise<ManagedProcess> {
    const agent = await startAgent(this.bed, 'n1', { kubeconfig: this.cluster.kubeconfig, args, ...more });
    this.#running.push(agent);
    return agent;
  }

  /** Who answers within the second after which TCP would ask again; undefined where nobody does. */
  async who(to: Destination = web, from = 'n1-b'): Promise<string | undefined> {
    return (await this.bed.dial(from, to, { timeoutMs: 900 })).self;
  }

  async serves(agent: ManagedProcess, self: string, to: Destination = web): Promise<void> {
    await told(
      agent,
      until(`${to.address} is answered by ${self}`, async () => (await this.who(to)) === self),
    );
  }

  /** Everything in n1's kernel, with handles: a rule that is written anew has another one. */
  async kernel(): Promise<string> {
    const parts = await Promise.all([
      this.bed.succeed('n1', 'nft', ['-a', 'list', 'ruleset']),
      this.bed.succeed('n1', 'iptables-legacy-save', []),
      this.bed.succeed('n1', 'ipset', ['save', '-sorted']),
    ]);
    // Counters, times and generated numbers change by themselves.
    return parts
      .join('')
      .replaceAll(/\[\d+:\d+\]|counter packets \d+ bytes \d+|initval \S+|^# .*$| expires \S+/gmu, '')
      .trim();
  }

  /** Connections every few milliseconds, from a pod to the cluster IP and from outside to the node port. Both are served. */
  async watching(host = 7, everyMs = 5): Promise<{ lost(): Promise<readonly Lost[]> }> {
    const { bed } = this;
    const outside = { address: bed.node('n1').address.IPv4, port: nodePortOf(host) };
    await forgetEarlier(bed, 'n1', at(host).address, outside.address);
    const probers: Prober[] = [
      await bed.probe('n1-b', at(host), { everyMs }),
      await bed.probe('x1', outside, { everyMs }),
    ];
    onTestFinished(async () => {
      if (!closed) await Promise.all(probers.map((prober) => prober.close()));
    });
    let closed = false;
    return {
      lost: async () => {
        closed = true;
        const [pod = [], client = []] = await Promise.all(probers.map((prober) => prober.close()));
        const from = (name: string, list: readonly Attempt[]): readonly Lost[] =>
          list.map(({ atUs, kind, us }) => ({ from: name, atUs, kind, us }));
        const attempts = [...from('n1-b', pod), ...from('x1', client)];
        expect(attempts.length).toBeGreaterThan(50);
        return attempts.filter(({ kind }) => kind !== 'answered');
      },
    };
  }
}

export async function says(agent: ManagedProcess, text: string): Promise<void> {
  await told(
    agent,
    until(`the agent says "${text}"`, async () =>
      (await logOf(agent)).some(({ msg, error }) => `${msg} ${JSON.stringify(error ?? '')}`.includes(text)),
    ),
  );
}

/** The operations of each whole write, once there are so many. */
export async function wroteAll(agent: ManagedProcess, times = 2): Promise<readonly unknown[]> {
  let operations: readonly unknown[] = [];
  await until(`${times} whole writes`, async () => {
    const lines = (await logOf(agent)).filter(({ msg }) => msg === 'wrote everything');
    operations = lines.map((line) => line['operations']);
    return lines.length >= times;
  });
  return operations;
}

/** What was awaited of an agent; where it does not come, with the end of its log. */
export async function told(agent: ManagedProcess, awaited: Promise<void>): Promise<void> {
  await awaited.catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${await agent.tail(30)}`, { cause: error });
  });
}

/** Rules without what two equal kernels may differ in: handles, order, and the mark of the last write. */
export function plainRules(text: string): string {
  return text
    .replaceAll(/(set last-write \{[^{}]*elements = )\{[^{}]*\}/gu, '$1{}')
    .split('\n')
    .map((line) => line.replace(/ # handle \d+$/u, '').trim())
    .filter((line) => line !== '')
    .toSorted()
    .join('\n');
}

/** Only what rules say, without comments and counters. */
export function rulesOf(text: string): string {
  return text.replaceAll(/^#.*$|\[\d+:\d+\]/gmu, '').trim();
}

/** The notes of a list of events. */
export function notesOf(list: unknown): readonly string[] {
  return ((list as { items?: readonly { note?: string }[] }).items ?? []).map(({ note = '' }) => note);
}
