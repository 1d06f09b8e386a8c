/**
 * Agents that announce against a real API server, with real heartbeats on loopback; only their kernels are stand-ins.
 *
 * All of them run in this process and by one steady clock: where the machine keeps it from running for a moment, none of
 * them takes the others' silence for their end.
 */
import { readdir, readFile } from 'node:fs/promises';
import { expect, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Announcer, AnnouncerEvents, Holding } from '../../src/agent/announce/announcer.ts';
import { AnnouncePart } from '../../src/agent/announce/part.ts';
import { serviceAddressName } from '../../src/core/address-objects.ts';
import { isSluiceError, type SluiceError } from '../../src/core/errors.ts';
import type { NodeName } from '../../src/core/objects.ts';
import { addressesPath, poolsPath } from '../../src/kube/address-kinds.ts';
import { connect, type Connection } from '../../src/kube/connection.ts';
import { Writer } from '../../src/kube/writer.ts';
import { startControlPlane, type ControlPlane } from '../../src/sandbox/control-plane.ts';
import { steadyClock } from '../support/steady-clock.ts';
import { watchedClock, type WatchedClock } from '../support/watched-clock.ts';

/** How long is waited for what comes in a moment on a machine that is not busy. */
export const waitMs = 60_000;

export const namespace = 'sluice-system';
const leaseNamespace = 'sluice-agent';
const wholePool = ['192.0.2.0/25'];
const secretPath = `/api/v1/namespaces/${namespace}/secrets/sluice-heartbeat`;

/** A key of heartbeats, as the Secret holds it. */
export function keyOf(number: number): string {
  return Buffer.alloc(32, number).toString('base64');
}

export class FakeAnnouncer implements Announcer {
  held: readonly Holding[] = [];
  stopped: string | undefined;
  taken = new Set<string>();
  events: AnnouncerEvents | undefined;

  async start(events: AnnouncerEvents): Promise<void> {
    this.events = events;
  }

  links(): ReturnType<Announcer['links']> {
    return [
      {
        name: 'eth0',
        mac: '02:00:00:00:00:01',
        up: true,
        usable: true,
        networks: ['192.0.2.250/24', '2001:db8::250/64'],
        defaultRoute: { ipv4: true, ipv6: false },
      },
    ];
  }

  async hold(holdings: readonly Holding[]): Promise<void> {
    this.held = holdings;
  }

  repeat(): void {}

  async probe(address: string): ReturnType<Announcer['probe']> {
    return this.taken.has(address) ? { kind: 'taken', mac: '02:99:99:99:99:99' } : { kind: 'free' };
  }

  async stop(how: 'release' | 'keep'): Promise<void> {
    this.stopped = how;
    if (how === 'release') this.held = [];
  }
}

export interface StandIn {
  readonly name: string;
  readonly announcer: FakeAnnouncer;
  readonly part: AnnouncePart;
  readonly troubles: string[];
  /** Addresses that it let go, and rights that it had, in order. */
  readonly moves: string[];
  readonly clock: WatchedClock;
  end(how: 'keep' | 'release'): Promise<void>;
}

export function holders(address: string, agents: readonly StandIn[]): readonly string[] {
  return agents
    .filter(({ announcer }) => announcer.held.some((one) => one.address === address))
    .map(({ name }) => name);
}

/** Ports of a held address, wherever it is held. */
export function ports(address: string, agents: readonly StandIn[]): readonly number[] {
  const held = agents.flatMap(({ announcer }) => announcer.held).find((one) => one.address === address);
  return (held?.ports ?? []).map(({ port }) => port).toSorted((a, b) => a - b);
}

interface LiveAddress {
  readonly status?: {
    readonly holder?: { readonly node: string; readonly interface: string; readonly mac: string };
    readonly probe?: { readonly outcome: string; readonly mac?: string; readonly at: string };
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
    }[];
  };
}

export class AnnounceGround {
  readonly plane: ControlPlane;
  readonly api: Connection;
  readonly writer: Writer;
  readonly clock = steadyClock();
  readonly #running: StandIn[] = [];
  /** Paths of what the running test made. */
  readonly #made: string[] = [];

  private constructor(plane: ControlPlane, api: Connection) {
    this.plane = plane;
    this.api = api;
    this.writer = new Writer(api);
  }

  /** A control plane with our kinds, three nodes, a key for heartbeats and one pool. */
  static async start(): Promise<AnnounceGround> {
    const plane = await startControlPlane();
    const ground = new AnnounceGround(plane, await connect({ path: plane.admin.path }));
    try {
      await ground.#furnish();
    } catch (error) {
      await ground.stop();
      throw error;
    }
    return ground;
  }

  async #furnish(): Promise<void> {
    const { writer } = this;
    const folder = new URL('../../manifests/crds/', import.meta.url);
    for (const file of await readdir(folder)) {
      if (file === 'kustomization.yaml') continue;
      for (const document of parseAllDocuments(await readFile(new URL(file, folder), 'utf8')))
        if (document.toJS() !== null)
          await writer.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', document.toJS());
    }
    for (const name of [namespace, leaseNamespace])
      await writer.create('/api/v1/namespaces', { metadata: { name } });
    await writer.create(`/api/v1/namespaces/${namespace}/secrets`, {
      metadata: { name: 'sluice-heartbeat' },
      data: { key: keyOf(1) },
    });
    for (const name of ['node-1', 'node-2', 'node-3'])
      await writer.create('/api/v1/nodes', { metadata: { name } });
    await vi.waitFor(async () => {
      await writer.create(poolsPath, {
        apiVersion: 'sluice.dev/v1alpha1',
        kind: 'AddressPool',
        metadata: { name: 'office' },
        spec: { addresses: wholePool },
      });
    }, waitMs);
  }

  /** Starts the announcing part of an agent. */
  async agent(name: string, announcer = new FakeAnnouncer()): Promise<StandIn> {
    const own = await connect({ path: this.plane.admin.path });
    const clock = watchedClock(this.clock);
    const troubles: string[] = [];
    const moves: string[] = [];
    const part = new AnnouncePart({
      api: own,
      nodeName: name as NodeName,
      namespace,
      leaseNamespace,
      bind: { host: '127.0.0.1', port: 0 },
      announcer,
      slices: { slices: () => [], onSlice: () => () => undefined },
      slicesComplete: Promise.resolve(),
      clock,
      random: Math.random,
      telemetry: {
        event: (event) => {
          if (event.kind === 'given-up') moves.push(`given up ${event.address}: ${event.reason}`);
          if (event.kind === 'standing') moves.push(`${event.standing.right.kind} ${event.standing.seen}`);
        },
        asked: () => undefined,
        trouble: (what, error: SluiceError) => troubles.push(`${what}: ${error.message}`),
        reader: () => undefined,
      },
    });
    await part.start();
    let ended: Promise<void> | undefined;
    const standIn: StandIn = {
      name,
      announcer,
      part,
      troubles,
      moves,
      clock,
      end: (how) => (ended ??= part.end(how).then(() => own.close())),
    };
    this.#running.push(standIn);
    return standIn;
  }

  /** Three agents that all see one another. */
  async three(): Promise<readonly StandIn[]> {
    const agents = [await this.agent('node-1'), await this.agent('node-2'), await this.agent('node-3')];
    await vi.waitFor(() => {
      for (const { part } of agents)
        expect(part.standing).toMatchObject({ right: { kind: 'majority' }, seen: 3 });
    }, waitMs);
    return agents;
  }

  async live(name: string): Promise<NonNullable<LiveAddress['status']>> {
    return ((await this.api.request('GET', `${addressesPath}/${name}`)) as LiveAddress).status ?? {};
  }

  /** Makes the object of an address; its name. */
  async address(address: string, service: string, more: object = {}): Promise<string> {
    const name = serviceAddressName(address);
    this.#made.push(`${addressesPath}/${name}`);
    await this.writer.create(addressesPath, {
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'ServiceAddress',
      metadata: { name },
      spec: { address, pool: 'office', services: [{ service: `default/${service}`, uid: 'any' }], ...more },
    });
    return name;
  }

  /** Makes a Service with addresses in its status. */
  async service(name: string, addresses: readonly string[], spec: object = {}): Promise<void> {
    this.#made.push(`/api/v1/namespaces/default/services/${name}`);
    await this.writer.create('/api/v1/namespaces/default/services', {
      metadata: { name },
      spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/local', ports: [{ port: 80 }], ...spec },
    });
    await this.ingress(name, addresses);
  }

  async ingress(name: string, addresses: readonly string[]): Promise<void> {
    await this.writer.patch(`/api/v1/namespaces/default/services/${name}/status`, {
      status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip, ipMode: 'VIP' })) } },
    });
  }

  /** Both: a Service with an address, and the object of the address; the object's name. */
  async announced(name: string, address: string, spec: object = {}): Promise<string> {
    await this.service(name, [address], spec);
    return this.address(address, name);
  }

  /** Sets the key of heartbeats. */
  async key(data: { readonly key: string; readonly previous: string | null }): Promise<void> {
    await this.writer.patch(secretPath, { data });
  }

  /** Sets the addresses of the one pool. */
  async pool(addresses: readonly string[]): Promise<void> {
    await this.writer.patch(`${poolsPath}/office`, { spec: { addresses } });
  }

  /**
   * Ends every agent, after a test, and takes away what the test made and changed: a second try of it makes the same.
   */
  async rest(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((one) => one.end('release')));
    for (const path of this.#made.splice(0))
      await this.api.request('DELETE', path).catch((error: unknown) => {
        if (!isSluiceError(error) || error.kind !== 'gone') throw error;
      });
    await this.key({ key: keyOf(1), previous: null });
    await this.pool(wholePool);
  }

  async stop(): Promise<void> {
    this.clock.stop();
    await this.api.close();
    await this.plane.stop();
  }
}
