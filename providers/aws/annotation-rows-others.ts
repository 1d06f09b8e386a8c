/**
 * Rows of the annotation table that choose nothing, or that are known and not served.
 */
import { ignored, refused, served, unserved } from './annotation-row.ts';
import type { Row } from './annotation-row.ts';

const later = 'Planned. Remove it to go on without.';

export const otherRows: readonly Row[] = [
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
