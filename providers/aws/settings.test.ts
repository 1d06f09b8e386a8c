/** Annotations and spec to settings: each row one idea. */
import { describe, expect, test } from 'vitest';
import { aPort, aService } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { testConfig } from '../../test/support/aws-bench.ts';
import { annotations } from './annotations.ts';
import { parseService } from './settings.ts';
import type { AwsSettings } from './settings.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const arn = 'arn:aws:acm:eu-west-1:123456789012:certificate/a';
const bare = parseService(aService(), testConfig()).settings;

function parse(
  given: Readonly<Record<string, string>>,
  change: Partial<ServiceObject> = {},
  config: object = {},
): ReturnType<typeof parseService> {
  const prefixed = Object.entries(given).map(([key, value]) => [`${prefix}${key}`, value]);
  return parseService(aService({ annotations: Object.fromEntries(prefixed), ...change }), testConfig(config));
}

/** Members of the settings that differ from those of a Service without annotations. */
function difference(settings: AwsSettings): object {
  return Object.fromEntries(
    Object.entries(settings).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(bare[key as keyof AwsSettings]),
    ),
  );
}

const attributes = (values: object): object => [expect.objectContaining({ attributes: values })];
const check = (values: object): object => [
  expect.objectContaining({ healthCheck: expect.objectContaining(values) as object }),
];

describe('a good value', () => {
  test.each<[Readonly<Record<string, string>>, object]>([
    [{ name: 'my-balancer' }, { name: 'my-balancer' }],
    [{ scheme: 'internal' }, { schemeAsked: true }],
    [
      { scheme: 'internet-facing' },
      {
        scheme: 'internet-facing',
        schemeAsked: true,
        subnets: [{ subnet: 'subnet-a' }, { subnet: 'subnet-b' }],
      },
    ],
    [{ internal: 'true' }, { schemeAsked: true }],
    [{ internal: '0.0.0.0/0' }, { schemeAsked: true }],
    [
      { internal: 'false' },
      expect.objectContaining({ scheme: 'internet-facing', schemeAsked: true }) as object,
    ],
    [
      { subnets: ' subnet-x , subnet-y ' },
      { subnets: [{ subnet: 'subnet-x' }, { subnet: 'subnet-y' }], subnetsAsked: true },
    ],
    [
      { scheme: 'internet-facing', 'eip-allocations': 'eipalloc-1, eipalloc-2' },
      expect.objectContaining({
        subnets: [
          { subnet: 'subnet-a', allocation: 'eipalloc-1' },
          { subnet: 'subnet-b', allocation: 'eipalloc-2' },
        ],
      }) as object,
    ],
    [{ 'security-groups': 'sg-2,sg-1' }, { securityGroups: ['sg-1', 'sg-2'] }],
    [
      { 'cross-zone-load-balancing-enabled': 'True' },
      { balancerAttributes: { 'load_balancing.cross_zone.enabled': 'true' } },
    ],
    [
      { 'cross-zone-load-balancing-enabled': 'true', attributes: 'load_balancing.cross_zone.enabled=false' },
      { balancerAttributes: { 'load_balancing.cross_zone.enabled': 'false' } },
    ],
    [
      { 'access-log-enabled': '1', 'access-log-s3-bucket-name': 'b', 'access-log-s3-bucket-prefix': 'p' },
      {
        balancerAttributes: {
          'access_logs.s3.enabled': 'true',
          'access_logs.s3.bucket': 'b',
          'access_logs.s3.prefix': 'p',
        },
      },
    ],
    [{ attributes: 'some.new.key=x' }, { balancerAttributes: { 'some.new.key': 'x' } }],
    [{ 'additional-resource-tags': 'team=a b,cost=x/y=z' }, { tags: { team: 'a b', cost: 'x/y=z' } }],
    [{ 'target-node-labels': 'pool=edge,zone=a' }, { nodeSelector: { pool: 'edge', zone: 'a' } }],
    [{ 'nlb-target-type': 'instance' }, {}],
    [{ type: 'nlb' }, {}],
    [{ type: 'external' }, {}],
    [{ 'ip-address-type': 'ipv4' }, {}],
    [{ 'enable-tcp-udp-listener': 'true' }, {}],
    [{ 'proxy-protocol': '*' }, { ports: attributes({ 'proxy_protocol_v2.enabled': 'true' }) }],
    [
      { 'proxy-protocol-per-target-group': '80, 81' },
      { ports: attributes({ 'proxy_protocol_v2.enabled': 'true' }) },
    ],
    [
      {
        'target-group-attributes': 'deregistration_delay.timeout_seconds=10',
        'target-group-attributes.80': 'deregistration_delay.timeout_seconds=20',
      },
      { ports: attributes({ 'deregistration_delay.timeout_seconds': '20' }) },
    ],
    [{ 'target-group-attributes.81': 'deregistration_delay.timeout_seconds=20' }, {}],
    [
      { 'healthcheck-protocol': 'HTTP' },
      { ports: check({ protocol: 'HTTP', path: '/', matcher: '200-399' }) },
    ],
    [
      { 'healthcheck-protocol': 'https', 'healthcheck-path': '/ok', 'healthcheck-success-codes': '200, 204' },
      { ports: check({ protocol: 'HTTPS', path: '/ok', matcher: '200,204' }) },
    ],
    [{ 'healthcheck-port': '8080' }, { ports: check({ port: '8080' }) }],
    [
      { 'healthcheck-interval': '5', 'healthcheck-healthy-threshold': '2' },
      { ports: check({ intervalSeconds: 5, timeoutSeconds: 5, healthyThreshold: 2 }) },
    ],
  ])('%j', (given, expected) => {
    const { settings, problems } = parse(given);
    expect(problems).toEqual([]);
    expect(difference(settings)).toEqual(expected);
  });

  test.each<[string, Readonly<Record<string, string>>, Partial<ServiceObject>, object]>([
    ['TLS on every TCP port', { 'ssl-cert': arn }, {}, [{ protocol: 'TLS', certificates: [arn], alpn: '' }]],
    [
      'TLS on a named port',
      { 'ssl-cert': arn, 'ssl-ports': 'https', 'alpn-policy': 'HTTP2Preferred' },
      {
        ports: [aPort({ name: 'http', port: 80 }), aPort({ name: 'https', port: 443, nodePort: 30443 })],
      },
      [{ protocol: 'TCP' }, { protocol: 'TLS', alpn: 'HTTP2Preferred', groupProtocol: 'TCP' }],
    ],
    [
      'TLS on a numbered port, and to the targets',
      {
        'ssl-cert': arn,
        'ssl-ports': '80',
        'backend-protocol': 'ssl',
        'ssl-negotiation-policy': 'ELBSecurityPolicy-2016-08',
      },
      {},
      [{ protocol: 'TLS', groupProtocol: 'TLS', sslPolicy: 'ELBSecurityPolicy-2016-08' }],
    ],
    [
      '* for all ports',
      { 'ssl-cert': arn, 'ssl-ports': '*' },
      {},
      [{ protocol: 'TLS', sslPolicy: 'ELBSecurityPolicy-TLS13-1-2-2021-06' }],
    ],
    [
      'UDP alone, checked by the health of the service proxy',
      {},
      { ports: [aPort({ protocol: 'UDP' })] },
      [{ protocol: 'UDP', healthCheck: { protocol: 'HTTP', port: '10256', path: '/healthz' } }],
    ],
    [
      'TCP and UDP on one port',
      {},
      { ports: [aPort({ name: 'a', port: 53 }), aPort({ name: 'b', port: 53, protocol: 'UDP' })] },
      [{ key: '53-TCP_UDP', protocol: 'TCP_UDP', transports: ['TCP', 'UDP'] }],
    ],
    [
      'a health check on the port of another name',
      { 'healthcheck-port': 'admin' },
      { ports: [aPort({ name: 'web' }), aPort({ name: 'admin', port: 81, nodePort: 30081 })] },
      [{ healthCheck: { port: '30081' } }, { healthCheck: { port: '30081' } }],
    ],
    [
      'session affinity',
      {},
      { sessionAffinity: 'ClientIP' },
      [{ attributes: { 'stickiness.enabled': 'true', 'stickiness.type': 'source_ip' } }],
    ],
  ])('%s', (_, given, change, expected) => {
    const { settings, problems } = parse(given, change);
    expect(problems).toEqual([]);
    expect(settings.ports).toMatchObject(expected as object[]);
  });
});

describe('a bad one', () => {
  test.each<[Readonly<Record<string, string>>, string, string]>([
    [{ name: 'internal-x' }, 'InvalidAnnotation', '"internal-x"'],
    [{ name: 'x'.repeat(33) }, 'InvalidAnnotation', 'xxx'],
    [{ name: '-x' }, 'InvalidAnnotation', '"-x"'],
    [{ scheme: 'public' }, 'InvalidAnnotation', '"public"'],
    [{ subnets: 'my-subnet' }, 'InvalidAnnotation', '"my-subnet"'],
    [{ subnets: '' }, 'InvalidAnnotation', 'empty'],
    [{ subnets: 'subnet-a,subnet-a' }, 'InvalidAnnotation', 'named twice'],
    [{ 'eip-allocations': 'eipalloc-1,eipalloc-2' }, 'ConflictingSettings', 'internet-facing'],
    [
      { scheme: 'internet-facing', 'eip-allocations': 'eipalloc-1' },
      'InvalidAnnotation',
      '1 addresses for 2 subnets',
    ],
    [{ 'security-groups': 'web' }, 'InvalidAnnotation', '"web"'],
    [
      { 'security-groups': 'sg-1', 'disable-nlb-sg': 'true' },
      'ConflictingSettings',
      'security-groups names some',
    ],
    [{ scheme: 'internal', internal: 'false' }, 'ConflictingSettings', 'internal'],
    [{ 'cross-zone-load-balancing-enabled': 'yes' }, 'InvalidAnnotation', '"yes"'],
    [{ attributes: 'deletion_protection.enabled=maybe' }, 'InvalidAnnotation', '"maybe"'],
    [{ attributes: 'nonsense' }, 'InvalidAnnotation', '"nonsense"'],
    [
      { 'target-group-attributes': 'deregistration_delay.timeout_seconds=3601' },
      'InvalidAnnotation',
      '"3601"',
    ],
    [{ 'target-group-attributes.http': 'a=b' }, 'InvalidAnnotation', '"http"'],
    [{ 'additional-resource-tags': 'sluice.dev/uid=x' }, 'InvalidAnnotation', 'reserved'],
    [{ 'additional-resource-tags': 'aws:x=y' }, 'InvalidAnnotation', 'reserved'],
    [{ 'additional-resource-tags': 'a=!' }, 'InvalidAnnotation', '"!"'],
    [{ 'ssl-cert': 'my-cert' }, 'InvalidAnnotation', '"my-cert"'],
    [{ 'ssl-cert': arn, 'ssl-ports': '444' }, 'InvalidAnnotation', '"444"'],
    [{ 'ssl-cert': arn, 'alpn-policy': 'h2' }, 'InvalidAnnotation', '"h2"'],
    [{ 'ssl-cert': arn, 'backend-protocol': 'http' }, 'InvalidAnnotation', '"http"'],
    [{ 'proxy-protocol': 'true' }, 'InvalidAnnotation', '"true"'],
    [{ 'nlb-target-type': 'ip' }, 'UnsupportedAnnotation', '"ip"'],
    [{ type: 'nlb-ip' }, 'UnsupportedAnnotation', '"ip"'],
    [{ 'ip-address-type': 'dualstack' }, 'UnsupportedAnnotation', 'dual stack'],
    [{ 'private-ipv4-addresses': '10.0.0.1' }, 'UnsupportedAnnotation', 'not served'],
    [{ 'healthcheck-protocol': 'grpc' }, 'InvalidAnnotation', '"grpc"'],
    [{ 'healthcheck-port': '0' }, 'InvalidAnnotation', '"0"'],
    [{ 'healthcheck-port': 'nowhere' }, 'InvalidAnnotation', '"nowhere"'],
    [{ 'healthcheck-protocol': 'http', 'healthcheck-path': 'x' }, 'InvalidAnnotation', '"x"'],
    [{ 'healthcheck-interval': '4' }, 'InvalidAnnotation', '"4"'],
    [{ 'healthcheck-interval': '10s' }, 'InvalidAnnotation', '"10s"'],
    [{ 'healthcheck-interval': '5', 'healthcheck-timeout': '6' }, 'ConflictingSettings', '6 s'],
    [{ 'healthcheck-healthy-threshold': '11' }, 'InvalidAnnotation', '"11"'],
    [{ 'healthcheck-protocol': 'http', 'healthcheck-success-codes': '600' }, 'InvalidAnnotation', '"600"'],
  ])('%j is refused', (given, reason, message) => {
    const { problems } = parse(given);
    expect(problems).toEqual([
      expect.objectContaining({
        severity: 'error',
        reason,
        message: expect.stringContaining(message) as string,
        cure: expect.stringMatching(/\S/) as string,
      }),
    ]);
  });

  test.each<[Readonly<Record<string, string>>, string, string]>([
    [{ 'healthcheck-intervall': '5' }, 'UnknownAnnotation', 'healthcheck-interval"'],
    [{ 'minimum-load-balancer-capacity': 'CapacityUnits=1' }, 'UnsupportedAnnotation', ''],
    [{ 'listener-attributes.TCP-80': 'tcp.idle_timeout.seconds=400' }, 'UnsupportedAnnotation', ''],
    [{ 'ssl-ports': '443' }, 'IneffectiveSetting', 'ssl-cert'],
    [{ 'healthcheck-path': '/x' }, 'IneffectiveSetting', 'healthcheck-protocol'],
  ])('%j is told to have no effect', (given, reason, cure) => {
    expect(parse(given).problems).toEqual([
      expect.objectContaining({ severity: 'warning', reason, cure: expect.stringContaining(cure) as string }),
    ]);
  });

  test.each<[string, Partial<ServiceObject>, object, string, string]>([
    ['SCTP', { ports: [aPort({ protocol: 'SCTP' })] }, {}, 'UnsupportedProtocol', 'spec.ports[0].protocol'],
    ['no node port', { ports: [aPort({ nodePort: 0 })] }, {}, 'NodePortMissing', 'spec.ports[0].nodePort'],
    [
      'sixty ports',
      { ports: Array.from({ length: 60 }, (_, i) => aPort({ name: `p${i}`, port: 100 + i })) },
      {},
      'TooManyPorts',
      'spec.ports',
    ],
    [
      'TCP and UDP on one port with different node ports',
      { ports: [aPort({ name: 'a' }), aPort({ name: 'b', protocol: 'UDP', nodePort: 30081 })] },
      {},
      'PortConflict',
      'spec.ports',
    ],
    [
      'source ranges that nothing enforces',
      { sourceRanges: ['10.0.0.0/8'] },
      {},
      'SourceRangesNotEnforced',
      'spec.loadBalancerSourceRanges',
    ],
    ['no subnets', {}, { subnets: {} }, 'InvalidConfig', 'providers.aws.subnets.internal'],
    [
      'session affinity with TLS',
      { sessionAffinity: 'ClientIP', annotations: { [`${prefix}ssl-cert`]: arn } },
      {},
      'ConflictingSettings',
      'spec.sessionAffinity',
    ],
  ])('%s is refused', (_, change, config, reason, field) => {
    expect(parse({}, change, config).problems).toMatchObject([{ severity: 'error', reason, field }]);
  });

  test.each<[string, Partial<ServiceObject>, string]>([
    ['an address that cannot be given', { loadBalancerIP: '10.0.0.1' }, 'IneffectiveSetting'],
    [
      'proxy protocol under policy Local with an HTTP check',
      {
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 32_000,
        annotations: { [`${prefix}proxy-protocol`]: '*' },
      },
      'ConflictingSettings',
    ],
    [
      'source ranges beside security groups',
      { sourceRanges: ['10.0.0.0/8'], annotations: { [`${prefix}security-groups`]: 'sg-1' } },
      'IneffectiveSetting',
    ],
  ])('%s is warned of', (_, change, reason) => {
    expect(parse({}, change).problems).toMatchObject([{ severity: 'warning', reason }]);
  });

  test('source ranges that are everywhere need nothing to enforce them', () => {
    expect(parse({}, { sourceRanges: ['0.0.0.0/0'] }).problems).toEqual([]);
  });

  test('all mistakes are told at once, and the rest of the settings is there', () => {
    const { settings, problems } = parse(
      { scheme: 'x', 'healthcheck-interval': '1', typo: '', name: 'fine' },
      { ports: [aPort({ name: 'a' }), aPort({ name: 'b', port: 81, protocol: 'SCTP' })] },
    );

    expect(problems.map(({ reason }) => reason).toSorted()).toEqual([
      'InvalidAnnotation',
      'InvalidAnnotation',
      'UnknownAnnotation',
      'UnsupportedProtocol',
    ]);
    expect(settings).toMatchObject({ name: 'fine', scheme: 'internal', ports: [{ port: 80 }] });
  });
});

test('every row says what it means, and what to do instead where it is not served', () => {
  for (const { key, means, status, note, values } of annotations) {
    expect(means, key).toMatch(/\.$/);
    if (status === 'served') expect(values, key).not.toBe('');
    else expect(note, key).toMatch(/\.$/);
  }
  expect(new Set(annotations.map(({ key }) => key)).size).toBe(annotations.length);
});
