/**
 * An observation after a step had its effect, without reading back. Pure.
 *
 * It must say exactly what a fresh look would say (health aside, which AWS decides later), because the
 * controller plans on it: a test holds the two against each other.
 */
import { SluiceError } from '../../src/core/errors.ts';
import type { Outputs, Parameters, Step } from '../../src/core/plan.ts';
import { withChanges } from './attribute-changes.ts';
import { balancerAttributes, groupAttributesFor } from './attributes.ts';
import type { ElbInput, ElbOperation } from './operations.ts';
import { isElbOperation } from './operations.ts';
import type {
  AwsObserved,
  ObservedBalancer,
  ObservedGroup,
  ObservedListener,
  ObservedTarget,
  SubnetMapping,
  Tags,
} from './observed.ts';
import { sortGroups, sortListeners, sortSubnets, toHealthCheck } from './read.ts';
import { fromTagList } from './tags.ts';
import { targetKey } from './target-key.ts';

type Effects = {
  readonly [Operation in ElbOperation]?: (
    observed: AwsObserved,
    input: ElbInput<Operation>,
    outputs: Outputs,
  ) => AwsObserved;
};

export function advance(
  observed: AwsObserved,
  step: Step,
  parameters: Parameters,
  outputs: Outputs,
): AwsObserved {
  const effect = isElbOperation(step.operation) ? effects[step.operation] : undefined;
  if (effect === undefined) {
    throw new SluiceError('bug', `nothing is known about the effect of ${step.operation}`, {
      code: 'UnknownStep',
    });
  }
  return effect(observed, parameters as never, outputs);
}

const effects: Effects = {
  CreateLoadBalancer: (observed, input, outputs) => ({
    ...observed,
    balancer: {
      arn: outputs['LoadBalancerArn'] ?? '',
      name: input.Name ?? '',
      dnsName: outputs['DNSName'] ?? '',
      state: toState(outputs['State']),
      stateReason: '',
      provisioningMs: 0,
      scheme: input.Scheme ?? 'internet-facing',
      vpc: outputs['VpcId'] ?? '',
      ipAddressType: 'ipv4',
      subnets: toSubnets(input),
      securityGroups: (input.SecurityGroups ?? []).toSorted(),
      tags: fromTagList(input.Tags),
      attributes: {},
      listeners: [],
    },
  }),
  DeleteLoadBalancer: (observed, { LoadBalancerArn: arn }) => ({
    ...observed,
    balancer: observed.balancer?.arn === arn ? undefined : observed.balancer,
    groups: observed.groups.map((group) => ({
      ...group,
      balancers: group.balancers.filter((one) => one !== arn),
    })),
  }),
  SetSubnets: (observed, input) =>
    changeBalancer(observed, input.LoadBalancerArn, (balancer) => ({
      ...balancer,
      subnets: toSubnets(input),
    })),
  SetSecurityGroups: (observed, input) =>
    changeBalancer(observed, input.LoadBalancerArn, (balancer) => ({
      ...balancer,
      securityGroups: (input.SecurityGroups ?? []).toSorted(),
    })),
  ModifyLoadBalancerAttributes: (observed, input) =>
    changeBalancer(observed, input.LoadBalancerArn, (balancer) => ({
      ...balancer,
      attributes: withChanges(balancerAttributes, balancer.attributes ?? {}, input.Attributes ?? []),
    })),

  CreateTargetGroup: (observed, input, outputs) => ({
    ...observed,
    groups: sortGroups([
      ...observed.groups,
      {
        arn: outputs['TargetGroupArn'] ?? '',
        name: input.Name ?? '',
        protocol: input.Protocol ?? '',
        targetType: input.TargetType ?? 'instance',
        vpc: input.VpcId ?? '',
        balancers: [],
        healthCheck: toHealthCheck(input),
        tags: fromTagList(input.Tags),
        attributes: {},
        targets: {},
      },
    ]),
  }),
  ModifyTargetGroup: (observed, input) =>
    changeGroup(observed, input.TargetGroupArn, (group) => ({
      ...group,
      healthCheck: toHealthCheck(input),
    })),
  ModifyTargetGroupAttributes: (observed, input) =>
    changeGroup(observed, input.TargetGroupArn, (group) => ({
      ...group,
      attributes: withChanges(
        groupAttributesFor(group.protocol),
        group.attributes ?? {},
        input.Attributes ?? [],
      ),
    })),
  DeleteTargetGroup: (observed, { TargetGroupArn: arn }) => ({
    ...observed,
    groups: observed.groups.filter((group) => group.arn !== arn),
  }),
  RegisterTargets: (observed, input) =>
    changeTargets(observed, input, (targets, key) => ({
      ...targets,
      [key]: { health: 'initial', reason: 'Elb.RegistrationInProgress' },
    })),
  DeregisterTargets: (observed, input) =>
    changeTargets(observed, input, (targets, key) => {
      const { [key]: known, ...others } = targets;
      return known === undefined
        ? others
        : { ...others, [key]: { health: 'draining', reason: 'Target.DeregistrationInProgress' } };
    }),

  CreateListener: (observed, input, outputs) =>
    changeListeners(observed, input.LoadBalancerArn, (listeners) => [
      ...listeners,
      {
        arn: outputs['ListenerArn'] ?? '',
        port: input.Port ?? 0,
        ...listenerSettings(input),
        ours: true,
        tags: fromTagList(input.Tags),
        moreCertificates: [],
      },
    ]),
  ModifyListener: (observed, input) =>
    changeListeners(observed, observed.balancer?.arn, (listeners) =>
      listeners.map((one) => {
        if (one.arn !== input.ListenerArn) return one;
        const after = listenerSettings(input);
        const more = after.protocol === 'TLS' ? one.moreCertificates : [];
        return { ...one, ...after, moreCertificates: more };
      }),
    ),
  DeleteListener: (observed, input) =>
    changeListeners(observed, observed.balancer?.arn, (listeners) =>
      listeners.filter((one) => one.arn !== input.ListenerArn),
    ),
  AddListenerCertificates: (observed, input) =>
    changeCertificates(observed, input, (more, certificate) =>
      [...new Set([...more, certificate])].toSorted(),
    ),
  RemoveListenerCertificates: (observed, input) =>
    changeCertificates(observed, input, (more, certificate) => more.filter((one) => one !== certificate)),

  AddTags: (observed, input) =>
    changeTags(observed, input.ResourceArns, (tags) => ({ ...tags, ...fromTagList(input.Tags) })),
  RemoveTags: (observed, input) =>
    changeTags(observed, input.ResourceArns, (tags) =>
      Object.fromEntries(Object.entries(tags).filter(([key]) => input.TagKeys?.includes(key) !== true)),
    ),
};

function toState(state: string | undefined): ObservedBalancer['state'] {
  return state === 'active' || state === 'active_impaired' || state === 'failed' ? state : 'provisioning';
}

function toSubnets({
  Subnets,
  SubnetMappings,
}: Pick<ElbInput<'SetSubnets'>, 'Subnets' | 'SubnetMappings'>): readonly SubnetMapping[] {
  const plain = (Subnets ?? []).map((subnet): SubnetMapping => ({ subnet }));
  const mapped = (SubnetMappings ?? []).map(
    ({ SubnetId: subnet = '', AllocationId: allocation }): SubnetMapping =>
      allocation === undefined ? { subnet } : { subnet, allocation },
  );
  return sortSubnets([...plain, ...mapped]);
}

type ListenerInput = ElbInput<'CreateListener'> | ElbInput<'ModifyListener'>;

function listenerSettings(
  input: ListenerInput,
): Pick<ObservedListener, 'protocol' | 'group' | 'certificate' | 'sslPolicy' | 'alpn'> {
  const alpn = input.AlpnPolicy?.[0] ?? '';
  return {
    protocol: input.Protocol ?? '',
    group: input.DefaultActions?.[0]?.TargetGroupArn ?? '',
    certificate: input.Certificates?.[0]?.CertificateArn ?? '',
    sslPolicy: input.SslPolicy ?? '',
    alpn: alpn === 'None' ? '' : alpn,
  };
}

function changeBalancer(
  observed: AwsObserved,
  arn: string | undefined,
  change: (balancer: ObservedBalancer) => ObservedBalancer,
): AwsObserved {
  const { balancer } = observed;
  return balancer === undefined || balancer.arn !== arn
    ? observed
    : { ...observed, balancer: change(balancer) };
}

function changeGroup(
  observed: AwsObserved,
  arn: string | undefined,
  change: (group: ObservedGroup) => ObservedGroup,
): AwsObserved {
  return {
    ...observed,
    groups: observed.groups.map((group) => (group.arn === arn ? change(group) : group)),
  };
}

type Targets = Readonly<Record<string, ObservedTarget>>;

function changeTargets(
  observed: AwsObserved,
  input: ElbInput<'RegisterTargets'>,
  change: (targets: Targets, key: string) => Targets,
): AwsObserved {
  const keys = (input.Targets ?? []).map(({ Id, Port }) =>
    targetKey({ instance: Id ?? '', port: Port ?? 0 }),
  );
  return changeGroup(observed, input.TargetGroupArn, (group) => ({
    ...group,
    targets: keys.reduce(change, group.targets ?? {}),
  }));
}

/** Changes listeners, and with them which groups the balancer uses. */
function changeListeners(
  observed: AwsObserved,
  arn: string | undefined,
  change: (listeners: readonly ObservedListener[]) => readonly ObservedListener[],
): AwsObserved {
  const { balancer } = observed;
  if (balancer === undefined || balancer.arn !== arn) return observed;
  const listeners = sortListeners(change(balancer.listeners));
  const used = new Set(listeners.map(({ group }) => group));
  const before = new Set(balancer.listeners.map(({ group }) => group));
  return {
    ...observed,
    balancer: { ...balancer, listeners },
    groups: observed.groups.map((group) => {
      if (used.has(group.arn) === before.has(group.arn)) return group;
      const others = group.balancers.filter((one) => one !== arn);
      return { ...group, balancers: used.has(group.arn) ? [...others, arn].toSorted() : others };
    }),
  };
}

function changeCertificates(
  observed: AwsObserved,
  input: ElbInput<'AddListenerCertificates'>,
  change: (more: readonly string[], certificate: string) => readonly string[],
): AwsObserved {
  const certificate = input.Certificates?.[0]?.CertificateArn ?? '';
  return changeListeners(observed, observed.balancer?.arn, (listeners) =>
    listeners.map((one) =>
      one.arn === input.ListenerArn && one.moreCertificates !== undefined
        ? { ...one, moreCertificates: change(one.moreCertificates, certificate) }
        : one,
    ),
  );
}

function changeTags(
  observed: AwsObserved,
  arns: readonly string[] | undefined,
  change: (tags: Tags) => Tags,
): AwsObserved {
  const named = new Set(arns);
  const tagged = <Resource extends { readonly arn: string; readonly tags: Tags }>(one: Resource): Resource =>
    named.has(one.arn) ? { ...one, tags: change(one.tags) } : one;
  const { balancer } = observed;
  return {
    ...observed,
    balancer:
      balancer === undefined ? undefined : { ...tagged(balancer), listeners: balancer.listeners.map(tagged) },
    groups: observed.groups.map(tagged),
  };
}
