/**
 * An observation after a step had its effect, without reading back. Pure.
 *
 * It must say what a fresh look would say (health and what the cloud chooses by itself aside), because the
 * controller plans on it: a test holds the two against each other.
 */
import { SluiceError } from '../../src/core/errors.ts';
import type { Outputs, Parameters, Step } from '../../src/core/plan.ts';
import type { BackendServer } from './client-types-groups.ts';
import type { ListenerProtocol } from './client-types-listeners.ts';
import type { DomainCertificate } from './domains.ts';
import { settingsOfInput } from './listener-input.ts';
import { isSlbOperation } from './operations.ts';
import type { SlbInput, SlbOperation } from './operations.ts';
import { memberKey, newMembers, sortGroups, sortListeners } from './observed.ts';
import type {
  AlibabaObserved,
  ObservedBalancer,
  ObservedGroup,
  ObservedListener,
  ObservedMember,
} from './observed.ts';
import { clusterTag, fromTagList, orderedTag, uidTag } from './tags.ts';

type Effects = {
  readonly [Operation in SlbOperation]?: (
    balancer: ObservedBalancer,
    input: SlbInput<Operation>,
    outputs: Outputs,
  ) => ObservedBalancer | undefined;
};

export function advance(
  observed: AlibabaObserved,
  step: Step,
  parameters: Parameters,
  outputs: Outputs,
): AlibabaObserved {
  const { operation } = step;
  if (operation === 'CreateLoadBalancer') {
    return {
      ...observed,
      balancer: created(parameters as unknown as SlbInput<'CreateLoadBalancer'>, outputs),
    };
  }
  const listener = /^(CreateLoadBalancer|SetLoadBalancer)(TCP|UDP|HTTP|HTTPS)Listener(?:Attribute)?$/.exec(
    operation,
  );
  const effect = isSlbOperation(operation) ? effects[operation] : undefined;
  if (effect === undefined && listener === null) {
    throw new SluiceError('bug', `nothing is known about the effect of ${operation}`, {
      code: 'UnknownStep',
    });
  }
  const { balancer } = observed;
  if (balancer === undefined) return observed;
  if (listener !== null) {
    const protocol = (listener[2] ?? '').toLowerCase() as ListenerProtocol;
    const make = listener[1] === 'CreateLoadBalancer';
    return {
      ...observed,
      balancer: make
        ? madeListener(balancer, protocol, parameters)
        : setListener(balancer, protocol, parameters),
    };
  }
  return { ...observed, balancer: effect?.(balancer, parameters as never, outputs) };
}

function created(input: SlbInput<'CreateLoadBalancer'>, outputs: Outputs): ObservedBalancer {
  const internetChargeType = input.InternetChargeType ?? 'paybytraffic';
  const counts = input.AddressType === 'internet' && internetChargeType === 'paybybandwidth';
  return {
    id: outputs['LoadBalancerId'] ?? '',
    name: input.LoadBalancerName ?? '',
    ours: true,
    owner: '',
    address: outputs['Address'] ?? '',
    addressType: input.AddressType,
    ipVersion: input.AddressIPVersion ?? 'ipv4',
    status: 'active',
    vpc: outputs['VpcId'] ?? '',
    vSwitch: outputs['VSwitchId'] ?? '',
    bandwidth: counts ? (input.Bandwidth ?? 1) : 0,
    internetChargeType,
    instanceChargeType: input.InstanceChargeType ?? 'PayBySpec',
    spec: input.InstanceChargeType === 'PayByCLCU' ? '' : (input.LoadBalancerSpec ?? ''),
    deleteProtection: input.DeleteProtection === 'on',
    modificationProtection: input.ModificationProtectionStatus === 'ConsoleProtection',
    masterZone: input.MasterZoneId ?? '',
    slaveZone: input.SlaveZoneId ?? '',
    resourceGroup: outputs['ResourceGroupId'] ?? '',
    tags: fromTagList(input.Tag),
    listeners: [],
    groups: [],
  };
}

const effects: Effects = {
  DeleteLoadBalancer: () => undefined,
  SetLoadBalancerDeleteProtection: (balancer, input) => ({
    ...balancer,
    deleteProtection: input.DeleteProtection === 'on',
  }),
  SetLoadBalancerModificationProtection: (balancer, input) => ({
    ...balancer,
    modificationProtection: input.ModificationProtectionStatus === 'ConsoleProtection',
  }),
  SetLoadBalancerName: (balancer, input) => ({ ...balancer, name: input.LoadBalancerName }),
  ModifyLoadBalancerInternetSpec: (balancer, input) => {
    const internetChargeType = input.InternetChargeType ?? balancer.internetChargeType;
    const counts = internetChargeType === 'paybybandwidth';
    return {
      ...balancer,
      internetChargeType,
      bandwidth: counts ? (input.Bandwidth ?? balancer.bandwidth) : 0,
    };
  },
  ModifyLoadBalancerInstanceSpec: (balancer, input) => ({ ...balancer, spec: input.LoadBalancerSpec }),
  ModifyLoadBalancerInstanceChargeType: (balancer, input) => ({
    ...balancer,
    instanceChargeType: input.InstanceChargeType,
    spec: input.InstanceChargeType === 'PayByCLCU' ? '' : balancer.spec,
  }),
  TagResources: (balancer, input, outputs) => {
    const order = outputs['Ordered'];
    const tags = { ...balancer.tags, ...fromTagList(input.Tag) };
    return { ...balancer, tags: order === undefined ? tags : { ...tags, [orderedTag]: order } };
  },
  UntagResources: (balancer, input) => {
    const tags = Object.fromEntries(
      Object.entries(balancer.tags).filter(([key]) => !input.TagKey.includes(key)),
    );
    const lost = balancer.ours && (tags[clusterTag] === undefined || tags[uidTag] === undefined);
    // Without our mark it is nobody's business of ours any more, made by us or brought along.
    const released = !balancer.ours && input.TagKey.some((key) => key.startsWith('sluice.dev/used-by-'));
    return lost || released ? undefined : { ...balancer, tags };
  },
  CreateDomainExtension: (balancer, input, outputs) =>
    changeListener(balancer, input.ListenerPort, 'https', (listener) => ({
      ...listener,
      domains: {
        ...listener.domains,
        [input.Domain]: {
          id: outputs['DomainExtensionId'] ?? '',
          certificate: input.ServerCertificateId,
        },
      },
    })),
  SetDomainExtensionAttribute: (balancer, input) =>
    changeDomains(balancer, (domain) =>
      domain.id === input.DomainExtensionId ? { ...domain, certificate: input.ServerCertificateId } : domain,
    ),
  DeleteDomainExtension: (balancer, input) =>
    changeDomains(balancer, (domain) => (domain.id === input.DomainExtensionId ? undefined : domain)),
  StartLoadBalancerListener: (balancer, input, outputs) =>
    changeListener(balancer, input.ListenerPort, input.ListenerProtocol, (listener) => ({
      ...listener,
      status: outputs['Status'] ?? 'starting',
    })),
  DeleteLoadBalancerListener: (balancer, input) => ({
    ...balancer,
    groups: withoutUser(balancer.groups, `${input.ListenerPort}/${input.ListenerProtocol}`),
    listeners: balancer.listeners.filter(
      ({ port, protocol }) => port !== input.ListenerPort || protocol !== input.ListenerProtocol,
    ),
  }),
  CreateVServerGroup: (balancer, input, outputs) => ({
    ...balancer,
    groups: sortGroups([
      ...balancer.groups,
      {
        id: outputs['VServerGroupId'] ?? '',
        name: input.VServerGroupName,
        ours: true,
        marked: false,
        usedBy: [],
        members: added(input.BackendServers ?? []),
      },
    ]),
  }),
  AddVServerGroupBackendServers: (balancer, input) =>
    changeMembers(balancer, input.VServerGroupId, (members) => ({
      ...members,
      ...added(input.BackendServers),
    })),
  RemoveVServerGroupBackendServers: (balancer, input) =>
    changeMembers(balancer, input.VServerGroupId, (members) => {
      const gone = new Set(input.BackendServers.map(({ ServerId, Port }) => memberKey(ServerId, Port)));
      return Object.fromEntries(Object.entries(members).filter(([key]) => !gone.has(key)));
    }),
  SetVServerGroupAttribute: (balancer, input) =>
    changeMembers(balancer, input.VServerGroupId, (members) => {
      const next: Record<string, ObservedMember> = { ...members };
      for (const { ServerId, Port, Weight = 100 } of input.BackendServers ?? []) {
        const key = memberKey(ServerId, Port);
        const member = next[key];
        if (member !== undefined) next[key] = { ...member, weight: Weight };
      }
      return next;
    }),
  DeleteVServerGroup: (balancer, input) => ({
    ...balancer,
    groups: balancer.groups.filter(({ id }) => id !== input.VServerGroupId),
  }),
};

function added(servers: readonly BackendServer[]): Readonly<Record<string, ObservedMember>> {
  return newMembers(servers.map(({ ServerId, Port, Weight = 100 }) => [memberKey(ServerId, Port), Weight]));
}

function madeListener(
  balancer: ObservedBalancer,
  protocol: ListenerProtocol,
  parameters: Parameters,
): ObservedBalancer {
  const { port, group, settings } = settingsOfInput(protocol, parameters);
  const listener: ObservedListener = {
    port,
    protocol,
    status: 'stopped',
    group: group ?? '',
    ours: true,
    owner: '',
    settings,
  };
  return {
    ...balancer,
    groups: withUser(balancer.groups, `${port}/${protocol}`, listener.group),
    listeners: sortListeners([...balancer.listeners, listener]),
  };
}

function setListener(
  balancer: ObservedBalancer,
  protocol: ListenerProtocol,
  parameters: Parameters,
): ObservedBalancer {
  const { port, group, settings } = settingsOfInput(protocol, parameters);
  const changed = changeListener(balancer, port, protocol, (listener) => ({
    ...listener,
    group: group ?? listener.group,
    // Nothing but the whole set is ever sent, but for what cannot be changed.
    settings: settingsOfInput(protocol, { ...keptAtCreation(listener), ...settings }).settings,
  }));
  return group === undefined
    ? changed
    : { ...changed, groups: withUser(changed.groups, `${port}/${protocol}`, group) };
}

function keptAtCreation({ settings }: ObservedListener): Parameters {
  return Object.fromEntries(
    Object.entries(settings).filter(([name]) => name === 'ListenerForward' || name === 'ForwardPort'),
  );
}

function changeListener(
  balancer: ObservedBalancer,
  port: number,
  protocol: string,
  change: (listener: ObservedListener) => ObservedListener,
): ObservedBalancer {
  return {
    ...balancer,
    listeners: balancer.listeners.map((one) =>
      one.port === port && one.protocol === protocol ? change(one) : one,
    ),
  };
}

function changeDomains(
  balancer: ObservedBalancer,
  change: (domain: DomainCertificate) => DomainCertificate | undefined,
): ObservedBalancer {
  return {
    ...balancer,
    listeners: balancer.listeners.map((listener) => {
      if (listener.domains === undefined) return listener;
      const domains = Object.entries(listener.domains).flatMap(([name, domain]) => {
        const next = change(domain);
        return next === undefined ? [] : [[name, next] as const];
      });
      return { ...listener, domains: Object.fromEntries(domains) };
    }),
  };
}

function changeMembers(
  balancer: ObservedBalancer,
  id: string,
  change: (members: Readonly<Record<string, ObservedMember>>) => Readonly<Record<string, ObservedMember>>,
): ObservedBalancer {
  return {
    ...balancer,
    groups: balancer.groups.map((group) =>
      group.id === id ? { ...group, members: change(group.members ?? {}) } : group,
    ),
  };
}

function withUser(groups: readonly ObservedGroup[], user: string, id: string): readonly ObservedGroup[] {
  return withoutUser(groups, user).map((group) =>
    group.id === id ? { ...group, usedBy: [...group.usedBy, user].toSorted() } : group,
  );
}

function withoutUser(groups: readonly ObservedGroup[], user: string): readonly ObservedGroup[] {
  return groups.map((group) => ({ ...group, usedBy: group.usedBy.filter((one) => one !== user) }));
}
