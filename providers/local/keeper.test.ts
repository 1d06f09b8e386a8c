/** What the controller does beside the Services while it leads: how pools show themselves, and when memory ends. */
import { beforeEach, describe, expect, test } from 'vitest';
import { aService } from '../../src/core/fixtures.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import type { ObjectKey, ServiceObject } from '../../src/core/objects.ts';
import { serviceAddressName } from '../../src/core/address-objects.ts';
import { MemoryCluster, refused } from '../../test/support/memory-cluster.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { aPool } from './allocator/fixtures.ts';
import { Keeper } from './keeper.ts';
import { Ledger } from './ledger.ts';
import { parseService } from './settings.ts';
import { wantedOf } from './wanted.ts';

const config = { probe: true, noAgentAfter: 10_000, rest: 600_000, remember: 3_600_000 };
const hour = 3_600_000;
const address = '192.0.2.1';
const name = serviceAddressName(address);

let clock: VirtualClock;
let cluster: MemoryCluster;
let ledger: Ledger;
let keeper: Keeper;
let reports: SluiceError[];

beforeEach(() => {
  clock = new VirtualClock();
  cluster = new MemoryCluster(clock);
  cluster.setPool(aPool('p', ['192.0.2.1/32'], { createdAt: 1 }));
  reports = [];
  ledger = new Ledger({ cluster, config, clock, wake: () => undefined, serves: () => true });
});

/** Leads from now on. */
async function lead(permit: () => void = () => undefined): Promise<void> {
  ledger.start();
  keeper = new Keeper({ cluster, ledger, clock, permit, report: (error) => reports.push(error) });
  keeper.start();
  await clock.advance(2_000);
}

/** The address of a Service that has gone, kept for this long from now. */
function remembered(ms: number): void {
  const until = new Date(clock.wall() + ms).toISOString();
  cluster.write(name, {
    address,
    pool: 'p',
    services: [],
    rememberedFor: { key: 'default/gone' as ObjectKey, until },
    probeAfter: undefined,
  });
}

function ask(service: ServiceObject): readonly string[] {
  cluster.setService(service);
  return ledger.ask(wantedOf(parseService(service).settings, service)).grants.map((one) => one.address);
}

describe('the object that remembers an address', () => {
  test('stays until its time is over and goes then, and with it the memory', async () => {
    remembered(hour);
    await lead();
    await clock.advance(hour - 120_000);
    expect(cluster.address(name)).toBeDefined();
    expect(ledger.allocator.nextEnd()).toBeDefined();
    await clock.advance(240_000);
    expect(cluster.address(name)).toBeUndefined();
    expect(ledger.allocator.nextEnd()).toBeUndefined();
    expect(ask(aService({ name: 'other' }))).toEqual([address]);
  });

  test('is not taken from somebody who is being given the address this moment', async () => {
    remembered(hour);
    await lead();
    // The pool has nothing else, so memory gives way; the object is not the newcomer's yet.
    expect(ask(aService({ name: 'other' }))).toEqual([address]);
    await clock.advance(2 * hour);
    expect(cluster.address(name)).toBeDefined();
  });

  test('of an address that something on the link has stays while it rests', async () => {
    await lead();
    const probeAfter = new Date(clock.wall()).toISOString();
    cluster.write(name, { address, pool: 'p', services: [], rememberedFor: undefined, probeAfter });
    const at = new Date(clock.wall() + 1).toISOString();
    const said = { node: 'n1', interface: 'eth0', at, outcome: 'taken', mac: '02:99' } as const;
    cluster.edit(name, { probe: said as never });
    await clock.advance(config.rest - 120_000);
    expect(cluster.address(name)).toBeDefined();
    await clock.advance(240_000);
    expect(cluster.address(name)).toBeUndefined();
  });

  test('is tried again where it could not be deleted, and not deleted without the lease', async () => {
    remembered(60_000);
    let leads = true;
    await lead(() => {
      if (!leads) throw refused('conflict', 'lead', 'LeaseLost');
    });
    leads = false;
    await clock.advance(5 * 60_000);
    expect(cluster.address(name)).toBeDefined();
    expect(reports.length).toBeGreaterThan(0);
    leads = true;
    let failures = 0;
    cluster.trouble = (call) => {
      if (call === 'delete' && failures++ === 0) throw refused('transient', 'delete', '503');
      return undefined;
    };
    await clock.advance(3 * 60_000);
    expect(failures).toBe(2);
    expect(cluster.address(name)).toBeUndefined();
  });
});

describe('the status of a pool', () => {
  test('follows what is given out, who waits and what drains, and is written for news only', async () => {
    let writes = 0;
    const inner = cluster.writePoolStatus;
    cluster.writePoolStatus = (...args) => {
      writes += 1;
      return inner(...args);
    };
    await lead();
    expect(cluster.statuses.get('p')).toMatchObject({ inUse: 0, ipv4: { capacity: 1, free: 1 }, waiting: 0 });
    ask(aService({ name: 'one' }));
    ask(aService({ name: 'two', createdAt: 2 }));
    await clock.advance(2_000);
    expect(cluster.statuses.get('p')).toMatchObject({
      inUse: 1,
      ipv4: { capacity: 1, inUse: 1, free: 0 },
      waiting: 1,
      firstWaiting: ['default/two'],
    });
    const before = writes;
    ask(aService({ name: 'one' }));
    await clock.advance(10_000);
    expect(writes).toBe(before);
    cluster.setPool(aPool('p', ['192.0.2.7/32'], { createdAt: 1 }));
    await clock.advance(2_000);
    expect(cluster.statuses.get('p')).toMatchObject({ draining: [address] });
  });

  test('that somebody edits is put right within a minute, and left alone after that', async () => {
    await lead();
    const right = cluster.statuses.get('p');
    if (right === undefined) throw new Error('no status was written');
    const [pool] = cluster.pools();
    if (pool === undefined) throw new Error('there is no pool');
    let writes = 0;
    const inner = cluster.writePoolStatus;
    cluster.writePoolStatus = (...args) => {
      writes += 1;
      return inner(...args);
    };
    await clock.advance(180_000);
    expect(writes).toBe(0);
    void inner(pool, { ...right, waiting: 99 }, new AbortController().signal);
    await clock.advance(61_000);
    expect(cluster.statuses.get('p')).toMatchObject({ waiting: 0 });
    void inner(pool, { ...right, conditions: [] }, new AbortController().signal);
    await clock.advance(61_000);
    expect(cluster.statuses.get('p')?.conditions).toHaveLength(3);
    await clock.advance(180_000);
    expect(writes).toBe(2);
  });
});
