/**
 * The SDK's answers as our own values: the only place that knows both forms.
 */
import type * as Elb from './client-types.ts';
import type { TargetHealth } from '../../src/core/hand-over.ts';
import type {
  HealthCheck,
  ObservedBalancer,
  ObservedGroup,
  ObservedListener,
  ObservedTarget,
  SubnetMapping,
  Tags,
} from './observed.ts';
import { targetKey } from './target-key.ts';

export function toBalancer(
  balancer: Elb.LoadBalancer,
  tags: Tags,
  /** Wall-clock milliseconds. */
  now: number,
  rest: Pick<ObservedBalancer, 'attributes' | 'listeners'>,
): ObservedBalancer {
  const state = balancer.State?.Code ?? 'provisioning';
  const created = balancer.CreatedTime?.getTime() ?? now;
  return {
    arn: balancer.LoadBalancerArn ?? '',
    name: balancer.LoadBalancerName ?? '',
    dnsName: balancer.DNSName ?? '',
    state,
    stateReason: balancer.State?.Reason ?? '',
    provisioningMs: state === 'provisioning' ? Math.max(0, now - created) : 0,
    scheme: balancer.Scheme ?? 'internet-facing',
    vpc: balancer.VpcId ?? '',
    ipAddressType: balancer.IpAddressType ?? 'ipv4',
    subnets: sortSubnets(
      (balancer.AvailabilityZones ?? []).map(({ SubnetId, LoadBalancerAddresses }): SubnetMapping => {
        const allocation = LoadBalancerAddresses?.find((one) => one.AllocationId !== undefined)?.AllocationId;
        const subnet = SubnetId ?? '';
        return allocation === undefined ? { subnet } : { subnet, allocation };
      }),
    ),
    securityGroups: (balancer.SecurityGroups ?? []).toSorted(),
    tags,
    ...rest,
  };
}

export function toGroup(
  group: Elb.TargetGroup,
  tags: Tags,
  rest: Pick<ObservedGroup, 'attributes' | 'targets'>,
): ObservedGroup {
  return {
    arn: group.TargetGroupArn ?? '',
    name: group.TargetGroupName ?? '',
    protocol: group.Protocol ?? '',
    targetType: group.TargetType ?? 'instance',
    vpc: group.VpcId ?? '',
    balancers: (group.LoadBalancerArns ?? []).toSorted(),
    healthCheck: toHealthCheck(group),
    tags,
    ...rest,
  };
}

/** From a description or from the parameters that set it. */
export function toHealthCheck(
  source: Pick<
    Elb.TargetGroup,
    | 'HealthCheckProtocol'
    | 'HealthCheckPort'
    | 'HealthCheckPath'
    | 'Matcher'
    | 'HealthCheckIntervalSeconds'
    | 'HealthCheckTimeoutSeconds'
    | 'HealthyThresholdCount'
    | 'UnhealthyThresholdCount'
  >,
): HealthCheck {
  const protocol =
    source.HealthCheckProtocol === 'HTTP' || source.HealthCheckProtocol === 'HTTPS'
      ? source.HealthCheckProtocol
      : 'TCP';
  const web = protocol !== 'TCP';
  return {
    protocol,
    port: source.HealthCheckPort ?? 'traffic-port',
    ...(web ? { path: source.HealthCheckPath ?? '/', matcher: source.Matcher?.HttpCode ?? '200-399' } : {}),
    intervalSeconds: source.HealthCheckIntervalSeconds ?? 0,
    timeoutSeconds: source.HealthCheckTimeoutSeconds ?? 0,
    healthyThreshold: source.HealthyThresholdCount ?? 0,
    unhealthyThreshold: source.UnhealthyThresholdCount ?? 0,
  };
}

/** The fields in which two checks differ. */
export function healthCheckDifferences(one: HealthCheck, other: HealthCheck): readonly (keyof HealthCheck)[] {
  const fields = Object.keys({ ...one, ...other }) as (keyof HealthCheck)[];
  return fields.filter((field) => one[field] !== other[field]);
}

export function toListener(
  listener: Elb.Listener,
  rest: Pick<ObservedListener, 'ours' | 'tags' | 'moreCertificates'>,
): ObservedListener {
  const forwards = (listener.DefaultActions ?? []).flatMap((action) =>
    action.TargetGroupArn === undefined
      ? (action.ForwardConfig?.TargetGroups ?? []).map((group) => group.TargetGroupArn ?? '')
      : [action.TargetGroupArn],
  );
  const [group] = forwards;
  const alpn = listener.AlpnPolicy?.[0] ?? '';
  return {
    arn: listener.ListenerArn ?? '',
    port: listener.Port ?? 0,
    protocol: listener.Protocol ?? '',
    group: forwards.length === 1 && group !== undefined ? group : '',
    certificate: listener.Certificates?.[0]?.CertificateArn ?? '',
    sslPolicy: listener.SslPolicy ?? '',
    alpn: alpn === 'None' ? '' : alpn,
    ...rest,
  };
}

export function toTargets(
  descriptions: readonly Elb.TargetHealthDescription[] | undefined,
): Readonly<Record<string, ObservedTarget>> {
  return Object.fromEntries(
    (descriptions ?? []).map(({ Target, TargetHealth: health }) => [
      targetKey({ instance: Target?.Id ?? '', port: Target?.Port ?? 0 }),
      { health: toHealth(health?.State), reason: health?.Reason ?? '' },
    ]),
  );
}

/**
 * A target that was deregistered is `draining`; a sick one in its grace time (`unhealthy.draining`) is still
 * registered.
 */
const healths: Readonly<Record<string, TargetHealth>> = {
  healthy: 'healthy',
  initial: 'initial',
  unhealthy: 'unhealthy',
  'unhealthy.draining': 'unhealthy',
  unused: 'unused',
  draining: 'draining',
};

function toHealth(state: string | undefined): TargetHealth {
  return healths[state ?? ''] ?? 'unknown';
}

export function sortSubnets(subnets: readonly SubnetMapping[]): readonly SubnetMapping[] {
  return subnets.toSorted((a, b) => compare(a.subnet, b.subnet));
}

export function sortGroups(groups: readonly ObservedGroup[]): readonly ObservedGroup[] {
  return groups.toSorted((a, b) => compare(a.name, b.name));
}

export function sortListeners(listeners: readonly ObservedListener[]): readonly ObservedListener[] {
  return listeners.toSorted((a, b) => a.port - b.port);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
