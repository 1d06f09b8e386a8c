/**
 * The Services that MetalLB serves, and the one patch that makes such a Service ours. Pure.
 *
 * The patch is of metadata only: our finalizer and mark come, MetalLB's mark goes, and who is written down as the
 * writer of the status becomes us. The address stays in the status as it is, so nothing is given up and asked for anew.
 */
import { servedByAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import { foreignMarks, handOverTo, managerName } from '../core/neighbours.ts';
import { splitKey, type ServiceObject } from '../core/objects.ts';
import { fieldManager } from '../kube/api.ts';
import type { RawManaged, RawService } from '../kube/raw.ts';

const metallb = 'MetalLB';
const marks = Object.keys(foreignMarks).filter((key) => foreignMarks[key] === metallb);

/** It bears MetalLB's mark, or MetalLB wrote its address. */
export function isOfMetallb({ type, annotations, ingress, ingressManagers }: ServiceObject): boolean {
  if (type !== 'LoadBalancer') return false;
  if (marks.some((key) => annotations[key] !== undefined)) return true;
  return ingress.length > 0 && ingressManagers.some((name) => managerName(name) === metallb);
}

/** Why the Service itself keeps it from being taken over, with the cure; undefined where it does not. */
export function hindrance(service: ServiceObject): string | undefined {
  const { key, deleting, loadBalancerClass, ingress, finalizers, ingressManagers } = service;
  if (deleting) return 'it is being deleted';
  const ips = ingress.flatMap(({ ip }) => ip ?? []);
  if (ips.length === 0)
    return 'it has no address yet; Sluice serves it by its class or as one without a class';
  const { namespace, name } = splitKey(key);
  if (loadBalancerClass !== undefined && loadBalancerClass !== 'sluice.dev/local')
    return (
      `its class ${loadBalancerClass} cannot be changed in place; to move it with its address, which does not answer for a moment: ` +
      `kubectl -n ${namespace} annotate service ${name} sluice.dev/addresses=${ips.join(',')} && ${handOverTo('sluice.dev/local', service)}`
    );
  const other = ingressManagers.find(
    (manager) => managerName(manager) !== metallb && !/^(?:sluice|kubectl)/u.test(manager),
  );
  if (other !== undefined) return `"${other}" writes its address too; keep it off the Service first`;
  const foreign = finalizers.find((one) => one === 'service.kubernetes.io/load-balancer-cleanup');
  return foreign === undefined
    ? undefined
    : `finalizer ${foreign} says that another controller serves it too`;
}

/** The body of a merge patch, tied to the version that it was computed from. */
export function takingOver({ metadata = {} }: RawService): object {
  const { uid, resourceVersion, finalizers = [], annotations = {}, managedFields = [] } = metadata;
  const gone = marks.filter((key) => annotations[key] !== undefined).map((key) => [key, null]);
  return {
    metadata: {
      uid,
      resourceVersion,
      finalizers: [...new Set([...finalizers, finalizer])],
      annotations: { [servedByAnnotation]: 'local', ...(Object.fromEntries(gone) as object) },
      managedFields: managedFields.map(ours),
    },
  };
}

function ours(entry: RawManaged): RawManaged {
  const status = entry.fieldsV1?.['f:status'];
  const writes = typeof status === 'object' && status !== null && 'f:loadBalancer' in status;
  return writes && managerName(entry.manager ?? '') === metallb ? { ...entry, manager: fieldManager } : entry;
}
