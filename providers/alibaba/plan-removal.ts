/**
 * Taking everything away: a balancer that we made goes with all that is on it; of one that the user brought along
 * only our listeners, our groups, our members and our mark go.
 *
 * Deletion protection is respected: when the Service asks for it, or when somebody else switched it on, the
 * balancer stays and says why. Lifted is only what we set (our tag says so) and what the Service says no to.
 */
import { annotationField } from '../../src/core/problems.ts';
import type { Owner } from '../../src/core/provider.ts';
import { prefix } from './annotation-row.ts';
import { backendsPerCall } from './limits.ts';
import { listenerKey, splitMemberKey } from './observed.ts';
import type { AlibabaObserved, ObservedBalancer } from './observed.ts';
import type { AlibabaSettings } from './settings.ts';
import { addStep, chunkId, chunks } from './steps.ts';
import type { Planning } from './steps.ts';
import {
  clusterTag,
  domainsTag,
  keysTag,
  orderedTag,
  protectionTag,
  serviceTag,
  takenOverTag,
  uidTag,
  useTag,
} from './tags.ts';

export function planRemoval(
  planning: Planning,
  settings: AlibabaSettings | undefined,
  { balancer }: AlibabaObserved,
  owner: Owner,
): void {
  if (balancer === undefined) return;
  if (!balancer.ours) {
    release(planning, balancer, owner);
  } else if (settings?.preserve === true) {
    preserve(planning, balancer);
  } else {
    const lifted = liftProtection(planning, settings, balancer);
    if (lifted === undefined) return;
    addStep(planning, 'DeleteLoadBalancer', {
      id: 'deleteLoadBalancer',
      parameters: { LoadBalancerId: balancer.id },
      subject: `balancer ${balancer.name}`,
      reason: 'the Service needs no balancer any more',
      risk: 'destructive',
      needs: lifted,
    });
  }
}

/** @returns the steps that lift it (none when it is off), or undefined when it must stay. */
function liftProtection(
  planning: Planning,
  settings: AlibabaSettings | undefined,
  balancer: ObservedBalancer,
): readonly string[] | undefined {
  if (!balancer.deleteProtection) return [];
  const field = annotationField(`${prefix}delete-protection`);
  const asked = settings?.deleteProtection;
  if (asked === 'on') {
    planning.problems.push({
      severity: 'error',
      reason: 'DeletionProtected',
      field,
      message: `the Service asks for deletion protection, so balancer ${balancer.name} is not deleted`,
      cure: 'set the annotation to off',
    });
    return undefined;
  }
  if (asked !== 'off' && balancer.tags[protectionTag] === undefined) {
    planning.problems.push({
      severity: 'error',
      reason: 'DeletionProtected',
      field,
      message: `somebody else switched deletion protection on for balancer ${balancer.name}, so it is not deleted`,
      cure: 'switch it off in the console, or set the annotation to off',
    });
    return undefined;
  }
  return [
    unprotect(
      planning,
      balancer,
      asked === 'off' ? 'the Service says no to deletion protection' : 'we set it, and nobody asks for it',
    ),
  ];
}

function unprotect(planning: Planning, balancer: ObservedBalancer, reason: string): string {
  return addStep(planning, 'SetLoadBalancerDeleteProtection', {
    id: 'setLoadBalancerDeleteProtection',
    parameters: { LoadBalancerId: balancer.id, DeleteProtection: 'off' },
    subject: `balancer ${balancer.name}`,
    reason,
    risk: 'disruptive',
  });
}

/** The balancer stays with all that is on it, unprotected, and is nobody's: our mark goes last. */
function preserve(planning: Planning, balancer: ObservedBalancer): void {
  planning.kept = `Kept balancer ${balancer.name} (${balancer.id}, ${balancer.address}) with all that is on it, unprotected and without our mark`;
  const needs: string[] = [];
  const reason = 'the Service asks for the balancer to be kept, so it is handed back';
  if (balancer.deleteProtection) needs.push(unprotect(planning, balancer, reason));
  if (balancer.modificationProtection) {
    needs.push(
      addStep(planning, 'SetLoadBalancerModificationProtection', {
        id: 'setLoadBalancerModificationProtection',
        parameters: { LoadBalancerId: balancer.id, ModificationProtectionStatus: 'NonProtection' },
        subject: `balancer ${balancer.name}`,
        reason,
        risk: 'disruptive',
      }),
    );
  }
  const marks = [
    clusterTag,
    serviceTag,
    uidTag,
    'sluice.dev/resource',
    keysTag,
    protectionTag,
    takenOverTag,
    orderedTag,
    domainsTag,
  ];
  untag(
    planning,
    balancer,
    marks.filter((key) => balancer.tags[key] !== undefined),
    reason,
    needs,
  );
}

function untag(
  planning: Planning,
  balancer: ObservedBalancer,
  TagKey: readonly string[],
  reason: string,
  needs: readonly string[],
): void {
  addStep(planning, 'UntagResources', {
    id: 'untagResources',
    parameters: { ResourceType: 'instance', ResourceId: [balancer.id], TagKey },
    subject: `balancer ${balancer.name}`,
    reason,
    risk: 'destructive',
    needs,
  });
}

function release(planning: Planning, balancer: ObservedBalancer, owner: Owner): void {
  const needs: string[] = [];
  const deleted = new Set<string>();
  for (const listener of balancer.listeners.filter(({ ours }) => ours)) {
    const { port, protocol } = listener;
    deleted.add(listenerKey(listener));
    needs.push(
      addStep(planning, 'DeleteLoadBalancerListener', {
        id: `deleteListener.${port}-${protocol}`,
        parameters: { LoadBalancerId: balancer.id, ListenerPort: port, ListenerProtocol: protocol },
        subject: `listener ${listenerKey(listener)} of ${balancer.name}`,
        reason: 'the Service needs no listener any more',
        risk: 'destructive',
      }),
    );
  }
  for (const group of balancer.groups) {
    const subject = `group ${group.name}`;
    if (!group.ours) {
      const mine = Object.entries(group.members ?? {}).filter(([, { ours }]) => ours);
      for (const [i, part] of chunks(mine, backendsPerCall).entries()) {
        needs.push(
          addStep(planning, 'RemoveVServerGroupBackendServers', {
            id: chunkId(`removeMembers.${group.id}`, i),
            parameters: {
              VServerGroupId: group.id,
              BackendServers: part.map(([key]) => {
                const { server, port } = splitMemberKey(key);
                return { ServerId: server, Port: port };
              }),
            },
            subject,
            reason: 'the Service needs no members any more',
            risk: 'destructive',
          }),
        );
      }
      continue;
    }
    const theirs = group.usedBy.filter((key) => !deleted.has(key));
    if (theirs.length > 0) {
      planning.problems.push({
        severity: 'error',
        reason: 'PortConflict',
        field: annotationField(`${prefix}id`),
        message: `listener ${theirs.join(', ')} of balancer ${balancer.name}, which Sluice did not make, uses ${subject} of this Service`,
        cure: 'turn it to another group, or delete it',
      });
      continue;
    }
    needs.push(
      addStep(planning, 'DeleteVServerGroup', {
        id: `deleteVServerGroup.${group.name}`,
        parameters: { VServerGroupId: group.id },
        subject,
        reason: 'the Service needs no group any more',
        risk: 'destructive',
        needs: [...needs],
      }),
    );
  }
  // The mark leads here: it goes when nothing else of ours is left.
  if (planning.problems.length === 0)
    untag(planning, balancer, [useTag(owner)], 'nothing of the Service is on it any more', needs);
}
