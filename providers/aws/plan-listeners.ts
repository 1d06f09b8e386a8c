/**
 * Listeners: one for each port of the Service.
 *
 * New ones come before old ones go, unless the balancer is full. A listener that somebody else made on our
 * balancer is left alone; where it sits on one of our ports, that port is reported and the others go on.
 */
import type { Ref } from '../../src/core/plan.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { ObservedListener } from './observed.ts';
import type { BalancerHandle } from './plan-balancer.ts';
import { planCertificates } from './plan-certificates.ts';
import type { GroupHandle } from './plan-groups.ts';
import { maxListeners } from './ports.ts';
import { addStep } from './steps.ts';
import type { Planning } from './steps.ts';
import { toTagList } from './tags.ts';
import type { WantedListener } from './wanted.ts';

/** A wanted listener with what it sends traffic to. */
export interface ListenerWithGroup {
  readonly wanted: WantedListener;
  readonly group: GroupHandle;
  readonly observed: ObservedListener | undefined;
}

/**
 * Listeners whose port is free or ours; the others are reported.
 *
 * A listener that has lost our tags but sends its traffic to our group is ours all the same: the balancer and
 * the group prove it, and the tags are put back.
 */
export function splitByOwner(
  wanted: readonly WantedListener[],
  observed: readonly ObservedListener[],
  ourGroups: ReadonlySet<string>,
  balancer: string,
): { readonly usable: readonly WantedListener[]; readonly problems: readonly Problem[] } {
  const foreign = new Map(
    observed.filter((one) => !one.ours && !ourGroups.has(one.group)).map((one) => [one.port, one]),
  );
  const problems: Problem[] = [];
  const usable = wanted.filter((listener) => {
    const other = foreign.get(listener.port);
    if (other === undefined) return true;
    problems.push({
      severity: 'error',
      reason: 'PortConflict',
      field: 'spec.ports',
      message: `port ${listener.port} of balancer ${balancer} has a ${other.protocol} listener that Sluice did not make (${other.arn})`,
      cure: 'remove that listener, or use another port; the other ports go on',
    });
    return false;
  });
  return { usable, problems };
}

export function planListeners(
  planning: Planning,
  balancer: BalancerHandle,
  listeners: readonly ListenerWithGroup[],
  observed: readonly ObservedListener[],
): ReadonlyMap<string, string> {
  const wantedPorts = new Set(listeners.map(({ wanted }) => wanted.port));
  const obsolete = observed.filter((one) => one.ours && !wantedPorts.has(one.port));
  const missing = listeners.filter((one) => one.observed === undefined);
  const full = observed.length + missing.length > maxListeners;
  const removals = full ? removeListeners(planning, balancer, obsolete, []) : [];
  const creations: string[] = [];
  /** Group ARN → the step after which no listener of ours uses it any more. */
  const freed = new Map<string, string>();
  for (const { wanted, group, observed: before } of listeners) {
    if (before === undefined) {
      creations.push(createListener(planning, balancer, wanted, group, removals));
      continue;
    }
    const step = changeListener(planning, balancer, wanted, group, before);
    if (step !== undefined && before.group !== group.arn) freed.set(before.group, step);
    planCertificates(planning, balancer, wanted, before, step);
  }
  const deletions = full ? removals : removeListeners(planning, balancer, obsolete, creations);
  for (const [i, one] of obsolete.entries()) {
    const step = deletions[i];
    if (step !== undefined) freed.set(one.group, step);
  }
  return freed;
}

function forwardTo(
  arn: string | Ref,
): readonly { readonly Type: 'forward'; readonly TargetGroupArn: string | Ref }[] {
  return [{ Type: 'forward', TargetGroupArn: arn }];
}

interface ListenerParameters {
  readonly Protocol: WantedListener['protocol'];
  readonly DefaultActions: ReturnType<typeof forwardTo>;
  readonly Certificates?: readonly { readonly CertificateArn: string }[];
  readonly SslPolicy?: string;
  readonly AlpnPolicy?: readonly string[];
}

function listenerParameters(wanted: WantedListener, group: string | Ref): ListenerParameters {
  const [certificate] = wanted.certificates;
  return {
    Protocol: wanted.protocol,
    DefaultActions: forwardTo(group),
    ...(certificate === undefined ? {} : { Certificates: [{ CertificateArn: certificate }] }),
    ...(wanted.sslPolicy === '' ? {} : { SslPolicy: wanted.sslPolicy }),
    ...(wanted.protocol === 'TLS' ? { AlpnPolicy: [wanted.alpn === '' ? 'None' : wanted.alpn] } : {}),
  };
}

function createListener(
  planning: Planning,
  balancer: BalancerHandle,
  wanted: WantedListener,
  group: GroupHandle,
  needs: readonly string[],
): string {
  const id = addStep(planning, 'CreateListener', {
    id: `createListener.${wanted.key}`,
    parameters: {
      LoadBalancerArn: balancer.arn,
      Port: wanted.port,
      ...listenerParameters(wanted, group.arn),
      Tags: toTagList(wanted.tags),
    },
    subject: `listener ${wanted.port} (${wanted.protocol}) of ${balancer.name}`,
    reason: `port ${wanted.port} has no listener`,
    risk: 'none',
    needs,
  });
  planCertificates(planning, balancer, wanted, undefined, id);
  return id;
}

function changeListener(
  planning: Planning,
  balancer: BalancerHandle,
  wanted: WantedListener,
  group: GroupHandle,
  observed: ObservedListener,
): string | undefined {
  const different = [
    wanted.protocol === observed.protocol ? '' : `protocol (${observed.protocol} now)`,
    group.arn === observed.group ? '' : 'target group',
    (wanted.certificates[0] ?? '') === observed.certificate ? '' : 'default certificate',
    wanted.sslPolicy === observed.sslPolicy ? '' : 'security policy',
    wanted.alpn === observed.alpn ? '' : 'ALPN policy',
  ].filter((word) => word !== '');
  if (different.length === 0) return undefined;
  return addStep(planning, 'ModifyListener', {
    id: `modifyListener.${wanted.key}`,
    parameters: { ListenerArn: observed.arn, ...listenerParameters(wanted, group.arn) },
    subject: `listener ${wanted.port} (${wanted.protocol}) of ${balancer.name}`,
    reason: `it differs: ${different.join(', ')}`,
    risk: 'disruptive',
    // A listener must never be turned to a group without targets.
    needs: group.arn === observed.group ? [] : group.registrations,
  });
}

function removeListeners(
  planning: Planning,
  balancer: BalancerHandle,
  obsolete: readonly ObservedListener[],
  needs: readonly string[],
): readonly string[] {
  return obsolete.map((one) =>
    addStep(planning, 'DeleteListener', {
      id: `deleteListener.${one.port}-${one.protocol}`,
      parameters: { ListenerArn: one.arn },
      subject: `listener ${one.port} (${one.protocol}) of ${balancer.name}`,
      reason: `the Service has no port ${one.port} any more`,
      risk: 'disruptive',
      needs,
    }),
  );
}
