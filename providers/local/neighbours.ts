/**
 * Other controllers that give addresses to Services: how each shows itself, and the one command that ends the dispute
 * over a Service without taking anything from its other Services.
 *
 * Seen on a Service of ours, nothing is fought over: its status is left alone and a condition says who is there.
 */
import type { ServiceObject } from '../../src/core/objects.ts';
import { foreignFinalizers, foreignMarks, handOverTo, managerName } from '../../src/core/neighbours.ts';

/** Who else serves this Service, as a sentence with the cure; undefined where nobody shows. */
export function rival(service: ServiceObject): string | undefined {
  const found = byStatus(service) ?? byMarks(service);
  return found === undefined
    ? undefined
    : `${found}; to give the Service to one of them: ${handOver(service)}`;
}

function byStatus({ ingress, ingressManagers }: ServiceObject): string | undefined {
  if (ingress.length === 0) return undefined;
  const stranger = ingressManagers.find((name) => !/^(?:sluice|kubectl)/u.test(name));
  if (stranger === undefined) return undefined;
  const known = managerName(stranger);
  return `${known ?? `"${stranger}"`} writes the address of this Service (field manager "${stranger}" of its status)`;
}

function byMarks({ annotations, finalizers: present }: ServiceObject): string | undefined {
  const mark = Object.keys(foreignMarks).find((key) => annotations[key] !== undefined);
  if (mark !== undefined)
    return `${foreignMarks[mark] ?? ''} serves this Service as well (annotation ${mark})`;
  const finalizer = present.find((name) => foreignFinalizers[name] !== undefined);
  if (finalizer === undefined) return undefined;
  return `${foreignFinalizers[finalizer] ?? ''} serves this Service as well (finalizer ${finalizer})`;
}

export function handOver(service: ServiceObject): string {
  if (service.loadBalancerClass !== undefined)
    return 'keep the other controller off Services that have a class';
  return handOverTo('sluice.dev/local', service);
}
