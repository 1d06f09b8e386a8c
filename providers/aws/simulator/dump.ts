/** The account as plain JSON: for people, for assertions in other people's CI, and for invariants. */

import { describeListenerAttributes } from './listener-attributes.ts';
import { describeListenerCertificates } from './certificates.ts';
import type { Context } from './context.ts';
import { describeListeners } from './listeners.ts';
import { describeLoadBalancerAttributes } from './load-balancer-attributes.ts';
import { describe as describeLoadBalancer } from './load-balancers.ts';
import type { ResourceKind, Store, Tags } from './store.ts';
import { describeTargetGroupAttributes } from './target-group-attributes.ts';
import { describe as describeTargetGroup } from './target-groups.ts';
import { describeTargetHealth } from './target-health.ts';

/** Members in the words of the API; dates as ISO text. */
export interface AccountDump {
  readonly accountId: string;
  readonly region: string;
  readonly loadBalancers: readonly DumpedLoadBalancer[];
  readonly targetGroups: readonly DumpedResource[];
}

export interface DumpedResource {
  readonly Tags: Tags;
  readonly Attributes: Readonly<Record<string, string>>;
  readonly [member: string]: unknown;
}

export interface DumpedLoadBalancer extends DumpedResource {
  readonly Listeners: readonly DumpedResource[];
}

export interface ResourceView {
  readonly kind: ResourceKind;
  readonly arn: string;
  /** A listener has its port for a name. */
  readonly name: string;
  readonly tags: Tags;
}

export function listResources(store: Store): readonly ResourceView[] {
  const all = [
    ...[...store.all('load-balancer')].map((record) => ({ record, name: record.name })),
    ...[...store.all('target-group')].map((record) => ({ record, name: record.name })),
    ...[...store.all('listener')].map((record) => ({ record, name: String(record.port) })),
  ];
  return all
    .toSorted((a, b) => a.record.seq - b.record.seq)
    .map(({ record, name }) => ({ kind: record.kind, arn: record.arn, name, tags: record.tags }));
}

export function describeAccount(context: Context): AccountDump {
  const { settings, store } = context;
  return {
    accountId: settings.accountId,
    region: settings.region,
    loadBalancers: [...store.all('load-balancer')].map((record) => ({
      ...describeLoadBalancer(context, record),
      CreatedTime: new Date(record.createdWall).toISOString(),
      Attributes: asObject(
        describeLoadBalancerAttributes(context, { LoadBalancerArn: record.arn }).Attributes,
      ),
      Tags: record.tags,
      Listeners: listeners(context, record.arn),
    })),
    targetGroups: [...store.all('target-group')].map((record) => ({
      ...describeTargetGroup(record),
      Attributes: asObject(describeTargetGroupAttributes(context, { TargetGroupArn: record.arn }).Attributes),
      Tags: record.tags,
      Targets: (
        describeTargetHealth(context, { TargetGroupArn: record.arn }).TargetHealthDescriptions ?? []
      ).map(({ Target, TargetHealth }) => ({ ...Target, ...TargetHealth })),
    })),
  };
}

function listeners(context: Context, loadBalancerArn: string): readonly DumpedResource[] {
  return (
    describeListeners(context, { LoadBalancerArn: loadBalancerArn, PageSize: 400 }).Listeners ?? []
  ).map((listener) => {
    const ListenerArn = listener.ListenerArn;
    const certificates =
      describeListenerCertificates(context, { ListenerArn, PageSize: 400 }).Certificates ?? [];
    return {
      ...listener,
      ...(certificates.length > 0 && { Certificates: certificates }),
      Attributes: asObject(describeListenerAttributes(context, { ListenerArn }).Attributes),
      Tags: context.store.get('listener', ListenerArn ?? '')?.tags ?? {},
    };
  });
}

function asObject(
  attributes:
    | readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[]
    | undefined,
): Readonly<Record<string, string>> {
  return Object.fromEntries((attributes ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
}
