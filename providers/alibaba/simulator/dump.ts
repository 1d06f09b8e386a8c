/** The account as plain JSON: for people, for assertions in other people's CI, and for invariants. */
import type { LoadBalancer } from '../client-types.ts';
import type { BackendServer } from '../client-types-groups.ts';
import type { DomainExtension, Listener } from '../client-types-listeners.ts';
import { groupsOf, inForce, listenersOf } from './context.ts';
import type { Context } from './context.ts';
import { describeDomainExtensions } from './domain-extensions.ts';
import { showListener } from './listeners.ts';
import { show } from './load-balancers.ts';
import { showMember } from './members.ts';
import type { ResourceKind, Store, Tags } from './store.ts';

/** Members in the words of the API. */
export interface AccountDump {
  readonly region: string;
  readonly loadBalancers: readonly DumpedLoadBalancer[];
}

export interface DumpedLoadBalancer extends LoadBalancer {
  readonly Listeners: readonly (Listener & { readonly DomainExtensions: readonly DomainExtension[] })[];
  readonly VServerGroups: readonly {
    readonly VServerGroupId: string;
    readonly VServerGroupName: string;
    readonly TagsByKey: Tags;
    readonly BackendServers: readonly BackendServer[];
  }[];
  readonly TagsByKey: Tags;
}

export interface ResourceView {
  readonly kind: ResourceKind;
  readonly id: string;
  /** A listener has its port for a name, a domain extension its domain. */
  readonly name: string;
  readonly tags: Tags;
}

export function listResources(store: Store): readonly ResourceView[] {
  const all = [
    ...store.all('load-balancer').map((record) => ({ record, name: record.name })),
    ...store.all('listener').map((record) => ({ record, name: String(record.port) })),
    ...store.all('group').map((record) => ({ record, name: record.name })),
    ...store.all('domain-extension').map((record) => ({ record, name: record.domain })),
  ];
  return all
    .toSorted((a, b) => a.record.seq - b.record.seq)
    .map(({ record, name }) => ({ kind: record.kind, id: record.id, name, tags: record.tags }));
}

export function describeAccount(context: Context): AccountDump {
  return {
    region: context.settings.region,
    loadBalancers: context.store.all('load-balancer').map((record) => ({
      ...show(inForce(context, record), false),
      TagsByKey: record.tags,
      Listeners: listenersOf(context, record.id).map((listener) => ({
        ...showListener(context, listener),
        DomainExtensions:
          listener.protocol === 'https'
            ? (describeDomainExtensions(context, { LoadBalancerId: record.id, ListenerPort: listener.port })
                .DomainExtensions?.DomainExtension ?? [])
            : [],
      })),
      VServerGroups: groupsOf(context, record.id).map((group) => ({
        VServerGroupId: group.id,
        VServerGroupName: group.name,
        TagsByKey: group.tags,
        BackendServers: [...group.members.values()].map(showMember),
      })),
    })),
  };
}
