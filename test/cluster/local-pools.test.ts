/**
 * Pools on a dual-stack API server: families, sharing, MetalLB's words, who is served by which pool, and bad input. Each
 * mistake is told once, with a reason and a cure, and nothing else suffers.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { condition, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, read, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { LocalGround } from './local-ground.ts';

let ground: LocalGround;
/** Namespaces so far: each try has its own, whose labels are what it gave them. */
let spaces = 0;

beforeAll(async () => {
  ground = await LocalGround.open({
    local: { remember: '0' },
    controlPlane: { serviceCidr: '10.96.0.0/16,fd00:96::/112' },
  });
  ground.playAgent(() => 'free');
}, 600_000);

afterAll(async () => {
  await ground?.close();
});

afterEach(() => ground.tidy());

const pool = (name: string, spec: object): Promise<Manifest> => ground.pool(name, spec);

const service = (as: Parameters<LocalGround['applied']>[0] = {}): Promise<Manifest> => ground.applied(as);

async function change(of: Manifest, body: object): Promise<void> {
  await ground.api.request('PATCH', pathOf(of), { contentType: 'application/merge-patch+json', body });
}

function pathOf({ metadata }: Manifest): string {
  return `/api/v1/namespaces/${metadata?.namespace ?? ''}/services/${metadata?.name ?? ''}`;
}

/** For a while it shows just these: nothing moves. */
async function stays(of: Manifest, ...ips: readonly string[]): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, 1_500);
  });
  await ground.shows(of, ...ips);
}

const prefer = { spec: { ipFamilyPolicy: 'PreferDualStack' } } as const;
const require = { spec: { ipFamilyPolicy: 'RequireDualStack' } } as const;

describe('two families', () => {
  test('a pool with both goes before one with one, and IPv4 comes first unless the Service says otherwise', async () => {
    await pool('a-single', { addresses: ['192.0.2.0/28'] });
    await pool('b-dual', { addresses: ['198.51.100.0/28', '2001:db8:b::/124'] });
    await ground.shows(await service(prefer), '198.51.100.0', '2001:db8:b::');
    const six = { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] };
    await ground.shows(await service({ spec: six }), '2001:db8:b::1', '198.51.100.1');
  });

  test('PreferDualStack takes what there is, keeps it, and gets the second when its pool has one', async () => {
    await pool('grows', { addresses: ['192.0.2.0/28'] });
    const one = await service(prefer);
    await ground.shows(one, '192.0.2.0');
    // A better pool comes: nobody hops.
    await pool('later', { addresses: ['198.51.100.0/28', '2001:db8:c::/124'], priority: 1 });
    await stays(one, '192.0.2.0');
    await pool('grows', { addresses: ['192.0.2.0/28', '2001:db8:a::/124'] });
    await ground.shows(one, '192.0.2.0', '2001:db8:a::');
  });

  test('RequireDualStack waits for both, says which is missing, and takes both from one pool', async () => {
    const four = await pool('four', { addresses: ['192.0.2.0/28'] });
    await pool('six', { addresses: ['2001:db8:a::/124'] });
    const one = await service(require);
    expect(await ground.tells(one, 'Provisioned', 'FamilyMissing')).toContain('both families');
    await ground.shows(one);
    // Those that need one family get it meanwhile.
    await ground.shows(await service(), '192.0.2.0');
    await ground.poolShows(four, 'names who waits', ({ waiting }) => waiting === 1);
    await pool('both', { addresses: ['198.51.100.0/28', '2001:db8:b::/124'] });
    await ground.shows(one, '198.51.100.0', '2001:db8:b::');
  });

  test('switching between Prefer, Require and one family keeps the first address and adds or gives back the second', async () => {
    await pool('switch', { addresses: ['192.0.2.0/28', '2001:db8:a::/124'] });
    const one = await service(prefer);
    await ground.shows(one, '192.0.2.0', '2001:db8:a::');
    await change(one, { spec: { ipFamilyPolicy: 'RequireDualStack' } });
    await stays(one, '192.0.2.0', '2001:db8:a::');
    await change(one, { spec: { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'] } });
    await ground.shows(one, '192.0.2.0');
    await ground.shows(
      await service({ spec: { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv6'] } }),
      '2001:db8:a::',
    );
    await change(one, { spec: { ipFamilyPolicy: 'PreferDualStack' } });
    await ground.shows(one, '192.0.2.0', '2001:db8:a::1');
  });

  test('a pool that loses a family drains it; with consent both move to a pool that has both', async () => {
    await pool('loses', { addresses: ['192.0.2.0/28', '2001:db8:a::/124'] });
    await pool('whole', { addresses: ['198.51.100.0/28', '2001:db8:b::/124'], priority: 9 });
    const one = await service({
      spec: { ipFamilyPolicy: 'RequireDualStack' },
      annotations: { 'sluice.dev/address-pool': 'loses' },
    });
    await ground.shows(one, '192.0.2.0', '2001:db8:a::');
    await pool('loses', { addresses: ['192.0.2.0/28'] });
    expect(await ground.tells(one, 'Accepted', 'AddressDraining')).toContain('2001:db8:a::');
    await stays(one, '192.0.2.0', '2001:db8:a::');
    await change(one, {
      metadata: { annotations: { 'sluice.dev/address-pool': null, 'sluice.dev/allow-move': 'true' } },
    });
    await ground.shows(one, '198.51.100.0', '2001:db8:b::');
  });
});

describe('sharing', () => {
  const shared = (port: number, more: object = {}): Parameters<LocalGround['applied']>[0] => ({
    annotations: { 'sluice.dev/sharing-key': 'web' },
    spec: { ports: [{ name: 'main', port }], ...more },
  });

  test('Services of one key with different ports have one address and one object that names them both', async () => {
    await pool('shared', { addresses: ['192.0.2.0/28'] });
    const [one, two] = [await service(shared(80)), await service(shared(443))];
    await ground.shows(one, '192.0.2.0');
    await ground.shows(two, '192.0.2.0');
    const object = await ground.object('192.0.2.0', 'has both', (of) => of.services.length === 2);
    expect(object.services.map(({ key }) => key).toSorted()).toEqual(
      [one, two].map(({ metadata }) => `default/${metadata?.name ?? ''}`).toSorted(),
    );
    // One goes: the other keeps it.
    await remove(ground.api, one);
    await untilService(ground.api, one, 'goes', (live) => live === undefined);
    await stays(two, '192.0.2.0');
  });

  test('a port that is taken, and another key, mean another address; without a key nobody joins', async () => {
    await pool('shared', { addresses: ['192.0.2.0/28'] });
    await ground.shows(await service(shared(80)), '192.0.2.0');
    await ground.shows(await service(shared(80)), '192.0.2.1');
    const other = { annotations: { 'sluice.dev/sharing-key': 'else' }, spec: { ports: [{ port: 443 }] } };
    await ground.shows(await service(other), '192.0.2.2');
    const asks = await service({ spec: { loadBalancerIP: '192.0.2.0', ports: [{ port: 8080 }] } });
    expect(await ground.tells(asks, 'Provisioned', 'AddressInUse')).toContain('no sharing key');
  });

  test('under policy Local only equal selectors share; when they become equal the one that waits joins', async () => {
    await pool('shared', { addresses: ['192.0.2.0/32'] });
    const one = await service(shared(80, { externalTrafficPolicy: 'Local', selector: { app: 'a' } }));
    await ground.shows(one, '192.0.2.0');
    const two = await service(shared(443, { externalTrafficPolicy: 'Local', selector: { app: 'b' } }));
    await ground.tells(two, 'Provisioned', 'PoolExhausted');
    await change(two, { spec: { selector: { app: 'a' } } });
    await ground.shows(two, '192.0.2.0');
    // And apart again: the one that came later loses it, the other keeps it.
    await change(two, { spec: { selector: { app: 'b' } } });
    await ground.shows(two);
    await ground.shows(one, '192.0.2.0');
    await change(two, { spec: { externalTrafficPolicy: 'Cluster' } });
    await stays(two);
    await change(one, { spec: { externalTrafficPolicy: 'Cluster' } });
    await ground.shows(two, '192.0.2.0');
    await ground.shows(one, '192.0.2.0');
  });
});

describe('MetalLB’s annotations', () => {
  test.each(['metallb.io', 'metallb.universe.tf'])(
    '%s: address, pool and sharing mean the same',
    async (prefix) => {
      await pool('auto', { addresses: ['192.0.2.0/28'] });
      await pool('by-name', { addresses: ['198.51.100.0/28', '2001:db8:b::/124'], autoAssign: false });
      await ground.shows(
        await service({ annotations: { [`${prefix}/loadBalancerIPs`]: '192.0.2.7' } }),
        '192.0.2.7',
      );
      await ground.shows(
        await service({ annotations: { [`${prefix}/address-pool`]: 'by-name' } }),
        '198.51.100.0',
      );
      const both = {
        ...require,
        annotations: { [`${prefix}/loadBalancerIPs`]: '198.51.100.9,2001:db8:b::9' },
      };
      await ground.shows(await service(both), '198.51.100.9', '2001:db8:b::9');
      const key = { [`${prefix}/allow-shared-ip`]: 'k' };
      await ground.shows(await service({ annotations: key, spec: { ports: [{ port: 1 }] } }), '192.0.2.0');
      await ground.shows(await service({ annotations: key, spec: { ports: [{ port: 2 }] } }), '192.0.2.0');
    },
  );
});

describe('which pool', () => {
  test('by namespace, labels of the namespace, labels of the Service, then by priority', async () => {
    for (const [name, labels] of [
      ['shop', { team: 'shop' }],
      ['lab', {}],
    ] as const)
      await ground.namespace(name, labels);
    await pool('any-late', { addresses: ['192.0.2.0/28'], priority: 2 });
    await pool('any-early', { addresses: ['192.0.2.16/28'], priority: 1 });
    await pool('for-lab', { addresses: ['192.0.2.32/28'], namespaces: ['lab'], priority: 1 });
    await pool('for-shop', {
      addresses: ['192.0.2.48/28'],
      namespaceSelectors: [{ matchLabels: { team: 'shop' } }],
      priority: 1,
    });
    await pool('for-gold', {
      addresses: ['192.0.2.64/28'],
      serviceSelectors: [{ matchExpressions: [{ key: 'tier', operator: 'In', values: ['gold'] }] }],
      priority: 1,
    });
    const placed = (namespace: string, labels: Readonly<Record<string, string>>): Promise<Manifest> =>
      ground.applied({ namespace, labels });
    await ground.shows(await placed('default', {}), '192.0.2.16');
    await ground.shows(await placed('lab', {}), '192.0.2.32');
    await ground.shows(await placed('shop', {}), '192.0.2.48');
    const gold = await placed('default', { tier: 'gold' });
    await ground.shows(gold, '192.0.2.64');
    // It may not have it any more: it drains, and does not jump.
    await change(gold, { metadata: { labels: { tier: null } } });
    await stays(gold, '192.0.2.64');
    const asks = await service({ annotations: { 'sluice.dev/address-pool': 'for-lab' } });
    expect(await ground.tells(asks, 'Provisioned', 'PoolNotAllowed')).toContain('namespace default');
  });
});

test('a namespace gets the labels of a pool: its Services that wait are served, others wait on', async () => {
  const label = (name: string, team: string): Promise<void> => ground.namespace(name, { team });
  spaces += 1;
  const [labelledSpace, otherSpace] = [`labelled-${spaces}`, `other-${spaces}`];
  await label(labelledSpace, 'none');
  await label(otherSpace, 'none');
  const labelled = await pool('for-labelled', {
    addresses: ['192.0.2.0/31'],
    namespaceSelectors: [{ matchLabels: { team: 'web' } }],
  });
  const placed = async (namespace: string): Promise<Manifest> => {
    const made = await ground.applied({ namespace });
    await ground.tells(made, 'Provisioned', 'NoPool');
    return made;
  };
  const elsewhere = await placed(otherSpace);
  const all: Manifest[] = [];
  for (let index = 0; index < 3; index += 1) all.push(await placed(labelledSpace));
  await label(labelledSpace, 'web');
  // They may have waited since the same second, so which of them is served is not said here.
  const told = await ground.poolShows(labelled, 'has one who waits', ({ waiting }) => waiting === 1);
  const waits = all.find(({ metadata }) => told.firstWaiting?.[0]?.endsWith(`/${metadata?.name ?? ''}`));
  if (waits === undefined) throw new Error('one of the three waits');
  for (const one of all) if (one !== waits) await ground.addressOf(one);
  expect(await ground.tells(waits, 'Provisioned', 'PoolExhausted')).toContain('for-labelled');
  await ground.tells(elsewhere, 'Provisioned', 'NoPool');
  // The labels go: nobody loses what it has, and who waits has no pool any more.
  await label(labelledSpace, 'none');
  await ground.tells(waits, 'Provisioned', 'NoPool');
  for (const one of all) if (one !== waits) await ground.addressOf(one);
});

describe('bad input', () => {
  test('an address outside every pool: one condition with the reason, and the others go on', async () => {
    await pool('plain', { addresses: ['192.0.2.0/28'] });
    const outside = await service({ spec: { loadBalancerIP: '203.0.113.9' } });
    expect(await ground.tells(outside, 'Provisioned', 'AddressOutsidePools')).toContain('203.0.113.9');
    await ground.shows(await service(), '192.0.2.0');
    // It is told in one place, and heard when it is put right.
    const live = await read(ground.api, outside);
    const failing = ['Accepted', 'Provisioned', 'TargetsReady', 'InSync'].filter(
      (type) => condition(live, type)?.status === 'False',
    );
    expect(failing).toEqual(['Provisioned']);
    await change(outside, { spec: { loadBalancerIP: '192.0.2.9' } });
    await ground.shows(outside, '192.0.2.9');
  });

  test.each([
    ['the loopback', '127.0.0.0/24', 'PoolInvalid'],
    ['multicast', '224.0.0.0/28', 'PoolInvalid'],
    ['everything', '0.0.0.0/0', 'PoolInvalid'],
    ['the unspecified address', '::/128', 'PoolInvalid'],
    ['link-local addresses', 'fe80::/64', 'PoolInvalid'],
    ['one address twice', ['192.0.2.200-192.0.2.210', '192.0.2.210/32'], 'PoolInvalid'],
    ['itself backwards', '192.0.2.210-192.0.2.200', 'PoolInvalid'],
  ])(
    'a pool with %s is refused by itself, with a cure, and the others go on',
    async (_what, ranges, reason) => {
      await pool('sound', { addresses: ['192.0.2.0/28'] });
      const absurd = await pool('absurd', { addresses: [ranges].flat() });
      const { conditions } = await ground.poolShows(
        absurd,
        'is refused',
        (status) => status.conditions?.[0]?.status === 'False',
      );
      expect(
        conditions?.filter(({ status, type }) => (type === 'Ready') === (status === 'False')),
      ).toHaveLength(1);
      expect(conditions?.[0]).toMatchObject({ type: 'Ready', reason });
      expect(conditions?.[0]?.message).toMatch(/spec\.addresses.*; \w/u);
      await ground.shows(await service(), '192.0.2.0');
      const asks = await service({ annotations: { 'sluice.dev/address-pool': 'absurd' } });
      expect(await ground.tells(asks, 'Provisioned', 'PoolRefused')).toContain('absurd');
    },
  );

  test('sharing that cannot be is told with whom, and a family that the Service has not is an error of its own', async () => {
    await pool('plain', { addresses: ['192.0.2.0/28', '2001:db8:a::/124'] });
    const first = await service({ annotations: { 'sluice.dev/sharing-key': 'k' } });
    await ground.shows(first, '192.0.2.0');
    const clash = await service({
      annotations: { 'sluice.dev/sharing-key': 'k', 'sluice.dev/addresses': '192.0.2.0' },
    });
    const said = await ground.tells(clash, 'Provisioned', 'AddressInUse');
    expect(said).toContain(`default/${first.metadata?.name ?? ''} uses port 80/TCP`);
    const six = await service({ annotations: { 'sluice.dev/addresses': '2001:db8:a::5' } });
    expect(await ground.tells(six, 'Accepted', 'InvalidAnnotation')).toContain('IPv4 only');
    await stays(first, '192.0.2.0');
  });
});

describe('neighbours', () => {
  /** What another controller does on a Service that it takes for its own. */
  async function foreign(name: string, manager: string, body: object, status = true): Promise<Manifest> {
    const base = ground.service({ name, spec: { loadBalancerClass: undefined } });
    // It was there before us: it is held still while it is made.
    const made = {
      ...base,
      metadata: { ...base.metadata, annotations: { 'sluice.dev/provider': 'nobody' } },
    };
    await apply(ground.api, made);
    await ground.api.request('PATCH', `${pathOf(made)}${status ? '/status' : ''}`, {
      query: { fieldManager: manager },
      contentType: 'application/merge-patch+json',
      body,
    });
    return made;
  }
  const ingress = { status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } } };

  test.each([
    ['k3s ServiceLB', 'k3s', ingress, true],
    ['cloud-provider-kind', 'cloud-provider-kind', ingress, true],
    [
      'MetalLB',
      'controller',
      { metadata: { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } } },
      false,
    ],
  ])(
    '%s is seen: Services without a class are left to it, with the command; those of our class go on',
    async (who, manager, body, status) => {
      await pool('plain', { addresses: ['192.0.2.0/28'] });
      const earlier = await service({ spec: { loadBalancerClass: undefined } });
      await ground.shows(earlier, '192.0.2.0');
      const theirs = await foreign(`of-${manager}`, manager, body, status);
      const later = await service({ spec: { loadBalancerClass: undefined } });
      const event = await ground.told(later, 'ClaimedElsewhere');
      expect(event).toContain(who);
      expect(event).toContain(`default/${theirs.metadata?.name ?? ''}`);
      expect(event).toContain(`kubectl -n default patch service ${later.metadata?.name ?? ''}`);
      await ground.shows(await service(), '192.0.2.1');
      await stays(earlier, '192.0.2.0');
      await ground.shows(later);
      // The neighbour goes, and what waited is served.
      await remove(ground.api, theirs);
      await ground.shows(later, '192.0.2.2');
    },
  );
});
