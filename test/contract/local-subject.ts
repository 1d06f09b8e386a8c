/**
 * Local mode as a subject of the contract. Its account is the cluster itself: ServiceAddress objects take the place of
 * a cloud's resources, and the API server that of the cloud's API.
 */
import { Ledger } from '../../providers/local/ledger.ts';
import type { AddressSpec } from '../../providers/local/cluster.ts';
import { aPool } from '../../providers/local/allocator/fixtures.ts';
import type { LocalObserved } from '../../providers/local/observed.ts';
import { createLocalProvider } from '../../providers/local/provider.ts';
import { serviceAddressName, type ServiceAddressObject } from '../../src/core/address-objects.ts';
import { aNode, aPort, aService } from '../../src/core/fixtures.ts';
import type { ObjectKey, Uid } from '../../src/core/objects.ts';
import type { AnyProvider } from '../../src/core/provider.ts';
import { MemoryCluster, refused } from '../support/memory-cluster.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { localFacts } from './local-facts.ts';
import { cluster as identity } from './stage.ts';
import type { Act, Case, Fault, Given, RefusedAs, Stage, Subject } from './stage.ts';

const nodes = [aNode('n1', { internalIPs: ['10.0.0.1'] }), aNode('n2', { internalIPs: ['10.0.0.2'] })];

function given(change: Parameters<typeof aService>[0]): Given {
  return { service: aService(change), nodes, slices: [] };
}

const cases: readonly Case[] = [
  { name: 'one TCP port', given: given({}) },
  {
    name: 'both families, required',
    given: given({ ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' }),
  },
  { name: 'an address by name', given: given({ loadBalancerIP: '192.0.2.20' }) },
  {
    name: 'a pool by name, and ports of both protocols',
    given: given({
      ports: [aPort(), aPort({ name: 'dns', port: 53, protocol: 'UDP' })],
      annotations: { 'metallb.universe.tf/address-pool': 'other' },
    }),
  },
  {
    name: 'a sharing key, policy Local',
    given: given({ externalTrafficPolicy: 'Local', annotations: { 'sluice.dev/sharing-key': 'k' } }),
  },
];

const answers: Readonly<Record<RefusedAs, string>> = {
  throttled: 'TooManyRequests',
  denied: 'Forbidden',
  quota: 'Quota',
  busy: 'Busy',
};

/** `unasked`: addresses are given out at once. `asked`: an agent that the stage plays answers probes. */
export function localSubject(how: 'unasked' | 'asked'): Subject {
  const clusters = new WeakMap<Stage, MemoryCluster>();
  const of = (stage: Stage): MemoryCluster => {
    const found = clusters.get(stage);
    if (found === undefined) throw new Error('a stage of another subject');
    return found;
  };
  const act = (name: string, run: (memory: MemoryCluster, object: ServiceAddressObject) => void): Act => ({
    name,
    run: (stage, owner) => {
      const memory = of(stage);
      for (const object of memory.addresses())
        if (object.services.some(({ uid }) => uid === owner.uid)) run(memory, object);
    },
  });
  return {
    name: `local, ${how}`,
    inapplicable: localFacts(how, (stage, address, services) => byHand(of(stage), address, services)),
    cases,
    words: {
      misspelt: { key: 'metallb.io/addres-pool', value: 'other', meant: 'metallb.io/address-pool' },
      mistakes: {
        'sluice.dev/addresses': 'nowhere',
        'sluice.dev/address-pool': 'No Pool',
        'sluice.dev/sharing-key': ' ',
        'sluice.dev/allow-move': 'perhaps',
      },
      protection: { on: {}, off: {} },
    },
    damage: [
      act('the object is deleted', (memory, { name }) => memory.drop(name)),
      act('its Service is taken out', (memory, { name }) => memory.edit(name, { services: [] })),
      act('its pool is changed', (memory, { name }) => memory.edit(name, { pool: 'elsewhere' })),
    ],
    surveyFinds: ['the object is deleted', 'its Service is taken out', 'its pool is changed'],
    surveyCalls: 1,
    protect: () => undefined,
    node: (name) => aNode(name),
    comparable: (observed) => {
      const { addresses, outcome, draining } = observed as LocalObserved;
      // What agents answer is news of the account.
      return {
        draining,
        grants: outcome?.grants,
        addresses: addresses.map(({ probe: _probe, resourceVersion: _version, ...one }) => one),
      };
    },
    another: (name) => given({ name }),
    open: () => {
      const { stage, memory } = stageOf(how);
      clusters.set(stage, memory);
      return Promise.resolve(stage);
    },
  };
}

function byHand(
  memory: MemoryCluster,
  address: string,
  services: AddressSpec['services'] = [{ key: 'default/to-come' as ObjectKey, uid: 'uid-to-come' as Uid }],
): void {
  memory.write(serviceAddressName(address), {
    address,
    pool: 'main',
    services,
    rememberedFor: undefined,
    probeAfter: undefined,
  });
}

function stageOf(how: 'unasked' | 'asked'): { readonly stage: Stage; readonly memory: MemoryCluster } {
  const clock = new VirtualClock();
  const memory = new MemoryCluster(clock);
  let delay = 0;
  memory.link = () => ({ outcome: 'free', afterMs: delay });
  memory.setNodes(nodes);
  memory.setPool(aPool('main', ['192.0.2.10-192.0.2.99', '2001:db8::10-2001:db8::99']));
  memory.setPool(aPool('other', ['198.51.100.0/28'], { autoAssign: false, createdAt: 1 }));
  const config = { probe: how === 'asked', noAgentAfter: 10_000, rest: 600_000, remember: 0 };
  let ledger: Ledger | undefined;
  const make = (): AnyProvider => {
    ledger?.stop();
    ledger = new Ledger({ cluster: memory, config, clock, wake: () => undefined, serves: () => true });
    return createLocalProvider({ cluster: memory, ledger, config, clock });
  };
  const resources = (): readonly ServiceAddressObject[] =>
    [...memory.addresses()]
      .filter(({ services }) => services.length > 0)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const provider = make();
  const stage: Stage = {
    provider,
    restart: make,
    clock,
    drive: async (promise) => {
      let settled = false;
      const settle = (): void => {
        settled = true;
      };
      promise.then(settle, settle);
      await clock.runUntil(() => settled, clock.now() + 3_600_000);
      return await promise;
    },
    advance: (ms) => clock.advance(ms),
    resources: () =>
      resources().map(({ name, services, address, pool }) => ({
        label: `address ${name}`,
        cluster: identity.id,
        uid: services[0]?.uid,
        state: JSON.stringify({ services, address, pool }),
      })),
    counts: () => ({ ...memory.counts }),
    order: (fault) => order(memory, fault),
    calm: () => {
      memory.trouble = () => undefined;
    },
    // See local-facts.ts: there is no wanted name.
    squat: () => undefined,
    // Somebody writes an address down for a Service that is yet to come.
    addByHand: () => byHand(memory, '192.0.2.77'),
    breakNode: () => undefined,
    takeTime: ({ provisioningMs = 0 }) => {
      delay = provisioningMs;
    },
    close: () => Promise.resolve(ledger?.stop()),
  };
  return { stage, memory };
}

function order(memory: MemoryCluster, { on, from = 1, effect }: Fault): void {
  let seen = 0;
  memory.trouble = (call) => {
    const reads = call === 'get' || call === 'list' || call === 'picture';
    const hit =
      'calls' in on ? (on.calls === 'reads') === reads : on.operation === `${call} serviceaddresses`;
    if (!hit) return undefined;
    seen += 1;
    if (seen < from) return undefined;
    if (effect.kind === 'refused') throw refused(effect.as, call, answers[effect.as]);
    const lost = refused(reads ? 'transient' : 'ambiguous', call, 'AnswerLost');
    if (call === 'picture') throw lost;
    return {
      after: () => {
        throw lost;
      },
    };
  };
}
