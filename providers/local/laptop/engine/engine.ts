/**
 * The balancers of laptop mode: which Service has which address, and the open ports. The host behind the provider.
 *
 * Everything but the table lives as long as the process. A port that is lost without our doing leaves the picture, and
 * is opened again by the next pass; whoever listens to `onChange` asks for that pass.
 */
import { BlockList } from 'node:net';
import type { Clock } from '../../../../src/core/clock.ts';
import { SluiceError } from '../../../../src/core/errors.ts';
import type { ObjectKey } from '../../../../src/core/objects.ts';
import { listenerKey } from '../host.ts';
import type {
  Holder,
  Holding,
  LaptopHost,
  ListenerName,
  ListenerRules,
  ObservedListener,
  Picture,
  Target,
} from '../host.ts';
import { isShared } from '../plan.ts';
import type { Table, TableEntry } from '../table.ts';
import type { Network } from './network.ts';
import { Targets } from './targets.ts';
import { TcpPort, type Counters, type Forward } from './tcp.ts';
import { UdpPort } from './udp.ts';

/** The way to the pods of a Service through the API server. */
export interface ForwardDoor {
  /** Why there is no pod to forward to; undefined where there is one. */
  lacks(service: ObjectKey, port: number): string | undefined;
  /** @param client whose connections shall go to one pod; undefined: whichever. */
  open(
    service: ObjectKey,
    port: number,
    client: string | undefined,
    signal: AbortSignal,
  ): ReturnType<Forward>;
}

export interface EngineOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly table: Table;
  readonly forward: ForwardDoor;
  /** Health changed, or a port was lost. */
  readonly onChange: (service: ObjectKey) => void;
}

interface Listener extends ListenerName {
  readonly listenPort: number;
  readonly targets: Targets;
  readonly count: Counters;
  readonly socket: TcpPort | UdpPort;
  rules: ListenerRules;
  allowed: BlockList | undefined;
}

interface Balancer extends Holder {
  addresses: readonly string[];
  readonly listeners: Map<string, Listener>;
}

/** What a table on a terminal shows of one listener. */
export interface ListenerView extends ObservedListener {
  readonly service: ObjectKey;
  readonly count: Readonly<Counters>;
}

export class Engine implements LaptopHost {
  readonly #options: EngineOptions;
  readonly #balancers = new Map<string, Balancer>();
  #closed = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  async read(holder: Holder, signal: AbortSignal): Promise<Picture> {
    const entries = await this.#options.table.read();
    signal.throwIfAborted();
    const own = entries.find((entry) => isOf(entry, holder));
    const others = entries.filter((entry) => !isOf(entry, holder));
    const balancer = this.#balancers.get(idOf(holder));
    const taken = new Set<string>();
    const ports = new Set<string>();
    for (const { addresses, ports: used } of others) {
      for (const address of addresses) if (!isShared(address)) taken.add(address);
      for (const [key, port] of Object.entries(used)) ports.add(portName(key, port));
    }
    return {
      holding: balancer === undefined ? undefined : holdingOf(balancer),
      remembered: own === undefined ? undefined : { addresses: own.addresses, ports: own.ports },
      takenAddresses: [...taken].toSorted(),
      takenPorts: [...ports].toSorted(),
    };
  }

  async readAll(
    cluster: string,
    signal: AbortSignal,
  ): Promise<readonly (Holder & { readonly holding: Holding })[]> {
    // The table is not asked, and cannot fail: what is open is known here.
    await Promise.resolve();
    signal.throwIfAborted();
    return this.held().filter((one) => one.cluster === cluster);
  }

  /** Everything that is open, whosever it is. */
  held(): readonly (Holder & { readonly holding: Holding })[] {
    return [...this.#balancers.values()].map((one) => {
      const { cluster, uid, service } = one;
      return { cluster, uid, service, holding: holdingOf(one) };
    });
  }

  async reserve(holder: Holder, addresses: readonly string[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { clock, table } = this.#options;
    for (const other of this.#balancers.values()) {
      const shared = other.addresses.find((one) => !isShared(one) && addresses.includes(one));
      if (shared !== undefined && idOf(other) !== idOf(holder))
        throw belongs(shared, `Service ${other.service}, which is being removed or lives in another cluster`);
    }
    await table.update((entries) => {
      const own = entries.find((entry) => isOf(entry, holder));
      for (const entry of entries) {
        const shared = entry.addresses.find((one) => !isShared(one) && addresses.includes(one));
        if (entry !== own && shared !== undefined) throw belongs(shared, `Service ${entry.service}`);
      }
      const { cluster, service } = holder;
      const fresh = { cluster, service, addresses, ports: own?.ports ?? {}, at: clock.wall() };
      return [...entries.filter((entry) => entry !== own), fresh];
    });
    const held = this.#balancers.get(idOf(holder));
    if (held !== undefined) held.addresses = addresses;
    else this.#balancers.set(idOf(holder), { ...holder, addresses, listeners: new Map() });
  }

  async listen(
    holder: Holder,
    { address, protocol, port, listenPort, rules }: ListenerName & Pick<Listener, 'listenPort' | 'rules'>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const balancer = this.#need(holder);
    const name = { address, protocol, port };
    const key = listenerKey(name);
    if (balancer.listeners.has(key)) return;
    const { clock, network, forward, onChange } = this.#options;
    const { service } = holder;
    if (isShared(address)) await this.#rememberPort(holder, key, listenPort);
    const targets = new Targets({
      clock,
      network,
      protocol,
      forwardable: () => forward.lacks(service, port),
      onChange: () => onChange(service),
    });
    targets.setAffinity(rules.affinityMs);
    const count: Counters = { open: 0, total: 0, failed: 0, refused: 0 };
    const shared = {
      network,
      address,
      listenPort,
      targets,
      count,
      allowed: () => listener?.allowed,
      onLost: () => this.#lost(holder, key),
    };
    let listener: Listener | undefined;
    const open =
      protocol === 'TCP'
        ? await TcpPort.open({
            ...shared,
            forward: (client, abort) => {
              const sticky = (listener?.rules ?? rules).affinityMs > 0 ? client : undefined;
              return forward.open(service, port, sticky, abort);
            },
          })
        : await UdpPort.open({ ...shared, clock });
    if (this.#closed || this.#balancers.get(idOf(holder)) !== balancer) {
      open.close();
      throw new SluiceError('gone', `${key} is not wanted any more`, { code: 'Gone', action: 'Listen' });
    }
    listener = { ...name, listenPort, rules, targets, count, socket: open, allowed: listOf(rules) };
    balancer.listeners.set(key, listener);
  }

  async setRules(
    holder: Holder,
    name: ListenerName,
    rules: ListenerRules,
    signal: AbortSignal,
  ): Promise<void> {
    const listener = await this.#listener(holder, name, signal);
    listener.rules = rules;
    listener.allowed = listOf(rules);
    listener.targets.setAffinity(rules.affinityMs);
  }

  async addTargets(
    holder: Holder,
    name: ListenerName,
    targets: readonly Target[],
    signal: AbortSignal,
  ): Promise<void> {
    (await this.#listener(holder, name, signal)).targets.add(targets);
  }

  async removeTargets(
    holder: Holder,
    name: ListenerName,
    targets: readonly Target[],
    signal: AbortSignal,
  ): Promise<void> {
    const listener = await this.#listener(holder, name, signal);
    listener.targets.remove(targets);
    if (listener.socket instanceof UdpPort) listener.socket.targetsChanged();
  }

  async unlisten(holder: Holder, name: ListenerName, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    this.#end(this.#balancers.get(idOf(holder)), listenerKey(name));
  }

  async release(holder: Holder, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    this.#drop(idOf(holder));
  }

  /** Looks at all targets again: the machine slept, or is in another network. */
  recheck(): void {
    for (const { listeners } of this.#balancers.values())
      for (const { targets } of listeners.values()) targets.recheck();
  }

  /** What is open, for people. */
  view(): readonly ListenerView[] {
    return [...this.#balancers.values()].flatMap(({ service, listeners }) =>
      [...listeners.values()].map((listener) => ({
        ...observedOf(listener),
        service,
        count: { ...listener.count },
      })),
    );
  }

  /** Ends every port and connection. */
  close(): void {
    this.#closed = true;
    for (const id of this.#balancers.keys()) this.#drop(id);
  }

  #need(holder: Holder): Balancer {
    const balancer = this.#balancers.get(idOf(holder));
    if (balancer !== undefined) return balancer;
    throw new SluiceError('gone', `Service ${holder.service} has no address here`, { code: 'NoBalancer' });
  }

  async #listener(holder: Holder, name: ListenerName, signal: AbortSignal): Promise<Listener> {
    await Promise.resolve();
    signal.throwIfAborted();
    const listener = this.#need(holder).listeners.get(listenerKey(name));
    if (listener !== undefined) return listener;
    throw new SluiceError('gone', `${listenerKey(name)} is not open`, { code: 'NoListener' });
  }

  async #rememberPort(holder: Holder, key: string, port: number): Promise<void> {
    await this.#options.table.update((entries) => {
      const own = entries.find((entry) => isOf(entry, holder));
      if (own === undefined) return entries;
      const name = portName(key, port);
      const rival = entries.find(
        (entry) => entry !== own && Object.entries(entry.ports).some(([k, p]) => portName(k, p) === name),
      );
      if (rival !== undefined) throw belongs(name, `Service ${rival.service}`);
      const fresh = { ...own, ports: { ...own.ports, [key]: port } };
      return entries.map((entry) => (entry === own ? fresh : entry));
    });
  }

  #lost(holder: Holder, key: string): void {
    this.#end(this.#balancers.get(idOf(holder)), key);
    if (!this.#closed) this.#options.onChange(holder.service);
  }

  #end(balancer: Balancer | undefined, key: string): void {
    const listener = balancer?.listeners.get(key);
    if (listener === undefined) return;
    balancer?.listeners.delete(key);
    listener.socket.close();
    listener.targets.close();
  }

  #drop(id: string): void {
    const balancer = this.#balancers.get(id);
    for (const key of balancer?.listeners.keys() ?? []) this.#end(balancer, key);
    this.#balancers.delete(id);
  }
}

function idOf({ cluster, uid }: Holder): string {
  return `${cluster} ${uid}`;
}

/** The table remembers by name: a Service made anew has another UID. */
function isOf({ cluster, service }: TableEntry, holder: Holder): boolean {
  return cluster === holder.cluster && service === holder.service;
}

/** From `listenerKey` and port to `<address> <port>/<protocol>`. */
function portName(key: string, port: number): string {
  return `${key.slice(0, key.indexOf(' '))} ${port}${key.slice(key.indexOf('/'))}`;
}

function belongs(what: string, whose: string): SluiceError {
  return new SluiceError('conflict', `${what} belongs to ${whose}`, {
    code: 'AddressTaken',
    action: 'Reserve',
  });
}

function listOf({ sourceRanges }: ListenerRules): BlockList | undefined {
  if (sourceRanges.length === 0) return undefined;
  const list = new BlockList();
  for (const range of sourceRanges) {
    const [address = '', prefix = ''] = range.split('/');
    list.addSubnet(address, Number(prefix), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return list;
}

function holdingOf(balancer: Balancer): Holding {
  return {
    addresses: balancer.addresses,
    listeners: [...balancer.listeners.values()]
      .map(observedOf)
      .toSorted((a, b) => (listenerKey(a) < listenerKey(b) ? -1 : 1)),
  };
}

function observedOf({ address, protocol, port, listenPort, rules, targets }: Listener): ObservedListener {
  return { address, protocol, port, listenPort, rules, targets: targets.list() };
}
