/**
 * The Alibaba provider as a subject of the contract: on a simulated account in memory (virtual time), and
 * through the signed client and a socket (real time, told faster).
 */
import { createWireClient } from '../../providers/alibaba/client.ts';
import { createSource } from '../../providers/alibaba/credentials/choose.ts';
import { CredentialSession } from '../../providers/alibaba/credentials/session.ts';
import type { AlibabaObserved } from '../../providers/alibaba/observed.ts';
import type { SlbClient } from '../../providers/alibaba/operations.ts';
import { createAlibabaProvider } from '../../providers/alibaba/provider.ts';
import { Account } from '../../providers/alibaba/simulator/account.ts';
import { inMemoryClient } from '../../providers/alibaba/simulator/client.ts';
import { startServer } from '../../providers/alibaba/simulator/server.ts';
import { clusterTag, protectionTag, uidTag } from '../../providers/alibaba/tags.ts';
import type { AlibabaWanted } from '../../providers/alibaba/wanted.ts';
import { seededRandom, systemClock } from '../../src/core/clock.ts';
import { anEndpoint, aPort, aService, aSlice } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import type { AnyProvider } from '../../src/core/provider.ts';
import { anEcsNode, testAlibabaConfig, withoutNews } from '../support/alibaba-bench.ts';
import { alibabaFacts } from './alibaba-facts.ts';
import { cluster, otherCluster } from './stage.ts';
import type { Act, Case, Given, Mark, RefusedAs, Resource, Stage, Subject } from './stage.ts';
import { countsOf, fastTime, toOrder, virtualTime } from './wiring.ts';
import type { Wiring } from './wiring.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
const nodes = [anEcsNode('n1'), anEcsNode('n2')];

function given(change: Parameters<typeof aService>[0], slices: Given['slices'] = []): Given {
  return { service: aService(change), nodes, slices };
}

const cases: readonly Case[] = [
  { name: 'one TCP port', given: given({}) },
  {
    name: 'TCP and UDP ports, one number for both',
    given: given({
      ports: [
        aPort({ name: 'dns', port: 53, nodePort: 30_053 }),
        aPort({ name: 'dns-udp', port: 53, protocol: 'UDP', nodePort: 30_053 }),
        aPort({ name: 'web', port: 80, nodePort: 30_080 }),
      ],
    }),
  },
  {
    name: 'http that forwards to https',
    given: given({
      ports: [
        aPort({ name: 'http', port: 80, nodePort: 30_080 }),
        aPort({ name: 'https', port: 443, nodePort: 30_443 }),
      ],
      annotations: {
        [`${prefix}protocol-port`]: 'http:80,https:443',
        [`${prefix}cert-id`]: 'cert-1',
        [`${prefix}forward-port`]: '80:443',
      },
    }),
  },
  {
    name: 'tags, a health check and settings of its own',
    given: given({
      annotations: {
        [`${prefix}additional-resource-tags`]: 'team=blue,cost=42',
        [`${prefix}health-check-interval`]: '5',
        [`${prefix}persistence-timeout`]: '60',
        [`${prefix}scheduler`]: 'wlc',
      },
    }),
  },
  {
    name: 'policy Local with endpoints on one node',
    given: given({ externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 }, [
      aSlice('s1', [anEndpoint('10.1.0.1', 'n1')]),
    ]),
  },
  {
    name: 'a name and a bandwidth of its own',
    atCreationOnly: true,
    given: given({
      annotations: {
        [`${prefix}name`]: 'chosen',
        [`${prefix}charge-type`]: 'paybybandwidth',
        [`${prefix}instance-charge-type`]: 'PayBySpec',
        'service.beta.kubernetes.io/alicloud-load-balancer-bandwidth': '10',
      },
    }),
  },
];

/** What SLB refuses with for each kind; any operation may answer with it. */
const codes: Readonly<Record<RefusedAs, string>> = {
  throttled: 'Throttling.User',
  denied: 'Forbidden.RAM',
  quota: 'OverQuota',
  busy: 'ServiceIsConfiguring',
};

type Wired = Wiring<Account, SlbClient>;

function inMemory(): Wired {
  const time = virtualTime();
  const account = new Account({ clock: time.clock, random: seededRandom(1) });
  return { ...time, account, client: inMemoryClient(account), close: () => Promise.resolve() };
}

async function overTheWire(): Promise<Wired> {
  const time = fastTime();
  const account = new Account({ clock: time.clock, random: seededRandom(1) });
  const server = await startServer({ account });
  const keys = { kind: 'access-key', accessKeyId: 'TEST', accessKeySecret: 'test-secret' } as const;
  const client = createWireClient({
    region: 'cn-hangzhou',
    endpoint: server.url,
    session: new CredentialSession(createSource(keys, systemClock), systemClock),
  });
  return {
    ...time,
    account,
    client,
    close: async () => {
      client.close();
      await server.close();
    },
  };
}

function stageOn({ account, clock, client, drive, advance, close }: Wired): Stage {
  const make = (): AnyProvider =>
    createAlibabaProvider({ client, config: testAlibabaConfig(), clock, random: seededRandom(2) });
  return {
    provider: make(),
    restart: make,
    clock,
    drive,
    advance,
    close,
    resources: () => resourcesIn(account),
    counts: () => countsOf(account.calls()),
    order: (fault) => {
      account.faults.order(toOrder(fault, codes));
    },
    calm: () => {
      account.faults.clear();
    },
    squat: (wanted, mark) => squat(account, wanted as AlibabaWanted, mark),
    addByHand: (service) => {
      const LoadBalancerId = idOf(account, 'load-balancer', service);
      const group = account.byHand('CreateVServerGroup', { LoadBalancerId, VServerGroupName: 'by-hand' }) as {
        readonly VServerGroupId: string;
      };
      const listener = {
        LoadBalancerId,
        ListenerPort: 9999,
        Bandwidth: -1,
        VServerGroupId: group.VServerGroupId,
      };
      account.byHand('CreateLoadBalancerTCPListener', listener);
      tagByHand(account, LoadBalancerId, 'note', 'mine');
      account.byHand('AddVServerGroupBackendServers', {
        VServerGroupId: idOf(account, 'group', service),
        BackendServers: [{ ServerId: 'i-by-hand', Port: 9999, Description: 'mine' }],
      });
    },
    breakNode: ({ providerID }) => {
      account.setServer(providerID.slice(providerID.lastIndexOf('.') + 1), { state: 'Stopped' });
    },
    takeTime: ({ provisioningMs, healthyMs }) => {
      account.configure({
        delays: {
          ...(provisioningMs === undefined ? {} : { startingMs: provisioningMs }),
          ...(healthyMs === undefined ? {} : { firstCheckMs: healthyMs }),
        },
      });
    },
  };
}

function tagByHand(account: Account, id: string, Key: string, Value: string): void {
  account.byHand('TagResources', { ResourceType: 'instance', ResourceId: [id], Tag: [{ Key, Value }] });
}

/** Health and state follow from time, not from calls: they are left out. */
function resourcesIn(account: Account): readonly Resource[] {
  const marks = (tags: Readonly<Record<string, string>>) => ({
    cluster: tags[clusterTag],
    uid: tags[uidTag],
  });
  return account
    .dump()
    .loadBalancers.flatMap(({ Listeners, VServerGroups, ...one }): Resource[] => {
      const name = one.LoadBalancerName ?? '';
      return [
        { label: `balancer ${name}`, ...marks(one.TagsByKey), state: JSON.stringify(one) },
        ...Listeners.map((listener) => ({
          label: `listener ${name}:${listener.ListenerPort}/${listener.ListenerProtocol}`,
          ...marks(
            Object.fromEntries((listener.Tags ?? []).map(({ TagKey, TagValue = '' }) => [TagKey, TagValue])),
          ),
          state: JSON.stringify({ ...listener, Status: undefined }),
        })),
        ...VServerGroups.map((group) => ({
          label: `group ${name} ${group.VServerGroupName}`,
          ...marks(group.TagsByKey),
          state: JSON.stringify(group),
        })),
      ];
    })
    .toSorted((a, b) => (a.label < b.label ? -1 : 1));
}

function squat(account: Account, wanted: AlibabaWanted, mark: Mark): void {
  const tags = {
    nobody: [{ Key: 'owner', Value: 'somebody' }],
    'another cluster': [
      { Key: clusterTag, Value: otherCluster.id },
      { Key: uidTag, Value: wanted.tags[uidTag] },
    ],
    'another Service': [
      { Key: clusterTag, Value: cluster.id },
      { Key: uidTag, Value: 'uid-somebody-else' },
    ],
  }[mark];
  account.byHand('CreateLoadBalancer', {
    AddressType: 'internet',
    InstanceChargeType: 'PayByCLCU',
    LoadBalancerName: wanted.name,
    Tag: tags,
  });
}

function idOf(account: Account, kind: string, { uid }: ServiceObject): string {
  const found = account.resources().find((one) => one.kind === kind && one.tags[uidTag] === uid);
  if (found === undefined) throw new Error(`the account holds no ${kind} of Service ${uid}`);
  return found.id;
}

export function alibabaSubject(how: 'in memory' | 'over the wire'): Subject {
  const accounts = new WeakMap<Stage, Account>();
  const accountOf = (stage: Stage): Account => {
    const account = accounts.get(stage);
    if (account === undefined) throw new Error('a stage of another subject');
    return account;
  };
  const act = (name: string, run: (account: Account, balancer: string, group: string) => void): Act => ({
    name,
    run: (stage, owner) => {
      const account = accountOf(stage);
      run(account, idOf(account, 'load-balancer', owner), idOf(account, 'group', owner));
    },
  });
  const listener = (LoadBalancerId: string) => ({
    LoadBalancerId,
    ListenerPort: 80,
    ListenerProtocol: 'tcp',
  });
  return {
    name: `alibaba, ${how}`,
    inapplicable: alibabaFacts,
    cases,
    words: {
      misspelt: { key: `${prefix}adress-type`, value: 'intranet', meant: `${prefix}address-type` },
      mistakes: {
        [`${prefix}address-type`]: 'public',
        [`${prefix}health-check-interval`]: 'often',
        [`${prefix}bandwidth`]: '10M',
        [`${prefix}external-ip-type`]: 'eip',
      },
      protection: {
        on: { [`${prefix}delete-protection`]: 'on' },
        off: { [`${prefix}delete-protection`]: 'off' },
      },
    },
    damage: [
      act('the balancer is deleted', (account, LoadBalancerId) => {
        account.byHand('SetLoadBalancerDeleteProtection', { LoadBalancerId, DeleteProtection: 'off' });
        account.byHand('DeleteLoadBalancer', { LoadBalancerId });
      }),
      act('a listener is deleted', (account, balancer) => {
        account.byHand('DeleteLoadBalancerListener', listener(balancer));
      }),
      act('a listener is stopped', (account, balancer) => {
        account.byHand('StopLoadBalancerListener', listener(balancer));
      }),
      act('a member is taken away', (account, _balancer, VServerGroupId) => {
        account.byHand('RemoveVServerGroupBackendServers', {
          VServerGroupId,
          BackendServers: [{ ServerId: 'i-n1', Port: 30_080 }],
        });
      }),
      act('a weight is changed', (account, _balancer, VServerGroupId) => {
        account.byHand('SetVServerGroupAttribute', {
          VServerGroupId,
          BackendServers: [{ ServerId: 'i-n1', Port: 30_080, Weight: 1 }],
        });
      }),
      act('the scheduler is changed', (account, LoadBalancerId) => {
        account.byHand('SetLoadBalancerTCPListenerAttribute', {
          LoadBalancerId,
          ListenerPort: 80,
          Scheduler: 'wlc',
        });
      }),
      act('a mark is changed', (account, balancer) =>
        tagByHand(account, balancer, 'sluice.dev/service', 'other/other'),
      ),
      act('the listener and its group are deleted', (account, balancer, VServerGroupId) => {
        account.byHand('DeleteLoadBalancerListener', listener(balancer));
        account.byHand('DeleteVServerGroup', { VServerGroupId });
      }),
    ],
    surveyFinds: [
      'the balancer is deleted',
      'a mark is changed',
      'a listener is deleted',
      'a listener is stopped',
      'the scheduler is changed',
      'the listener and its group are deleted',
    ],
    surveyCalls: 2,
    // Our record that the protection is ours is gone: whoever wants to keep a balancer takes it off.
    protect: (stage, owner) => {
      const account = accountOf(stage);
      const LoadBalancerId = idOf(account, 'load-balancer', owner);
      account.byHand('UntagResources', {
        ResourceType: 'instance',
        ResourceId: [LoadBalancerId],
        TagKey: [protectionTag],
      });
      account.byHand('SetLoadBalancerDeleteProtection', { LoadBalancerId, DeleteProtection: 'on' });
    },
    node: (name) => anEcsNode(name),
    comparable: (observed) => withoutNews(observed as AlibabaObserved),
    another: (name) => given({ name }),
    async open() {
      const wiring = how === 'in memory' ? inMemory() : await overTheWire();
      const stage = stageOn(wiring);
      accounts.set(stage, wiring.account);
      return stage;
    },
  };
}
