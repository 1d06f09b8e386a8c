/**
 * Target groups and their targets.
 *
 * A group's protocol, type and network cannot be changed, so they are part of its name: such a change makes
 * another group, and the listener is turned to it. Targets are handed over: new ones at once, old ones when
 * it is safe (`handOver`), each named with the port it was registered with.
 */
import { handOver } from '../../src/core/hand-over.ts';
import type { RegisteredTarget, TargetHealth, UnwantedCause } from '../../src/core/hand-over.ts';
import { ref } from '../../src/core/plan.ts';
import type { Ref } from '../../src/core/plan.ts';
import type { PlanContext } from '../../src/core/provider.ts';
import { attributeChanges, toAttributeList } from './attribute-changes.ts';
import { groupAttributesFor } from './attributes.ts';
import type { HealthCheck, ObservedGroup } from './observed.ts';
import type { BalancerHandle } from './plan-balancer.ts';
import { healthCheckDifferences } from './read.ts';
import { addStep, chunks } from './steps.ts';
import type { Planning } from './steps.ts';
import { toTagList } from './tags.ts';
import { splitTargetKey, targetKey } from './target-key.ts';
import { listenerLabel } from './wanted.ts';
import type { AwsWanted, WantedGroup, WantedListener } from './wanted.ts';

/** Targets of one call. AWS names no limit; the existing controllers have used this one for years. */
const targetsPerCall = 200;

/** A group as the rest of a plan refers to it: it may have to be made first. */
export interface GroupHandle {
  readonly arn: string | Ref;
  /** Steps that put targets into it. */
  readonly registrations: readonly string[];
}

export function planGroup(
  planning: Planning,
  wanted: AwsWanted,
  listener: WantedListener,
  observed: ObservedGroup | undefined,
  balancer: BalancerHandle,
  context: PlanContext,
): GroupHandle {
  const { group, key } = listener;
  const present = replaceStrayed(planning, key, observed, balancer);
  if (present !== undefined) {
    changeHealthCheck(planning, key, group, present);
    changeAttributes(planning, key, group, present);
    return {
      arn: present.arn,
      registrations: planTargets(planning, wanted, listener, present, present.arn, context),
    };
  }
  const subject = `target group ${group.name}`;
  const id = addStep(planning, 'CreateTargetGroup', {
    id: `createTargetGroup.${key}`,
    parameters: {
      Name: group.name,
      Protocol: group.protocol,
      Port: group.port,
      VpcId: balancer.vpc,
      TargetType: 'instance',
      ...healthCheckParameters(group.healthCheck),
      Tags: toTagList(group.tags),
    },
    subject,
    reason: `port ${listener.port} has no target group`,
    risk: 'none',
    needs: observed === undefined ? [] : [`deleteTargetGroup.${group.name}`],
  });
  const arn = ref(id, 'TargetGroupArn');
  const changes = attributeChanges(groupAttributesFor(group.protocol), group.attributes, {}, {});
  if (Object.keys(changes).length > 0) {
    addStep(planning, 'ModifyTargetGroupAttributes', {
      id: `modifyTargetGroupAttributes.${key}`,
      parameters: { TargetGroupArn: arn, Attributes: toAttributeList(changes) },
      subject,
      reason: `attributes differ from their defaults: ${Object.keys(changes).join(', ')}`,
      risk: 'none',
    });
  }
  return { arn, registrations: planTargets(planning, wanted, listener, undefined, arn, context) };
}

/**
 * A group in another network than the balancer (which was made anew elsewhere) cannot be used, but it holds
 * the name: it goes first.
 */
function replaceStrayed(
  planning: Planning,
  key: string,
  observed: ObservedGroup | undefined,
  balancer: BalancerHandle,
): ObservedGroup | undefined {
  const strayed =
    observed !== undefined &&
    typeof balancer.vpc === 'string' &&
    observed.vpc !== balancer.vpc &&
    observed.balancers.length === 0;
  if (!strayed) return observed;
  addStep(planning, 'DeleteTargetGroup', {
    id: `deleteTargetGroup.${observed.name}`,
    parameters: { TargetGroupArn: observed.arn },
    subject: `target group ${observed.name}`,
    reason: `it is in ${observed.vpc}, and the balancer of ${key} in another network`,
    risk: 'disruptive',
  });
  return undefined;
}

type HealthCheckParameters = {
  readonly HealthCheckProtocol: HealthCheck['protocol'];
  readonly HealthCheckPort: string;
  readonly HealthCheckPath?: string;
  readonly Matcher?: { readonly HttpCode: string };
  readonly HealthCheckIntervalSeconds: number;
  readonly HealthCheckTimeoutSeconds: number;
  readonly HealthyThresholdCount: number;
  readonly UnhealthyThresholdCount: number;
};

function healthCheckParameters(check: HealthCheck): HealthCheckParameters {
  return {
    HealthCheckProtocol: check.protocol,
    HealthCheckPort: check.port,
    ...(check.path === undefined ? {} : { HealthCheckPath: check.path }),
    ...(check.matcher === undefined ? {} : { Matcher: { HttpCode: check.matcher } }),
    HealthCheckIntervalSeconds: check.intervalSeconds,
    HealthCheckTimeoutSeconds: check.timeoutSeconds,
    HealthyThresholdCount: check.healthyThreshold,
    UnhealthyThresholdCount: check.unhealthyThreshold,
  };
}

function changeHealthCheck(
  planning: Planning,
  key: string,
  { name, healthCheck }: WantedGroup,
  observed: ObservedGroup,
): void {
  const different = healthCheckDifferences(healthCheck, observed.healthCheck);
  if (different.length === 0) return;
  addStep(planning, 'ModifyTargetGroup', {
    id: `modifyTargetGroup.${key}`,
    parameters: { TargetGroupArn: observed.arn, ...healthCheckParameters(healthCheck) },
    subject: `target group ${name}`,
    reason: `health check differs: ${different.join(', ')}`,
    risk: 'disruptive',
  });
}

function changeAttributes(
  planning: Planning,
  key: string,
  { name, protocol, attributes }: WantedGroup,
  observed: ObservedGroup,
): void {
  const table = groupAttributesFor(protocol);
  const changes = attributeChanges(table, attributes, observed.attributes, observed.tags);
  if (Object.keys(changes).length === 0) return;
  addStep(planning, 'ModifyTargetGroupAttributes', {
    id: `modifyTargetGroupAttributes.${key}`,
    parameters: { TargetGroupArn: observed.arn, Attributes: toAttributeList(changes) },
    subject: `target group ${name}`,
    reason: `attributes differ: ${Object.keys(changes).join(', ')}`,
    risk: 'disruptive',
  });
}

/** Nobody uses a wanted group for now, but its listener comes: what is in it may be healthy a moment later. */
function served(health: TargetHealth, group: ObservedGroup | undefined): TargetHealth {
  return health === 'unused' && group?.balancers.length === 0 ? 'unknown' : health;
}

/** @returns the ids of the steps that register. */
function planTargets(
  planning: Planning,
  wanted: AwsWanted,
  listener: WantedListener,
  observed: ObservedGroup | undefined,
  arn: string | Ref,
  context: PlanContext,
): readonly string[] {
  const { key, group } = listener;
  const label = listenerLabel(listener);
  const idle = new Set(wanted.idle);
  const targets = group.targets.map(targetKey);
  const instances = new Set(group.targets.map(({ instance }) => instance));
  const causeOf = (registered: string): UnwantedCause => {
    const { instance } = splitTargetKey(registered);
    if (instances.has(instance)) return 'port';
    return idle.has(instance) ? 'endpoint' : 'gone';
  };
  const result = handOver({
    group: label,
    wanted: targets.map((target) => ({ key: target })),
    registered: Object.entries(observed?.targets ?? {}).map(([target, { health }]): RegisteredTarget => ({
      key: target,
      health: served(health, observed),
      cause: causeOf(target),
    })),
    now: context.now,
    memory: context.memory,
  });
  Object.assign(planning.memory, result.memory);
  planning.waits.push(...result.waits);
  const subject = `target group ${group.name}`;
  const healthyRemoved = new Set(result.healthyRemoved);

  const registrations = chunks(result.add, targetsPerCall).map((part, i) =>
    addStep(planning, 'RegisterTargets', {
      id: chunkId(`registerTargets.${key}`, i),
      parameters: { TargetGroupArn: arn, Targets: part.map(toDescription) },
      subject,
      reason: `${named(part)} should be a target`,
      risk: 'none',
      effect: { kind: 'addTargets', group: label, count: part.length },
    }),
  );
  for (const [i, part] of chunks(result.remove, targetsPerCall).entries()) {
    addStep(planning, 'DeregisterTargets', {
      id: chunkId(`deregisterTargets.${key}`, i),
      parameters: { TargetGroupArn: arn, Targets: part.map(toDescription) },
      subject,
      reason: `${named(part)} should no longer be a target`,
      risk: 'disruptive',
      effect: {
        kind: 'removeTargets',
        group: label,
        healthyRemoved: part.filter((target) => healthyRemoved.has(target)).length,
        healthyBefore: result.healthyBefore,
      },
      needs: registrations,
    });
  }
  return registrations;
}

function toDescription(target: string): { Id: string; Port: number } {
  const { instance, port } = splitTargetKey(target);
  return { Id: instance, Port: port };
}

function chunkId(id: string, index: number): string {
  return index === 0 ? id : `${id}.${index + 1}`;
}

function named(targets: readonly string[]): string {
  const some = targets.slice(0, 3).join(', ');
  return targets.length > 3 ? `${some} and ${targets.length - 3} more` : some;
}
