/** Listeners of Network Load Balancers: one for each port, forwarding to target groups of this balancer only. */

import type {
  CreateListenerInput,
  CreateListenerOutput,
  DeleteListenerInput,
  DeleteListenerOutput,
  DescribeListenersInput,
  DescribeListenersOutput,
  Listener,
  ModifyListenerInput,
  ModifyListenerOutput,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { hexId, listenerArn } from './arns.ts';
import { findListener, findLoadBalancer, isVisible, listenersOf } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, validation } from './errors.ts';
import { readListener } from './listener-settings.ts';
import type { ListenerSettings } from './listener-settings.ts';
import { page } from './paging.ts';
import type { ListenerRecord } from './store.ts';
import { readTags } from './tags.ts';
import { refreshUsage } from './usage.ts';

export function createListener(context: Context, input: CreateListenerInput): CreateListenerOutput {
  const balancer = findLoadBalancer(context, input.LoadBalancerArn ?? '');
  const tags = readTags(context, input.Tags);
  const wanted = readListener(context, balancer, input, undefined);
  const existing = listenersOf(context, balancer.arn);
  for (const other of existing) {
    if (other.port !== wanted.port) continue;
    if (isSame(other, wanted)) return { Listeners: [describe(other)] };
    throw duplicate(balancer.arn, wanted.port);
  }
  const most = context.settings.quotas.listenersPerLoadBalancer;
  if (existing.length >= most) {
    throw new CloudError(
      'TooManyListeners',
      `Load balancer '${balancer.arn}' can have at most ${most} listeners`,
    );
  }
  const record: ListenerRecord = {
    kind: 'listener',
    arn: listenerArn(balancer.arn, hexId(context.random)),
    seq: context.store.nextSeq(),
    createdAt: context.now,
    loadBalancerArn: balancer.arn,
    ...wanted,
    extraCertificates: [],
    tags,
    attributes: {},
  };
  context.store.put(record, context.now);
  refreshUsage(context, balancer.arn);
  return { Listeners: [describe(record)] };
}

export function describeListeners(context: Context, input: DescribeListenersInput): DescribeListenersOutput {
  const { LoadBalancerArn: balancer, ListenerArns: arns = [] } = input;
  if ((balancer === undefined) === (arns.length === 0)) {
    throw validation('Either a load balancer or listeners must be specified, and not both');
  }
  if (balancer === undefined) {
    return { Listeners: arns.map((arn) => describe(findListener(context, arn))) };
  }
  findLoadBalancer(context, balancer);
  const visible = listenersOf(context, balancer).filter((record) => isVisible(context, record));
  const { items, ...rest } = page(context, visible, (record) => record.seq, input);
  return { Listeners: items.map(describe), ...rest };
}

/** What is not named stays; what is named is replaced whole. */
export function modifyListener(context: Context, input: ModifyListenerInput): ModifyListenerOutput {
  const record = findListener(context, input.ListenerArn ?? '');
  const balancer = context.store.get('load-balancer', record.loadBalancerArn);
  if (balancer === undefined) throw new CloudError('ListenerNotFound', `Listener '${record.arn}' not found`);
  const wanted = readListener(context, balancer, input, record);
  if (
    listenersOf(context, balancer.arn).some((other) => other.arn !== record.arn && other.port === wanted.port)
  ) {
    throw duplicate(balancer.arn, wanted.port);
  }
  // Only a TLS listener carries certificates and only a TCP one an idle timeout.
  const changed: ListenerRecord = {
    ...record,
    ...wanted,
    extraCertificates: wanted.protocol === 'TLS' ? record.extraCertificates : [],
    attributes: wanted.protocol === record.protocol ? record.attributes : {},
  };
  context.store.put(changed, context.now);
  refreshUsage(context, balancer.arn);
  return { Listeners: [describe(changed)] };
}

export function deleteListener(context: Context, input: DeleteListenerInput): DeleteListenerOutput {
  const record = findListener(context, input.ListenerArn ?? '');
  context.store.remove(record, context.now);
  refreshUsage(context, record.loadBalancerArn);
  return {};
}

function describe(record: ListenerRecord): Listener {
  return {
    ListenerArn: record.arn,
    LoadBalancerArn: record.loadBalancerArn,
    Port: record.port,
    Protocol: record.protocol,
    ...(record.certificate !== undefined && { Certificates: [{ CertificateArn: record.certificate }] }),
    ...(record.sslPolicy !== undefined && { SslPolicy: record.sslPolicy }),
    DefaultActions: structuredClone([...record.actions]),
    ...(record.alpnPolicy !== undefined && { AlpnPolicy: [record.alpnPolicy] }),
  };
}

function isSame(record: ListenerRecord, wanted: ListenerSettings): boolean {
  return (
    record.protocol === wanted.protocol &&
    record.certificate === wanted.certificate &&
    record.sslPolicy === wanted.sslPolicy &&
    record.alpnPolicy === wanted.alpnPolicy &&
    JSON.stringify(record.actions) === JSON.stringify(wanted.actions)
  );
}

function duplicate(arn: string, port: number): CloudError {
  return new CloudError(
    'DuplicateListener',
    `A listener already exists on port ${port} of load balancer '${arn}', with different settings`,
  );
}
