/** Listeners: made stopped, started, changed, deleted. Each is one by balancer, port and protocol. */
import type { Calls } from '../client-types.ts';
import type { Listener } from '../client-types-listeners.ts';
import {
  configure,
  findListener,
  findLoadBalancer,
  listenerId,
  listenersOf,
  requireIdle,
} from './context.ts';
import type { Context } from './context.ts';
import { CloudError, invalid, missing } from './errors.ts';
import { firstSettings, nextSettings, showSettings } from './listener-settings.ts';
import type { GroupRecord, ListenerRecord, Protocol } from './store.ts';
import { foundTags, readTags } from './tag-rules.ts';
import type { GivenTag } from './tag-rules.ts';

type In<O extends keyof Calls> = Calls[O][0];
type Out<O extends keyof Calls> = Calls[O][1];

/** What the creations of all protocols have in common. */
interface Creation {
  readonly LoadBalancerId: string;
  readonly ListenerPort: number;
  readonly VServerGroupId?: string | undefined;
  readonly Description?: string | undefined;
  readonly Tag?: readonly GivenTag[] | undefined;
  readonly BackendServerPort?: number | undefined;
  readonly ListenerForward?: string | undefined;
  readonly ForwardPort?: number | undefined;
}

const reservedUdpPort = 4_789;
const maxResults = 20;

export const createListener =
  (protocol: Protocol) =>
  (context: Context, input: Creation): object => {
    const { store, now, settings } = context;
    const { LoadBalancerId: balancerId, ListenerPort: port } = input;
    findLoadBalancer(context, balancerId);
    requireIdle(context, balancerId, 'ServiceIsConfiguring');
    if (protocol === 'udp' && port === reservedUdpPort) throw invalid('ListenerPort', 'it is reserved');
    const others = listenersOf(context, balancerId);
    requireFreePort(others, protocol, port);
    if (others.length >= settings.quotas.listenersPerLoadBalancer) {
      throw new CloudError('VipTooManyListeners', 'The quota of listeners is used up');
    }
    const forwards = input.ListenerForward === 'on';
    if (forwards && !others.some((other) => other.port === input.ForwardPort && other.protocol === 'https')) {
      throw invalid('ForwardPort', 'there is no https listener on it');
    }
    if (!forwards && input.VServerGroupId === undefined && input.BackendServerPort === undefined) {
      throw missing('BackendServerPort');
    }
    const record: ListenerRecord = {
      kind: 'listener',
      id: listenerId(balancerId, protocol, port),
      seq: store.nextSeq(),
      createdAt: now,
      tags: readTags(input.Tag),
      loadBalancerId: balancerId,
      port,
      protocol,
      groupId: input.VServerGroupId ?? '',
      description: input.Description ?? `${protocol}_${port}`,
      startedAt: undefined,
      settings: firstSettings(context, protocol, input as unknown as Readonly<Record<string, unknown>>),
    };
    if (input.VServerGroupId !== undefined) bind(context, input.VServerGroupId, balancerId, protocol);
    store.put(record, now);
    configure(context, balancerId);
    return {};
  };

function requireFreePort(others: readonly ListenerRecord[], protocol: Protocol, port: number): void {
  for (const other of others) {
    if (other.port !== port) continue;
    if (other.protocol === protocol) {
      throw new CloudError('ListenerAlreadyExists', `There is a ${protocol} listener on port ${port}`);
    }
    if ((other.protocol === 'udp') === (protocol === 'udp')) {
      throw new CloudError('ListenerPortConflict', `Port ${port} is taken by a ${other.protocol} listener`);
    }
  }
}

/** A group serves listeners of one family, which the first of them decides. */
function bind(context: Context, groupId: string, balancerId: string, protocol: Protocol): void {
  const found: GroupRecord | undefined = context.store.get('group', groupId);
  if (found === undefined || found.loadBalancerId !== balancerId) {
    throw new CloudError('InvalidParam.VServerGroupId', `The group ${groupId} is not of this load balancer`);
  }
  const family = protocol === 'https' ? 'http' : protocol;
  if (found.family !== undefined && found.family !== family) {
    throw new CloudError('VipNotMatchRspool', `The group ${groupId} serves ${found.family} listeners`);
  }
  if (found.family === undefined) context.store.put({ ...found, family }, context.now);
}

export const setListener =
  (protocol: Protocol) =>
  (context: Context, input: Creation & { readonly VServerGroup?: string | undefined }): object => {
    const record = findListener(context, input.LoadBalancerId, input.ListenerPort, protocol);
    requireIdle(context, record.loadBalancerId, 'ServiceIsConfiguring');
    requireStatus(context, record, ['stopped', 'running']);
    const groupId = input.VServerGroup === 'off' ? '' : (input.VServerGroupId ?? record.groupId);
    if (input.VServerGroup === 'on' && groupId === '') throw missing('VServerGroupId');
    const settings = nextSettings(
      context,
      record.settings,
      input as unknown as Readonly<Record<string, unknown>>,
    );
    // Last, since it writes and nothing after it refuses.
    if (groupId !== record.groupId && groupId !== '') {
      bind(context, groupId, record.loadBalancerId, protocol);
    }
    context.store.put(
      { ...record, groupId, settings, description: input.Description ?? record.description },
      context.now,
    );
    configure(context, record.loadBalancerId);
    return {};
  };

export function startListener(context: Context, input: In<'StartLoadBalancerListener'>): object {
  return switchTo(context, input, 'stopped', context.now);
}

export function stopListener(context: Context, input: In<'StopLoadBalancerListener'>): object {
  return switchTo(context, input, 'running', undefined);
}

function switchTo(
  context: Context,
  input: In<'StartLoadBalancerListener'>,
  from: string,
  startedAt: number | undefined,
): object {
  const record = findListener(context, input.LoadBalancerId, input.ListenerPort, input.ListenerProtocol);
  requireIdle(context, record.loadBalancerId, 'Operation.Deny');
  requireStatus(context, record, [from]);
  context.store.put({ ...record, startedAt }, context.now);
  configure(context, record.loadBalancerId);
  return {};
}

export function deleteListener(context: Context, input: In<'DeleteLoadBalancerListener'>): object {
  const record = findListener(context, input.LoadBalancerId, input.ListenerPort, input.ListenerProtocol);
  requireIdle(context, record.loadBalancerId, 'ServiceIsConfiguring');
  requireStatus(context, record, ['stopped', 'running']);
  const forwarding = listenersOf(context, record.loadBalancerId).find(
    ({ settings }) => settings['ListenerForward'] === 'on' && settings['ForwardPort'] === record.port,
  );
  if (forwarding !== undefined && record.protocol === 'https') {
    throw new CloudError('ListenerForwardExist', `The listener on port ${forwarding.port} forwards to it`);
  }
  context.store.remove(record, context.now);
  for (const extension of context.store.all('domain-extension')) {
    if (extension.loadBalancerId === record.loadBalancerId && extension.port === record.port) {
      context.store.remove(extension, context.now);
    }
  }
  configure(context, record.loadBalancerId);
  return {};
}

export function statusOf(context: Context, record: ListenerRecord): string {
  if (record.startedAt === undefined) return 'stopped';
  return context.now < record.startedAt + context.settings.delays.startingMs ? 'starting' : 'running';
}

function requireStatus(context: Context, record: ListenerRecord, allowed: readonly string[]): void {
  const status = statusOf(context, record);
  if (allowed.includes(status)) return;
  throw new CloudError('OperationFailed.ListenerStatusNotSupport', `The listener is ${status}`);
}

export function showListener(context: Context, record: ListenerRecord): Listener {
  return {
    LoadBalancerId: record.loadBalancerId,
    ListenerPort: record.port,
    ListenerProtocol: record.protocol,
    Status: statusOf(context, record),
    Description: record.description,
    ...(record.groupId !== '' && { VServerGroupId: record.groupId }),
    Tags: foundTags(record.tags),
    ...showSettings(context, record.protocol, record.settings),
  };
}

export function describeListeners(
  context: Context,
  input: In<'DescribeLoadBalancerListeners'>,
): Out<'DescribeLoadBalancerListeners'> {
  const ids = input.LoadBalancerId ?? context.store.all('load-balancer').map(({ id }) => id);
  const all = ids
    .flatMap((id) => listenersOf(context, findLoadBalancer(context, id).id))
    .filter(
      ({ port, protocol }) =>
        (input.ListenerPort ?? port) === port && (input.ListenerProtocol ?? protocol) === protocol,
    );
  const after = input.NextToken === undefined ? 0 : Number(input.NextToken);
  if (!Number.isInteger(after) || after < 0) throw invalid('NextToken', 'it is none of ours');
  const size = input.MaxResults ?? maxResults;
  const end = after + size;
  return {
    Listeners: all.slice(after, end).map((record) => showListener(context, record)),
    TotalCount: all.length,
    ...(end < all.length && { NextToken: String(end) }),
  };
}
