/** AWS under simulation: the words of its histories, and what should be true of a Service there. */
import type { Cloud, ListenerTruth } from '../cloud.ts';
import { AwsAccount } from './aws-account.ts';

export const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';

/** Annotation values of histories that a user has to mend. */
const broken: Readonly<Record<string, string>> = {
  [`${prefix}healthcheck-interval`]: 'often',
  [`${prefix}nlb-target-type`]: 'ip',
  [`${prefix}attributes`]: 'no_such_attribute=1',
  'service.beta.kubernetes.io/load-balancer-source-ranges': '10.0.0.0/8',
};

export const aws: Cloud = {
  provider: 'aws',
  className: 'sluice.dev/aws',
  prefix,
  words: {
    annotations: [
      [
        `${prefix}attributes`,
        ['load_balancing.cross_zone.enabled=true', 'load_balancing.cross_zone.enabled=false'],
      ],
      [
        `${prefix}target-group-attributes`,
        ['deregistration_delay.timeout_seconds=30', 'preserve_client_ip.enabled=true'],
      ],
      [`${prefix}healthcheck-interval`, ['10', '30']],
      [`${prefix}healthcheck-healthy-threshold`, ['2', '5']],
      [`${prefix}additional-resource-tags`, ['team=a', 'team=b,cost=7']],
      [`${prefix}target-node-labels`, ['pool=odd', 'pool=even']],
      [`${prefix}proxy-protocol`, ['*']],
      // A typo: reported, without effect.
      [`${prefix}shceme`, ['internal']],
    ],
    broken,
    side: [`${prefix}scheme`, 'internet-facing'],
    nameKey: `${prefix}name`,
    tune: [`${prefix}attributes`, 'load_balancing.cross_zone.enabled=true'],
    recreate: undefined,
    oddProviderIDs: ['', 'gce://project/zone/vm', 'aws:///eu-west-1a/fargate-ip-10-1-2-3', 'nonsense'],
    operations: [
      'CreateLoadBalancer',
      'CreateTargetGroup',
      'CreateListener',
      'RegisterTargets',
      'DeregisterTargets',
      'DeleteLoadBalancer',
      'DeleteTargetGroup',
      'DeleteListener',
      'ModifyTargetGroupAttributes',
      'DescribeLoadBalancers',
      'DescribeTargetHealth',
      'DescribeTags',
    ],
    calls: {
      createBalancer: ['CreateLoadBalancer'],
      createGroup: ['CreateTargetGroup'],
      createListener: ['CreateListener'],
      register: ['RegisterTargets'],
      deleteGroup: ['DeleteTargetGroup'],
    },
    codes: {
      denied: 'AccessDenied',
      inUse: 'ResourceInUse',
      badListener: 'InvalidConfigurationRequest',
      quotaOfBalancers: 'TooManyLoadBalancers',
      quotaOfGroups: 'TooManyTargetGroups',
      quotaOfListeners: 'TooManyListeners',
      quotaOfTargets: 'TooManyTargets',
    },
    failures: [{ kind: 'error', code: 'ServiceUnavailable' }],
    sweep: [],
  },
  rules: {
    providerID: (number) => `aws:///eu-west-1a/i-${number.toString(16).padStart(17, '0')}`,
    instanceOf: (providerID) => /(?:^|\/)(i-[0-9a-f]+)$/.exec(providerID)?.[1],
    nodeLabelKey: `${prefix}target-node-labels`,
    // TCP and UDP of one number are one listener, and so need one node port.
    listenersOf: (ports) => {
      const byNumber = new Map<number, ListenerTruth>();
      let wrong = false;
      for (const { port = 0, nodePort = 0, protocol = 'TCP' } of ports) {
        if ((protocol !== 'TCP' && protocol !== 'UDP') || nodePort === 0) {
          wrong = true;
          continue;
        }
        const other = byNumber.get(port);
        if (other !== undefined && other.nodePort !== nodePort) wrong = true;
        byNumber.set(port, { port, nodePort, protocol: other === undefined ? protocol : 'TCP_UDP' });
      }
      return { listeners: [...byNumber.values()], broken: wrong, misfits: [] };
    },
    weightsOf: () => undefined,
    asked: (annotations, { protocol }) => ({
      balancer: {
        'load_balancing.cross_zone.enabled': /cross_zone.enabled=(\w+)/.exec(
          annotations[`${prefix}attributes`] ?? '',
        )?.[1],
      },
      listener: {},
      group: {
        interval: annotations[`${prefix}healthcheck-interval`],
        threshold: annotations[`${prefix}healthcheck-healthy-threshold`],
        ...pairs(annotations[`${prefix}target-group-attributes`], ''),
        ...pairs(annotations[`${prefix}additional-resource-tags`], 'tag '),
        'proxy_protocol_v2.enabled':
          protocol === 'TCP' ? String(annotations[`${prefix}proxy-protocol`] === '*') : undefined,
      },
    }),
  },
  open: (parts) => new AwsAccount(parts),
};

export function pairs(text = '', before: string): Readonly<Record<string, string>> {
  const entries = text.split(',').map((pair) => pair.split('='));
  return Object.fromEntries(
    entries.flatMap(([key = '', value = '']) => (key === '' ? [] : [[`${before}${key}`, value]])),
  );
}
