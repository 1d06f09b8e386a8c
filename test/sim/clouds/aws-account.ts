/** The simulated AWS account in the words of the simulation. */
import { parseAwsConfig } from '../../../providers/aws/config.ts';
import { createAwsProvider } from '../../../providers/aws/provider.ts';
import { Account } from '../../../providers/aws/simulator/account.ts';
import { inMemoryClient } from '../../../providers/aws/simulator/client.ts';
import type { ResourceView } from '../../../providers/aws/simulator/dump.ts';
import type { Clock, Random } from '../../../src/core/clock.ts';
import type { AnyProvider } from '../../../src/core/provider.ts';
import { tolerate } from '../cloud.ts';
import type {
  AccountParts,
  Aim,
  CloudCall,
  CloudClient,
  CloudResource,
  Hand,
  SimAccount,
  SimBalancer,
  SimGroup,
  SimTarget,
} from '../cloud.ts';
import type { Surroundings } from '../events.ts';

const { config } = parseAwsConfig({
  region: 'eu-west-1',
  subnets: { 'internet-facing': ['subnet-a', 'subnet-b'], internal: ['subnet-c', 'subnet-d'] },
});

/** How long the SDK's client waits for an answer (providers/aws/client.ts). */
const answerMs = 20_000;

const kinds: Readonly<Record<ResourceView['kind'], CloudResource['kind']>> = {
  'load-balancer': 'balancer',
  listener: 'listener',
  'target-group': 'group',
};

export class AwsAccount implements SimAccount {
  readonly answerMs = answerMs;
  readonly hand: Hand;
  readonly #account: Account;

  constructor({ clock, random, surroundings, checkSchema }: AccountParts) {
    this.#account = new Account({ clock, random, settings: { checkSchema, ...calmSettings(surroundings) } });
    this.hand = handOf(this.#account);
  }

  get faults(): SimAccount['faults'] {
    return this.#account.faults;
  }

  client(by: string): CloudClient {
    return inMemoryClient(this.#account, by);
  }

  noAnswer(): Error {
    return Object.assign(new Error('no answer in time'), { name: 'TimeoutError' });
  }

  provider(client: CloudClient, clock: Clock, random: Random): AnyProvider {
    return createAwsProvider({ client, config, clock, random });
  }

  isWrite(operation: string): boolean {
    return !operation.startsWith('Describe');
  }

  calls(seq?: number): readonly CloudCall[] {
    return this.#account.calls(seq).map((call) => ({
      seq: call.seq,
      at: call.at,
      operation: call.operation,
      input: call.input,
      mutating: call.mutating,
      by: call.by,
      refusal: call.error?.code,
      answered: call.answered,
      touched: call.touched.map(({ kind, arn, change, tags }) => ({
        kind: kinds[kind],
        id: arn,
        change,
        tags,
      })),
      named: Object.fromEntries(
        ((call.input as Input).Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]),
      ),
    }));
  }

  resources(): readonly CloudResource[] {
    return this.#account
      .resources()
      .map(({ kind, arn, name, tags }) => ({ kind: kinds[kind], id: arn, name, tags }));
  }

  balancers(): readonly SimBalancer[] {
    return (this.#account.dump().loadBalancers as unknown as readonly DumpedBalancer[]).map((one) => ({
      id: one.LoadBalancerArn,
      name: one.LoadBalancerName,
      tags: one.Tags,
      address: one.DNSName.toLowerCase(),
      state: one.State.Code === 'active_impaired' ? 'active' : one.State.Code,
      side: one.Scheme,
      settings: one.Attributes,
      listeners: one.Listeners.map(({ Port, Protocol, DefaultActions }) => ({
        port: Port,
        protocol: Protocol,
        group: DefaultActions?.[0]?.TargetGroupArn,
        running: true,
        settings: {},
      })),
    }));
  }

  groups(): readonly SimGroup[] {
    return (this.#account.dump().targetGroups as unknown as readonly DumpedGroup[]).map((group) => ({
      id: group.TargetGroupArn,
      tags: group.Tags,
      settings: {
        interval: String(group.HealthCheckIntervalSeconds),
        threshold: String(group.HealthyThresholdCount),
        ...group.Attributes,
        ...Object.fromEntries(Object.entries(group.Tags).map(([key, value]) => [`tag ${key}`, value])),
      },
      targets: (group.Targets ?? [])
        .filter(({ State }) => State !== 'draining')
        .map(({ Id, Port, State }) => ({ instance: Id, port: Port, healthy: State === 'healthy' })),
    }));
  }

  targetsOf(group: string): readonly SimTarget[] {
    let answer: TargetHealthAnswer = {};
    tolerate(() => {
      answer = this.#account.byHand('DescribeTargetHealth', { TargetGroupArn: group });
    });
    return (answer.TargetHealthDescriptions ?? [])
      .filter(({ TargetHealth }) => TargetHealth?.State !== 'draining')
      .map(({ Target, TargetHealth }) => ({
        instance: Target?.Id ?? '',
        port: Target?.Port ?? 0,
        healthy: TargetHealth?.State === 'healthy',
      }));
  }

  listenerOf(id: string): { readonly port: number; readonly protocol: string } | undefined {
    let answer: { Listeners?: readonly { Port?: number; Protocol?: string }[] } = {};
    tolerate(() => {
      answer = this.#account.byHand('DescribeListeners', { ListenerArns: [id] });
    });
    const [found] = answer.Listeners ?? [];
    return found && { port: found.Port ?? 0, protocol: found.Protocol ?? '' };
  }

  aimOf(operation: string, input: Input): Aim | undefined {
    const { LoadBalancerArn: balancer = '' } = input;
    const protection = input.Attributes?.find(({ Key }) => Key === 'deletion_protection.enabled')?.Value;
    if (protection !== undefined) return { kind: 'protect', balancer, on: protection === 'true' };
    switch (operation) {
      case 'DeregisterTargets':
        return {
          kind: 'remove targets',
          group: input.TargetGroupArn ?? '',
          targets: (input.Targets ?? []).map(({ Id, Port }) => `${Id}|${Port}`),
        };
      case 'DeleteListener':
        return { kind: 'delete listener', listener: input.ListenerArn ?? '' };
      case 'DeleteLoadBalancer':
        return { kind: 'delete balancer', balancer };
      case 'CreateListener':
        return { kind: 'create listener', balancer };
      default:
        return undefined;
    }
  }

  calm(surroundings: Surroundings): void {
    this.#account.configure(calmSettings(surroundings));
  }

  readLag(readLagMs: number): void {
    this.#account.configure({
      consistency: { readLagMs, ...(readLagMs > 0 ? { readLagVaries: true } : {}) },
    });
  }

  referenceLag(referenceLagMs: number): void {
    this.#account.configure({ consistency: { referenceLagMs } });
  }

  release(targetGroupReleaseMs: number): void {
    this.#account.configure({ delays: { targetGroupReleaseMs } });
  }

  setHealth(id: string | undefined, healthy: boolean): void {
    this.#account.setHealth(
      id === undefined ? {} : { id },
      healthy ? { kind: 'healthy' } : { kind: 'unhealthy', reason: 'Target.FailedHealthChecks' },
    );
  }

  setInstance(instance: string, there: boolean): void {
    this.#account.setInstance(instance, there ? undefined : { state: 'terminated' });
  }
}

function handOf(account: Account): Hand {
  const by = (operation: string, input: object): void =>
    tolerate(() => void account.byHand(operation, input));
  const setAttribute = (LoadBalancerArn: string, Key: string, Value: string): void =>
    by('ModifyLoadBalancerAttributes', { LoadBalancerArn, Attributes: [{ Key, Value }] });
  return {
    deleteBalancer: (LoadBalancerArn) => by('DeleteLoadBalancer', { LoadBalancerArn }),
    deleteListener: (ListenerArn) => by('DeleteListener', { ListenerArn }),
    deregister: (TargetGroupArn, { instance, port }) =>
      by('DeregisterTargets', { TargetGroupArn, Targets: [{ Id: instance, Port: port }] }),
    registerExtra: (TargetGroupArn) =>
      by('RegisterTargets', { TargetGroupArn, Targets: [{ Id: 'i-0eeeeeeeeeeeeeeee', Port: 31_999 }] }),
    taggable: ['balancer', 'listener', 'group'],
    removeTag: (arn, key) => by('RemoveTags', { ResourceArns: [arn], TagKeys: [key] }),
    protect: (balancer, on) => setAttribute(balancer, 'deletion_protection.enabled', String(on)),
    change: (balancer) => setAttribute(balancer, 'load_balancing.cross_zone.enabled', 'true'),
    makeStranger: (Name) =>
      by('CreateLoadBalancer', {
        Name,
        Type: 'network',
        Scheme: 'internal',
        Subnets: ['subnet-c', 'subnet-d'],
      }),
  };
}

function calmSettings(surroundings: Surroundings) {
  return {
    pageSize: surroundings.pageSize,
    latency: { callMs: surroundings.cloudLatencyMs },
    delays: {
      provisioningMs: surroundings.provisioningMs,
      registrationMs: surroundings.registrationMs,
      initialCheckMs: 0,
      becomesHealthyMs: 0,
      becomesUnhealthyMs: 0,
      targetGroupReleaseMs: 0,
    },
    consistency: { readLagMs: 0, readLagVaries: false, referenceLagMs: 0 },
    recordLimit: 500,
    historyLimit: 400,
  };
}

interface Target {
  readonly Id?: string;
  readonly Port?: number;
}

interface TargetHealthAnswer {
  TargetHealthDescriptions?: readonly { Target?: Target; TargetHealth?: { State?: string } }[];
}

interface Input {
  readonly Attributes?: readonly { readonly Key?: string; readonly Value?: string }[];
  readonly TargetGroupArn?: string;
  readonly LoadBalancerArn?: string;
  readonly ListenerArn?: string;
  readonly Targets?: readonly Target[];
  readonly Tags?: readonly { readonly Key?: string; readonly Value?: string }[];
}

interface DumpedBalancer {
  readonly LoadBalancerArn: string;
  readonly LoadBalancerName: string;
  readonly DNSName: string;
  readonly State: { readonly Code: string };
  readonly Scheme: string;
  readonly Attributes: Readonly<Record<string, string>>;
  readonly Tags: Readonly<Record<string, string>>;
  readonly Listeners: readonly {
    readonly Port: number;
    readonly Protocol: string;
    readonly DefaultActions?: readonly { readonly TargetGroupArn?: string }[];
  }[];
}

interface DumpedGroup {
  readonly TargetGroupArn: string;
  readonly HealthCheckIntervalSeconds?: number;
  readonly HealthyThresholdCount?: number;
  readonly Attributes: Readonly<Record<string, string>>;
  readonly Tags: Readonly<Record<string, string>>;
  readonly Targets?: readonly { readonly Id: string; readonly Port: number; readonly State?: string }[];
}
