/**
 * A cluster of announcing agents on a virtual clock: the very code that runs on a node, over a network that loses, delays
 * and cuts, with kernels that drop addresses whose lifetime has passed, and an API server that some cannot reach.
 *
 * Nothing here decides: it carries packets, keeps kernels, and can say at any moment which nodes answer for an address.
 */
import type { Random } from '../../../src/core/clock.ts';
import { seededRandom } from '../../../src/core/clock.ts';
import type { NodeName, ObjectKey } from '../../../src/core/objects.ts';
import { LeaseArbiter } from '../../../src/agent/announce/arbiter.ts';
import type { AddressFacts } from '../../../src/agent/announce/facts.ts';
import type { OwnershipEvent } from '../../../src/agent/announce/ownership-port.ts';
import { Ownership } from '../../../src/agent/announce/ownership.ts';
import { memberId, type MemberId } from '../../../src/agent/announce/rank.ts';
import { FreezableClock } from '../../support/freezable-clock.ts';
import { MemoryLeases } from '../../support/memory-leases.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';
import { Engine, Kernel } from './kernel.ts';

const registrationMs = 5_000;
const lapseMs = 15_000;
const anotherMac = '02:00:00:00:00:02';
const sealedBy = Buffer.alloc(32, 7);

export interface WorldOptions {
  readonly nodes: number;
  readonly addresses: number;
  readonly seed: number;
  /** Share of packets that are lost. */
  readonly loss?: number;
  /** Greatest delay of a packet. */
  readonly delayMs?: number;
  /** Plants a bug: replaces what an agent asks of the world. */
  readonly plant?: Plant;
}

/** Bugs to plant: each takes one safeguard away. */
export interface Plant {
  readonly noLifetime?: boolean;
  readonly noQuorum?: boolean;
  readonly noEpochs?: boolean;
  readonly noArbiter?: boolean;
  /** Addresses are renewed before the others have been listened to. */
  readonly noListening?: boolean;
}

export class SimNode {
  readonly name: NodeName;
  readonly id: MemberId;
  readonly kernel: Kernel;
  readonly events: { readonly at: number; readonly event: OwnershipEvent }[] = [];
  process:
    | {
        readonly clock: FreezableClock;
        readonly own: Ownership;
        readonly engine: Engine;
        readonly arbiter: LeaseArbiter;
      }
    | undefined;
  /** The machine is on. */
  on = true;
  api = true;
  waiting: Buffer[] = [];
  /** Claims of others to addresses, heard while it was frozen. */
  claims: string[] = [];

  constructor(name: NodeName, kernel: Kernel) {
    this.name = name;
    this.id = memberId(name);
    this.kernel = kernel;
  }
}

export class World {
  readonly clock: VirtualClock;
  readonly nodes: readonly SimNode[];
  readonly addresses: readonly string[];
  readonly #random: Random;
  readonly #options: WorldOptions;
  readonly #leases: MemoryLeases;
  /** Who the clients on the link believe an address to be: whoever said so last. They hear everybody. */
  readonly believed = new Map<string, SimNode>();
  /** Claims to addresses that the kernel of who claims them does not have: `node address`. */
  readonly wrongClaims = new Set<string>();
  /** `from to` pairs that do not pass. */
  readonly cut = new Set<string>();
  readonly #facts = new Map<string, AddressFacts>();
  readonly #registered = new Map<MemberId, number>();
  /** What each node last saw of the registrations, and when it saw each change. */
  readonly #seen = new Map<NodeName, Map<MemberId, { readonly renewed: number; readonly at: number }>>();
  #sessions = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.clock = new VirtualClock({ random: seededRandom(options.seed + 1), limit: 50_000_000 });
    this.#leases = new MemoryLeases(this.clock);
    this.#leases.delayMs = 10;
    this.nodes = Array.from({ length: options.nodes }, (_, index) => {
      const kernel = new Kernel(this.clock, options.plant?.noLifetime ?? false);
      return new SimNode(`node-${index + 1}` as NodeName, kernel);
    });
    this.addresses = Array.from(
      { length: options.addresses },
      (_, index) => `192.0.${Math.floor(index / 250) + 2}.${(index % 250) + 1}`,
    );
    for (const address of this.addresses) this.setFacts(address, this.nodes);
    this.#renewRegistrations();
  }

  node(number: number): SimNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`there is no node ${number}`);
    return node;
  }

  /** Which nodes may announce the address. */
  setFacts(address: string, eligible: readonly SimNode[], wanted = true): void {
    this.#facts.set(address, {
      name: address,
      address,
      pool: 'pool',
      wanted,
      asked: false,
      services: ['default/web' as ObjectKey],
      ports: [{ protocol: 'TCP', port: 80 }],
      interfaces: [],
      nodes: eligible.map(({ name }) => name),
      eligible: eligible.map(({ id }) => id),
      poolNodes: this.nodes.map(({ name }) => name),
      excluded: [],
    });
    for (const { process } of this.nodes) process?.own.changed();
  }

  /** Starts the agent of a node. */
  start(node: SimNode): void {
    this.#sessions += 1;
    const clock = new FreezableClock(this.clock);
    const { plant } = this.#options;
    const engine = new Engine({
      clock,
      random: this.#random,
      kernel: node.kernel,
      ask: (address) =>
        this.nodes.some((other) => other !== node && other.kernel.has(address) && this.passes(node, other)),
      mayRenew: () => plant?.noListening === true || own.mayRenew(),
      claim: (address) => this.#claimed(node, address),
    });
    const api = this.#leases.as(node.name, () => (node.api && node.on ? 'none' : 'unreachable'));
    const arbiter = new LeaseArbiter({
      api,
      namespace: 'sluice-system',
      identity: `${node.name}-${this.#sessions}`,
      clock,
      random: this.#random,
      onChange: () => own.changed(),
    });
    const own: Ownership = new Ownership({
      node: node.name,
      session: this.#sessions.toString(16).padStart(16, '0'),
      keys: () => [sealedBy],
      clock,
      announcer: engine,
      arbiter: plant?.noArbiter === true ? { want: () => undefined, held: () => true } : arbiter,
      send: (to, bytes) => this.#carry(node, to, bytes),
      facts: () => this.#facts,
      known: () =>
        plant?.noQuorum === true
          ? { members: this.#known(node).members, lapsed: new Set(this.nodes.map(({ id }) => id)) }
          : this.#known(node),
      report: (event) => node.events.push({ at: this.clock.now(), event }),
    });
    node.process = { clock, own, engine, arbiter };
    node.waiting = [];
    node.claims = [];
    this.#registered.set(node.id, this.clock.now());
    // Whoever watches hears of it.
    for (const { process } of this.nodes) process?.own.changed();
    own.start();
    own.setReady();
  }

  startAll(): void {
    for (const node of this.nodes) this.#registered.set(node.id, 0);
    for (const node of this.nodes) this.start(node);
  }

  /** SIGKILL: the kernel keeps what it has for its lifetime. */
  kill(node: SimNode): void {
    node.process?.clock.end();
    node.process = undefined;
  }

  /** SIGTERM. */
  async end(node: SimNode, how: 'keep' | 'release'): Promise<void> {
    const { process } = node;
    if (process === undefined) return;
    await process.own.stop(how);
    await process.arbiter.stop();
    process.clock.end();
    node.process = undefined;
    if (how === 'release') this.#registered.delete(node.id);
  }

  /** The power goes. */
  crash(node: SimNode): void {
    this.kill(node);
    node.on = false;
    node.kernel.up = false;
    node.kernel.until.clear();
  }

  boot(node: SimNode): void {
    node.on = true;
    node.kernel.up = true;
    this.start(node);
  }

  freeze(node: SimNode): void {
    node.process?.clock.freeze();
  }

  /** What has come meanwhile is read before the first timer runs, or after it: nobody knows. */
  resume(node: SimNode): void {
    const { process } = node;
    if (process === undefined) return;
    const read = (): void => {
      for (const address of node.claims.splice(0)) process.own.contested(address, anotherMac);
    };
    if (this.#random() < 0.7) read();
    process.clock.wake();
    read();
    for (const bytes of node.waiting.splice(0)) process.own.received(bytes);
  }

  /** Only nodes of one group pass packets to one another. */
  part(groups: readonly (readonly SimNode[])[]): void {
    this.heal();
    for (const group of groups)
      for (const one of group)
        for (const other of this.nodes)
          if (one !== other && !group.includes(other)) this.cut.add(`${one.name} ${other.name}`);
  }

  heal(): void {
    this.cut.clear();
  }

  passes(from: SimNode, to: SimNode): boolean {
    return from.on && to.on && !this.cut.has(`${from.name} ${to.name}`);
  }

  /** Nodes whose kernel answers for the address now. */
  holders(address: string): readonly SimNode[] {
    return this.nodes.filter(({ on, kernel }) => on && kernel.has(address));
  }

  /** Nodes that one client can reach: packets pass both ways, over others too. */
  together(one: SimNode, other: SimNode): boolean {
    const reached = new Set([one]);
    for (const from of reached)
      for (const to of this.nodes) if (this.passes(from, to) && this.passes(to, from)) reached.add(to);
    return reached.has(other);
  }

  #claimed(from: SimNode, address: string): void {
    if (!from.on) return;
    this.believed.set(address, from);
    if (!from.kernel.has(address)) this.wrongClaims.add(`${from.name} ${address}`);
    this.clock.schedule(this.#random(), () => {
      for (const node of this.nodes) {
        const { process } = node;
        if (node === from || process === undefined || !this.passes(from, node)) continue;
        if (process.clock.frozen) {
          if (node.claims.length < 200) node.claims.push(address);
        } else if (node.kernel.has(address)) process.own.contested(address, anotherMac);
      }
    });
  }

  #carry(from: SimNode, to: MemberId, bytes: Buffer): void {
    const target = this.nodes.find(({ id }) => id === to);
    if (target === undefined || !this.passes(from, target)) return;
    if (this.#random() < (this.#options.loss ?? 0)) return;
    const delay = this.#random() * (this.#options.delayMs ?? 2);
    this.clock.schedule(delay, () => {
      if (!this.passes(from, target)) return;
      const { process } = target;
      if (process === undefined) {
        // The machine is on and nobody listens: its kernel says so.
        if (this.passes(target, from)) from.process?.own.refused(target.id);
        return;
      }
      if (process.clock.frozen) {
        if (target.waiting.length < 200) target.waiting.push(bytes);
        return;
      }
      process.own.received(bytes);
    });
  }

  /** Each has heard that the other has registered: who cannot reach the API server may not have. */
  acquainted(one: SimNode, other: SimNode): boolean {
    return this.#known(one).members.has(other.id) && this.#known(other).members.has(one.id);
  }

  #known(node: SimNode): { readonly members: ReadonlySet<MemberId>; readonly lapsed: ReadonlySet<MemberId> } {
    const now = this.clock.now();
    let seen = this.#seen.get(node.name);
    if (seen === undefined) this.#seen.set(node.name, (seen = new Map()));
    const api = node.api && node.on;
    if (api) {
      for (const member of seen.keys()) if (!this.#registered.has(member)) seen.delete(member);
      for (const [member, renewed] of this.#registered)
        if (seen.get(member)?.renewed !== renewed) seen.set(member, { renewed, at: now });
    }
    const lapsed = [...seen].filter(([, { at }]) => api && now - at > lapseMs).map(([member]) => member);
    return { members: new Set(seen.keys()), lapsed: new Set(lapsed) };
  }

  #renewRegistrations(): void {
    this.clock.schedule(registrationMs, () => {
      for (const { id, process, on, api } of this.nodes)
        if (on && api && process !== undefined && !process.clock.frozen)
          this.#registered.set(id, this.clock.now());
      for (const { process } of this.nodes) process?.own.changed();
      this.#renewRegistrations();
    });
  }
}
