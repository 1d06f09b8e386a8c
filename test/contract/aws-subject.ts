/**
 * The AWS provider as a subject of the contract: on a simulated account in memory (virtual time), and through
 * the SDK and a socket (real time, told faster).
 */
import { createSdkClient } from '../../providers/aws/client.ts';
import type { AwsObserved } from '../../providers/aws/observed.ts';
import type { ElbClient } from '../../providers/aws/operations.ts';
import { createAwsProvider } from '../../providers/aws/provider.ts';
import { Account } from '../../providers/aws/simulator/account.ts';
import { inMemoryClient } from '../../providers/aws/simulator/client.ts';
import { startServer } from '../../providers/aws/simulator/server.ts';
import { clusterTag, uidTag } from '../../providers/aws/tags.ts';
import type { AwsWanted } from '../../providers/aws/wanted.ts';
import { seededRandom } from '../../src/core/clock.ts';
import { aNode, anEndpoint, aPort, aService, aSlice } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import type { AnyProvider } from '../../src/core/provider.ts';
import { testConfig, withoutHealth } from '../support/aws-bench.ts';
import { cluster, otherCluster } from './stage.ts';
import type { Act, Case, Given, Mark, RefusedAs, Resource, Stage, Subject } from './stage.ts';
import { countsOf, fastTime, toOrder, virtualTime } from './wiring.ts';
import type { Wiring } from './wiring.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const certificate = (name: string): string => `arn:aws:acm:eu-west-1:123456789012:certificate/${name}`;

const nodes = [aNode('n1'), aNode('n2')];

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
        aPort({ name: 'log', port: 514, protocol: 'UDP', nodePort: 30_514 }),
      ],
    }),
  },
  {
    name: 'TLS with two certificates',
    given: given({
      ports: [aPort({ name: 'https', port: 443, nodePort: 30_443 })],
      annotations: {
        [`${prefix}ssl-cert`]: `${certificate('one')},${certificate('two')}`,
        [`${prefix}ssl-ports`]: '443',
        [`${prefix}alpn-policy`]: 'HTTP2Preferred',
      },
    }),
  },
  {
    name: 'attributes, tags and a health check of its own',
    given: given({
      annotations: {
        [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled=true',
        [`${prefix}target-group-attributes`]: 'deregistration_delay.timeout_seconds=30',
        [`${prefix}additional-resource-tags`]: 'team=blue,cost=42',
        [`${prefix}healthcheck-protocol`]: 'http',
        [`${prefix}healthcheck-path`]: '/ready',
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
    name: 'a name, a scheme and security groups of its own',
    atCreationOnly: true,
    given: given({
      annotations: {
        [`${prefix}name`]: 'chosen',
        [`${prefix}scheme`]: 'internet-facing',
        [`${prefix}security-groups`]: 'sg-0a,sg-0b',
      },
    }),
  },
];

/** What AWS refuses with for each kind; any operation may answer with it. */
const codes: Readonly<Record<RefusedAs, string>> = {
  throttled: 'ThrottlingException',
  denied: 'AccessDenied',
  quota: 'TooManyTags',
  busy: 'ResourceInUse',
};

type Wired = Wiring<Account, ElbClient>;

function inMemory(): Wired {
  const time = virtualTime();
  const account = new Account({ clock: time.clock, random: seededRandom(1) });
  return { ...time, account, client: inMemoryClient(account), close: () => Promise.resolve() };
}

async function overTheWire(): Promise<Wired> {
  const time = fastTime();
  const account = new Account({ clock: time.clock, random: seededRandom(1) });
  const server = await startServer({ account });
  const client = createSdkClient({
    region: 'eu-west-1',
    endpoint: server.url,
    credentials: { accessKeyId: 'TEST', secretAccessKey: 'test-secret' },
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
    createAwsProvider({ client, config: testConfig(), clock, random: seededRandom(2) });
  const balancerOf = (service: ServiceObject): string => arnOf(account, 'load-balancer', service);
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
    squat: (wanted, mark) => squat(account, wanted as AwsWanted, mark),
    addByHand: (service) => {
      const LoadBalancerArn = balancerOf(service);
      const group = account.byHand('CreateTargetGroup', {
        Name: 'by-hand',
        Protocol: 'TCP',
        Port: 9000,
        VpcId: 'vpc-1',
      }) as { readonly TargetGroups: readonly { readonly TargetGroupArn: string }[] };
      account.byHand('CreateListener', {
        LoadBalancerArn,
        Protocol: 'TCP',
        Port: 9999,
        DefaultActions: [{ Type: 'forward', TargetGroupArn: group.TargetGroups[0]?.TargetGroupArn }],
      });
      account.byHand('AddTags', { ResourceArns: [LoadBalancerArn], Tags: [{ Key: 'note', Value: 'mine' }] });
    },
    breakNode: ({ providerID }) => {
      account.setInstance(providerID.slice(providerID.lastIndexOf('/') + 1), { state: 'terminated' });
    },
    takeTime: ({ provisioningMs = 0, healthyMs = 0 }) => {
      account.configure({ delays: { provisioningMs, registrationMs: healthyMs } });
    },
  };
}

/** Health and state follow from time, not from calls: they are left out. */
function resourcesIn(account: Account): readonly Resource[] {
  const dump = account.dump();
  const found = [
    ...dump.loadBalancers.flatMap(({ Listeners, ...one }) => [
      { label: `balancer ${String(one['LoadBalancerName'])}`, one: { ...one, State: undefined } },
      ...Listeners.map((listener) => ({
        label: `listener ${String(one['LoadBalancerName'])}:${String(listener['Port'])}`,
        one: listener,
      })),
    ]),
    ...dump.targetGroups.map((group) => {
      const targets = (group['Targets'] as readonly { readonly Id: string; readonly Port: number }[])
        .map(({ Id, Port }) => `${Id}:${Port}`)
        .toSorted();
      return {
        label: `target group ${String(group['TargetGroupName'])}`,
        one: { ...group, Targets: targets },
      };
    }),
  ];
  return found
    .map(({ label, one }): Resource => ({
      label,
      cluster: one.Tags[clusterTag],
      uid: one.Tags[uidTag],
      state: JSON.stringify(one),
    }))
    .toSorted((a, b) => (a.label < b.label ? -1 : 1));
}

function squat(account: Account, wanted: AwsWanted, mark: Mark): void {
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
    Name: wanted.name,
    Type: 'network',
    Scheme: wanted.scheme,
    Subnets: wanted.subnets.map(({ subnet }) => subnet),
    Tags: tags,
  });
}

function arnOf(account: Account, kind: string, { uid }: ServiceObject): string {
  const found = account.resources().find((one) => one.kind === kind && one.tags[uidTag] === uid);
  if (found === undefined) throw new Error(`the account holds no ${kind} of Service ${uid}`);
  return found.arn;
}

/** An act on one resource of the Service, done in the console. */
function act(
  name: string,
  kind: 'load-balancer' | 'target-group' | 'listener',
  operation: string,
  input: (arn: string) => object,
  accountOf: (stage: Stage) => Account,
): Act {
  return {
    name,
    run: (stage, owner) => {
      const account = accountOf(stage);
      account.byHand(operation, input(arnOf(account, kind, owner)));
    },
  };
}

export function awsSubject(how: 'in memory' | 'over the wire'): Subject {
  const accounts = new WeakMap<Stage, Account>();
  const accountOf = (stage: Stage): Account => {
    const account = accounts.get(stage);
    if (account === undefined) throw new Error('a stage of another subject');
    return account;
  };
  return {
    name: `aws, ${how}`,
    inapplicable: [],
    cases,
    words: {
      misspelt: { key: `${prefix}shceme`, value: 'internal', meant: `${prefix}scheme` },
      mistakes: {
        [`${prefix}scheme`]: 'public',
        [`${prefix}healthcheck-interval`]: 'often',
        [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled',
        [`${prefix}ssl-negotiation-policy`]: '',
      },
      protection: {
        on: { [`${prefix}attributes`]: 'deletion_protection.enabled=true' },
        off: { [`${prefix}attributes`]: 'deletion_protection.enabled=false' },
      },
    },
    damage: [
      act(
        'the balancer is deleted',
        'load-balancer',
        'DeleteLoadBalancer',
        (arn) => ({ LoadBalancerArn: arn }),
        accountOf,
      ),
      act('a listener is deleted', 'listener', 'DeleteListener', (arn) => ({ ListenerArn: arn }), accountOf),
      act(
        'a target is taken away',
        'target-group',
        'DeregisterTargets',
        (arn) => ({ TargetGroupArn: arn, Targets: [{ Id: 'i-n1', Port: 30_080 }] }),
        accountOf,
      ),
      act(
        'the health check is changed',
        'target-group',
        'ModifyTargetGroup',
        (arn) => ({ TargetGroupArn: arn, HealthCheckIntervalSeconds: 300 }),
        accountOf,
      ),
      act(
        'a subnet is taken away',
        'load-balancer',
        'SetSubnets',
        (arn) => ({ LoadBalancerArn: arn, Subnets: ['subnet-c'] }),
        accountOf,
      ),
      {
        name: 'the listener and its target group are deleted',
        run: (stage, owner) => {
          const account = accountOf(stage);
          account.byHand('DeleteListener', { ListenerArn: arnOf(account, 'listener', owner) });
          account.byHand('DeleteTargetGroup', { TargetGroupArn: arnOf(account, 'target-group', owner) });
        },
      },
    ],
    surveyFinds: [
      'the balancer is deleted',
      'the health check is changed',
      'a subnet is taken away',
      'the listener and its target group are deleted',
    ],
    surveyCalls: 2,
    protect: (stage, owner) => {
      const account = accountOf(stage);
      account.byHand('ModifyLoadBalancerAttributes', {
        LoadBalancerArn: arnOf(account, 'load-balancer', owner),
        Attributes: [{ Key: 'deletion_protection.enabled', Value: 'true' }],
      });
    },
    node: (name) => aNode(name),
    comparable: (observed) => withoutHealth(observed as AwsObserved),
    another: (name) => given({ name }),
    async open() {
      const wiring = how === 'in memory' ? inMemory() : await overTheWire();
      const stage = stageOn(wiring);
      accounts.set(stage, wiring.account);
      return stage;
    },
  };
}
