/** Random calls: whatever is asked in whatever order, the account stays whole. */
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import type { Account } from './account.ts';
import { CloudError } from './errors.ts';
import { bench, onUsage } from './testing.ts';

/** A step names things by number: the n-th balancer or group that was ever made, or one that never was. */
interface Step {
  readonly operation: string;
  readonly lb: number;
  readonly group: number;
  readonly port: number;
  readonly protocol: string;
  readonly servers: readonly number[];
}

const step: fc.Arbitrary<Step> = fc.record({
  operation: fc.constantFrom(
    'CreateLoadBalancer',
    'DeleteLoadBalancer',
    'SetLoadBalancerDeleteProtection',
    'DescribeLoadBalancers',
    'CreateVServerGroup',
    'DeleteVServerGroup',
    'AddVServerGroupBackendServers',
    'RemoveVServerGroupBackendServers',
    'SetVServerGroupAttribute',
    'DescribeVServerGroups',
    'CreateLoadBalancerTCPListener',
    'CreateLoadBalancerUDPListener',
    'CreateLoadBalancerHTTPListener',
    'SetLoadBalancerTCPListenerAttribute',
    'StartLoadBalancerListener',
    'DeleteLoadBalancerListener',
    'DescribeLoadBalancerListeners',
    'DescribeHealthStatus',
  ),
  lb: fc.nat(2),
  group: fc.nat(4),
  port: fc.constantFrom(80, 443, 4_789),
  protocol: fc.constantFrom('tcp', 'udp', 'http'),
  servers: fc.uniqueArray(fc.nat(5), { maxLength: 4 }),
});

function inputOf({ operation, port, protocol, servers }: Step, lb: string, group: string): object {
  const BackendServers = servers.map((n) => ({ ServerId: `i-${n}`, Port: 30_080 }));
  const listener = { LoadBalancerId: lb, ListenerPort: port };
  switch (operation) {
    case 'CreateLoadBalancer':
      return onUsage;
    case 'DescribeLoadBalancers':
      return {};
    case 'SetLoadBalancerDeleteProtection':
      return { LoadBalancerId: lb, DeleteProtection: port === 80 ? 'on' : 'off' };
    case 'CreateVServerGroup':
      return { LoadBalancerId: lb, VServerGroupName: 'g', BackendServers };
    case 'CreateLoadBalancerTCPListener':
    case 'CreateLoadBalancerUDPListener':
      return { ...listener, VServerGroupId: group, Bandwidth: -1 };
    case 'CreateLoadBalancerHTTPListener':
      return { ...listener, VServerGroupId: group, HealthCheck: 'off', StickySession: 'off' };
    case 'SetLoadBalancerTCPListenerAttribute':
      // Half of them are wrong in a part that is looked at late.
      return { ...listener, VServerGroupId: group, ...(servers.length > 2 && { ConnectionDrain: 'on' }) };
    case 'StartLoadBalancerListener':
    case 'DeleteLoadBalancerListener':
      return { ...listener, ListenerProtocol: protocol };
    case 'DescribeLoadBalancerListeners':
      return { LoadBalancerId: [lb] };
    case 'DeleteLoadBalancer':
    case 'DescribeVServerGroups':
    case 'DescribeHealthStatus':
      return { LoadBalancerId: lb };
    case 'DeleteVServerGroup':
      return { VServerGroupId: group };
    default:
      return { VServerGroupId: group, BackendServers };
  }
}

/** What is wrong with the account as a whole. */
function flaws(account: Account, mostBackends: number): readonly string[] {
  const found: string[] = [];
  for (const lb of account.dump().loadBalancers) {
    const groups = new Map(lb.VServerGroups.map((group) => [group.VServerGroupId, group]));
    const families = new Map<string, string>();
    for (const { ListenerPort, ListenerProtocol, VServerGroupId = '' } of lb.Listeners) {
      if (!groups.has(VServerGroupId)) found.push(`listener ${ListenerPort} uses a group that is not there`);
      const family = families.get(VServerGroupId) ?? ListenerProtocol;
      if (family !== ListenerProtocol) found.push(`group ${VServerGroupId} serves two families`);
      families.set(VServerGroupId, family);
    }
    const transports = lb.Listeners.map((one) => `${one.ListenerPort}/${one.ListenerProtocol === 'udp'}`);
    if (new Set(transports).size < transports.length) found.push('two listeners have one port');
    const backends = lb.VServerGroups.flatMap(({ BackendServers }) => BackendServers);
    if (backends.length > mostBackends) found.push('more backends than allowed');
  }
  const { loadBalancers } = account.dump();
  const inside = loadBalancers.map(
    ({ Listeners, VServerGroups }) => 1 + Listeners.length + VServerGroups.length,
  );
  const counted = inside.reduce((sum, count) => sum + count, 0);
  if (counted !== account.resources().length) found.push('something outlived its balancer');
  return found;
}

test.prop([fc.array(step, { minLength: 30, maxLength: 80, size: 'max' })], { numRuns: 300 })(
  'refused calls and reads change nothing, and nothing points at what is not there',
  (steps) => {
    const backendsPerLoadBalancer = 6;
    const { account } = bench({ quotas: { backendsPerLoadBalancer, loadBalancers: 3 } });
    const made = { lb: ['lb-none'], group: ['rsp-none'] };
    for (const one of steps) {
      const lb = made.lb[one.lb] ?? 'lb-none';
      const before = account.version;
      try {
        const output = account.handle(one.operation, inputOf(one, lb, made.group[one.group] ?? 'rsp-none'));
        const { LoadBalancerId, VServerGroupId } = output as Readonly<Record<string, string>>;
        if (one.operation === 'CreateLoadBalancer') made.lb.unshift(String(LoadBalancerId));
        if (one.operation === 'CreateVServerGroup') made.group.unshift(String(VServerGroupId));
        if (one.operation.startsWith('Describe')) expect(account.version).toBe(before);
      } catch (error) {
        expect(error).toBeInstanceOf(CloudError);
        expect(account.version, one.operation).toBe(before);
      }
      expect(flaws(account, backendsPerLoadBalancer)).toEqual([]);
    }
  },
);
