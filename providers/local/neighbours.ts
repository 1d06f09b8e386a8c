/**
 * Other controllers that give addresses to Services: how each shows itself, and the one command that ends the dispute
 * over a Service without taking anything from its other Services.
 *
 * Seen on a Service of ours, nothing is fought over: its status is left alone and a condition says who is there.
 */
import type { ServiceObject } from '../../src/core/objects.ts';
import { splitKey } from '../../src/core/objects.ts';

/** Field managers of `status.loadBalancer` → whose they are. */
const managers: readonly { readonly pattern: RegExp; readonly name: string }[] = [
  { pattern: /^(?:metallb|controller$|speaker$)/u, name: 'MetalLB' },
  { pattern: /^(?:k3s|servicelb|svclb)/u, name: 'k3s ServiceLB' },
  { pattern: /^cloud-provider-kind/u, name: 'cloud-provider-kind' },
  { pattern: /^kube-vip/u, name: 'kube-vip' },
  { pattern: /^cilium/u, name: 'Cilium' },
  { pattern: /cloud-controller-manager|cloud-provider/u, name: 'a cloud controller' },
];

/** Annotations and finalizers by which a controller shows itself on what it serves. */
const marks: Readonly<Record<string, string>> = {
  'metallb.io/ip-allocated-from-pool': 'MetalLB',
  'metallb.universe.tf/ip-allocated-from-pool': 'MetalLB',
  'kube-vip.io/vipHost': 'kube-vip',
};
const finalizers: Readonly<Record<string, string>> = {
  'service.kubernetes.io/load-balancer-cleanup': 'a cloud controller or k3s ServiceLB',
};

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
  const known = managers.find(({ pattern }) => pattern.test(stranger))?.name;
  return `${known ?? `"${stranger}"`} writes the address of this Service (field manager "${stranger}" of its status)`;
}

function byMarks({ annotations, finalizers: present }: ServiceObject): string | undefined {
  const mark = Object.keys(marks).find((key) => annotations[key] !== undefined);
  if (mark !== undefined) return `${marks[mark] ?? ''} serves this Service as well (annotation ${mark})`;
  const finalizer = present.find((name) => finalizers[name] !== undefined);
  if (finalizer === undefined) return undefined;
  return `${finalizers[finalizer] ?? ''} serves this Service as well (finalizer ${finalizer})`;
}

/** The class can only be set when a Service becomes a balancer: one command takes the type off and puts both on. */
export function handOver({ key, loadBalancerClass }: ServiceObject): string {
  const { namespace, name } = splitKey(key);
  const patch = (spec: object): string =>
    `kubectl -n ${namespace} patch service ${name} --type merge -p '${JSON.stringify({ spec })}'`;
  if (loadBalancerClass !== undefined) return 'keep the other controller off Services that have a class';
  return `${patch({ type: 'ClusterIP' })} && ${patch({ type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/local' })}`;
}
