import { describe, expect, test } from 'vitest';
import { bench, servers } from './testing.ts';
import type { Bench } from './testing.ts';

interface Ground extends Bench {
  readonly lb: string;
  readonly group: string;
  /** Makes a listener; its code, or `accepted`. */
  readonly make: (protocol: string, input?: object) => string;
}

function ground(settings?: Parameters<typeof bench>[0]): Ground {
  const made = bench(settings);
  const lb = made.createLoadBalancer();
  const group = made.createGroup(lb);
  return {
    ...made,
    lb,
    group,
    make: (protocol, input = {}) =>
      made.codeOf(`CreateLoadBalancer${protocol.toUpperCase()}Listener`, {
        LoadBalancerId: lb,
        ListenerPort: 80,
        VServerGroupId: group,
        Bandwidth: -1,
        ...(protocol.startsWith('http') && { HealthCheck: 'off', StickySession: 'off' }),
        ...(protocol === 'https' && { ServerCertificateId: 'cert-1' }),
        ...input,
      }),
  };
}

test.each<[string, string, object, string]>([
  ['tcp', 'tcp', {}, 'accepted'],
  ['without bandwidth', 'tcp', { Bandwidth: undefined }, 'MissingParam.Bandwidth'],
  ['with no bandwidth at all', 'tcp', { Bandwidth: 0 }, 'InvalidParameter.Bandwidth'],
  ['without a group', 'tcp', { VServerGroupId: undefined }, 'MissingParam.BackendServerPort'],
  ['with a group that is not there', 'tcp', { VServerGroupId: 'rsp-none' }, 'InvalidParam.VServerGroupId'],
  ['with the interval as a creation spells it', 'tcp', { healthCheckInterval: 5 }, 'accepted'],
  [
    'with the interval as a change spells it',
    'tcp',
    { HealthCheckInterval: 5 },
    'InvalidParameter.HealthCheckInterval',
  ],
  ['http with the interval as http spells it', 'http', { HealthCheckInterval: 5 }, 'accepted'],
  [
    'with an interval out of range',
    'tcp',
    { healthCheckInterval: 51 },
    'InvalidParameter.healthCheckInterval',
  ],
  [
    'with a bare slash to check',
    'tcp',
    { HealthCheckType: 'http', HealthCheckURI: '/' },
    'InvalidParameter.HealthCheckURI',
  ],
  ['with drain and no time for it', 'tcp', { ConnectionDrain: 'on' }, 'MissingParam.ConnectionDrainTimeout'],
  ['on the reserved UDP port', 'udp', { ListenerPort: 4_789 }, 'InvalidParameter.ListenerPort'],
  ['http without a word on health checks', 'http', { HealthCheck: undefined }, 'MissingParam.HealthCheck'],
  ['sticky without a kind', 'http', { StickySession: 'on' }, 'MissingParam.StickySessionType'],
  [
    'sticky by cookie without a time',
    'http',
    { StickySession: 'on', StickySessionType: 'insert' },
    'MissingParam.CookieTimeout',
  ],
  [
    'https without a certificate',
    'https',
    { ServerCertificateId: undefined },
    'MissingParam.ServerCertificateId',
  ],
  ['an access list without a list', 'tcp', { AclStatus: 'on' }, 'MissingParam.AclId'],
  [
    'forwarding to nothing',
    'http',
    { ListenerForward: 'on', ForwardPort: 443 },
    'InvalidParameter.ForwardPort',
  ],
])('making a listener %s', (_what, protocol, input, code) => {
  expect(ground().make(protocol, input)).toBe(code);
});

test('ids that are not there', () => {
  const { make } = ground({ certificates: ['cert-1'], acls: ['acl-1'] });
  expect(make('https', { ServerCertificateId: 'cert-9' })).toBe('CertificateNotExist');
  expect(make('tcp', { AclStatus: 'on', AclType: 'white', AclId: 'acl-9' })).toBe('AclNotExist');
});

describe('one port', () => {
  test.each([
    ['tcp', 'tcp', 'ListenerAlreadyExists'],
    ['tcp', 'http', 'ListenerPortConflict'],
    ['tcp', 'udp', 'accepted'],
  ])('with a %s listener, and one for %s: %s', (first, second, code) => {
    const { createGroup, lb, make } = ground();
    make(first);
    expect(make(second, { VServerGroupId: createGroup(lb) })).toBe(code);
  });

  test('two listeners on it need the protocol said', () => {
    const { codeOf, createGroup, lb, make } = ground();
    make('tcp');
    make('udp', { VServerGroupId: createGroup(lb) });
    const named = { LoadBalancerId: lb, ListenerPort: 80 };
    expect(codeOf('DeleteLoadBalancerListener', named)).toBe('TooManyListeners');
    expect(codeOf('DeleteLoadBalancerListener', { ...named, ListenerProtocol: 'udp' })).toBe('accepted');
    expect(codeOf('StartLoadBalancerListener', { ...named, ListenerProtocol: 'tcp' })).toBe('accepted');
  });
});

test('a group serves one family of protocols', () => {
  const { make } = ground();
  expect([make('tcp'), make('udp'), make('tcp', { ListenerPort: 81 })]).toEqual([
    'accepted',
    'VipNotMatchRspool',
    'accepted',
  ]);
});

test('a listener is made stopped, starts for a while, and cannot be deleted meanwhile', () => {
  const { call, clock, codeOf, lb, make } = ground({ delays: { startingMs: 2_000 } });
  make('tcp');
  const named = { LoadBalancerId: lb, ListenerPort: 80, ListenerProtocol: 'tcp' };
  const status = (): string | undefined =>
    call('DescribeLoadBalancerListeners', { LoadBalancerId: [lb] }).Listeners?.[0]?.Status;
  const seen = [status()];
  call('StartLoadBalancerListener', named);
  seen.push(status());
  expect(codeOf('DeleteLoadBalancerListener', named)).toBe('OperationFailed.ListenerStatusNotSupport');
  expect(codeOf('StartLoadBalancerListener', named)).toBe('OperationFailed.ListenerStatusNotSupport');
  clock.advance(2_000);
  seen.push(status());
  expect(seen).toEqual(['stopped', 'starting', 'running']);
  expect(codeOf('DeleteLoadBalancerListener', named)).toBe('accepted');
  expect(codeOf('DeleteLoadBalancerListener', named)).toBe('ListenerNotFound');
});

test('a change keeps what it does not name, and is shown under the protocol', () => {
  const { call, lb, make } = ground();
  make('tcp', { EstablishedTimeout: 60, Description: 'ours' });
  call('SetLoadBalancerTCPListenerAttribute', {
    LoadBalancerId: lb,
    ListenerPort: 80,
    HealthCheckInterval: 7,
  });
  expect(call('DescribeLoadBalancerListeners', { LoadBalancerId: [lb] }).Listeners).toMatchObject([
    {
      Description: 'ours',
      Bandwidth: -1,
      TCPListenerConfig: { EstablishedTimeout: 60, HealthCheckInterval: 7, HealthCheck: 'on' },
    },
  ]);
});

test('a change that is refused leaves the group free for another family', () => {
  const { codeOf, createGroup, lb, make } = ground();
  make('tcp');
  const VServerGroupId = createGroup(lb);
  const change = { LoadBalancerId: lb, ListenerPort: 80, VServerGroupId, ConnectionDrain: 'on' };
  expect(codeOf('SetLoadBalancerTCPListenerAttribute', change)).toBe('MissingParam.ConnectionDrainTimeout');
  expect(make('udp', { VServerGroupId })).toBe('accepted');
});

test('a listener is pointed at another group, and the old one can be deleted then', () => {
  const { codeOf, createGroup, group, lb, make } = ground();
  make('tcp');
  const next = createGroup(lb);
  expect(codeOf('DeleteVServerGroup', { VServerGroupId: group })).toBe('RspoolVipExist');
  const change = { LoadBalancerId: lb, ListenerPort: 80, VServerGroup: 'on', VServerGroupId: next };
  expect(codeOf('SetLoadBalancerTCPListenerAttribute', change)).toBe('accepted');
  expect(codeOf('DeleteVServerGroup', { VServerGroupId: group })).toBe('accepted');
});

test('the target of forwarding cannot be deleted before what forwards to it', () => {
  const { codeOf, lb, make } = ground();
  make('https', { ListenerPort: 443 });
  make('http', { VServerGroupId: undefined, ListenerForward: 'on', ForwardPort: 443 });
  const remove = (ListenerPort: number, ListenerProtocol: string): string =>
    codeOf('DeleteLoadBalancerListener', { LoadBalancerId: lb, ListenerPort, ListenerProtocol });
  expect([remove(443, 'https'), remove(80, 'http'), remove(443, 'https')]).toEqual([
    'ListenerForwardExist',
    'accepted',
    'accepted',
  ]);
});

test('listeners of several balancers in pages', () => {
  const { call, createGroup, createListener, createLoadBalancer, lb, make } = ground();
  make('tcp');
  const other = createLoadBalancer();
  for (const ListenerPort of [1, 2, 3]) createListener(other, createGroup(other), { ListenerPort });
  const ports: number[] = [];
  let NextToken: string | undefined;
  do {
    const page = call('DescribeLoadBalancerListeners', {
      LoadBalancerId: [lb, other],
      MaxResults: 2,
      ...(NextToken !== undefined && { NextToken }),
    });
    ports.push(...(page.Listeners ?? []).map(({ ListenerPort }) => ListenerPort));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  expect(ports).toEqual([80, 1, 2, 3]);
});

test('the quota of listeners', () => {
  const { make } = ground({ quotas: { listenersPerLoadBalancer: 1 } });
  expect([make('tcp'), make('tcp', { ListenerPort: 81 })]).toEqual(['accepted', 'VipTooManyListeners']);
});

test('health of the members behind a running listener', () => {
  const { account, call, clock, group, lb, make } = ground({ delays: { firstCheckMs: 1_000 } });
  make('tcp');
  call('AddVServerGroupBackendServers', { VServerGroupId: group, BackendServers: servers(3) });
  const health = (): readonly (string | undefined)[] =>
    (call('DescribeHealthStatus', { LoadBalancerId: lb }).BackendServers?.BackendServer ?? []).map(
      ({ ServerHealthStatus }) => ServerHealthStatus,
    );
  expect(health()).toEqual([]);
  call('StartLoadBalancerListener', { LoadBalancerId: lb, ListenerPort: 80, ListenerProtocol: 'tcp' });
  expect(health()).toEqual(['unavailable', 'unavailable', 'unavailable']);
  clock.advance(1_000);
  account.setHealth({ serverId: 'i-2' }, 'abnormal');
  account.setServer('i-3', { state: 'Stopped' });
  expect(health()).toEqual(['normal', 'abnormal', 'abnormal']);
});

test('certificates for single domains', () => {
  const { call, codeOf, lb, make } = ground({ quotas: { domainExtensionsPerListener: 1 } });
  make('https', { ListenerPort: 443 });
  const of = { LoadBalancerId: lb, ListenerPort: 443 };
  const { DomainExtensionId } = call('CreateDomainExtension', {
    ...of,
    Domain: 'a.example',
    ServerCertificateId: 'c1',
  });
  expect(codeOf('CreateDomainExtension', { ...of, Domain: 'b.example', ServerCertificateId: 'c1' })).toBe(
    'DomainExtensionNumberOverLimit',
  );
  call('SetDomainExtensionAttribute', { DomainExtensionId, ServerCertificateId: 'c2' });
  expect(call('DescribeDomainExtensions', of).DomainExtensions?.DomainExtension).toEqual([
    { DomainExtensionId, Domain: 'a.example', ServerCertificateId: 'c2' },
  ]);
  expect(codeOf('DeleteDomainExtension', { DomainExtensionId })).toBe('accepted');
  expect(codeOf('DeleteDomainExtension', { DomainExtensionId })).toBe('DomainExtensionNotExist');
});
