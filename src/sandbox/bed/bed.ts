/**
 * A bed: nodes, pods and outside clients as network namespaces on a machine, with servers and clients in them.
 *
 * It is made in about a second and removed by `remove`, or else when this process ends; what a killed process leaves
 * behind is removed by the next bed (names.ts). Nothing of the machine's own network namespace is changed. Every
 * program that is started through a bed ends with it.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { rmSync } from 'node:fs';
import { SluiceError } from '../../core/errors.ts';
import { Supervisor, type ManagedProcess, type ProcessSpec } from '../processes.ts';
import { bedProgram } from '../bed-program.ts';
import { existing, leftovers, newNames } from './names.ts';
import type { Held, Load, Ongoing, Prober, ServeOptions, Served } from './ongoing.ts';
import { run, succeed, type Finished, type RunOptions } from './run.ts';
import { Tool } from './tool.ts';
import {
  buildSteps,
  defaultRoutes,
  planTopology,
  sysctls,
  underlay,
  underlayRules,
  type ClientPlace,
  type NodePlace,
  type PodPlace,
  type Topology,
  type TopologyOptions,
} from './topology.ts';
import type {
  Attempt,
  Destination,
  DialOptions,
  LoadOptions,
  LoadResult,
  Outcome,
  Tally,
} from './traffic.ts';

export class Bed implements AsyncDisposable {
  readonly topology: Topology;
  readonly #nameOf: (place: string) => string;
  readonly #tools: Tool[] = [];
  readonly #onExit = (): void => this.#removeNow();
  #supervisor: Promise<Supervisor> | undefined;
  #removing: Promise<void> | undefined;

  private constructor(topology: Topology) {
    this.topology = topology;
    this.#nameOf = newNames();
  }

  /** Needs root. Rejects with the words of ip(8) where something is missing. */
  static async make(options: TopologyOptions = {}): Promise<Bed> {
    const bed = new Bed(planTopology(options));
    const [program] = await Promise.all([bedProgram(), removeNamespaces(leftovers())]);
    process.once('exit', bed.#onExit);
    try {
      await bed.#build(program);
    } catch (error) {
      await bed.remove();
      throw error;
    }
    return bed;
  }

  async #build(program: string): Promise<void> {
    const { nodes, pods, clients } = this.topology;
    const places = [underlay, ...[...nodes, ...pods, ...clients].map(({ name }) => name)];
    const added = places.map((place) => `netns add ${this.#nameOf(place)}\n`);
    const [tool] = await Promise.all([
      this.#startTool(program),
      succeed('ip', ['-batch', '-'], { input: added.join('') }),
    ]);
    const kinds = new Map<string, Parameters<typeof sysctls>[0]>([
      [underlay, 'net'],
      ...[...nodes, ...pods, ...clients].map(({ name, kind }) => [name, kind] as const),
    ]);
    for (const [place, kind] of kinds) {
      await tool.call('sysctl', { namespace: this.#nameOf(place), values: sysctls(kind) });
    }
    await this.succeed(underlay, 'nft', ['-f', '-'], { input: underlayRules });
    for (const batches of buildSteps(this.topology, this.#nameOf)) {
      await Promise.all(
        batches.map(({ program: command, place, lines }) =>
          succeed(command, ['-n', this.#nameOf(place), '-batch', '-'], { input: `${lines.join('\n')}\n` }),
        ),
      );
    }
  }

  node(name: string): NodePlace {
    return named(this.topology.nodes, name);
  }

  pod(name: string): PodPlace {
    return named(this.topology.pods, name);
  }

  client(name: string): ClientPlace {
    return named(this.topology.clients, name);
  }

  /** The name of a place's network namespace, as ip(8) knows it. */
  namespace(place: string): string {
    return this.#nameOf(place);
  }

  /** iptables' lock is a file of the machine; nodes of a bed have one each, as real ones. */
  lockFile(place: string): string {
    return `/run/${this.#nameOf(place)}.xtables.lock`;
  }

  /** Runs a program in a place, to its end. */
  run(place: string, program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return run('ip', this.#inside(place, program, args), {
      ...options,
      env: { ...this.#env(place), ...options.env },
    });
  }

  /** The same, for programs that have to succeed; what it printed. */
  succeed(
    place: string,
    program: string,
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<string> {
    return succeed('ip', this.#inside(place, program, args), {
      ...options,
      env: { ...this.#env(place), ...options.env },
    });
  }

  /** Starts a child in a place with pipes, as backends want it. The caller ends it. */
  spawn(place: string, program: string, args: readonly string[]): ChildProcessWithoutNullStreams {
    return spawn('ip', this.#inside(place, program, args), {
      // As the agent starts them.
      env: { ...process.env, HOME: '/dev/null', LC_ALL: 'C', ...this.#env(place) },
    });
  }

  /** Starts a program in a place that ends with the bed, however this process ends. */
  async start(place: string, spec: ProcessSpec): Promise<ManagedProcess> {
    this.#supervisor ??= Supervisor.open('sluice-bed-');
    const supervisor = await this.#supervisor;
    const env = Object.entries(this.#env(place)).map(([name, value]) => `${name}=${value}`);
    const args = this.#inside(place, 'env', [...env, spec.program, ...spec.args]);
    return supervisor.start({ ...spec, program: 'ip', args });
  }

  /** A folder that is removed with the bed. */
  async folder(): Promise<string> {
    this.#supervisor ??= Supervisor.open('sluice-bed-');
    return (await this.#supervisor).folder;
  }

  /** Starts an echo server: it tells each client its own name, where it was reached and which peer it saw. */
  serve(place: string, options: ServeOptions): Promise<Ongoing<Served>> {
    const { name = place, port, protocol = 'TCP', fast = false, delayMs = 0, family = 'IPv4' } = options;
    const address = options.address ?? (family === 'IPv6' ? '::' : '0.0.0.0');
    return this.#open(
      'serve',
      { namespace: this.#nameOf(place), name, address, port, protocol, fast, delayMs },
      this.#tool(),
    );
  }

  /** One connection or datagram. */
  dial(from: string, to: Destination, options: DialOptions = {}): Promise<Outcome> {
    return this.#tool().call('dial', this.#dialArgs(from, to, options));
  }

  /** Many of them, `parallel` (by default 8) at a time. */
  many(
    from: string,
    to: Destination,
    count: number,
    options: DialOptions & { readonly parallel?: number } = {},
  ): Promise<Tally> {
    const { parallel = 8 } = options;
    return this.#tool().call('many', { ...this.#dialArgs(from, to, options), count, parallel });
  }

  /** A fresh connection every `everyMs` (by default 2) milliseconds, whether or not earlier ones have been answered. */
  async probe(
    from: string,
    to: Destination,
    options: DialOptions & { readonly everyMs?: number } = {},
  ): Promise<Prober> {
    const { everyMs = 2 } = options;
    return this.#prober('probe', { ...this.#dialArgs(from, to, options), everyUs: everyMs * 1000 });
  }

  /** A datagram every `everyMs` (by default 50) milliseconds from one socket, so from one source port. */
  async flow(
    from: string,
    to: Destination,
    options: DialOptions & { readonly everyMs?: number } = {},
  ): Promise<Prober> {
    const { everyMs = 50, timeoutMs = 40 } = options;
    return this.#prober('flow', {
      ...this.#dialArgs(from, to, { ...options, timeoutMs }),
      everyUs: everyMs * 1000,
    });
  }

  /** An open TCP connection. */
  async hold(from: string, to: Destination, options: DialOptions = {}): Promise<Held> {
    const tool = this.#tool();
    const { handle } = await tool.call<{ handle: number }>('hold', this.#dialArgs(from, to, options));
    return { check: () => tool.call('peek', { handle }), close: () => tool.call('close', { handle }) };
  }

  /** A load of new TCP connections, from a process of its own. Meant for servers in fast mode. */
  async load(from: string, to: Destination, options: LoadOptions = {}): Promise<Load> {
    const { sources = [], threads = 4, timeoutMs = 1000, perSecond = 0 } = options;
    const tool = await this.#startTool(await bedProgram());
    const { handle } = await tool.call<{ handle: number }>('load', {
      namespace: this.#nameOf(from),
      address: to.address,
      port: to.port,
      sources,
      threads,
      timeoutMs,
      perSecond,
    });
    return {
      peek: () => tool.call('peek', { handle }),
      mark: async (change) => {
        await tool.call('mark', { handle, ...change });
      },
      close: async () => {
        const result = await tool.call<LoadResult>('close', { handle });
        await tool.close();
        return result;
      },
    };
  }

  /** Starts servers from a process of their own, so that a load on them does not slow down everything else. */
  async serveApart(place: string, options: ServeOptions): Promise<Ongoing<Served>> {
    const { name = place, port, protocol = 'TCP', fast = false, delayMs = 0, family = 'IPv4' } = options;
    const address = options.address ?? (family === 'IPv6' ? '::' : '0.0.0.0');
    const tool = await this.#startTool(await bedProgram());
    const args = { namespace: this.#nameOf(place), name, address, port, protocol, fast, delayMs };
    const made = await this.#open('serve', args, tool);
    return {
      close: async () => {
        const result = await made.close();
        await tool.close();
        return result;
      },
    };
  }

  /**
   * Makes a server of the machine's own namespace, such as the API server of a sandbox, reachable in places: at the
   * same loopback address and port. A process of the bed listens there and passes connections on.
   */
  async reach(url: string, places: readonly string[]): Promise<void> {
    const { hostname, port } = new URL(url);
    const address = `${hostname}:${port}`;
    for (const place of places) {
      await this.#tool().call('relay', { namespace: this.#nameOf(place), listen: address, target: address });
    }
  }

  /** Writes settings below /proc/sys in a place: `net/ipv4/ip_forward`. */
  async sysctl(place: string, values: Readonly<Record<string, string>>): Promise<void> {
    await this.#tool().call('sysctl', { namespace: this.#nameOf(place), values: Object.entries(values) });
  }

  /** Commands of ip(8) in a place, in one go. */
  async ip(place: string, ...lines: readonly string[]): Promise<void> {
    await succeed('ip', ['-n', this.#nameOf(place), '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Sends everything that a client has no closer route for through another node. */
  async route(client: string, via: string): Promise<void> {
    await this.ip(client, ...defaultRoutes(this.node(via)));
  }

  /**
   * Lets a pod answer at every address of a range, for endpoints by the thousand: its node sends the range there, and
   * one server at all addresses answers as each of them.
   */
  async attract(pod: string, range: string): Promise<void> {
    const { node, address } = this.pod(pod);
    const via = range.includes(':') ? address.IPv6 : address.IPv4;
    await this.ip(pod, `route add local ${range} dev lo`);
    await this.ip(node, `route add ${range} via ${via} dev cni0`);
  }

  /** Ends every program and removes the namespaces. May be called more than once. */
  remove(): Promise<void> {
    this.#removing ??= this.#remove();
    return this.#removing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }

  async #remove(): Promise<void> {
    await Promise.all([
      ...this.#tools.map((tool) => tool.close()),
      this.#supervisor?.then((made) => made.close()),
    ]);
    await removeNamespaces(this.#own());
    for (const { name } of this.topology.nodes) rmSync(this.lockFile(name), { force: true });
    process.off('exit', this.#onExit);
  }

  /** When the process ends without having removed the bed. */
  #removeNow(): void {
    spawnSync('ip', ['-batch', '-'], {
      input: this.#own()
        .map((name) => `netns del ${name}\n`)
        .join(''),
    });
  }

  #own(): string[] {
    const own = this.#nameOf('');
    return existing().filter((name) => name.startsWith(own));
  }

  #inside(place: string, program: string, args: readonly string[]): string[] {
    return ['netns', 'exec', this.#nameOf(place), program, ...args];
  }

  #env(place: string): Record<string, string> {
    return { XTABLES_LOCKFILE: this.lockFile(place) };
  }

  #tool(): Tool {
    const [tool] = this.#tools;
    if (tool === undefined)
      throw new SluiceError('bug', 'the bed has no program yet', { code: 'BedProgram' });
    return tool;
  }

  async #startTool(program: string): Promise<Tool> {
    const tool = await Tool.start(program);
    this.#tools.push(tool);
    return tool;
  }

  #dialArgs(from: string, to: Destination, options: DialOptions): object {
    const { address, port, protocol = 'TCP' } = to;
    return { timeoutMs: 1000, ...options, namespace: this.#nameOf(from), address, port, protocol };
  }

  async #open(op: string, args: object, tool: Tool): Promise<Ongoing<Served>> {
    const { handle } = await tool.call<{ handle: number }>(op, args);
    return { close: () => tool.call('close', { handle }) };
  }

  async #prober(op: string, args: object): Promise<Prober> {
    const tool = this.#tool();
    const { handle } = await tool.call<{ handle: number }>(op, args);
    const read = async (what: 'peek' | 'close'): Promise<readonly Attempt[]> => {
      const rows = await tool.call<readonly [number, number, Attempt['kind'], string][]>(what, { handle });
      return rows.map(([atUs, us, kind, self]) => ({ atUs, us, kind, self }));
    };
    return { peek: () => read('peek'), close: () => read('close') };
  }
}

async function removeNamespaces(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  // Another run may remove the same leftovers at the same time.
  await run('ip', ['-force', '-batch', '-'], { input: names.map((name) => `netns del ${name}\n`).join('') });
}

function named<Place extends { readonly name: string }>(places: readonly Place[], name: string): Place {
  const found = places.find((place) => place.name === name);
  if (found !== undefined) return found;
  const known = places.map((place) => place.name).join(', ');
  throw new SluiceError('bug', `the bed has no ${name}; it has ${known}`, { code: 'NoSuchPlace' });
}
