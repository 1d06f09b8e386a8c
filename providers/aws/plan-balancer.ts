/**
 * The balancer itself: made when it is missing, changed in place where AWS allows it, and a problem with the
 * way out where AWS does not.
 */
import { ref } from '../../src/core/plan.ts';
import type { Ref } from '../../src/core/plan.ts';
import { annotationField } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import { attributeChanges, toAttributeList } from './attribute-changes.ts';
import { balancerAttributes } from './attributes.ts';
import type { ObservedBalancer, SubnetMapping } from './observed.ts';
import { addStep } from './steps.ts';
import type { Planning } from './steps.ts';
import { toTagList } from './tags.ts';
import type { AwsWanted } from './wanted.ts';

/** The balancer as the rest of a plan refers to it: it may have to be made first. */
export interface BalancerHandle {
  readonly name: string;
  readonly arn: string | Ref;
  readonly vpc: string | Ref;
}

const orReplace = 'undo the change, or delete the Service and create it anew (its address changes)';

export function planBalancer(
  planning: Planning,
  wanted: AwsWanted,
  observed: ObservedBalancer | undefined,
): BalancerHandle {
  if (observed === undefined) return createBalancer(planning, wanted);
  reportFixed(planning, wanted, observed);
  changeSubnets(planning, wanted, observed);
  changeSecurityGroups(planning, wanted, observed);
  const changes = attributeChanges(balancerAttributes, wanted.attributes, observed.attributes, observed.tags);
  if (Object.keys(changes).length > 0) {
    addStep(planning, 'ModifyLoadBalancerAttributes', {
      id: 'modifyLoadBalancerAttributes',
      parameters: { LoadBalancerArn: observed.arn, Attributes: toAttributeList(changes) },
      subject: `balancer ${observed.name}`,
      reason: `attributes differ: ${Object.keys(changes).join(', ')}`,
      risk: 'disruptive',
    });
  }
  return { name: observed.name, arn: observed.arn, vpc: observed.vpc };
}

function createBalancer(planning: Planning, wanted: AwsWanted): BalancerHandle {
  const subject = `balancer ${wanted.name}`;
  const id = addStep(planning, 'CreateLoadBalancer', {
    id: 'createLoadBalancer',
    parameters: {
      Name: wanted.name,
      Type: 'network',
      Scheme: wanted.scheme,
      ...subnetParameters(wanted.subnets),
      ...(wanted.securityGroups.length === 0 ? {} : { SecurityGroups: wanted.securityGroups }),
      Tags: toTagList(wanted.tags),
    },
    subject,
    reason: 'the Service has no balancer',
    risk: 'none',
  });
  const arn = ref(id, 'LoadBalancerArn');
  const changes = attributeChanges(balancerAttributes, wanted.attributes, {}, {});
  if (Object.keys(changes).length > 0) {
    addStep(planning, 'ModifyLoadBalancerAttributes', {
      id: 'modifyLoadBalancerAttributes',
      parameters: { LoadBalancerArn: arn, Attributes: toAttributeList(changes) },
      subject,
      reason: `attributes differ from their defaults: ${Object.keys(changes).join(', ')}`,
      risk: 'none',
    });
  }
  return { name: wanted.name, arn, vpc: wanted.vpc ?? ref(id, 'VpcId') };
}

/** Mappings only where there are Elastic IPs: a plain list is what most balancers have. */
function subnetParameters(
  subnets: readonly SubnetMapping[],
): { readonly Subnets: readonly string[] } | { readonly SubnetMappings: readonly object[] } {
  if (subnets.every(({ allocation }) => allocation === undefined)) {
    return { Subnets: subnets.map(({ subnet }) => subnet) };
  }
  return {
    SubnetMappings: subnets.map(({ subnet, allocation }) => ({
      SubnetId: subnet,
      ...(allocation === undefined ? {} : { AllocationId: allocation }),
    })),
  };
}

/** What was decided when the balancer was made. */
function reportFixed({ problems }: Planning, wanted: AwsWanted, observed: ObservedBalancer): void {
  if (wanted.schemeAsked && wanted.scheme !== observed.scheme) {
    problems.push({
      severity: 'error',
      reason: 'ReplacementRequired',
      field: annotationField(`${prefix}scheme`),
      message: `balancer ${observed.name} is ${observed.scheme} and cannot be made ${wanted.scheme}`,
      cure: orReplace,
    });
  }
  if (wanted.named && wanted.name !== observed.name) {
    problems.push({
      severity: 'warning',
      reason: 'ImmutableSetting',
      field: annotationField(`${prefix}name`),
      message: `the balancer was made as "${observed.name}" and cannot be renamed to "${wanted.name}"`,
      cure: orReplace,
    });
  }
}

function changeSubnets(planning: Planning, wanted: AwsWanted, observed: ObservedBalancer): void {
  // Subnets of the settings belong to a scheme; a balancer that keeps another one keeps its subnets too.
  const applies = wanted.subnetsAsked || wanted.scheme === observed.scheme;
  if (!applies || wanted.subnets.length === 0) return;
  const before = new Map(observed.subnets.map((mapping) => [mapping.subnet, mapping.allocation]));
  const moved = wanted.subnets.filter(
    ({ subnet, allocation }) =>
      allocation !== undefined && before.has(subnet) && before.get(subnet) !== allocation,
  );
  if (moved.length > 0) {
    planning.problems.push({
      severity: 'error',
      reason: 'ReplacementRequired',
      field: annotationField(`${prefix}eip-allocations`),
      message: `the addresses of ${moved.map(({ subnet }) => subnet).join(', ')} were fixed when balancer ${observed.name} was made`,
      cure: orReplace,
    });
    return;
  }
  const after = new Set(wanted.subnets.map(({ subnet }) => subnet));
  const added = [...after].filter((subnet) => !before.has(subnet));
  const removed = [...before.keys()].filter((subnet) => !after.has(subnet));
  if (added.length === 0 && removed.length === 0) return;
  addStep(planning, 'SetSubnets', {
    id: 'setSubnets',
    parameters: { LoadBalancerArn: observed.arn, ...subnetParameters(wanted.subnets) },
    subject: `balancer ${observed.name}`,
    reason: `subnets differ: ${[...added.map((one) => `+${one}`), ...removed.map((one) => `-${one}`)].join(' ')}`,
    risk: 'disruptive',
  });
}

function changeSecurityGroups(planning: Planning, wanted: AwsWanted, observed: ObservedBalancer): void {
  const field = annotationField(`${prefix}security-groups`);
  if (wanted.securityGroups.join() === observed.securityGroups.join()) return;
  if (observed.securityGroups.length === 0) {
    planning.problems.push({
      severity: 'error',
      reason: 'ReplacementRequired',
      field,
      message: `balancer ${observed.name} was made without security groups and can never be given any`,
      cure: orReplace,
    });
    return;
  }
  if (wanted.securityGroups.length === 0) {
    planning.problems.push({
      severity: 'warning',
      reason: 'ImmutableSetting',
      field,
      message: `balancer ${observed.name} was made with security groups and keeps ${observed.securityGroups.join(', ')}`,
      cure: 'name the security groups that it should have',
    });
    return;
  }
  addStep(planning, 'SetSecurityGroups', {
    id: 'setSecurityGroups',
    parameters: { LoadBalancerArn: observed.arn, SecurityGroups: wanted.securityGroups },
    subject: `balancer ${observed.name}`,
    reason: `security groups differ: ${observed.securityGroups.join(', ')} now`,
    risk: 'disruptive',
  });
}
