/**
 * From what Alibaba Cloud holds to what a Service wants: an ordered list of calls. Pure.
 *
 * Invariants: nothing without the owner's mark is written to, but for our members in groups and our mark on a
 * balancer that the user brought along; a second plan on the result of the first is empty; a new group is filled
 * before a listener is turned to it, and the old one goes last.
 */
import type { Plan } from '../../src/core/plan.ts';
import type { Problem } from '../../src/core/problems.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Goal, PlanContext } from '../../src/core/provider.ts';
import { prefix } from './annotation-row.ts';
import { checkCertificates } from './certificates.ts';
import { planDomains } from './domains.ts';
import type { AlibabaObserved, ObservedBalancer, ObservedGroup } from './observed.ts';
import { planBalancer } from './plan-balancer.ts';
import { planGroup, removeGroups } from './plan-groups.ts';
import type { GroupHandle } from './plan-groups.ts';
import { planListeners, removeListeners, splitByOwner } from './plan-listeners.ts';
import { planRemoval } from './plan-removal.ts';
import type { AlibabaSettings } from './settings.ts';
import { asPlan, emptyPlanning } from './steps.ts';
import type { Planning } from './steps.ts';
import { foreignMarks } from './tags.ts';
import { groupOf } from './wanted.ts';
import type { AlibabaWanted, WantedListener } from './wanted.ts';

export function plan(
  goal: Goal<AlibabaSettings, AlibabaWanted>,
  observed: AlibabaObserved,
  context: PlanContext,
): Plan {
  const planning = emptyPlanning();
  if (observed.doubles.length > 0) planning.problems.push(doubles(observed.doubles));
  else if (goal.kind === 'present') planPresent(planning, goal.wanted, observed, context);
  else planRemoval(planning, goal.settings, observed, context.owner);
  return asPlan(planning);
}

function planPresent(
  planning: Planning,
  wanted: AlibabaWanted,
  { balancer: present, strangers, certificates }: AlibabaObserved,
  context: PlanContext,
): void {
  const [stranger] = strangers;
  if (present === undefined && stranger !== undefined) {
    planning.problems.push(
      error(
        'NameConflict',
        'metadata.name',
        `balancer ${stranger.id} is named "${stranger.name}" and is not this Service's: ${stranger.owner}`,
        'rename or remove that balancer',
      ),
    );
    return;
  }
  const obstacle = obstacleTo(wanted, present);
  if (obstacle !== undefined) {
    planning.problems.push(obstacle);
    return;
  }
  const balancer = planBalancer(planning, wanted, present);
  const listeners = present?.listeners ?? [];
  const groups = present?.groups ?? [];
  const managesListeners = wanted.reuse?.listeners ?? true;
  const free = managesListeners ? splitByOwner(planning, wanted, present, groups) : wanted.listeners;
  const checked = checkCertificates(free, listeners, certificates);
  planning.problems.push(...checked.problems);
  const usable = managesListeners ? checked.listeners : free;
  // Two listeners may share a group that was taken over: its members are planned once.
  const shared = new Map<ObservedGroup, GroupHandle>();
  const groupFor = (listener: WantedListener): GroupHandle => {
    const found = groupOf(listener, groups);
    const planned = found === undefined ? undefined : shared.get(found);
    if (planned !== undefined) return { ...planned, finish: () => undefined };
    const handle = planGroup(planning, wanted, listener, groups, balancer, context);
    if (found?.takenOver !== undefined) shared.set(found, handle);
    return handle;
  };
  const filled = usable.map((listener) => ({
    wanted: listener,
    group: groupFor(listener),
    observed: listeners.find((one) => one.port === listener.port && one.protocol === listener.protocol),
  }));
  if (managesListeners) {
    const removed = removeListeners(planning, balancer, wanted, listeners, checked.withheld);
    planListeners(planning, balancer, filled, removed);
    planDomains(
      planning,
      balancer,
      present,
      filled.filter(({ group }) => group.usable),
    );
  }
  for (const { group } of filled) group.finish();
  removeGroups(planning, wanted, groups, listeners, managesListeners);
}

/** Why nothing can be done at all. */
function obstacleTo(wanted: AlibabaWanted, balancer: ObservedBalancer | undefined): Problem | undefined {
  const { reuse, published } = wanted;
  const id = annotationField(`${prefix}id`);
  if (balancer === undefined) {
    if (reuse !== undefined)
      return error('BalancerMissing', id, `there is no balancer ${reuse.id} in the region`, 'correct the id');
    if (published.length > 0 && !wanted.recreate)
      return error(
        'BalancerMissing',
        'status.loadBalancer',
        `the balancer of ${published.join(', ')} is gone, and a new one would have another address`,
        `set ${prefix}recreate to "on" for a new one, or restore the old one`,
      );
    if (!wanted.mayCreate)
      return error(
        'ConflictingSettings',
        annotationField(`${prefix}address-type`),
        'balancers that can be reached from the internet are not made here (providers.alibaba.allowInternet is false)',
        'set it to intranet',
      );
    return undefined;
  }
  if (reuse === undefined ? !balancer.ours : balancer.id !== reuse.id)
    return error(
      'ReplacementRequired',
      id,
      `the Service is on balancer ${balancer.id}, and cannot change over to another one`,
      'undo the change, or delete the Service and create it anew (the address changes)',
    );
  if (reuse === undefined) return undefined;
  if (balancer.owner !== 'not made by Sluice' || foreignMarks.some((key) => balancer.tags[key] !== undefined))
    return error(
      'NameConflict',
      id,
      `balancer ${balancer.id} was made by a controller (${balancer.owner})`,
      'name one that was made in the console or by the API',
    );
  if (published.length > 0 && wanted.hostname === undefined && !published.includes(balancer.address))
    return error(
      'ReplacementRequired',
      id,
      `the Service shows ${published.join(', ')}, and balancer ${balancer.id} has ${balancer.address}`,
      'name the balancer of that address, or delete the Service and create it anew',
    );
  if (wanted.addressTypeAsked && wanted.addressType !== balancer.addressType)
    return error(
      'ConflictingSettings',
      annotationField(`${prefix}address-type`),
      `balancer ${balancer.id} is ${balancer.addressType}`,
      'correct or remove the annotation',
    );
  if (balancer.addressType === 'intranet' && wanted.vpc !== undefined && wanted.vpc !== balancer.vpc)
    return error(
      'ConflictingSettings',
      id,
      `balancer ${balancer.id} is in ${balancer.vpc}, and the cluster in ${wanted.vpc}`,
      'name one of the VPC of the cluster',
    );
  return undefined;
}

function doubles(ids: readonly string[]): Problem {
  return error(
    'DuplicateBalancer',
    'metadata.uid',
    `more than one balancer bears the mark of this Service: ${ids.join(', ')}; none is changed`,
    'take the tags sluice.dev/… off all but one',
  );
}

function error(reason: Problem['reason'], field: string, message: string, cure: string): Problem {
  return { severity: 'error', reason, field, message, cure };
}
