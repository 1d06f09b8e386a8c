/** DescribeHealthStatus: how the members behind running listeners answer. */
import type { Calls } from '../client-types.ts';
import type { BackendHealth } from '../client-types-listeners.ts';
import { findLoadBalancer, listenersOf } from './context.ts';
import type { Context } from './context.ts';
import { statusOf } from './listeners.ts';
import type { ListenerRecord, Member } from './store.ts';

export function describeHealthStatus(
  context: Context,
  input: Calls['DescribeHealthStatus'][0],
): Calls['DescribeHealthStatus'][1] {
  findLoadBalancer(context, input.LoadBalancerId);
  const found: BackendHealth[] = [];
  for (const listener of listenersOf(context, input.LoadBalancerId)) {
    if ((input.ListenerPort ?? listener.port) !== listener.port) continue;
    if ((input.ListenerProtocol ?? listener.protocol) !== listener.protocol) continue;
    if (statusOf(context, listener) !== 'running') continue;
    for (const member of context.store.get('group', listener.groupId)?.members.values() ?? []) {
      found.push({
        ServerId: member.serverId,
        Port: member.port,
        ListenerPort: listener.port,
        Protocol: listener.protocol,
        ServerHealthStatus: healthOf(context, listener, member),
        ...(member.ip !== '' && { ServerIp: member.ip }),
      });
    }
  }
  return { BackendServers: { BackendServer: found } };
}

function healthOf(context: Context, listener: ListenerRecord, member: Member): string {
  const { settings } = listener;
  if ((settings['HealthCheckSwitch'] ?? settings['HealthCheck']) === 'off') return 'unavailable';
  const since = Math.max(member.addedAt, listener.startedAt ?? 0);
  if (context.now < since + context.settings.delays.firstCheckMs) return 'unavailable';
  return context.world.healthOf(member.serverId, member.port);
}
