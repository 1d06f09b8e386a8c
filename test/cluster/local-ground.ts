/** What the cluster tests of local mode stand on: a sandbox that serves it, and an agent that a test plays. */
import { slimServiceAddress } from '../../src/kube/address-kinds.ts';
import { serviceAddressName, type ServiceAddressObject } from '../../src/core/address-objects.ts';
import type { RawObject } from '../../src/kube/raw.ts';
import { condition, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, read, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts';
import { nodeOf } from './ground.ts';
import { know } from './metrics.ts';

const addresses = '/apis/sluice.dev/v1alpha1/serviceaddresses';

/** How long is waited for what comes in a moment on a machine that is not busy. */
const patience = { limitMs: 60_000 };

/** What the link says of an address: nothing, that it is free, or who has it. */
export type Link = (
  address: string,
) => 'silent' | 'free' | { readonly mac: string } | { readonly failed: string };

export class LocalGround {
  readonly sandbox: Sandbox;
  #count = 0;
  #playing = true;
  #agent: Promise<void> = Promise.resolve();
  /** Of the running test. */
  readonly #made: Manifest[] = [];

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  static async open(options: SandboxOptions = {}, nodes = 2): Promise<LocalGround> {
    const ground = new LocalGround(await startSandbox({ local: {}, ...options }));
    for (let index = 1; index <= nodes; index += 1) await apply(ground.api, nodeOf(index));
    return ground;
  }

  get api(): Sandbox['api'] {
    return this.sandbox.api;
  }

  async close(): Promise<void> {
    await this.stopAgent();
    await this.sandbox.stop();
  }

  /**
   * Takes away what a test left, for `afterEach`: Services, then pools. A test that failed half-way is then in the way
   * neither of the others nor of its own second try.
   *
   * @param how.forget also the objects of addresses, which are remembered for Services that are gone.
   */
  async tidy({ forget = false }: { readonly forget?: boolean } = {}): Promise<void> {
    if (this.sandbox.controllers.every(({ process }) => process.ended() !== undefined))
      await this.sandbox.startController();
    const made = this.#made.splice(0);
    const services = made.filter(({ kind }) => kind === 'Service');
    for (const service of services) await remove(this.api, service);
    for (const service of services) await this.gone(service);
    for (const object of made) await remove(this.api, object);
    await know(this.sandbox, 'addresspools');
    if (!forget) return;
    for (const { name } of await this.addresses())
      await remove(this.api, {
        apiVersion: 'sluice.dev/v1alpha1',
        kind: 'ServiceAddress',
        metadata: { name },
      });
  }

  /** Plays the agents: answers every open question, and holds what is free and published. */
  playAgent(link: Link): void {
    this.#playing = true;
    this.#agent = this.#play(link);
  }

  async stopAgent(): Promise<void> {
    this.#playing = false;
    await this.#agent;
  }

  async #play(link: Link): Promise<void> {
    while (this.#playing) {
      // Where the server does not answer for once, the next turn asks again.
      for (const object of await this.addresses().catch(() => [])) {
        const { probeAfter, probe } = object;
        const asked =
          probeAfter !== undefined && (probe === undefined || Date.parse(probe.at) <= Date.parse(probeAfter));
        if (asked) await this.#answer(object, link(object.address));
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  }

  async #answer({ name, probeAfter }: ServiceAddressObject, said: ReturnType<Link>): Promise<void> {
    if (said === 'silent') return;
    const at = new Date(Math.max(Date.now(), Date.parse(probeAfter ?? '') + 1)).toISOString();
    const outcome = said === 'free' ? 'free' : 'mac' in said ? 'taken' : 'failed';
    const more = said === 'free' ? {} : 'mac' in said ? { mac: said.mac } : { message: said.failed };
    await this.setStatus(name, { probe: { node: 'node-1', interface: 'eth0', at, outcome, ...more } });
  }

  async setStatus(name: string, status: object): Promise<void> {
    await this.api
      .request('PATCH', `${addresses}/${name}/status`, {
        query: { fieldManager: 'sluice-agent' },
        contentType: 'application/merge-patch+json',
        body: { status },
      })
      .catch(() => undefined);
  }

  /** A node takes the address. */
  async hold(address: string, node = 'node-1', mac = '02:00:00:00:00:01'): Promise<void> {
    const since = new Date().toISOString();
    await this.setStatus(serviceAddressName(address), {
      holder: { node, interface: 'eth0', mac, since, reason: 'elected' },
    });
  }

  async addresses(): Promise<readonly ServiceAddressObject[]> {
    const list = (await this.api.request('GET', addresses)) as { readonly items: readonly RawObject[] };
    return list.items.map((raw) => slimServiceAddress(raw));
  }

  async pool(name: string, spec: object): Promise<Manifest> {
    const pool = { apiVersion: 'sluice.dev/v1alpha1', kind: 'AddressPool', metadata: { name }, spec };
    await apply(this.api, pool);
    this.#made.push(pool);
    // Pools are watched on a connection of their own: a Service that is made next may be heard of before.
    await know(this.sandbox, 'addresspools');
    return pool;
  }

  service(
    change: {
      readonly name?: string;
      /** Default: `default`. */
      readonly namespace?: string;
      readonly labels?: Readonly<Record<string, string>>;
      readonly spec?: object;
      readonly annotations?: object;
    } = {},
  ): Manifest {
    this.#count += 1;
    const service: Manifest = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        namespace: change.namespace ?? 'default',
        name: change.name ?? `web-${this.#count}`,
        labels: change.labels ?? {},
        annotations: (change.annotations ?? {}) as Record<string, string>,
      },
      spec: {
        type: 'LoadBalancer',
        loadBalancerClass: 'sluice.dev/local',
        selector: { app: 'web' },
        ports: [{ name: 'http', port: 80 }],
        ...change.spec,
      },
    };
    this.#made.push(service);
    return service;
  }

  /** A namespace that the controller knows. */
  async namespace(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    await apply(this.api, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    await know(this.sandbox, 'namespaces');
  }

  async applied(change: Parameters<LocalGround['service']>[0] = {}): Promise<Manifest> {
    const service = this.service(change);
    await apply(this.api, service);
    return service;
  }

  /** Waits until the status shows exactly these addresses. */
  async shows(service: Manifest, ...ips: readonly string[]): Promise<void> {
    await untilService(
      this.api,
      service,
      `shows ${ips.join(', ') || 'nothing'}`,
      (live) => ipsOf(live).join() === ips.join(),
      patience,
    );
  }

  /** Waits for a condition; its message. */
  async tells(service: Manifest, type: string, reason: string): Promise<string> {
    const { value } = await untilService(
      this.api,
      service,
      `says ${type} ${reason}`,
      (live) => condition(live, type)?.reason === reason,
      patience,
    );
    return condition(value, type)?.message ?? '';
  }

  /** Waits for an event about a Service; its words. */
  async told(service: Manifest, reason: string): Promise<string> {
    const { namespace = '', name = '' } = service.metadata ?? {};
    const find = async (): Promise<string | undefined> => {
      const list = (await this.api.request(
        'GET',
        `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
      )) as {
        readonly items: readonly {
          readonly reason?: string;
          readonly note?: string;
          readonly regarding?: { readonly name?: string };
        }[];
      };
      return list.items.find((one) => one.reason === reason && one.regarding?.name === name)?.note;
    };
    return (await until(`an event ${reason} about ${name}`, find, patience)).value;
  }

  /** Waits until the object of an address passes `test`. */
  async object(
    address: string,
    awaited: string,
    test: (object: ServiceAddressObject) => boolean,
  ): Promise<ServiceAddressObject> {
    const seen = async (): Promise<string> => JSON.stringify(await this.addresses());
    const find = async (): Promise<ServiceAddressObject | undefined> =>
      (await this.addresses()).find((one) => one.address === address && test(one));
    return (await until(`${address} ${awaited}`, find, { ...patience, seen })).value;
  }

  async addressOf(service: Manifest): Promise<string> {
    const { value } = await untilService(
      this.api,
      service,
      'has an address',
      (live) => ipsOf(live).length > 0,
      patience,
    );
    return ipsOf(value)[0] ?? '';
  }

  async gone(service: Manifest): Promise<void> {
    await remove(this.api, service);
    await untilService(this.api, service, 'goes', (live) => live === undefined, patience);
  }

  /** Waits until the status of a pool passes `test`. */
  async poolShows(
    pool: Manifest,
    awaited: string,
    test: (status: PoolStatusView) => boolean,
  ): Promise<PoolStatusView> {
    const { value } = await until(
      `pool ${pool.metadata?.name ?? ''} ${awaited}`,
      async () => {
        const live = await read(this.api, pool);
        const status = (live?.['status'] ?? {}) as PoolStatusView;
        return test(status) ? status : undefined;
      },
      { ...patience, seen: async () => JSON.stringify(await read(this.api, pool)) },
    );
    return value;
  }
}

export interface PoolStatusView {
  readonly inUse?: number;
  readonly waiting?: number;
  readonly firstWaiting?: readonly string[];
  readonly draining?: readonly string[];
  readonly ipv4?: { readonly capacity: number; readonly inUse: number; readonly free: number };
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

export function ipsOf(live: Manifest | undefined): readonly string[] {
  const status = live?.['status'] as
    | { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } }
    | undefined;
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
}
