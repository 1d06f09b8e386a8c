/**
 * The rows of the annotation table, in the order of the reference page.
 *
 * Where two rows set the same thing, the later one wins: the deprecated spellings come first.
 */
import { parseList } from '../../src/core/annotations.ts';
import {
  ignored,
  readAttributes,
  readBool,
  readIds,
  readInteger,
  readPairs,
  readWord,
  refused,
  served,
  servedAs,
  unserved,
} from './annotation-row.ts';
import type { Reading, Row } from './annotation-row.ts';
import { balancerAttributes, groupAttributes } from './attributes.ts';
import { tagMistake } from './config.ts';
import type { HealthCheck } from './observed.ts';

/** Tags that a user may add: AWS allows 50 on a resource, and some are ours. */
const maxUserTags = 40;
const later = 'Planned. Remove it to go on without.';

const balancer: readonly Row[] = [
  served(
    'name',
    {
      values: '1 to 32 letters, digits and hyphens',
      fallback: 'made from the namespace, the name and the UID',
      means: 'Name of the balancer.',
      note: 'At creation only: a later change is reported.',
    },
    ({ text, draft, refuse }) => {
      const good =
        /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/.test(text) && !text.startsWith('internal-');
      if (good) draft.name = text;
      else {
        refuse(
          `"${text}" cannot name a balancer`,
          'use at most 32 letters, digits and hyphens, no hyphen at either end, and not "internal-" in front',
        );
      }
    },
  ),
  served(
    'internal',
    {
      values: '`false`, or anything else for true',
      fallback: '',
      means: 'Older spelling of the scheme.',
      note: 'Prefer `scheme`.',
    },
    ({ text, draft }) => {
      draft.internal = text.toLowerCase() === 'false' ? 'internet-facing' : 'internal';
    },
  ),
  served(
    'scheme',
    {
      values: '`internal`, `internet-facing`',
      fallback: 'that of the existing balancer, else of the settings, else `internal`',
      means: 'Whether the address can be reached from the internet.',
      note: 'At creation only: a later change is reported.',
    },
    (reading) => {
      reading.draft.scheme = readWord(reading, ['internal', 'internet-facing']);
    },
  ),
  served(
    'subnets',
    {
      values: 'subnet ids',
      fallback: 'those of the settings for the scheme',
      means: 'Subnets of the balancer, one for each zone.',
      note: 'Ids only: names would need rights to read EC2.',
    },
    (reading) => {
      const ids = readIds(reading, /^subnet-[A-Za-z0-9-]+$/, 'subnet-0123456789abcdef0');
      if (ids.length > 0) reading.draft.subnets = ids;
    },
  ),
  served(
    'eip-allocations',
    {
      values: 'allocation ids',
      fallback: 'addresses chosen by AWS',
      means: 'Elastic IPs, one for each subnet, in the order of the subnets.',
      note: 'Internet-facing only; at creation only.',
    },
    (reading) => {
      reading.draft.allocations = readIds(reading, /^eipalloc-[A-Za-z0-9-]+$/, 'eipalloc-0123456789abcdef0');
    },
  ),
  served(
    'security-groups',
    {
      values: 'security group ids',
      fallback: 'those of the settings, else none',
      means: 'Security groups of the balancer.',
      note: 'A balancer made without any can never be given one. Ids only.',
    },
    (reading) => {
      const ids = readIds(reading, /^sg-[A-Za-z0-9-]+$/, 'sg-0123456789abcdef0');
      if (ids.length > 0) reading.draft.securityGroups = ids;
    },
  ),
  served(
    'disable-nlb-sg',
    {
      values: 'boolean',
      fallback: '`false`',
      means: 'Makes the balancer without the security groups of the settings.',
      note: 'At creation only.',
    },
    (reading) => {
      reading.draft.withoutSecurityGroups = readBool(reading) ?? false;
    },
  ),
  servedAs(
    'service.beta.kubernetes.io/load-balancer-source-ranges',
    {
      values: 'ranges such as `10.0.0.0/8`',
      fallback: 'everywhere',
      means: 'Sources that may connect; spec.loadBalancerSourceRanges wins over it.',
      note: 'Needs security groups that enforce it: refused without any.',
    },
    ({ text, draft }) => {
      draft.sourceRanges = parseList(text);
    },
  ),
  served(
    'cross-zone-load-balancing-enabled',
    {
      values: 'boolean',
      fallback: '`false`',
      means: 'Spreads connections over the targets of all zones.',
      note: '`attributes` wins over it.',
    },
    (reading) => {
      const value = readBool(reading);
      if (value !== undefined) setAttributes(reading, { 'load_balancing.cross_zone.enabled': String(value) });
    },
  ),
  served(
    'access-log-enabled',
    {
      values: 'boolean',
      fallback: '`false`',
      means: 'Writes access logs (TLS listeners only).',
      note: '`attributes` wins over it.',
    },
    (reading) => {
      const value = readBool(reading);
      if (value !== undefined) setAttributes(reading, { 'access_logs.s3.enabled': String(value) });
    },
  ),
  served(
    'access-log-s3-bucket-name',
    { values: 'a bucket', fallback: '', means: 'Bucket of the access logs.' },
    (reading) => setAttributes(reading, { 'access_logs.s3.bucket': reading.text }),
  ),
  served(
    'access-log-s3-bucket-prefix',
    { values: 'a path', fallback: '', means: 'Path of the access logs in their bucket.' },
    (reading) => setAttributes(reading, { 'access_logs.s3.prefix': reading.text }),
  ),
  served(
    'attributes',
    {
      values: '`key=value` pairs',
      fallback: "AWS's defaults",
      means: 'Attributes of the balancer.',
      note: 'An attribute that is removed here goes back to its default.',
    },
    (reading) => setAttributes(reading, readAttributes(reading, balancerAttributes)),
  ),
  served(
    'additional-resource-tags',
    {
      values: '`key=value` pairs; `\\,` is a comma',
      fallback: 'those of the settings',
      means: 'Tags on everything that is made for the Service.',
      note: 'Tags of others are left alone.',
    },
    (reading) => {
      const tags: Record<string, string> = {};
      for (const [key, value] of readPairs(reading)) {
        const mistake = tagMistake(key, value);
        if (mistake === undefined) tags[key] = value;
        else reading.refuse(mistake, 'choose another');
      }
      if (Object.keys(tags).length > maxUserTags) {
        reading.refuse(`there are more than ${maxUserTags} tags`, 'name fewer');
        return;
      }
      reading.draft.tags = tags;
    },
  ),
];

const listeners: readonly Row[] = [
  served(
    'ssl-cert',
    {
      values: 'certificate ARNs',
      fallback: 'no TLS',
      means: 'Certificates: the first is the default one, the others are chosen by server name.',
    },
    (reading) => {
      const arns = readIds(reading, /^arn:[^\s:]+:(acm|iam):\S+$/, 'arn:aws:acm:eu-west-1:…:certificate/…');
      if (arns.length > 25) reading.refuse('a balancer can have 25 certificates', 'name fewer');
      else reading.draft.certificates = arns;
    },
  ),
  served(
    'ssl-ports',
    {
      values: 'names or numbers of ports, or `*`',
      fallback: 'every TCP port',
      means: 'Ports on which TLS is spoken; needs `ssl-cert`.',
    },
    ({ text, draft }) => {
      draft.tlsPorts = parseList(text);
    },
  ),
  served(
    'ssl-negotiation-policy',
    {
      values: 'name of a policy',
      fallback: '`ELBSecurityPolicy-TLS13-1-2-2021-06`',
      means: 'Security policy of TLS listeners.',
    },
    ({ text, draft, refuse }) => {
      if (/^[A-Za-z0-9-]{1,255}$/.test(text)) draft.sslPolicy = text;
      else
        refuse(
          `"${text}" is not the name of a policy`,
          'use one such as ELBSecurityPolicy-TLS13-1-2-2021-06',
        );
    },
  ),
  served(
    'alpn-policy',
    {
      values: '`None`, `HTTP1Only`, `HTTP2Only`, `HTTP2Optional`, `HTTP2Preferred`',
      fallback: '`None`',
      means: 'What TLS listeners negotiate (ALPN).',
    },
    (reading) => {
      const word = readWord(reading, ['None', 'HTTP1Only', 'HTTP2Only', 'HTTP2Optional', 'HTTP2Preferred']);
      reading.draft.alpn = word === undefined || word === 'None' ? '' : word;
    },
  ),
  served(
    'backend-protocol',
    {
      values: '`tcp`, `ssl`',
      fallback: '`tcp`',
      means: 'With `ssl`, TLS listeners speak TLS to the targets as well.',
    },
    (reading) => {
      reading.draft.encryptToTargets = readWord(reading, ['tcp', 'ssl']) === 'ssl';
    },
  ),
  served(
    'enable-tcp-udp-listener',
    {
      values: 'boolean',
      fallback: '`true`',
      means: 'Lets TCP and UDP on one port share a listener.',
      note: 'Needs one node port for both; `false` refuses such Services.',
    },
    (reading) => {
      reading.draft.mergeTcpUdp = readBool(reading) ?? true;
    },
  ),
];

const targets: readonly Row[] = [
  served(
    'nlb-target-type',
    {
      values: '`instance`',
      fallback: '`instance`',
      means: 'What is registered: instances, on their node ports.',
      note: '`ip` is not served.',
    },
    ({ text, refuse }) => {
      if (text === 'ip') {
        refuse('targets of type "ip" are not served', 'use "instance"', 'UnsupportedAnnotation');
      } else if (text !== 'instance') refuse(`"${text}" is not a type of target`, 'use "instance"');
    },
  ),
  served(
    'target-node-labels',
    {
      values: '`label=value` pairs',
      fallback: 'all nodes',
      means: 'Only nodes with all of these labels are targets.',
    },
    (reading) => {
      reading.draft.nodeSelector = Object.fromEntries(readPairs(reading));
    },
  ),
  served(
    'target-group-attributes',
    {
      values: '`key=value` pairs',
      fallback: "AWS's defaults",
      means: 'Attributes of all target groups.',
      note: 'An attribute that is removed here goes back to its default.',
    },
    (reading) => {
      reading.draft.groupAttributes = readAttributes(reading, groupAttributes);
    },
  ),
  served(
    'target-group-attributes.*',
    {
      values: '`key=value` pairs',
      fallback: '',
      means: 'Attributes of the target group of one port of the Service, over those of all.',
    },
    (reading) => {
      const { rest, draft } = reading;
      if (!/^\d{1,5}$/.test(rest)) {
        reading.refuse(`"${rest}" is not the number of a port`, 'end the key with a port of the Service');
        return;
      }
      draft.groupAttributesByPort = {
        ...draft.groupAttributesByPort,
        [rest]: readAttributes(reading, groupAttributes),
      };
    },
  ),
  served(
    'proxy-protocol-per-target-group',
    { values: 'ports of the Service', fallback: 'none', means: 'Ports with proxy protocol v2.' },
    ({ text, draft, refuse }) => {
      const ports = parseList(text);
      for (const port of ports.filter((entry) => !/^\d{1,5}$/.test(entry))) {
        refuse(`"${port}" is not the number of a port`, 'name ports of the Service by number');
      }
      draft.proxyProtocol = ports.filter((entry) => /^\d{1,5}$/.test(entry)).map(Number);
    },
  ),
  served(
    'proxy-protocol',
    { values: '`*`', fallback: 'off', means: 'Proxy protocol v2 to the targets of all ports.' },
    ({ text, draft, refuse }) => {
      if (text === '*') draft.proxyProtocol = 'all';
      else refuse(`"${text}" is not understood`, 'write "*" for all ports, or remove the annotation');
    },
  ),
];

function check(
  key: string,
  values: string,
  fallback: string,
  means: string,
  read: (reading: Reading) => Partial<HealthCheck> | undefined,
): Row {
  return served(`healthcheck-${key}`, { values, fallback, means }, (reading) => {
    reading.draft.healthCheck = { ...reading.draft.healthCheck, ...read(reading) };
  });
}

function checkNumber(
  key: string,
  field: 'intervalSeconds' | 'timeoutSeconds' | 'healthyThreshold' | 'unhealthyThreshold',
  [min, max]: readonly [number, number],
  fallback: string,
  means: string,
): Row {
  return check(key, `${min} to ${max}`, fallback, means, (reading) => {
    const value = readInteger(reading, min, max);
    return value === undefined ? undefined : { [field]: value };
  });
}

const healthChecks: readonly Row[] = [
  check(
    'protocol',
    '`tcp`, `http`, `https`',
    '`http` under policy Local and for UDP alone, else `tcp`',
    'How targets are checked.',
    (reading) => {
      const protocol = readWord(reading, ['TCP', 'HTTP', 'HTTPS']);
      return protocol === undefined ? undefined : { protocol };
    },
  ),
  check(
    'port',
    '`traffic-port`, a number, or the name of a port of the Service',
    'the health-check node port under policy Local, 10256 for UDP alone, else `traffic-port`',
    'Port that is checked.',
    ({ text, refuse }) => {
      const number = /^\d+$/.test(text);
      if (number ? Number(text) >= 1 && Number(text) <= 65535 && text.length <= 5 : text !== '') {
        return { port: text };
      }
      refuse(
        `"${text}" is not a port`,
        'write traffic-port, a number from 1 to 65535, or the name of a port',
      );
      return undefined;
    },
  ),
  check(
    'path',
    'a path',
    '`/healthz` under policy Local, else `/`',
    'What an HTTP check asks for.',
    (reading) => {
      if (/^\/[!-~]{0,1023}$/.test(reading.text)) return { path: reading.text };
      reading.refuse(`"${reading.text}" is not a path`, 'write a path that begins with "/"');
      return undefined;
    },
  ),
  check(
    'success-codes',
    'codes and ranges, such as `200,204` or `200-299`',
    '`200` under policy Local, else `200-399`',
    'HTTP codes that count as healthy.',
    ({ text, refuse }) => {
      const codes = text.replaceAll(/\s/g, '');
      if (/^[2-5]\d\d(-[2-5]\d\d)?(,[2-5]\d\d(-[2-5]\d\d)?)*$/.test(codes)) return { matcher: codes };
      refuse(`"${text}" is not a list of HTTP codes`, 'write codes from 200 to 599, such as 200-399');
      return undefined;
    },
  ),
  checkNumber('interval', 'intervalSeconds', [5, 300], '10', 'Seconds between two checks of a target.'),
  checkNumber(
    'timeout',
    'timeoutSeconds',
    [2, 120],
    '6 under policy Local, else 10',
    'Seconds until a check without an answer fails.',
  ),
  checkNumber(
    'healthy-threshold',
    'healthyThreshold',
    [2, 10],
    '2 under policy Local, else 3',
    'Checks passed until a target is healthy.',
  ),
  checkNumber(
    'unhealthy-threshold',
    'unhealthyThreshold',
    [2, 10],
    '2 under policy Local, else 3',
    'Checks failed until a target is unhealthy.',
  ),
];

const others: readonly Row[] = [
  served(
    'type',
    {
      values: '`nlb`, `external`',
      fallback: '',
      means: 'Which AWS controller serves the Service; without effect once Sluice does.',
      note: 'Prefer spec.loadBalancerClass. `nlb-ip` is not served.',
    },
    ({ text, refuse }) => {
      if (text === 'nlb-ip') {
        refuse('targets of type "ip" are not served', 'remove it, or use "nlb"', 'UnsupportedAnnotation');
      } else if (text !== 'nlb' && text !== 'external') {
        refuse(`"${text}" is no balancer that can be made`, 'use "nlb"', 'UnsupportedAnnotation');
      }
    },
  ),
  served(
    'ip-address-type',
    { values: '`ipv4`', fallback: '`ipv4`', means: 'Address family.', note: '`dualstack` is not served.' },
    ({ text, refuse }) => {
      if (text === 'dualstack') refuse('dual stack is not served', 'use "ipv4"', 'UnsupportedAnnotation');
      else if (text !== 'ipv4') refuse(`"${text}" is not an address type`, 'use "ipv4"');
    },
  ),
  refused('private-ipv4-addresses', 'Fixed addresses of an internal balancer.', later),
  refused('ipv6-addresses', 'Fixed IPv6 addresses.', later),
  refused('extra-security-groups', 'More security groups (Classic Load Balancer).', 'Use security-groups.'),
  refused('security-group-prefix-lists', 'Prefix lists as sources.', later),
  refused(
    'inbound-sg-rules-on-private-link-traffic',
    'Whether security groups apply to PrivateLink traffic.',
    later,
  ),
  refused('multi-cluster-target-group', 'Target groups shared by several clusters.', later),
  refused('enable-prefix-for-ipv6-source-nat', 'Source NAT for IPv6.', later),
  refused('source-nat-ipv6-prefixes', 'Source NAT for IPv6.', later),
  refused('quic-enabled-ports', 'QUIC listeners.', 'Remove it; UDP ports carry QUIC as well.'),
  ignored('listener-attributes.*', 'Attributes of one listener.', later),
  ignored('minimum-load-balancer-capacity', 'Reserved capacity.', later),
  ignored(
    'manage-backend-security-group-rules',
    'Rules on the security groups of nodes.',
    'Remove it; Sluice does not touch security groups, so open the node ports yourself.',
  ),
  ignored(
    'enable-icmp-for-path-mtu-discovery',
    'An ICMP rule in the managed security group.',
    'Remove it; Sluice manages no security groups.',
  ),
  ignored('access-log-emit-interval', 'Classic Load Balancer only.', 'Remove it.'),
  ignored(
    'connection-draining-enabled',
    'Classic Load Balancer only.',
    'Use target-group-attributes with deregistration_delay.timeout_seconds.',
  ),
  ignored(
    'connection-draining-timeout',
    'Classic Load Balancer only.',
    'Use target-group-attributes with deregistration_delay.timeout_seconds.',
  ),
  ignored('connection-idle-timeout', 'Classic Load Balancer only.', 'Remove it.'),
  unserved(
    'service.beta.kubernetes.io/actions.*',
    'refused',
    'Forwarding to several target groups.',
    'Remove it; every port has one target group.',
  ),
];

function setAttributes({ draft }: Reading, attributes: Readonly<Record<string, string>>): void {
  draft.balancerAttributes = { ...draft.balancerAttributes, ...attributes };
}

export const rows: readonly Row[] = [...balancer, ...listeners, ...targets, ...healthChecks, ...others];
