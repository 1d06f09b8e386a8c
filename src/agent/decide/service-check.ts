/** What a Service says that the agent cannot do as it is written: nothing that a user asked for is silently ignored. */
import { unknownOwn } from '../../core/annotations.ts';
import { parseCidr } from '../../core/cidr.ts';
import { finalizer } from '../../core/claim.ts';
import type { ServiceObject } from '../../core/objects.ts';
import type { Problem } from '../../core/problems.ts';
import { familyOf } from './addresses.ts';
import { serviceOptions } from './annotations.ts';
import { notServed } from './service.ts';
import type { NodeView } from './view.ts';

/** Every problem of a Service; none where it is not ours to serve. */
export function serviceProblems(service: ServiceObject, view: NodeView): readonly Problem[] {
  if (notServed(service, view) !== undefined) return [];
  return [
    ...serviceOptions(service).problems,
    ...unknownOwn(service.annotations),
    ...rangeProblems(service, view),
    ...service.externalIPs.flatMap((text, i) =>
      addressProblems(service, text, `spec.externalIPs[${i}]`, 'correct it', 'take it out'),
    ),
    ...service.ingress.flatMap(({ ip, ipMode }, i) =>
      ip === undefined || ipMode === 'Proxy'
        ? []
        : addressProblems(
            service,
            ip,
            `status.loadBalancer.ingress[${i}].ip`,
            'have it corrected by whoever wrote it',
            'have it taken out by whoever wrote it',
          ),
    ),
  ];
}

/**
 * Those that the agents tell on the Service: all, but for unknown annotations where a controller tells of them.
 *
 * A controller reads the annotations of Services of type LoadBalancer that it serves, and of those that it refuses. The
 * first bear its finalizer, before it does anything else for them, the second its condition.
 */
export function agentProblems(service: ServiceObject, view: NodeView): readonly Problem[] {
  const problems = serviceProblems(service, view);
  return isReadByController(service)
    ? problems.filter(({ reason }) => reason !== 'UnknownAnnotation')
    : problems;
}

function isReadByController({ type, finalizers, conditions }: ServiceObject): boolean {
  return (
    type === 'LoadBalancer' &&
    (finalizers.includes(finalizer) || conditions.some((condition) => condition.type === 'Accepted'))
  );
}

/** An address that leads nowhere: it is none, or of a family that the Service is not in (O11, O12). */
function addressProblems(
  { clusterIPs }: ServiceObject,
  text: string,
  field: string,
  correct: string,
  takeOut: string,
): readonly Problem[] {
  const family = familyOf(text);
  if (family === undefined) return [wrong(field, `"${text}" is not an address and is left out`, correct)];
  if (clusterIPs.some((one) => familyOf(one) === family)) return [];
  return [
    {
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field,
      message: `"${text}" is of ${family}, in which the Service has no cluster IP, so nothing is served there`,
      cure: `add ${family} to spec.ipFamilies, or ${takeOut}`,
    },
  ];
}

function wrong(field: string, message: string, cure: string): Problem {
  return { severity: 'error', reason: 'IneffectiveSetting', field, message, cure };
}

function rangeProblems(service: ServiceObject, { settings }: NodeView): readonly Problem[] {
  const field = 'spec.loadBalancerSourceRanges';
  const read = service.sourceRanges.map((text) => parseCidr(text.trim()));
  if (read.length === 0) return [];
  const problems = read.flatMap((one, i): readonly Problem[] =>
    one.kind === 'malformed' ? [wrong(`${field}[${i}]`, `${one.message}; it is left out`, 'correct it')] : [],
  );
  const good = read.flatMap((one) => (one.kind === 'cidr' ? [one.cidr.family] : []));
  if (good.length === 0) {
    return [...problems, wrong(field, 'no range can be read, so nobody is let in', 'correct the ranges')];
  }
  for (const family of settings.families) {
    const served = service.clusterIPs.some((text) => familyOf(text) === family);
    if (!served || good.includes(family)) continue;
    const open = !settings.strictSourceRanges && problems.length === 0;
    problems.push({
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field,
      message: `no range is of ${family}, so over ${family} ${open ? 'everybody' : 'nobody'} is let in`,
      cure: `add the ${family} ranges that are to be let in`,
    });
  }
  return problems;
}
