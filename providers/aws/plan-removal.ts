/**
 * Taking everything away: the balancer (its listeners go with it), then the target groups.
 *
 * Deletion protection is respected: when the Service asks for it, or when somebody else switched it on, the
 * balancer stays and says why. Lifted is only protection that the Service says no to, and protection that we
 * set and that nobody asks for any more.
 */
import { annotationField } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import type { AwsObserved, ObservedBalancer } from './observed.ts';
import type { AwsSettings } from './settings.ts';
import { addStep } from './steps.ts';
import type { Planning } from './steps.ts';
import { attributesTag, splitRecord } from './tags.ts';

export const protectionKey = 'deletion_protection.enabled';

export function planRemoval(
  planning: Planning,
  settings: AwsSettings | undefined,
  observed: AwsObserved,
): void {
  const { balancer } = observed;
  const needs: string[] = [];
  if (balancer !== undefined) {
    const lifted = liftProtection(planning, settings, balancer);
    if (lifted === undefined) return;
    needs.push(
      addStep(planning, 'DeleteLoadBalancer', {
        id: 'deleteLoadBalancer',
        parameters: { LoadBalancerArn: balancer.arn },
        subject: `balancer ${balancer.name}`,
        reason: 'the Service needs no balancer any more',
        risk: 'destructive',
        needs: lifted,
      }),
    );
  }
  for (const group of observed.groups) {
    addStep(planning, 'DeleteTargetGroup', {
      id: `deleteTargetGroup.${group.name}`,
      parameters: { TargetGroupArn: group.arn },
      subject: `target group ${group.name}`,
      reason: 'the Service needs no target group any more',
      risk: 'destructive',
      needs,
    });
  }
}

/** @returns the steps that lift it (none when it is off), or undefined when it must stay. */
function liftProtection(
  planning: Planning,
  settings: AwsSettings | undefined,
  balancer: ObservedBalancer,
): readonly string[] | undefined {
  if (balancer.attributes?.[protectionKey] !== 'true') return [];
  const field = annotationField(`${prefix}attributes`);
  if (settings?.balancerAttributes[protectionKey] === 'true') {
    planning.problems.push({
      severity: 'error',
      reason: 'DeletionProtected',
      field,
      message: `the Service asks for deletion protection, so balancer ${balancer.name} is not deleted`,
      cure: `set ${protectionKey}=false in the annotation`,
    });
    return undefined;
  }
  const refused = settings?.balancerAttributes[protectionKey] === 'false';
  if (!refused && !splitRecord(balancer.tags[attributesTag]).has('protection')) {
    planning.problems.push({
      severity: 'error',
      reason: 'DeletionProtected',
      field,
      message: `somebody else switched deletion protection on for balancer ${balancer.name}, so it is not deleted`,
      cure: `switch it off at AWS, or set ${protectionKey}=false in the annotation`,
    });
    return undefined;
  }
  return [
    addStep(planning, 'ModifyLoadBalancerAttributes', {
      id: 'modifyLoadBalancerAttributes',
      parameters: {
        LoadBalancerArn: balancer.arn,
        Attributes: [{ Key: protectionKey, Value: 'false' }],
      },
      subject: `balancer ${balancer.name}`,
      reason: refused
        ? 'the Service says no to deletion protection'
        : 'the deletion protection that we set is no longer asked for',
      risk: 'disruptive',
    }),
  ];
}
