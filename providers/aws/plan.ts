/**
 * From what AWS holds to what a Service wants: an ordered list of calls. Pure.
 *
 * Invariants: nothing without the owner's tags is written to; a second plan on the result of the first is
 * empty; what is new comes before what is old goes.
 */
import type { Plan } from '../../src/core/plan.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { Goal, PlanContext } from '../../src/core/provider.ts';
import { planBalancer } from './plan-balancer.ts';
import { planGroup } from './plan-groups.ts';
import type { AwsObserved, ObservedGroup, Stranger } from './observed.ts';
import { planListeners, splitByOwner } from './plan-listeners.ts';
import type { ListenerWithGroup } from './plan-listeners.ts';
import { planRemoval } from './plan-removal.ts';
import { planTagsAfter, planTagsBefore, recordFirst, taggedResources } from './plan-tags.ts';
import type { AwsSettings } from './settings.ts';
import { addStep, asPlan, emptyPlanning } from './steps.ts';
import type { Planning } from './steps.ts';
import type { AwsWanted } from './wanted.ts';

export function plan(goal: Goal<AwsSettings, AwsWanted>, observed: AwsObserved, context: PlanContext): Plan {
  const planning = emptyPlanning();
  switch (goal.kind) {
    case 'present':
      planPresent(planning, goal.wanted, observed, context);
      break;
    case 'absent':
      planRemoval(planning, goal.settings, observed);
      break;
  }
  return asPlan(planning);
}

function planPresent(
  planning: Planning,
  wanted: AwsWanted,
  observed: AwsObserved,
  context: PlanContext,
): void {
  planning.problems.push(...observed.strangers.map(nameConflict));
  if (observed.strangers.some(({ kind }) => kind === 'balancer')) return;
  const taken = new Set(observed.strangers.map(({ name }) => name));
  const groups = new Map(observed.groups.map((group) => [group.name, group]));
  const listeners = observed.balancer?.listeners ?? [];

  const { usable, problems } = splitByOwner(
    wanted.listeners.filter(({ group }) => !taken.has(group.name)),
    listeners,
    new Set(observed.groups.map(({ arn }) => arn)),
    observed.balancer?.name ?? wanted.name,
  );
  planning.problems.push(...problems);

  const tagged = taggedResources({ ...wanted, listeners: usable }, observed);
  planTagsBefore(planning, tagged);
  const balancer = planBalancer(planning, wanted, observed.balancer);
  const withGroups = usable.map((listener): ListenerWithGroup => ({
    wanted: listener,
    group: planGroup(planning, wanted, listener, groups.get(listener.group.name), balancer, context),
    observed: listeners.find(({ port }) => port === listener.port),
  }));
  const freed = planListeners(planning, balancer, withGroups, listeners);
  const kept = new Set(wanted.listeners.map(({ group }) => group.name));
  const obsolete = observed.groups.filter(({ name }) => !kept.has(name));
  removeGroups(planning, obsolete, freed, observed);
  recordFirst(planning);
  planTagsAfter(planning, tagged);
}

/** Groups that no port asks for any more, as soon as no listener uses them. */
function removeGroups(
  planning: Planning,
  obsolete: readonly ObservedGroup[],
  freed: ReadonlyMap<string, string>,
  observed: AwsObserved,
): void {
  const mine = observed.balancer?.arn;
  for (const group of obsolete) {
    // Somebody made a listener of their own for it: deleting it would break theirs.
    const elsewhere = group.balancers.some((arn) => arn !== mine);
    const foreign = observed.balancer?.listeners.some((one) => one.group === group.arn && !one.ours);
    if (elsewhere || foreign === true) continue;
    const step = freed.get(group.arn);
    addStep(planning, 'DeleteTargetGroup', {
      id: `deleteTargetGroup.${group.name}`,
      parameters: { TargetGroupArn: group.arn },
      subject: `target group ${group.name}`,
      reason: 'no port of the Service uses it any more',
      risk: 'disruptive',
      needs: step === undefined ? [] : [step],
    });
  }
}

function nameConflict({ kind, name, owner }: Stranger): Problem {
  const what = kind === 'balancer' ? 'balancer' : 'target group';
  return {
    severity: 'error',
    reason: 'NameConflict',
    field: 'metadata.name',
    message: `a ${what} named "${name}" exists and is not this Service's: ${owner}`,
    cure: `choose another name, or remove that ${what}`,
  };
}
