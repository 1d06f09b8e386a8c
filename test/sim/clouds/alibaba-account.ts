/** The simulated Alibaba Cloud account in the words of the simulation. */
import { parseAlibabaConfig } from '../../../providers/alibaba/config.ts';
import { CallFailure } from '../../../providers/alibaba/failure.ts';
import { operations, isSlbOperation } from '../../../providers/alibaba/operations.ts';
import { createAlibabaProvider } from '../../../providers/alibaba/provider.ts';
import { Account } from '../../../providers/alibaba/simulator/account.ts';
import { inMemoryClient } from '../../../providers/alibaba/simulator/client.ts';
import type { DumpedLoadBalancer, ResourceView } from '../../../providers/alibaba/simulator/dump.ts';
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
  Settings,
  SimAccount,
  SimBalancer,
  SimGroup,
  SimTarget,
} from '../cloud.ts';
import type { Surroundings } from '../events.ts';

const { config } = parseAlibabaConfig({
  region: 'cn-hangzhou',
  vpcId: 'vpc-1',
  vSwitches: ['vsw-a', 'vsw-b'],
});

/** How long the client waits for an answer (providers/alibaba/client.ts). */
const answerMs = 20_000;

const kinds: Readonly<Record<ResourceView['kind'], CloudResource['kind']>> = {
  'load-balancer': 'balancer',
  listener: 'listener',
  group: 'group',
  'domain-extension': 'listener',
};

/** What a person put in: it has no description of ours, and stays. */
const byHand = 'by hand';

export class AlibabaAccount implements SimAccount {
  readonly answerMs = answerMs;
  readonly hand: Hand;
  readonly #account: Account;

  constructor({ clock, random, surroundings }: AccountParts) {
    this.#account = new Account({ clock, random, settings: calmSettings(surroundings) });
    this.hand = handOf(this.#account);
  }

  get faults(): SimAccount['faults'] {
    return this.#account.faults;
  }

  client(by: string): CloudClient {
    return inMemoryClient(this.#account, by);
  }

  noAnswer(): Error {
    return new CallFailure('unanswered', 'no answer in time', { code: 'ReadTimeout' });
  }

  provider(client: CloudClient, clock: Clock, random: Random): AnyProvider {
    return createAlibabaProvider({ client, config, clock, random });
  }

  isWrite(operation: string): boolean {
    return isSlbOperation(operation) && operations[operation].callClass !== 'read';
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
      touched: call.touched.map((one) => ({ ...one, kind: kinds[one.kind] })),
      named: Object.fromEntries(
        ((call.input as Input).Tag ?? []).map(({ Key = '', Value = '' }) => [Key, Value]),
      ),
    }));
  }

  resources(): readonly CloudResource[] {
    return this.#account.resources().map((one) => ({ ...one, kind: kinds[one.kind] }));
  }

  balancers(): readonly SimBalancer[] {
    return this.#account.dump().loadBalancers.map((one) => ({
      id: one.LoadBalancerId,
      name: one.LoadBalancerName ?? '',
      tags: one.TagsByKey,
      address: one.Address ?? '',
      // An address without a running listener leads nowhere.
      state: one.Listeners.some(({ Status }) => Status === 'running')
        ? (one.LoadBalancerStatus ?? '')
        : 'without a running listener',
      side: one.AddressType ?? '',
      settings: {
        'modification-protection': one.ModificationProtectionStatus,
        ...Object.fromEntries(Object.entries(one.TagsByKey).map(([key, value]) => [`tag ${key}`, value])),
      },
      listeners: one.Listeners.map((listener) => ({
        port: listener.ListenerPort,
        protocol: listener.ListenerProtocol.toUpperCase(),
        group: listener.VServerGroupId,
        running: listener.Status === 'running',
        settings: listenerSettings(listener),
      })),
    }));
  }

  groups(): readonly SimGroup[] {
    return this.#account.dump().loadBalancers.flatMap((balancer) => {
      const health = this.#health(balancer.LoadBalancerId);
      return balancer.VServerGroups.map((group) => ({
        id: group.VServerGroupId,
        tags: group.TagsByKey,
        settings: {},
        targets: targetsIn(group, health),
      }));
    });
  }

  targetsOf(id: string): readonly SimTarget[] {
    for (const balancer of this.#account.dump().loadBalancers) {
      const group = balancer.VServerGroups.find(({ VServerGroupId }) => VServerGroupId === id);
      if (group !== undefined) return targetsIn(group, this.#health(balancer.LoadBalancerId));
    }
    return [];
  }

  /** `serverId|port` of what answers its checks. */
  #health(LoadBalancerId: string): ReadonlySet<string> {
    let answer: HealthAnswer = {};
    tolerate(() => {
      answer = this.#account.byHand('DescribeHealthStatus', { LoadBalancerId });
    });
    return new Set(
      (answer.BackendServers?.BackendServer ?? [])
        .filter(({ ServerHealthStatus }) => ServerHealthStatus === 'normal')
        .map(({ ServerId, Port }) => `${ServerId}|${Port}`),
    );
  }

  listenerOf(id: string): { readonly port: number; readonly protocol: string } | undefined {
    const [, protocol = '', port] = /_(tcp|udp|https?)_(\d+)$/.exec(id) ?? [];
    return port === undefined ? undefined : { port: Number(port), protocol: protocol.toUpperCase() };
  }

  aimOf(operation: string, input: Input): Aim | undefined {
    const { LoadBalancerId: balancer = '' } = input;
    switch (operation) {
      case 'RemoveVServerGroupBackendServers':
        return {
          kind: 'remove targets',
          group: input.VServerGroupId ?? '',
          targets: (input.BackendServers ?? []).map(({ ServerId, Port }) => `${ServerId}|${Port}`),
        };
      case 'DeleteLoadBalancerListener':
        return {
          kind: 'delete listener',
          listener: `${balancer}_${input.ListenerProtocol}_${input.ListenerPort}`,
        };
      case 'DeleteLoadBalancer':
        return { kind: 'delete balancer', balancer };
      case 'SetLoadBalancerDeleteProtection':
        return { kind: 'protect', balancer, on: input.DeleteProtection === 'on' };
      default:
    }
    if (/^CreateLoadBalancer[A-Z]+Listener$/.test(operation)) return { kind: 'create listener', balancer };
    const [, protocol] = /^SetLoadBalancer(TCP|UDP|HTTP)ListenerAttribute$/.exec(operation) ?? [];
    if (protocol === undefined || input.VServerGroupId === undefined) return undefined;
    const from = this.balancers()
      .find(({ id }) => id === balancer)
      ?.listeners.find((one) => one.port === input.ListenerPort && one.protocol === protocol)?.group;
    return from === undefined ? undefined : { kind: 'turn listener', from, to: input.VServerGroupId };
  }

  calm(surroundings: Surroundings): void {
    this.#account.configure(calmSettings(surroundings));
  }

  readLag(readLagMs: number): void {
    this.#account.configure({
      consistency: { readLagMs, ...(readLagMs > 0 ? { readLagVaries: true } : {}) },
    });
  }

  /** New balancers are not found by their tags for so long. */
  referenceLag(tagLagMs: number): void {
    this.#account.configure({ consistency: { tagLagMs } });
  }

  /** A balancer is being configured after each change; seconds here where other clouds take a minute. */
  release(ms: number): void {
    this.#account.configure({ delays: { configuringMs: ms / 20 } });
  }

  setHealth(serverId: string | undefined, healthy: boolean): void {
    this.#account.setHealth(serverId === undefined ? {} : { serverId }, healthy ? 'normal' : 'abnormal');
  }

  setInstance(instance: string, there: boolean): void {
    this.#account.setServer(instance, there ? undefined : { state: 'Stopped' });
  }
}

function handOf(account: Account): Hand {
  const by = (operation: string, input: object): void =>
    tolerate(() => void account.byHand(operation, input));
  const protection = (LoadBalancerId: string, DeleteProtection: 'on' | 'off'): void =>
    by('SetLoadBalancerDeleteProtection', { LoadBalancerId, DeleteProtection });
  const untag = (id: string, key: string): void =>
    by('UntagResources', { ResourceType: 'instance', ResourceId: [id], TagKey: [key] });
  return {
    deleteBalancer: (LoadBalancerId) => {
      protection(LoadBalancerId, 'off');
      by('DeleteLoadBalancer', { LoadBalancerId });
    },
    deleteListener: (id) => {
      const [, LoadBalancerId, ListenerProtocol, port] = /^(.+)_([a-z]+)_(\d+)$/.exec(id) ?? [];
      by('DeleteLoadBalancerListener', { LoadBalancerId, ListenerProtocol, ListenerPort: Number(port) });
    },
    deregister: (VServerGroupId, { instance, port }) =>
      by('RemoveVServerGroupBackendServers', {
        VServerGroupId,
        BackendServers: [{ ServerId: instance, Port: port }],
      }),
    registerExtra: (VServerGroupId) =>
      by('AddVServerGroupBackendServers', {
        VServerGroupId,
        BackendServers: [{ ServerId: 'i-0eeeeeeeeeeeeeeee', Port: 31_999, Description: byHand }],
      }),
    taggable: ['balancer'],
    removeTag: untag,
    protect: (balancer, on) => {
      // Without our record that we set it, it is the person's.
      if (on) untag(balancer, 'sluice.dev/protection');
      protection(balancer, on ? 'on' : 'off');
    },
    change: (LoadBalancerId) => {
      const listeners = account
        .dump()
        .loadBalancers.find((one) => one.LoadBalancerId === LoadBalancerId)?.Listeners;
      const first = listeners?.find(({ ListenerProtocol }) => ListenerProtocol === 'tcp');
      if (first === undefined) return;
      by('SetLoadBalancerTCPListenerAttribute', {
        LoadBalancerId,
        ListenerPort: first.ListenerPort,
        Scheduler: 'sch',
      });
    },
    makeStranger: (LoadBalancerName) =>
      by('CreateLoadBalancer', {
        RegionId: 'cn-hangzhou',
        AddressType: 'internet',
        InstanceChargeType: 'PayByCLCU',
        LoadBalancerName,
      }),
  };
}

function listenerSettings(listener: DumpedLoadBalancer['Listeners'][number]): Settings {
  const { TCPListenerConfig, UDPListenerConfig } = listener;
  const shown: Readonly<Record<string, unknown>> = {
    Scheduler: listener.Scheduler,
    ...UDPListenerConfig,
    ...TCPListenerConfig,
  };
  return Object.fromEntries(
    ['Scheduler', 'HealthCheckInterval', 'PersistenceTimeout'].map((name) => [name, worded(shown[name])]),
  );
}

function worded(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function targetsIn(
  group: DumpedLoadBalancer['VServerGroups'][number],
  health: ReadonlySet<string>,
): readonly SimTarget[] {
  return group.BackendServers.filter(({ Description }) => Description !== byHand).map(
    ({ ServerId, Port, Weight }) => ({
      instance: ServerId,
      port: Port,
      healthy: health.has(`${ServerId}|${Port}`),
      weight: Weight ?? 100,
    }),
  );
}

function calmSettings(surroundings: Surroundings) {
  return {
    latency: { callMs: surroundings.cloudLatencyMs },
    delays: {
      startingMs: surroundings.provisioningMs,
      firstCheckMs: surroundings.registrationMs,
      configuringMs: 0,
    },
    consistency: { readLagMs: 0, readLagVaries: false, tagLagMs: 0 },
    recordLimit: 500,
    historyLimit: 400,
  };
}

interface HealthAnswer {
  BackendServers?: {
    BackendServer?: readonly { ServerId?: string; Port?: number; ServerHealthStatus?: string }[];
  };
}

interface Input {
  readonly LoadBalancerId?: string;
  readonly ListenerPort?: number;
  readonly ListenerProtocol?: string;
  readonly VServerGroupId?: string;
  readonly DeleteProtection?: string;
  readonly BackendServers?: readonly { readonly ServerId?: string; readonly Port?: number }[];
  readonly Tag?: readonly { readonly Key?: string; readonly Value?: string }[];
}
