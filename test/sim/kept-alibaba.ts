/**
 * Histories that once broke an invariant on Alibaba Cloud, made small, under the name of what each showed.
 * They are data: the generator may change, these stay, each with its seed, so that chance falls as it did.
 */
import type { NamedHistory, Surroundings } from './events.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

const calm: Surroundings = {
  replicas: 1,
  nodes: 2,
  apiLatencyMs: 2,
  watchDelayMs: 10,
  cloudLatencyMs: 20,
  provisioningMs: 0,
  registrationMs: 8_000,
  pageSize: 400,
};

const http = { name: 'http', port: 80, protocol: 'TCP' } as const;
const https = { name: 'https', port: 443, protocol: 'TCP' } as const;
const dns = { name: 'dns', port: 53, protocol: 'UDP' } as const;
const dnsTcp = { name: 'dns-tcp', port: 53, protocol: 'TCP' } as const;

export const keptForAlibaba: readonly NamedHistory[] = [
  {
    name: 'a balancer that cannot be seen for a while is not made twice',
    seed: 113,
    surroundings: { ...calm, cloudLatencyMs: 0 },
    steps: [
      { gapMs: 1_427, event: { kind: 'cloud-hidden', hiddenMs: 9_569, times: 1 } },
      {
        gapMs: 523,
        event: {
          kind: 'create',
          slot: 3,
          shape: { ports: [http, https], policy: 'Local', annotations: {} },
        },
      },
      { gapMs: 1_201, event: { kind: 'node-port', pick: 60 } },
    ],
  },
  {
    name: 'a balancer that cannot be seen while reads lag is not made twice',
    seed: 131,
    surroundings: { ...calm, nodes: 0, apiLatencyMs: 0, watchDelayMs: 0, cloudLatencyMs: 80 },
    steps: [
      { gapMs: 47, event: { kind: 'cloud-hidden', hiddenMs: 8_196, times: 2 } },
      {
        gapMs: 61_680,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [dns, dnsTcp],
            policy: 'Cluster',
            annotations: { [`${prefix}scheduler`]: 'wlc' },
          },
        },
      },
      { gapMs: 2_263, event: { kind: 'cloud-read-lag', lagMs: 6_627, ms: 65_793 } },
    ],
  },
  {
    name: 'a Service made anew under its name has one balancer, seen or not',
    seed: 107,
    surroundings: { ...calm, nodes: 4, watchDelayMs: 400, registrationMs: 40_000 },
    steps: [
      {
        gapMs: 89,
        event: {
          kind: 'create',
          slot: 2,
          shape: {
            ports: [http, https],
            policy: 'Cluster',
            annotations: { [`${prefix}health-check-interval`]: '5' },
          },
        },
      },
      { gapMs: 52_555, event: { kind: 'cloud-hidden', hiddenMs: 9_786, times: 1 } },
      { gapMs: 2_221, event: { kind: 'replace', pick: 3 } },
      {
        gapMs: 1_581,
        event: {
          kind: 'endpoints',
          pick: 5,
          on: [
            { node: 10, state: 'terminating' },
            { node: 15, state: 'not-ready' },
          ],
        },
      },
    ],
  },
  {
    name: 'a group that was made twice becomes one',
    seed: 198,
    surroundings: { ...calm, nodes: 0, apiLatencyMs: 0 },
    steps: [
      {
        gapMs: 1_509,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [dns],
            policy: 'Local',
            annotations: { [`${prefix}address-type`]: 'intranet' },
          },
        },
      },
      { gapMs: 142, event: { kind: 'cloud-hidden', hiddenMs: 5_049, times: 2 } },
      { gapMs: 43_900, event: { kind: 'port-add', pick: 0, port: 81, protocol: 'TCP' } },
      { gapMs: 171, event: { kind: 'api-rival', times: 3 } },
    ],
  },
  {
    name: 'a group that a short read hid is not left beside the one made for it',
    seed: 396,
    surroundings: { ...calm, nodes: 0, apiLatencyMs: 0, watchDelayMs: 400, provisioningMs: 3_000 },
    steps: [
      {
        gapMs: 189,
        event: {
          kind: 'create',
          slot: 1,
          shape: { ports: [dns, dnsTcp], policy: 'Local', annotations: {} },
        },
      },
      { gapMs: 4_976, event: { kind: 'cloud-short-read', times: 2 } },
      { gapMs: 20_090, event: { kind: 'node-untaint', pick: 4 } },
    ],
  },
  {
    name: 'an address is not shown before a listener runs, also when the ports are refused meanwhile',
    seed: 15,
    surroundings: { ...calm, watchDelayMs: 0, provisioningMs: 90_000, registrationMs: 0 },
    steps: [
      {
        gapMs: 725,
        event: {
          kind: 'create',
          slot: 1,
          shape: { ports: [http, https], policy: 'Local', annotations: {} },
        },
      },
      {
        gapMs: 1_507,
        event: {
          kind: 'create',
          slot: 0,
          shape: { ports: [http], policy: 'Local', annotations: { 'sluice.dev/paused': 'true' } },
        },
      },
      {
        gapMs: 26_221,
        event: { kind: 'create', slot: 3, shape: { ports: [dns], policy: 'Cluster', annotations: {} } },
      },
      { gapMs: 34, event: { kind: 'protocol', pick: 56, protocol: 'SCTP' } },
    ],
  },
  {
    name: 'members of a group whose listener is gone are guarded like those in use',
    seed: 573,
    surroundings: { ...calm, nodes: 5, watchDelayMs: 0, cloudLatencyMs: 80, registrationMs: 0 },
    steps: [
      {
        gapMs: 20,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [dns, dnsTcp],
            policy: 'Cluster',
            annotations: { [`${prefix}name`]: 'wanted-by-many' },
          },
        },
      },
      {
        gapMs: 17,
        event: { kind: 'create', slot: 2, shape: { ports: [http], policy: 'Local', annotations: {} } },
      },
      { gapMs: 21_091, event: { kind: 'type', pick: 3, type: 'NodePort' } },
      { gapMs: 2_744, event: { kind: 'hand-delete-listener', pick: 0 } },
      { gapMs: 23, event: { kind: 'nodes-most-excluded', ms: 41_694 } },
      { gapMs: 22_348, event: { kind: 'port-add', pick: 4, port: 53, protocol: 'UDP' } },
    ],
  },
  {
    name: 'a client token that leads to a balancer that is gone costs few writes',
    seed: 152,
    surroundings: {
      ...calm,
      replicas: 2,
      apiLatencyMs: 0,
      cloudLatencyMs: 80,
      registrationMs: 40_000,
      pageSize: 2,
    },
    steps: [
      { gapMs: 20_384, event: { kind: 'delete', pick: 2 } },
      {
        gapMs: 1_726,
        event: {
          kind: 'create',
          slot: 1,
          shape: { ports: [http, https], policy: 'Cluster', annotations: { [`${prefix}scheduler`]: 'wrr' } },
        },
      },
      { gapMs: 69_633, event: { kind: 'type-flip', pick: 6, awayMs: 100, stallMs: 0 } },
      { gapMs: 49, event: { kind: 'crash-at-cloud-write', nth: 3, when: 'before', downMs: 20_000 } },
      { gapMs: 2_779, event: { kind: 'label', pick: 1 } },
    ],
  },
  {
    name: 'a listener that takes its time to start is no news about its members',
    seed: 3_763,
    surroundings: {
      ...calm,
      nodes: 4,
      watchDelayMs: 0,
      cloudLatencyMs: 80,
      provisioningMs: 3_000,
      registrationMs: 40_000,
      pageSize: 2,
    },
    steps: [
      { gapMs: 305, event: { kind: 'api-rival', times: 3 } },
      { gapMs: 175, event: { kind: 'crash', downMs: 20_000 } },
      {
        gapMs: 1_977,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [dns],
            policy: 'Cluster',
            annotations: { [`${prefix}address-type`]: 'intranet' },
            loadBalancerClass: 'sluice.dev/alibaba',
          },
        },
      },
      {
        gapMs: 209_967,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [http],
            policy: 'Local',
            annotations: { [`${prefix}charge-type`]: 'paybybandwidth' },
          },
        },
      },
    ],
  },
  {
    name: 'an error that comes again under another request id is no news',
    seed: 9_984,
    surroundings: { ...calm, nodes: 1, apiLatencyMs: 20, registrationMs: 40_000 },
    steps: [
      {
        gapMs: 30,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [http, https],
            policy: 'Cluster',
            annotations: { 'service.beta.kubernetes.io/alicloud-load-balancer-bandwidth': '10' },
          },
        },
      },
      { gapMs: 2_450, event: { kind: 'policy', pick: 4 } },
      { gapMs: 492, event: { kind: 'cloud-error', times: 5 } },
      { gapMs: 25, event: { kind: 'node-join' } },
      { gapMs: 379, event: { kind: 'crash', downMs: 2_000 } },
      { gapMs: 14_567, event: { kind: 'replace', pick: 2 } },
      { gapMs: 2_113, event: { kind: 'policy', pick: 7 } },
      { gapMs: 242, event: { kind: 'cloud-denied', operation: 'DescribeHealthStatus', ms: 75_475 } },
      { gapMs: 295_762, event: { kind: 'crash-at-cloud-write', nth: 5, when: 'before', downMs: 20_000 } },
    ],
  },
  {
    name: 'a protection that somebody sets between our look and our write could not be seen',
    seed: 2_924,
    surroundings: { ...calm, replicas: 2, cloudLatencyMs: 80 },
    steps: [
      {
        gapMs: 36,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [http, https],
            policy: 'Local',
            annotations: { [`${prefix}address-type`]: 'intranet' },
          },
        },
      },
      { gapMs: 166_169, event: { kind: 'cloud-slow', callMs: 3_000, ms: 78_015 } },
      { gapMs: 6, event: { kind: 'endpoints', pick: 5, on: [{ node: 12, state: 'ready' }] } },
      { gapMs: 13_680, event: { kind: 'delete', pick: 5 } },
      { gapMs: 8_606, event: { kind: 'hand-protect', pick: 1 } },
    ],
  },
  {
    name: 'a group that was made with its members and cannot be seen yet takes over in the end',
    seed: 1_660,
    surroundings: { ...calm, nodes: 4, apiLatencyMs: 0, cloudLatencyMs: 80 },
    steps: [
      {
        gapMs: 2_487,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [http, https],
            policy: 'Cluster',
            annotations: { [`${prefix}address-type`]: 'intranet' },
          },
        },
      },
      { gapMs: 2_392, event: { kind: 'cloud-hidden', hiddenMs: 9_754, times: 1 } },
      { gapMs: 310_046, event: { kind: 'node-port', pick: 36 } },
    ],
  },
];
