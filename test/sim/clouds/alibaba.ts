/** Alibaba Cloud under simulation: the words of its histories, and what should be true of a Service there. */
import type { Cloud, ListenerTruth } from '../cloud.ts';
import { AlibabaAccount } from './alibaba-account.ts';
import { alibabaSweep } from './alibaba-sweep.ts';
import { pairs } from './aws.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
const schedulerKey = `${prefix}scheduler`;
const protocolKey = `${prefix}protocol-port`;
/** The one form that histories use: port 80 as a listener of HTTP. */
const web = 'http:80';

const broken: Readonly<Record<string, string>> = {
  [`${prefix}health-check-interval`]: 'often',
  [`${prefix}address-type`]: 'public',
  [`${prefix}bandwidth`]: '10M',
  [`${prefix}external-ip-type`]: 'eip',
  // Not with the way in which a balancer is paid for by default.
  [`${prefix}charge-type`]: 'paybybandwidth',
};

export const alibaba: Cloud = {
  provider: 'alibaba',
  className: 'sluice.dev/alibaba',
  prefix,
  words: {
    annotations: [
      [schedulerKey, ['wrr', 'wlc', 'rr']],
      [`${prefix}health-check-interval`, ['5', '10']],
      [`${prefix}persistence-timeout`, ['60', '0']],
      [`${prefix}additional-resource-tags`, ['team=a', 'team=b,cost=7']],
      [`${prefix}backend-label`, ['pool=odd', 'pool=even']],
      [`${prefix}default-weight`, ['50']],
      [`${prefix}modification-protection`, ['NonProtection', 'ConsoleProtection']],
      [`${prefix}recreate`, ['on']],
      [protocolKey, [web]],
      // Without effect on a balancer that pays by traffic: said so.
      ['service.beta.kubernetes.io/alicloud-load-balancer-bandwidth', ['10']],
      // A typo: reported, without effect.
      [`${prefix}adress-type`, ['intranet']],
    ],
    broken,
    side: [`${prefix}address-type`, 'intranet'],
    nameKey: `${prefix}name`,
    tune: [schedulerKey, 'wlc'],
    recreate: [`${prefix}recreate`, 'on'],
    oddProviderIDs: ['', 'ack-hybrid://cn-hangzhou/x', 'cn-beijing.i-0000000000000abcd', 'nonsense'],
    operations: [
      'CreateLoadBalancer',
      'CreateVServerGroup',
      'CreateLoadBalancerTCPListener',
      'StartLoadBalancerListener',
      'AddVServerGroupBackendServers',
      'RemoveVServerGroupBackendServers',
      'SetVServerGroupAttribute',
      'SetLoadBalancerTCPListenerAttribute',
      'SetLoadBalancerDeleteProtection',
      'DeleteLoadBalancer',
      'DeleteVServerGroup',
      'DeleteLoadBalancerListener',
      'TagResources',
      'DescribeLoadBalancers',
      'DescribeLoadBalancerListeners',
      'DescribeVServerGroups',
      'DescribeVServerGroupAttribute',
      'DescribeHealthStatus',
    ],
    calls: {
      createBalancer: ['CreateLoadBalancer'],
      createGroup: ['CreateVServerGroup'],
      createListener: [
        'CreateLoadBalancerTCPListener',
        'CreateLoadBalancerUDPListener',
        'CreateLoadBalancerHTTPListener',
      ],
      register: ['AddVServerGroupBackendServers'],
      deleteGroup: ['DeleteVServerGroup'],
    },
    codes: {
      denied: 'Forbidden.RAM',
      inUse: 'RspoolVipExist',
      badListener: 'VipNotMatchRspool',
      quotaOfBalancers: 'OverQuota',
      quotaOfGroups: 'OperationForbidden.QuotaLimit',
      quotaOfListeners: 'VipTooManyListeners',
      quotaOfTargets: 'InstanceBackendServerNumberOverLimit',
    },
    failures: [
      { kind: 'error', code: 'ServiceUnavailable' },
      { kind: 'html' },
      { kind: 'error', code: 'ServiceIsConfiguring' },
      { kind: 'error-in-answer', code: 'SystemBusy' },
    ],
    sweep: alibabaSweep,
  },
  rules: {
    providerID: (number) => `cn-hangzhou.i-${number.toString(16).padStart(17, '0')}`,
    instanceOf: (providerID) => /^(?:alicloud:\/\/)?cn-hangzhou\.(i-[0-9a-f]+)$/.exec(providerID)?.[1],
    nodeLabelKey: `${prefix}backend-label`,
    listenersOf: (ports, annotations) => {
      let wrong = false;
      const listeners: ListenerTruth[] = [];
      const asWeb = annotations[protocolKey] === web;
      for (const { port = 0, nodePort = 0, protocol = 'TCP' } of ports) {
        if ((protocol !== 'TCP' && protocol !== 'UDP') || nodePort === 0) wrong = true;
        else if (asWeb && port === 80 && protocol === 'TCP')
          listeners.push({ port, nodePort, protocol: 'HTTP' });
        else listeners.push({ port, nodePort, protocol });
      }
      // The annotation is about TCP, and about ports that are there.
      const misfit =
        asWeb &&
        (ports.every(({ port }) => port !== 80) ||
          ports.some(({ port, protocol = 'TCP' }) => port === 80 && protocol !== 'TCP'));
      const misfits = [
        ...(misfit ? [protocolKey] : []),
        // Least connections is nothing for HTTP.
        ...(listeners.some(({ protocol }) => protocol === 'HTTP') && annotations[schedulerKey] === 'wlc'
          ? [schedulerKey]
          : []),
      ];
      return { listeners, broken: wrong || misfits.length > 0, misfits };
    },
    weightsOf: (annotations, local, ready) => {
      const even = Number(annotations[`${prefix}default-weight`] ?? 100);
      const nobody = [...ready.values()].every((count) => count === 0);
      return new Map([...ready].map(([instance, count]) => [instance, local ? (nobody ? 1 : count) : even]));
    },
    asked: (annotations, { protocol }) => ({
      balancer: {
        ...pairs(annotations[`${prefix}additional-resource-tags`], 'tag '),
        'modification-protection': annotations[`${prefix}modification-protection`],
      },
      listener: {
        Scheduler: annotations[schedulerKey],
        HealthCheckInterval: protocol === 'HTTP' ? undefined : annotations[`${prefix}health-check-interval`],
        PersistenceTimeout: protocol === 'TCP' ? annotations[`${prefix}persistence-timeout`] : undefined,
      },
      group: {},
    }),
  },
  open: (parts) => new AlibabaAccount(parts),
};
