/**
 * One run through every operation that the Alibaba provider calls: for whatever client it is given, so that the
 * one over the wire can be held against the one in memory.
 */
import type { SlbClient, SlbInput, SlbOperation, SlbOutput } from '../../providers/alibaba/operations.ts';

export interface Exchange {
  readonly operation: SlbOperation;
  readonly output: object;
}

/** Every answer in order. Characters that encodings differ on are in names, tags and descriptions on purpose. */
export async function runLife(client: SlbClient): Promise<readonly Exchange[]> {
  const exchanges: Exchange[] = [];
  async function call<Operation extends SlbOperation>(
    operation: Operation,
    input: SlbInput<Operation>,
  ): Promise<SlbOutput<Operation>> {
    const output = await client.call(operation, input);
    exchanges.push({ operation, output });
    return output;
  }

  const { LoadBalancerId } = await call('CreateLoadBalancer', {
    AddressType: 'internet',
    InstanceChargeType: 'PayBySpec',
    LoadBalancerSpec: 'slb.s1.small',
    InternetChargeType: 'paybybandwidth',
    Bandwidth: 5,
    LoadBalancerName: 'a0123456789',
    DeleteProtection: 'on',
    ModificationProtectionStatus: 'ConsoleProtection',
    ModificationProtectionReason: 'managed.by.sluice',
    ClientToken: 'uid/1',
    Tag: [
      { Key: 'sluice.dev/service', Value: "a b/c+d*e~f'g(h)!&=%" },
      { Key: 'größe', Value: '' },
    ],
  });
  const lb = { LoadBalancerId };
  const of = { ResourceType: 'instance', ResourceId: [LoadBalancerId] } as const;
  await call('DescribeLoadBalancers', {
    PageNumber: 1,
    PageSize: 100,
    Tags: [{ TagKey: 'größe' }, { TagKey: 'sluice.dev/service', TagValue: "a b/c+d*e~f'g(h)!&=%" }],
  });
  await call('TagResources', { ...of, Tag: [{ Key: 'k', Value: 'v' }] });
  await call('UntagResources', { ...of, TagKey: ['k'] });
  await call('ListTagResources', of);
  await call('SetLoadBalancerName', { ...lb, LoadBalancerName: 'other-name' });
  await call('SetLoadBalancerModificationProtection', {
    ...lb,
    ModificationProtectionStatus: 'NonProtection',
  });
  await call('ModifyLoadBalancerInternetSpec', { ...lb, Bandwidth: 20 });
  await call('ModifyLoadBalancerInstanceSpec', { ...lb, LoadBalancerSpec: 'slb.s2.small' });
  await call('ModifyLoadBalancerInternetSpec', { ...lb, InternetChargeType: 'paybytraffic' });
  await call('ModifyLoadBalancerInstanceChargeType', { ...lb, InstanceChargeType: 'PayByCLCU' });
  await call('DescribeLoadBalancerAttribute', lb);
  await call('DescribeVSwitches', { VpcId: 'vpc-1', PageNumber: 1, PageSize: 50 });
  await call('DescribeServerCertificates', { ServerCertificateId: 'cert-1' });

  const group = await call('CreateVServerGroup', {
    ...lb,
    VServerGroupName: 'k8s/30080/tcp/web & more/ns',
    BackendServers: [{ ServerId: 'i-0', Port: 30_080, Weight: 100, Description: 'ours "and" theirs, ü' }],
    Tag: [{ Key: 'a', Value: 'b' }],
  });
  const { VServerGroupId } = group;
  const many = Array.from({ length: 20 }, (_, i) => ({ ServerId: `i-${i + 1}`, Port: 30_080, Weight: i }));
  await call('AddVServerGroupBackendServers', { VServerGroupId, BackendServers: many });
  await call('RemoveVServerGroupBackendServers', { VServerGroupId, BackendServers: many.slice(1) });
  await call('SetVServerGroupAttribute', {
    VServerGroupId,
    BackendServers: [{ ServerId: 'i-1', Port: 30_080, Weight: 50 }],
  });
  await call('ModifyVServerGroupBackendServers', {
    VServerGroupId,
    OldBackendServers: [{ ServerId: 'i-1', Port: 30_080 }],
    NewBackendServers: [{ ServerId: 'i-2', Port: 30_081, Weight: 1 }],
  });
  await call('DescribeVServerGroups', { ...lb, IncludeListener: true });
  await call('DescribeVServerGroupAttribute', { VServerGroupId });

  const udp = await call('CreateVServerGroup', { ...lb, VServerGroupName: 'udp' });
  const web = await call('CreateVServerGroup', { ...lb, VServerGroupName: 'web' });
  const onPort = (ListenerPort: number, ListenerProtocol: 'tcp' | 'udp' | 'http' | 'https') =>
    ({ ...lb, ListenerPort, ListenerProtocol }) as const;
  await call('CreateLoadBalancerTCPListener', {
    ...lb,
    ListenerPort: 53,
    VServerGroupId,
    Bandwidth: -1,
    Scheduler: 'wrr',
    Description: 'k8s/53/web',
    HealthCheckType: 'http',
    HealthCheckURI: '/healthz',
    HealthCheckConnectPort: 31_000,
    healthCheckInterval: 3,
    ConnectionDrain: 'on',
    ConnectionDrainTimeout: 30,
    ProxyProtocolV2Enabled: true,
  });
  await call('CreateLoadBalancerUDPListener', {
    ...lb,
    ListenerPort: 53,
    VServerGroupId: udp.VServerGroupId,
    Bandwidth: -1,
    healthCheckReq: 'ping',
    healthCheckExp: 'pong',
    healthCheckInterval: 3,
  });
  await call('CreateLoadBalancerHTTPSListener', {
    ...lb,
    ListenerPort: 443,
    VServerGroupId: web.VServerGroupId,
    Bandwidth: -1,
    HealthCheck: 'on',
    HealthCheckURI: '/ready',
    HealthCheckInterval: 4,
    StickySession: 'on',
    StickySessionType: 'insert',
    CookieTimeout: 100,
    XForwardedFor_proto: 'on',
    ServerCertificateId: 'cert-1',
    TLSCipherPolicy: 'tls_cipher_policy_1_2',
  });
  await call('CreateLoadBalancerHTTPListener', {
    ...lb,
    ListenerPort: 80,
    HealthCheck: 'off',
    StickySession: 'off',
    ListenerForward: 'on',
    ForwardPort: 443,
  });
  await call('StartLoadBalancerListener', onPort(53, 'tcp'));
  await call('DescribeHealthStatus', lb);
  await call('StopLoadBalancerListener', onPort(53, 'tcp'));
  await call('SetLoadBalancerTCPListenerAttribute', {
    ...lb,
    ListenerPort: 53,
    VServerGroup: 'on',
    VServerGroupId,
    HealthCheckInterval: 9,
    ProxyProtocolV2Enabled: false,
  });
  await call('SetLoadBalancerUDPListenerAttribute', { ...lb, ListenerPort: 53, HealthyThreshold: 5 });
  await call('SetLoadBalancerHTTPListenerAttribute', { ...lb, ListenerPort: 80, Description: 'to 443' });
  await call('SetLoadBalancerHTTPSListenerAttribute', { ...lb, ListenerPort: 443, EnableHttp2: 'off' });
  const { DomainExtensionId } = await call('CreateDomainExtension', {
    ...lb,
    ListenerPort: 443,
    Domain: '*.example.com',
    ServerCertificateId: 'cert-2',
  });
  await call('SetDomainExtensionAttribute', { DomainExtensionId, ServerCertificateId: 'cert-3' });
  await call('DescribeDomainExtensions', { ...lb, ListenerPort: 443 });
  await call('DeleteDomainExtension', { DomainExtensionId });
  await call('DescribeLoadBalancerListeners', { LoadBalancerId: [LoadBalancerId], MaxResults: 100 });

  await call('DeleteLoadBalancerListener', onPort(80, 'http'));
  await call('DeleteLoadBalancerListener', onPort(53, 'tcp'));
  await call('DeleteVServerGroup', { VServerGroupId });
  await call('SetLoadBalancerDeleteProtection', { ...lb, DeleteProtection: 'off' });
  await call('DeleteLoadBalancer', lb);
  return exchanges;
}
