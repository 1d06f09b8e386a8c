import { describe, expect, test } from 'vitest';
import type { SettingsInput } from './settings.ts';
import { bench, CERTIFICATE, type Bench } from './testing.ts';

const tls = { Protocol: 'TLS', Certificates: [{ CertificateArn: CERTIFICATE }] };

describe('CreateListener', () => {
  test.each([
    ['TCP to TCP', {}, {}, 'accepted'],
    ['TCP to TCP_UDP', {}, { Protocol: 'TCP_UDP' }, 'accepted'],
    ['TCP to UDP', {}, { Protocol: 'UDP' }, 'IncompatibleProtocols'],
    ['UDP to TCP_UDP', { Protocol: 'UDP' }, { Protocol: 'TCP_UDP' }, 'accepted'],
    ['TCP_UDP to TCP', { Protocol: 'TCP_UDP' }, {}, 'IncompatibleProtocols'],
    ['TLS to TLS', tls, { Protocol: 'TLS' }, 'accepted'],
    ['TLS to TCP', tls, {}, 'accepted'],
    ['TLS to UDP', tls, { Protocol: 'UDP' }, 'IncompatibleProtocols'],
    ['HTTP', { Protocol: 'HTTP' }, {}, 'UnsupportedProtocol'],
    ['no protocol', { Protocol: undefined }, {}, 'ValidationError'],
    ['no port', { Port: undefined }, {}, 'ValidationError'],
    ['port 0', { Port: 0 }, {}, 'ValidationError'],
    ['port 65535', { Port: 65_535 }, {}, 'accepted'],
    ['port 65536', { Port: 65_536 }, {}, 'ValidationError'],
    ['no action', { DefaultActions: [] }, {}, 'ValidationError'],
    ['a redirect', { DefaultActions: [{ Type: 'redirect' }] }, {}, 'InvalidLoadBalancerAction'],
    ['an action without a group', { DefaultActions: [{ Type: 'forward' }] }, {}, 'InvalidLoadBalancerAction'],
    ['TLS without a certificate', { Protocol: 'TLS' }, {}, 'ValidationError'],
    [
      'TLS with two certificates',
      {
        Protocol: 'TLS',
        Certificates: [{ CertificateArn: CERTIFICATE }, { CertificateArn: `${CERTIFICATE}2` }],
      },
      {},
      'TooManyCertificates',
    ],
    [
      'a certificate that is none',
      { Protocol: 'TLS', Certificates: [{ CertificateArn: 'x' }] },
      {},
      'CertificateNotFound',
    ],
    ['a certificate for TCP', { Certificates: tls.Certificates }, {}, 'InvalidConfigurationRequest'],
    ['a policy for TCP', { SslPolicy: 'ELBSecurityPolicy-2016-08' }, {}, 'InvalidConfigurationRequest'],
    ['an unknown policy', { ...tls, SslPolicy: 'strong' }, {}, 'SSLPolicyNotFound'],
    ['an ALPN policy', { ...tls, AlpnPolicy: ['HTTP2Preferred'] }, {}, 'accepted'],
    ['an unknown ALPN policy', { ...tls, AlpnPolicy: ['h2'] }, {}, 'ALPNPolicyNotFound'],
    ['two ALPN policies', { ...tls, AlpnPolicy: ['HTTP1Only', 'None'] }, {}, 'ValidationError'],
    ['an ALPN policy for TCP', { AlpnPolicy: ['None'] }, {}, 'InvalidConfigurationRequest'],
    [
      'mutual authentication',
      { ...tls, MutualAuthentication: { Mode: 'off' } },
      {},
      'InvalidConfigurationRequest',
    ],
  ])('%s', (_what, input, group, code) => {
    const { codeOf, createLoadBalancer, createTargetGroup } = bench();
    const TargetGroupArn = createTargetGroup(group);
    expect(
      codeOf('CreateListener', {
        LoadBalancerArn: createLoadBalancer(),
        Protocol: 'TCP',
        Port: 80,
        DefaultActions: [{ Type: 'forward', TargetGroupArn }],
        ...input,
      }),
    ).toBe(code);
  });

  test.each([
    ['the same settings', {}, 'accepted'],
    ['another protocol', { Protocol: 'UDP' }, 'DuplicateListener'],
    ['another port', { Port: 81 }, 'accepted'],
  ])('a port that is taken, with %s', (_what, input, code) => {
    const { codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const LoadBalancerArn = createLoadBalancer();
    const TargetGroupArn = createTargetGroup({ Protocol: 'TCP_UDP' });
    createListener(LoadBalancerArn, TargetGroupArn);
    const DefaultActions = [{ Type: 'forward', TargetGroupArn }];
    expect(
      codeOf('CreateListener', { LoadBalancerArn, Protocol: 'TCP', Port: 80, DefaultActions, ...input }),
    ).toBe(code);
  });

  test('a port that is taken, with another target group', () => {
    const { codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const LoadBalancerArn = createLoadBalancer();
    createListener(LoadBalancerArn, createTargetGroup());
    const DefaultActions = [{ Type: 'forward', TargetGroupArn: createTargetGroup({ Name: 'other' }) }];
    expect(codeOf('CreateListener', { LoadBalancerArn, Protocol: 'TCP', Port: 80, DefaultActions })).toBe(
      'DuplicateListener',
    );
  });

  test('a target group belongs to one balancer', () => {
    const { codeOf, call, createLoadBalancer, createTargetGroup, createListener } = bench();
    const TargetGroupArn = createTargetGroup();
    const first = createLoadBalancer();
    const ListenerArn = createListener(first, TargetGroupArn);
    const other = {
      LoadBalancerArn: createLoadBalancer({ Name: 'other' }),
      Protocol: 'TCP',
      Port: 80,
      DefaultActions: [{ Type: 'forward', TargetGroupArn }],
    };
    expect(codeOf('CreateListener', other)).toBe('TargetGroupAssociationLimit');
    expect(codeOf('CreateListener', { ...other, LoadBalancerArn: first, Port: 81 })).toBe('accepted');
    call('DeleteListener', { ListenerArn });
    expect(codeOf('CreateListener', other)).toBe('TargetGroupAssociationLimit');
    call('DeleteLoadBalancer', { LoadBalancerArn: first });
    expect(codeOf('CreateListener', other)).toBe('accepted');
  });

  test('a target group that does not exist, or of another VPC, is refused', () => {
    const { account, codeOf, call, createLoadBalancer, createTargetGroup } = bench();
    account.configure({
      subnets: [...account.settings.subnets, { id: 'subnet-x', vpcId: 'vpc-2', zone: 'eu-west-1a' }],
    });
    const LoadBalancerArn = createLoadBalancer();
    const forward = (TargetGroupArn: string): string =>
      codeOf('CreateListener', {
        LoadBalancerArn,
        Protocol: 'TCP',
        Port: 80,
        DefaultActions: [{ Type: 'forward', TargetGroupArn }],
      });
    const TargetGroupArn = createTargetGroup({ VpcId: 'vpc-2' });
    expect(forward(TargetGroupArn)).toBe('InvalidConfigurationRequest');
    call('DeleteTargetGroup', { TargetGroupArn });
    expect(forward(TargetGroupArn)).toBe('TargetGroupNotFound');
  });

  test('weights over several groups are kept and answered', () => {
    const { call, createLoadBalancer, createTargetGroup } = bench();
    const TargetGroups = ['a', 'b'].map((Name) => ({
      TargetGroupArn: createTargetGroup({ Name }),
      Weight: 5,
    }));
    const DefaultActions = [{ Type: 'forward', ForwardConfig: { TargetGroups } }];
    expect(
      call('CreateListener', {
        LoadBalancerArn: createLoadBalancer(),
        Protocol: 'TCP',
        Port: 80,
        DefaultActions,
      }),
    ).toMatchObject({ Listeners: [{ DefaultActions }] });
  });

  test('the fifty-first listener is one too many', () => {
    const { codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const LoadBalancerArn = createLoadBalancer();
    const TargetGroupArn = createTargetGroup();
    for (let Port = 1; Port <= 50; Port += 1) createListener(LoadBalancerArn, TargetGroupArn, { Port });
    const DefaultActions = [{ Type: 'forward', TargetGroupArn }];
    expect(codeOf('CreateListener', { LoadBalancerArn, Protocol: 'TCP', Port: 51, DefaultActions })).toBe(
      'TooManyListeners',
    );
  });

  test('a listener carries the ids of its balancer in its ARN', () => {
    const { createLoadBalancer, createTargetGroup, createListener } = bench();
    const balancer = createLoadBalancer();
    const id = balancer.split('/').at(-1);
    expect(createListener(balancer, createTargetGroup())).toMatch(
      new RegExp(`:listener/net/web/${id}/[0-9a-f]{16}$`),
    );
  });
});

describe('ModifyListener', () => {
  test('from TLS to TCP drops the certificate and the policies', () => {
    const { call, createLoadBalancer, createTargetGroup, createListener } = bench();
    const ListenerArn = createListener(createLoadBalancer(), createTargetGroup(), {
      ...tls,
      AlpnPolicy: ['None'],
    });
    const { Listeners } = call('ModifyListener', { ListenerArn, Protocol: 'TCP' });
    expect(Listeners).toEqual([
      {
        ListenerArn,
        LoadBalancerArn: expect.any(String),
        Port: 80,
        Protocol: 'TCP',
        DefaultActions: expect.any(Array),
      },
    ]);
  });

  test('from TCP to TLS needs a certificate and takes the default policy', () => {
    const { call, codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const ListenerArn = createListener(createLoadBalancer(), createTargetGroup());
    expect(codeOf('ModifyListener', { ListenerArn, Protocol: 'TLS' })).toBe('ValidationError');
    expect(call('ModifyListener', { ListenerArn, ...tls })).toMatchObject({
      Listeners: [{ Protocol: 'TLS', SslPolicy: 'ELBSecurityPolicy-2016-08', Port: 80 }],
    });
  });

  test('to another group frees the first one', () => {
    const { call, codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const first = createTargetGroup();
    const second = createTargetGroup({ Name: 'second' });
    const ListenerArn = createListener(createLoadBalancer(), first);
    call('ModifyListener', { ListenerArn, DefaultActions: [{ Type: 'forward', TargetGroupArn: second }] });
    expect(codeOf('DeleteTargetGroup', { TargetGroupArn: first })).toBe('accepted');
    expect(codeOf('DeleteTargetGroup', { TargetGroupArn: second })).toBe('ResourceInUse');
  });

  test('to a port that another listener has is refused', () => {
    const { codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const balancer = createLoadBalancer();
    const group = createTargetGroup();
    createListener(balancer, group);
    const ListenerArn = createListener(balancer, group, { Port: 81 });
    expect(codeOf('ModifyListener', { ListenerArn, Port: 80 })).toBe('DuplicateListener');
    expect(codeOf('ModifyListener', { ListenerArn, Port: 82 })).toBe('accepted');
  });
});

test('DeleteListener of one that is gone says so', () => {
  const { codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
  const ListenerArn = createListener(createLoadBalancer(), createTargetGroup());
  expect([codeOf('DeleteListener', { ListenerArn }), codeOf('DeleteListener', { ListenerArn })]).toEqual([
    'accepted',
    'ListenerNotFound',
  ]);
});

test.each([
  ['neither balancer nor listeners', {}],
  ['an empty list of listeners', { ListenerArns: [] }],
])('DescribeListeners refuses %s', (_what, input) => {
  expect(bench().codeOf('DescribeListeners', input)).toBe('ValidationError');
});

function listener(settings?: SettingsInput): Bench & { readonly ListenerArn: string } {
  const made = bench(settings);
  const ListenerArn = made.createListener(made.createLoadBalancer(), made.createTargetGroup(), tls);
  return { ...made, ListenerArn };
}

describe('certificates', () => {
  const second = `${CERTIFICATE}2`;
  test('are added once, listed after the default one, and removed', () => {
    const { call, ListenerArn } = listener();
    const Certificates = [{ CertificateArn: second }];
    call('AddListenerCertificates', { ListenerArn, Certificates });
    call('AddListenerCertificates', { ListenerArn, Certificates });
    expect(call('DescribeListenerCertificates', { ListenerArn })).toEqual({
      Certificates: [
        { CertificateArn: CERTIFICATE, IsDefault: true },
        { CertificateArn: second, IsDefault: false },
      ],
    });
    call('RemoveListenerCertificates', { ListenerArn, Certificates });
    expect(call('DescribeListenerCertificates', { ListenerArn })['Certificates']).toHaveLength(1);
  });

  test.each([
    ['the default one is removed', 'RemoveListenerCertificates', [CERTIFICATE], 'OperationNotPermitted'],
    ['two are removed at once', 'RemoveListenerCertificates', [second, `${CERTIFICATE}3`], 'ValidationError'],
    ['one is none', 'AddListenerCertificates', ['x'], 'CertificateNotFound'],
    ['there are too many', 'AddListenerCertificates', [second, `${CERTIFICATE}3`], 'TooManyCertificates'],
  ])('%s', (_what, operation, arns, code) => {
    const { codeOf, ListenerArn } = listener({ quotas: { certificatesPerLoadBalancer: 1 } });
    const Certificates = arns.map((CertificateArn) => ({ CertificateArn }));
    expect(codeOf(operation, { ListenerArn, Certificates })).toBe(code);
  });

  test('come in pages', () => {
    const { call, ListenerArn } = listener();
    const Certificates = [{ CertificateArn: second }];
    call('AddListenerCertificates', { ListenerArn, Certificates });
    const page = call('DescribeListenerCertificates', { ListenerArn, PageSize: 1 });
    expect(page['Certificates']).toMatchObject([{ IsDefault: true }]);
    expect(
      call('DescribeListenerCertificates', { ListenerArn, PageSize: 1, Marker: page['NextMarker'] }),
    ).toEqual({ Certificates: [{ CertificateArn: second, IsDefault: false }] });
  });

  test('exist only if listed, where a list is set', () => {
    const { account, codeOf, ListenerArn } = listener();
    account.configure({ certificates: [CERTIFICATE] });
    const Certificates = [{ CertificateArn: second }];
    expect(codeOf('AddListenerCertificates', { ListenerArn, Certificates })).toBe('CertificateNotFound');
  });
});
