/**
 * Thousands of Services under the controller's own code: what a start costs, and what one change costs afterwards, in
 * CPU, in Services that are looked at, and in writes to the API server.
 *
 * The cluster is made of values and time is virtual, so only our own work is counted.
 */
import { aPool } from '../../../providers/local/allocator/fixtures.ts';
import { startLocal } from '../../../providers/local/start.ts';
import { Controller } from '../../../src/controller/controller.ts';
import { classOf } from '../../../src/core/claim.ts';
import { aNode, aNodeName, aService } from '../../../src/core/fixtures.ts';
import { serviceAddressName } from '../../../src/core/address-objects.ts';
import type { NodeObject, ObjectKey, ServiceObject } from '../../../src/core/objects.ts';
import type { AnyProvider } from '../../../src/core/provider.ts';
import { PlainCluster, stageOptions } from '../../support/controller-stage.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';
import type { Row } from '../bench.ts';

const count = 5_000;
/** Long enough for everything that follows a change, statuses of pools among it. */
const settleMs = 30_000;

/** Tells of every change, as the watch does. */
class HeardCluster extends PlainCluster {
  hear: (before: ServiceObject | undefined, after: ServiceObject) => void = () => undefined;

  override put(service: ServiceObject): ServiceObject {
    const before = this.live(service.key);
    const after = super.put(service);
    this.hear(before, after);
    return after;
  }
}

interface Cost {
  readonly cpuMs: number;
  readonly looks: number;
  readonly writes: number;
}

export class ServicesWorld {
  readonly clock = new VirtualClock();
  readonly memory = new MemoryCluster(this.clock);
  readonly #log: string[] = [];
  readonly #cluster = new HeardCluster(this.#log);
  readonly #controller: Controller;
  readonly #end: () => Promise<void>;
  #looks = 0;
  #statuses = 0;

  constructor(services: number) {
    const { memory, clock } = this;
    memory.link = () => ({ outcome: 'free', afterMs: 1 });
    const writeStatus = memory.writePoolStatus;
    memory.writePoolStatus = async (...given) => {
      this.#statuses += 1;
      await writeStatus(...given);
    };
    this.setNodes([aNode('n1'), aNode('n2')]);
    for (let i = 0; i < 20; i += 1)
      memory.setPool(aPool(`pool-${i}`, [`10.64.${i * 2}.0/23`], { createdAt: i }));
    const running = startLocal(
      { probe: true, noAgentAfter: 10_000, rest: 600_000, remember: 0 },
      { clock, cluster: memory, serves: ({ loadBalancerClass }) => loadBalancerClass === classOf('local') },
    );
    const { provider } = running;
    const counted = {
      ...provider,
      observe: (request: Parameters<typeof provider.observe>[0]) => {
        this.#looks += 1;
        return provider.observe(request);
      },
    };
    for (let i = 0; i < services; i += 1)
      memory.setService(this.#cluster.put(aService({ name: `s${i}`, loadBalancerClass: classOf('local') })));
    this.#controller = new Controller({
      clock,
      random: () => 0.5,
      cluster: { name: 'bench', id: 'cluster-bench' },
      view: this.#cluster,
      writer: this.#cluster,
      providers: new Map([['local', counted as AnyProvider]]),
      options: {
        ...stageOptions,
        claim: { ...stageOptions.claim, providers: ['local'], defaultProvider: 'local' },
      },
      workers: 8,
      permit: () => undefined,
    });
    this.#cluster.hear = (before, after) => {
      this.#controller.serviceChanged(before, after);
      memory.setService(after);
    };
    const ended = running.lead({
      wake: (key) => this.#controller.look(key),
      permit: () => undefined,
      report: (error) => {
        throw error;
      },
    });
    this.#end = async () => {
      await ended();
      running.close();
      await this.#controller.stop();
    };
  }

  /** The first passes over everything. */
  start(): Promise<Cost> {
    return this.measure(() => this.#controller.start());
  }

  /** A node answers for each of them: nothing is waited for any more. */
  announce(): Promise<Cost> {
    return this.measure(() => {
      const holder = {
        node: aNodeName('n1'),
        interface: 'eth0',
        mac: '02:00:00:00:00:01',
        since: '',
        reason: '',
      };
      for (const { name } of this.memory.addresses()) this.memory.edit(name, { holder });
    });
  }

  /** What a change costs until nothing more follows from it. */
  async measure(change: () => void): Promise<Cost> {
    const writes = (): number => this.#log.length + this.memory.counts.writes + this.#statuses;
    const before = { looks: this.#looks, writes: writes() };
    const cpu = process.cpuUsage();
    change();
    await this.clock.advance(settleMs);
    const { user, system } = process.cpuUsage(cpu);
    return {
      cpuMs: (user + system) / 1_000,
      looks: this.#looks - before.looks,
      writes: writes() - before.writes,
    };
  }

  setNodes(nodes: readonly NodeObject[]): void {
    const before = this.#cluster.nodeList;
    this.#cluster.nodeList = nodes;
    this.memory.setNodes(nodes);
    for (const node of nodes)
      if (!before.some(({ name }) => name === node.name)) this.#controller?.nodeChanged(undefined, node);
  }

  edit(name: string, change: Partial<ServiceObject>): void {
    this.#cluster.edit(`default/${name}` as ObjectKey, change);
  }

  addressOf(name: string): string | undefined {
    return this.#cluster.live(`default/${name}` as ObjectKey)?.ingress[0]?.ip;
  }

  /** How many show an address that an object stands for. */
  served(): number {
    let served = 0;
    for (const { ingress } of this.#cluster.services()) {
      const ip = ingress[0]?.ip;
      if (ip !== undefined && this.memory.address(serviceAddressName(ip)) !== undefined) served += 1;
    }
    return served;
  }

  end(): Promise<void> {
    return this.#end();
  }
}

export async function measureServices(progress: (text: string) => void): Promise<readonly Row[]> {
  progress(`${count.toLocaleString('en')} Services get their addresses`);
  const world = new ServicesWorld(count);
  try {
    const start = await world.start();
    if (world.served() !== count) throw new Error(`${world.served()} of ${count} Services have an address`);
    progress('one change after another');
    const held = await world.announce();
    const idle = await world.measure(() => undefined);
    const pool = await world.measure(() =>
      world.memory.setPool(aPool('another', ['10.80.0.0/16'], { createdAt: 99 })),
    );
    const first = world.addressOf('s0') ?? '';
    const shrink = await world.measure(() =>
      world.memory.setPool(aPool('pool-0', ['10.64.0.1-10.64.1.255'], { createdAt: 0, generation: 2 })),
    );
    const node = await world.measure(() => world.setNodes([aNode('n1'), aNode('n2'), aNode('n3')]));
    const port = await world.measure(() =>
      world.edit('s1', { annotations: { 'sluice.dev/allow-move': 'true' } }),
    );
    const none = { kind: 'at most', value: 0 } as const;
    const few = (value: number) => ({ kind: 'at most', value }) as const;
    const rows = (what: string, cost: Cost, looks: number, writes: number): readonly Row[] => [
      { what: `${what}: CPU, settled over 30 s`, unit: 'ms', ours: cost.cpuMs },
      { what: `${what}: Services looked at`, unit: '', ours: cost.looks, goal: few(looks) },
      { what: `${what}: writes`, unit: '', ours: cost.writes, goal: few(writes) },
    ];
    const name = count.toLocaleString('en');
    return [
      { what: `start with ${name} new Services: CPU a Service`, unit: 'ms', ours: start.cpuMs / count },
      {
        what: `start with ${name} new Services: writes a Service`,
        unit: '',
        ours: start.writes / count,
        goal: few(4.1),
      },
      {
        what: `${name} addresses are held: writes a Service`,
        unit: '',
        ours: held.writes / count,
        goal: few(1),
      },
      {
        what: `${name} Services, nothing happens: Services looked at`,
        unit: '',
        ours: idle.looks,
        goal: none,
      },
      { what: `${name} Services, nothing happens: writes`, unit: '', ours: idle.writes, goal: none },
      ...rows(`${name} Services, a pool more`, pool, 0, 1),
      ...rows(`${name} Services, a pool loses the one address ${first}`, shrink, 2, 3),
      ...rows(`${name} Services, a node more`, node, 0, 0),
      ...rows(`${name} Services, one is changed`, port, 2, 2),
    ];
  } finally {
    await world.end();
  }
}
