/**
 * Other controllers that serve Services without a class: how each shows itself on what it serves, and what is known of
 * them in this cluster. Pure, and a table that follows the Services at a constant cost for each change.
 */
import { splitKey, type ObjectKey, type ServiceObject } from './objects.ts';

/** Finalizer → whose it is. */
export const foreignFinalizers: Readonly<Record<string, string>> = {
  'service.kubernetes.io/load-balancer-cleanup':
    "the cloud provider's service controller (k3s ServiceLB and cloud-provider-kind are such)",
  'service.k8s.aws/resources': 'aws-load-balancer-controller',
  'service.k8s.alibaba/resources': 'the Alibaba cloud controller manager',
  'gke.networking.io/l4-ilb-v1': 'the GKE controller',
  'gke.networking.io/l4-ilb-v2': 'the GKE controller',
  'gke.networking.io/l4-netlb-v2': 'the GKE controller',
};

/** Annotations that a controller writes on what it serves. */
export const foreignMarks: Readonly<Record<string, string>> = {
  'metallb.io/ip-allocated-from-pool': 'MetalLB',
  'metallb.universe.tf/ip-allocated-from-pool': 'MetalLB',
  'kube-vip.io/vipHost': 'kube-vip',
};

/** Field managers of `status.loadBalancer` → whose they are. */
const managers: readonly { readonly pattern: RegExp; readonly name: string }[] = [
  { pattern: /^(?:metallb|controller$|speaker$)/u, name: 'MetalLB' },
  { pattern: /^(?:k3s|servicelb|svclb)/u, name: 'k3s ServiceLB' },
  { pattern: /^cloud-provider-kind/u, name: 'cloud-provider-kind' },
  { pattern: /^kube-vip/u, name: 'kube-vip' },
  { pattern: /^cilium/u, name: 'Cilium' },
  { pattern: /cloud-controller-manager|cloud-provider/u, name: 'a cloud controller' },
];

/** Whose a field manager of `status.loadBalancer` is; undefined where nobody knows it. */
export function managerName(manager: string): string | undefined {
  return managers.find(({ pattern }) => pattern.test(manager))?.name;
}

/** The class can only be set when a Service becomes a balancer: one command takes the type off and puts both on. */
export function handOverTo(className: string, { key }: Pick<ServiceObject, 'key'>): string {
  const { namespace, name } = splitKey(key);
  const patch = (spec: object): string =>
    `kubectl -n ${namespace} patch service ${name} --type merge -p '${JSON.stringify({ spec })}'`;
  return `${patch({ type: 'ClusterIP' })} && ${patch({ type: 'LoadBalancer', loadBalancerClass: className })}`;
}

/** Another controller is at work on this Service, which has no class: its name, and by what it shows. */
export function strangerOn(service: ServiceObject): string | undefined {
  const { type, loadBalancerClass, finalizers, annotations, ingress, ingressManagers } = service;
  if (type !== 'LoadBalancer' || loadBalancerClass !== undefined) return undefined;
  const finalizer = finalizers.find((name) => foreignFinalizers[name] !== undefined);
  if (finalizer !== undefined) return `${foreignFinalizers[finalizer] ?? ''} (finalizer ${finalizer})`;
  const mark = Object.keys(foreignMarks).find((key) => annotations[key] !== undefined);
  if (mark !== undefined) return `${foreignMarks[mark] ?? ''} (annotation ${mark})`;
  if (ingress.length === 0) return undefined;
  // Here only those count that are known: a person's script is no controller.
  const manager = ingressManagers.find(
    (name) => !name.startsWith('sluice') && managerName(name) !== undefined,
  );
  return manager === undefined
    ? undefined
    : `${managerName(manager) ?? ''} (field manager "${manager}" of its status)`;
}

/** What is known of other controllers in the cluster. */
export class Neighbourhood {
  readonly #seen = new Map<ObjectKey, string>();

  /** @param services as they are now. */
  static of(services: Iterable<ServiceObject>): Neighbourhood {
    const made = new Neighbourhood();
    for (const service of services) made.note(undefined, service);
    return made;
  }

  /** A Service changed. True where the first neighbour came, or the last one went. */
  note(before: ServiceObject | undefined, after: ServiceObject | undefined): boolean {
    const had = this.#seen.size > 0;
    const stranger = after && strangerOn(after);
    if (after !== undefined && stranger !== undefined) this.#seen.set(after.key, stranger);
    else if (before !== undefined || after !== undefined)
      this.#seen.delete((after ?? before)?.key ?? ('' as ObjectKey));
    return had !== this.#seen.size > 0;
  }

  /** A clause: who serves Services without a class here, and on which Service that shows. Undefined where nobody does. */
  shown(): string | undefined {
    for (const [key, stranger] of this.#seen)
      return `in this cluster another controller serves Services without a class: ${stranger} on ${key}`;
    return undefined;
  }
}
