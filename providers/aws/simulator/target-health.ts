/**
 * DescribeTargetHealth: the state of a target at a moment, worked out from when it was registered, when its
 * group came into use, when it was deregistered, and how it answers.
 */

import type {
  DescribeTargetHealthInput,
  DescribeTargetHealthOutput,
  TargetDescription,
  TargetHealth,
  TargetHealthDescription,
  TargetHealthReasonEnum,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { findTargetGroup } from './context.ts';
import type { Context } from './context.ts';
import { activeAt } from './load-balancers.ts';
import type { LoadBalancerRecord, TargetGroupRecord, TargetRecord } from './store.ts';
import { unhealthyDrainMs } from './target-group-attributes.ts';
import { liveTargets, targetKey } from './targets.ts';

export function describeTargetHealth(
  context: Context,
  input: DescribeTargetHealthInput,
): DescribeTargetHealthOutput {
  const group = findTargetGroup(context, input.TargetGroupArn ?? '');
  const live = liveTargets(group, context.now);
  if (input.Targets !== undefined && input.Targets.length > 0) {
    return {
      TargetHealthDescriptions: input.Targets.map((asked) => {
        const target = live.get(targetKey(asked.Id ?? '', asked.Port ?? group.port));
        return target === undefined ? notRegistered(asked, group.port) : describe(context, group, target);
      }),
    };
  }
  return { TargetHealthDescriptions: [...live.values()].map((target) => describe(context, group, target)) };
}

/** The state of one registered or draining target. */
export function healthOf(context: Context, group: TargetGroupRecord, target: TargetRecord): TargetHealth {
  const { now, settings, world } = context;
  if (target.drainingUntil !== undefined) {
    return state('draining', 'Target.DeregistrationInProgress', 'Target deregistration is in progress');
  }
  const balancer =
    group.usedBy === undefined ? undefined : context.store.get('load-balancer', group.usedBy.loadBalancerArn);
  if (group.usedBy === undefined || balancer === undefined) {
    return state(
      'unused',
      'Target.NotInUse',
      'Target group is not configured to receive traffic from the load balancer',
    );
  }
  const instance = world.instances.get(target.id);
  if (instance !== undefined && instance.state !== 'running' && instance.state !== 'pending') {
    return state('unused', 'Target.InvalidState', `Target is in the ${instance.state} state`);
  }
  if (!zoneEnabled(balancer, instance?.zone ?? target.zone)) {
    return state(
      'unused',
      'Target.NotInUse',
      'Target is in an Availability Zone that is not enabled for the load balancer',
    );
  }
  const start = Math.max(target.registeredAt, group.usedBy.since, activeAt(context, balancer));
  const checking = start + settings.delays.registrationMs;
  if (now < checking) {
    return state('initial', 'Elb.RegistrationInProgress', 'Target registration is in progress');
  }
  if (now < checking + settings.delays.initialCheckMs) {
    return state('initial', 'Elb.InitialHealthChecking', 'Initial health checks in progress');
  }
  const { condition, since } = world.conditionOf(group, target, settings.delays, now);
  if (condition.kind === 'healthy') return { State: 'healthy' };
  if (now < since + unhealthyDrainMs(group)) {
    return state(
      'unhealthy.draining',
      condition.reason,
      'Target is unhealthy and its connections are draining',
    );
  }
  return state('unhealthy', condition.reason, 'Health checks failed');
}

function describe(context: Context, group: TargetGroupRecord, target: TargetRecord): TargetHealthDescription {
  const port = group.healthCheck.port;
  return {
    Target: {
      Id: target.id,
      Port: target.port,
      ...(target.zone !== undefined && { AvailabilityZone: target.zone }),
      ...(target.quicServerId !== undefined && { QuicServerId: target.quicServerId }),
    },
    HealthCheckPort: port === 'traffic-port' ? String(target.port) : port,
    TargetHealth: healthOf(context, group, target),
  };
}

function notRegistered(asked: TargetDescription, defaultPort: number): TargetHealthDescription {
  return {
    Target: { Id: asked.Id, Port: asked.Port ?? defaultPort },
    TargetHealth: state('unused', 'Target.NotRegistered', 'Target is not registered to the target group'),
  };
}

function zoneEnabled(balancer: LoadBalancerRecord, zone: string | undefined): boolean {
  if (zone === undefined || zone === 'all') return true;
  return balancer.zones.some((enabled) => enabled.ZoneName === zone);
}

function state(
  State: NonNullable<TargetHealth['State']>,
  Reason: TargetHealthReasonEnum,
  Description: string,
): TargetHealth {
  return { State, Reason, Description };
}
