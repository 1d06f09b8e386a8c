/**
 * The provider of laptop mode as a subject of the contract: on a machine made of values (virtual time), and on this
 * machine's own sockets. The account is the engine; the table of addresses outlives it as the file does.
 *
 * Refusals and lost answers are put before the engine's calls, since nothing else stands between it and the provider.
 */
import { createServer, type Server } from 'node:net';
import { Engine } from '../../providers/local/laptop/engine/engine.ts';
import { machine, type Network } from '../../providers/local/laptop/engine/network.ts';
import { listenerKey, targetKey, type LaptopHost } from '../../providers/local/laptop/host.ts';
import { createLaptopProvider, type LaptopObserved } from '../../providers/local/laptop/provider.ts';
import { memoryTable } from '../../providers/local/laptop/table.ts';
import type { LaptopConfig } from '../../providers/local/laptop/wanted.ts';
import { systemClock, type Clock } from '../../src/core/clock.ts';
import { parseCidr } from '../../src/core/cidr.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { aNode, anEndpoint, aPort, aService, aSlice } from '../../src/core/fixtures.ts';
import type { NodeObject, ServiceObject } from '../../src/core/objects.ts';
import type { AnyProvider } from '../../src/core/provider.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { laptopFacts } from './laptop-facts.ts';
import type { Act, Case, Fault, FaultEffect, Given, Resource, Stage, Subject } from './stage.ts';

/** Nodes by name, on addresses of this machine that no other test takes. */
const known = ['n1', 'n2', 'joins', 'new-1', 'new-2', 'odd', 'g1', 'g2', 'bad', 'g3', 'g4'];

function node(name: string): NodeObject {
  return aNode(name, { internalIPs: [`127.76.0.${known.indexOf(name) + 1}`] });
}

function given(change: Parameters<typeof aService>[0], slices: Given['slices'] = []): Given {
  const ports = [aPort({ port: 8080 })];
  return {
    service: aService({ ports, loadBalancerClass: 'sluice.dev/local', ...change }),
    nodes: [node('n1'), node('n2')],
    slices,
  };
}

const cases: readonly Case[] = [
  { name: 'one TCP port', given: given({ ports: [aPort({ port: 80 })] }) },
  {
    name: 'TCP and UDP ports, one number for both',
    given: given({
      ports: [
        aPort({ name: 'dns', port: 5353, nodePort: 30_080 }),
        aPort({ name: 'dns-udp', port: 5353, protocol: 'UDP', nodePort: 30_080 }),
      ],
    }),
  },
  {
    name: 'source ranges and session affinity',
    given: given({ sourceRanges: ['127.0.0.0/8'], sessionAffinity: 'ClientIP' }),
  },
  {
    name: 'policy Local with endpoints on one node',
    given: given({ externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 }, [
      aSlice('s1', [anEndpoint('10.1.0.1', 'n1')]),
    ]),
  },
];

/** A machine where every port can be had, and nodes answer once they had their time. */
function machineOfValues(clock: Clock, times: { healthyMs: number }, held: ReadonlySet<string>): Network {
  return {
    listenTcp: (address, port) =>
      held.has(`${address}:${port}`)
        ? Promise.reject(
            new SluiceError('conflict', `${address}:${port} is taken`, {
              code: 'PortInUse',
              action: 'Listen',
            }),
          )
        : Promise.resolve({ close: () => undefined }),
    listenUdp: () => Promise.resolve({ close: () => undefined, send: () => undefined }),
    probe: (address) =>
      new Promise((resolve) => {
        const late = address.endsWith('.4') || address.endsWith('.5');
        const answer = address.endsWith('.99') ? ({ kind: 'refused' } as const) : ({ kind: 'open' } as const);
        clock.schedule(late ? times.healthyMs : 0, () => resolve(answer));
      }),
  };
}

/** Counts calls, and does to them what was ordered. */
class Watched implements LaptopHost {
  readonly #host: LaptopHost;
  reads = 0;
  writes = 0;
  fault: Fault | undefined;
  #hits = 0;

  constructor(host: LaptopHost) {
    this.#host = host;
  }

  order(fault: Fault | undefined): void {
    this.fault = fault;
    this.#hits = 0;
  }

  read: LaptopHost['read'] = async (...args) =>
    await this.#call('read', 'Read', () => this.#host.read(...args));
  readAll: LaptopHost['readAll'] = async (...args) =>
    await this.#call('read', 'ReadAll', () => this.#host.readAll(...args));
  reserve: LaptopHost['reserve'] = async (...args) =>
    await this.#call('write', 'Reserve', () => this.#host.reserve(...args));
  listen: LaptopHost['listen'] = async (...args) =>
    await this.#call('write', 'Listen', () => this.#host.listen(...args));
  setRules: LaptopHost['setRules'] = async (...args) =>
    await this.#call('write', 'SetRules', () => this.#host.setRules(...args));
  addTargets: LaptopHost['addTargets'] = async (...args) =>
    await this.#call('write', 'AddTargets', () => this.#host.addTargets(...args));
  removeTargets: LaptopHost['removeTargets'] = async (...args) =>
    await this.#call('write', 'RemoveTargets', () => this.#host.removeTargets(...args));
  unlisten: LaptopHost['unlisten'] = async (...args) =>
    await this.#call('write', 'Unlisten', () => this.#host.unlisten(...args));
  release: LaptopHost['release'] = async (...args) =>
    await this.#call('write', 'Release', () => this.#host.release(...args));

  async #call<Answer>(way: 'read' | 'write', operation: string, run: () => Promise<Answer>): Promise<Answer> {
    if (way === 'read') this.reads += 1;
    else this.writes += 1;
    const effect = this.#struck(way, operation);
    if (effect?.kind === 'refused') throw refusal(effect.as, operation);
    if (effect === undefined) return await run();
    await run();
    throw new SluiceError('ambiguous', `${operation}: no answer`, { code: 'NoAnswer', action: operation });
  }

  #struck(way: 'read' | 'write', operation: string): FaultEffect | undefined {
    if (this.fault === undefined) return undefined;
    const { on, from = 1, effect } = this.fault;
    const hit = 'calls' in on ? on.calls === `${way}s` : on.operation === operation;
    if (!hit) return undefined;
    this.#hits += 1;
    return this.#hits >= from ? effect : undefined;
  }
}

function refusal(kind: SluiceError['kind'], operation: string): SluiceError {
  return new SluiceError(kind, `${operation} was refused`, { code: 'Ordered', action: operation });
}

type How = 'on values' | 'on sockets';

interface Wiring {
  readonly engine: Engine;
  readonly watched: Watched;
  /** Another program takes a port. */
  readonly hold: (address: string, port: number) => Promise<() => Promise<void>>;
}

async function openStage(how: How, wirings: WeakMap<Stage, Wiring>): Promise<Stage> {
  const virtual = how === 'on values' ? new VirtualClock() : undefined;
  const clock: Clock = virtual ?? systemClock;
  const times = { healthyMs: 0 };
  const held = new Set<string>();
  const nodes = how === 'on sockets' ? await nodesOnSockets() : undefined;
  const engine = new Engine({
    clock,
    network: virtual === undefined ? machine : machineOfValues(clock, times, held),
    table: memoryTable(),
    forward: { lacks: () => 'none', open: () => Promise.reject(new Error('none')) },
    onChange: () => undefined,
  });
  const space = parseCidr(how === 'on values' ? '127.80.0.0/12' : nextRange());
  if (space.kind !== 'cidr') throw new Error('the range is malformed');
  const config: LaptopConfig = {
    space: space.cidr,
    ownAddresses: true,
    loopback6: false,
    unprivilegedFrom: 1,
    via: 'nodes',
  };
  const watched = new Watched(engine);
  const make = (): AnyProvider => createLaptopProvider(watched, config);
  const settle = async (): Promise<void> => {
    if (virtual !== undefined) await virtual.advance(1);
    else await new Promise((resolve) => setTimeout(resolve, 25));
  };
  const stage: Stage = {
    provider: make(),
    restart: make,
    clock,
    drive: async (promise) => {
      if (virtual === undefined) {
        const value = await promise;
        await settle();
        return value;
      }
      let settled = false;
      const done = (): void => {
        settled = true;
      };
      promise.then(done, done);
      await virtual.runUntil(() => settled, virtual.now() + 3_600_000);
      const value = await promise;
      await settle();
      return value;
    },
    advance: async (ms) => {
      if (virtual === undefined) await new Promise((resolve) => setTimeout(resolve, Math.min(ms, 50)));
      else await virtual.advance(ms);
    },
    resources: () => resourcesOf(engine, how === 'on sockets'),
    counts: () => ({ reads: watched.reads, writes: watched.writes }),
    order: (fault) => watched.order(fault),
    calm: () => watched.order(undefined),
    squat: notHere,
    addByHand: notHere,
    breakNode: notHere,
    takeTime: ({ healthyMs }) => {
      times.healthyMs = healthyMs ?? times.healthyMs;
    },
    close: async () => {
      engine.close();
      await nodes?.leave();
    },
  };
  const hold: Wiring['hold'] = async (address, port) => {
    if (virtual !== undefined) {
      held.add(`${address}:${port}`);
      return () => Promise.resolve(held.clear());
    }
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    return () => new Promise((resolve) => server.close(() => resolve()));
  };
  wirings.set(stage, { engine, watched, hold });
  return stage;
}

function notHere(): never {
  throw new Error('behaviours that need this are skipped');
}

let stages = 0;

/** Stages may stand beside each other, each on addresses of its own. */
function nextRange(): string {
  stages += 1;
  return `127.79.${stages % 256}.0/24`;
}

let shared: { readonly servers: Promise<readonly Server[]>; users: number } | undefined;

/** Node ports that all stages share. */
async function nodesOnSockets(): Promise<{ leave(): Promise<void> }> {
  shared ??= { servers: listenAsNodes(), users: 0 };
  const mine = shared;
  mine.users += 1;
  await mine.servers;
  return {
    leave: async () => {
      mine.users -= 1;
      if (mine.users > 0) return;
      if (shared === mine) shared = undefined;
      for (const server of await mine.servers)
        await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function listenAsNodes(): Promise<readonly Server[]> {
  return await Promise.all(
    known.map(
      (_, index) =>
        new Promise<Server>((resolve, reject) => {
          const server = createServer((socket) => {
            socket.on('error', () => undefined);
            socket.resume();
          });
          server.once('error', reject);
          server.listen(30_080, `127.76.0.${index + 1}`, () => resolve(server));
        }),
    ),
  );
}

/** @param relative the range differs from stage to stage, and is left out of the names. */
function resourcesOf(engine: Engine, relative: boolean): readonly Resource[] {
  const plain = (text: string): string => (relative ? text.replaceAll(/127\.79\.\d+\./gu, '') : text);
  return engine
    .held()
    .flatMap(({ cluster, uid, service, holding }): Resource[] => [
      ...holding.addresses.map((address) => ({
        label: plain(`address ${address}`),
        cluster,
        uid,
        state: service,
      })),
      ...holding.listeners.map((listener) => ({
        label: plain(`listener ${listenerKey(listener)}`),
        cluster,
        uid,
        state: JSON.stringify({
          ...listener,
          targets: listener.targets.map(({ target }) => targetKey(target)),
        }),
      })),
    ])
    .toSorted((a, b) => (a.label < b.label ? -1 : 1));
}

export function laptopSubject(how: How): Subject {
  const wirings = new WeakMap<Stage, Wiring>();
  const act = (name: string, run: (engine: Engine, owner: ServiceObject) => Promise<void>): Act => ({
    name,
    run: async (stage, owner) => {
      const wiring = wirings.get(stage);
      if (wiring === undefined) throw new Error('a stage of another subject');
      await run(wiring.engine, owner);
    },
  });
  const holder = ({ uid, key: service }: ServiceObject) => ({ cluster: 'cluster-contract', uid, service });
  const never = new AbortController().signal;
  const first = (engine: Engine, { uid }: ServiceObject) => {
    const listener = engine.held().find((one) => one.uid === uid)?.holding.listeners[0];
    if (listener === undefined) throw new Error(`nothing is open for ${uid}`);
    return listener;
  };
  return {
    name: `laptop, ${how}`,
    inapplicable: laptopFacts(async (stage, address, port) => {
      const wiring = wirings.get(stage);
      if (wiring === undefined) throw new Error('a stage of another subject');
      return await wiring.hold(address, port);
    }),
    cases,
    words: {
      misspelt: { key: '', value: '', meant: '' },
      mistakes: {},
      protection: { on: {}, off: {} },
    },
    damage: [
      act('a port is lost', async (engine, owner) => {
        await engine.unlisten(holder(owner), first(engine, owner), never);
      }),
      act('a target is taken away', async (engine, owner) => {
        const listener = first(engine, owner);
        const [target] = listener.targets;
        if (target !== undefined) await engine.removeTargets(holder(owner), listener, [target.target], never);
      }),
      act('the rules are changed', async (engine, owner) => {
        const rules = { sourceRanges: ['192.0.2.0/24'], affinityMs: 0 };
        await engine.setRules(holder(owner), first(engine, owner), rules, never);
      }),
      act('all is lost', async (engine, owner) => {
        await engine.release(holder(owner), never);
      }),
    ],
    surveyFinds: ['a port is lost', 'a target is taken away', 'the rules are changed', 'all is lost'],
    surveyCalls: 1,
    protect: notHere,
    node,
    comparable: (observed) => {
      const { holding, remembered } = observed as LaptopObserved;
      return {
        remembered,
        addresses: holding?.addresses,
        listeners: holding?.listeners.map((listener) => ({
          ...listener,
          targets: listener.targets.map(({ target }) => target),
        })),
      };
    },
    another: (name) => given({ name }),
    open: async () => await openStage(how, wirings),
  };
}
