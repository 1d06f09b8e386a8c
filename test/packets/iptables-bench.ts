/** What the tests of the iptables backend on a real kernel stand on: namespaces of their own, and plain decisions. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Decision, DecisionKey, NodeDecision } from '../../src/agent/decision.ts';
import { decisionKey } from '../../src/agent/decision.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { IptablesBackend } from '../../src/agent/iptables/backend.ts';
import { program, run, type Finished, type Spawn, type Variant } from '../../src/agent/iptables/programs.ts';
import { objectKey, type IpFamily } from '../../src/core/objects.ts';

export const variants: readonly Variant[] = ['legacy', 'nft'];

const direct: Spawn = (name, args) => spawn(name, [...args], { stdio: ['pipe', 'pipe', 'pipe'] });

/** Runs a program of the machine and expects it to succeed. */
export async function must(name: string, ...args: readonly string[]): Promise<string> {
  const { code, out, error } = await run(direct, name, args);
  if (code !== 0) throw new Error(`${name} ${args.join(' ')}: ${error}`);
  return out;
}

let count = 0;

/** A network namespace that is gone at the end of the scope. */
export class Namespace implements AsyncDisposable {
  readonly name: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(name: string, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#env = env;
  }

  static async open(env: Readonly<Record<string, string>> = {}): Promise<Namespace> {
    count += 1;
    const name = `ipt-${process.pid}-${count}`;
    await must('ip', 'netns', 'add', name);
    const space = new Namespace(name, env);
    await space.must('ip', 'link', 'set', 'lo', 'up');
    return space;
  }

  readonly spawn: Spawn = (name, args) =>
    spawn('ip', ['netns', 'exec', this.name, name, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#env },
    });

  run(name: string, args: readonly string[], input: string | Iterable<string> = ''): Promise<Finished> {
    return run(this.spawn, name, args, input);
  }

  async must(name: string, ...args: readonly string[]): Promise<string> {
    const { code, out, error } = await this.run(name, args);
    if (code !== 0) throw new Error(`${name} ${args.join(' ')}: ${error}`);
    return out;
  }

  /** Rules of both tables and all sets, without what changes by itself: comments, counters, seeds. */
  async dump(variant: Variant, family: IpFamily): Promise<string> {
    const rules = await Promise.all(
      ['nat', 'filter'].map((table) => this.must(program(variant, family, '-save'), '-t', table)),
    );
    const sets = await this.must('ipset', 'save');
    const lines = rules
      .join('')
      .split('\n')
      .filter((line) => /^(:SLUICE|-A)/.test(line))
      .map((line) => line.replace(/ \[\d+:\d+\]$/, ''));
    const chains = lines.filter((line) => line.startsWith(':')).toSorted();
    // The order of rules counts within a chain, that of chains does not.
    const byChain = new Map<string, string[]>();
    for (const line of lines.filter((text) => text.startsWith('-A'))) {
      const name = line.split(' ')[1] ?? '';
      byChain.set(name, [...(byChain.get(name) ?? []), line]);
    }
    const ordered = [...byChain.keys()].toSorted().flatMap((name) => byChain.get(name) ?? []);
    const entries = sets
      .split('\n')
      .map((line) => line.replace(/ (hashsize|bucketsize|initval) \S+/g, ''))
      .toSorted();
    return [...chains, ...ordered, ...entries].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await must('ip', 'netns', 'del', this.name);
  }
}

export async function open(
  space: Namespace,
  variant: Variant,
  family: IpFamily = 'IPv4',
  pollMs = 200,
): Promise<IptablesBackend> {
  const { backend } = await openIptables({ family, spawn: space.spawn, variant, pollMs });
  return backend;
}

export function aNodeDecision(some: Partial<NodeDecision> = {}): NodeDecision {
  return {
    family: 'IPv4',
    nodePortAddresses: 'all',
    localhostNodePorts: false,
    localSource: { kind: 'cidrs', cidrs: ['10.244.0.0/16'] },
    masqueradeAll: false,
    markBit: 14,
    serviceRanges: ['10.96.0.0/12'],
    dropInvalid: true,
    ...some,
  };
}

export interface Numbered {
  readonly endpoints: number;
  /** Number of the first endpoint. */
  readonly from?: number;
  readonly some?: Partial<Decision>;
}

/** Service number `index`: its cluster IP, its endpoints `10.244.x.y:8080`. */
export function aDecision(index: number, { endpoints, from = index * 10, some = {} }: Numbered): Decision {
  const service = objectKey('default', `svc-${index}`);
  const cluster = Array.from({ length: endpoints }, (_, i) => ({
    address: `10.244.${((from + i) >> 8) & 255}.${(from + i) & 255}`,
    port: 8080,
    local: false,
    weight: 1,
  }));
  const fate = { kind: 'balance', to: 'cluster' } as const;
  return {
    key: decisionKey(service, 'http', 'TCP', 'IPv4'),
    service,
    portName: 'http',
    protocol: 'TCP',
    family: 'IPv4',
    port: 80,
    clusterIP: `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
    externalIPs: [],
    balancerIPs: [],
    nodePort: 0,
    cluster,
    local: [],
    internal: fate,
    external: fate,
    shortcut: undefined,
    affinitySeconds: undefined,
    sourceRanges: undefined,
    guardEverything: false,
    balancing: 'random',
    healthCheckNodePort: 0,
    ...some,
  };
}

export interface Change {
  readonly key: DecisionKey;
  readonly before: Decision | undefined;
  readonly after: Decision | undefined;
}

export function change(before: Decision | undefined, after: Decision | undefined): Change {
  const key = after?.key ?? before?.key;
  if (key === undefined) throw new Error('a change of nothing');
  return { key, before, after };
}

/** Holds a file lock until the scope ends. */
export async function holdLock(file: string): Promise<AsyncDisposable> {
  const child = direct('flock', [file, 'sh', '-c', 'echo held; exec cat']);
  if (child.stdout === null) throw new Error('no output');
  await once(child.stdout, 'data');
  return {
    [Symbol.asyncDispose]: async () => {
      const gone = once(child, 'close');
      child.stdin?.end();
      await gone;
    },
  };
}

/** Milliseconds that something takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The middle one of several. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
