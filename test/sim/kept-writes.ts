/**
 * Histories that once cost more than ten writes a minute (I4), made small, under the name of what each showed.
 * They are data: the generator may change, these stay, each with its seed, so that chance falls as it did.
 */
import type { NamedHistory } from './events.ts';

export const keptForWrites: readonly NamedHistory[] = [
  {
    name: 'what waited for the API server to come back is written within ten writes a minute',
    seed: 9_665,
    surroundings: {
      replicas: 1,
      nodes: 5,
      apiLatencyMs: 0,
      watchDelayMs: 400,
      cloudLatencyMs: 0,
      provisioningMs: 0,
      registrationMs: 40_000,
      pageSize: 400,
    },
    steps: [
      {
        gapMs: 713,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
            policy: 'Cluster',
            annotations: { 'service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval': '30' },
          },
        },
      },
      {
        gapMs: 1_609,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: { 'example.com/deployed-at': 'tuesday' },
          },
        },
      },
      { gapMs: 21_619, event: { kind: 'hand-register-extra', pick: 40 } },
      { gapMs: 276_796, event: { kind: 'cloud-lost-request', times: 1 } },
      { gapMs: 2_518, event: { kind: 'api-rival', times: 3 } },
      { gapMs: 160_189, event: { kind: 'policy', pick: 5 } },
      { gapMs: 7_599, event: { kind: 'api-down', ms: 79_252 } },
      { gapMs: 12_468, event: { kind: 'node-join' } },
      { gapMs: 12_698, event: { kind: 'port-add', pick: 7, port: 81, protocol: 'UDP' } },
      { gapMs: 5_982, event: { kind: 'type-flip', pick: 7, awayMs: 100, stallMs: 0 } },
      { gapMs: 3_964, event: { kind: 'endpoints', pick: 4, on: [{ node: 6, state: 'ready' }] } },
      { gapMs: 23, event: { kind: 'node-join' } },
      {
        gapMs: 45,
        event: {
          kind: 'create',
          slot: 3,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: { 'service.beta.kubernetes.io/load-balancer-source-ranges': '10.0.0.0/8' },
            loadBalancerClass: 'sluice.dev/aws',
          },
        },
      },
    ],
  },
  {
    name: 'what users mend after an outage is followed within ten writes a minute',
    seed: 9_665,
    surroundings: {
      replicas: 1,
      nodes: 5,
      apiLatencyMs: 0,
      watchDelayMs: 400,
      cloudLatencyMs: 0,
      provisioningMs: 0,
      registrationMs: 40_000,
      pageSize: 400,
    },
    steps: [
      {
        gapMs: 713,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
            policy: 'Cluster',
            annotations: { 'service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval': '30' },
          },
        },
      },
      {
        gapMs: 1_609,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: { 'example.com/deployed-at': 'tuesday' },
          },
        },
      },
      { gapMs: 21_619, event: { kind: 'hand-register-extra', pick: 40 } },
      { gapMs: 447_102, event: { kind: 'api-down', ms: 79_252 } },
      { gapMs: 12_468, event: { kind: 'node-join' } },
      { gapMs: 12_698, event: { kind: 'port-add', pick: 7, port: 81, protocol: 'UDP' } },
      { gapMs: 11_171, event: { kind: 'type-flip', pick: 7, awayMs: 100, stallMs: 0 } },
      { gapMs: 1_629, event: { kind: 'api-500', times: 4 } },
      {
        gapMs: 21_500,
        event: {
          kind: 'endpoints',
          pick: 7,
          on: [
            { node: 10, state: 'ready' },
            { node: 11, state: 'not-ready' },
          ],
        },
      },
      {
        gapMs: 482,
        event: {
          kind: 'annotate',
          pick: 0,
          key: 'service.beta.kubernetes.io/aws-load-balancer-target-node-labels',
          value: 'pool=odd',
        },
      },
      { gapMs: 2_784, event: { kind: 'watch-expire' } },
      { gapMs: 13_400, event: { kind: 'port-add', pick: 5, port: 81, protocol: 'TCP' } },
      { gapMs: 2_335, event: { kind: 'endpoints', pick: 4, on: [{ node: 6, state: 'ready' }] } },
      {
        gapMs: 26,
        event: {
          kind: 'create',
          slot: 3,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: { 'service.beta.kubernetes.io/load-balancer-source-ranges': '10.0.0.0/8' },
            loadBalancerClass: 'sluice.dev/aws',
          },
        },
      },
    ],
  },
  {
    name: 'a listener whose creation is throttled is asked for at growing intervals',
    seed: 9_993,
    surroundings: {
      replicas: 1,
      nodes: 0,
      apiLatencyMs: 0,
      watchDelayMs: 400,
      cloudLatencyMs: 80,
      provisioningMs: 0,
      registrationMs: 8_000,
      pageSize: 2,
    },
    steps: [
      { gapMs: 37, event: { kind: 'api-lost-request', times: 2 } },
      {
        gapMs: 2_105,
        event: {
          kind: 'create',
          slot: 2,
          shape: {
            ports: [
              { name: 'dns', port: 53, protocol: 'UDP' },
              { name: 'dns-tcp', port: 53, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: {},
          },
        },
      },
      { gapMs: 1_449, event: { kind: 'cloud-throttle', operation: 'CreateListener', ms: 75_327 } },
      { gapMs: 207_257, event: { kind: 'crash-at-cloud-write', nth: 1, when: 'after', downMs: 0 } },
    ],
  },
  {
    name: 'an outage and a change of type are told of in no more than ten writes a minute',
    seed: 10_211,
    surroundings: {
      replicas: 1,
      nodes: 3,
      apiLatencyMs: 2,
      watchDelayMs: 10,
      cloudLatencyMs: 80,
      provisioningMs: 0,
      registrationMs: 0,
      pageSize: 2,
    },
    steps: [
      {
        gapMs: 825,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [
              { name: 'dns', port: 53, protocol: 'UDP' },
              { name: 'dns-tcp', port: 53, protocol: 'TCP' },
            ],
            policy: 'Local',
            annotations: {
              'service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags': 'team=a',
            },
            loadBalancerClass: 'sluice.dev/aws',
          },
        },
      },
      {
        gapMs: 975,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
            policy: 'Local',
            annotations: { 'service.beta.kubernetes.io/aws-load-balancer-scheme': 'internet-facing' },
          },
        },
      },
      { gapMs: 2_795, event: { kind: 'api-down', ms: 78_555 } },
      {
        gapMs: 15_855,
        event: {
          kind: 'endpoints',
          pick: 3,
          on: [
            { node: 10, state: 'terminating' },
            { node: 9, state: 'ready' },
            { node: 3, state: 'ready' },
          ],
        },
      },
      { gapMs: 23_516, event: { kind: 'node-join' } },
      { gapMs: 1_287, event: { kind: 'protocol', pick: 57, protocol: 'SCTP' } },
      { gapMs: 28_904, event: { kind: 'type-flip', pick: 5, awayMs: 2_000, stallMs: 0 } },
    ],
  },
  {
    name: 'a Service that meets rivals at every write is born within ten writes a minute',
    seed: 10_831,
    surroundings: {
      replicas: 1,
      nodes: 5,
      apiLatencyMs: 2,
      watchDelayMs: 10,
      cloudLatencyMs: 20,
      provisioningMs: 0,
      registrationMs: 8_000,
      pageSize: 2,
    },
    steps: [
      { gapMs: 1_379, event: { kind: 'api-rival', times: 2 } },
      { gapMs: 26_654, event: { kind: 'api-rival', times: 3 } },
      { gapMs: 6_700, event: { kind: 'crash', downMs: 20_000 } },
      { gapMs: 41, event: { kind: 'api-rival', times: 3 } },
      {
        gapMs: 13,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Local',
            annotations: {},
          },
        },
      },
      { gapMs: 169_452, event: { kind: 'api-500', times: 1 } },
    ],
  },
  {
    name: 'a Service made anew while the picture stands still is not written to under its old UID',
    seed: 9_532,
    surroundings: {
      replicas: 2,
      nodes: 4,
      apiLatencyMs: 2,
      watchDelayMs: 10,
      cloudLatencyMs: 20,
      provisioningMs: 0,
      registrationMs: 40_000,
      pageSize: 2,
    },
    steps: [
      {
        gapMs: 494,
        event: {
          kind: 'create',
          slot: 2,
          shape: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }], policy: 'Local', annotations: {} },
        },
      },
      {
        gapMs: 1_500,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: {
              'service.beta.kubernetes.io/aws-load-balancer-scheme': 'internet-facing',
              'service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval': '10',
            },
          },
        },
      },
      { gapMs: 8_567, event: { kind: 'replace', pick: 7 } },
      { gapMs: 18_579, event: { kind: 'policy', pick: 6 } },
      { gapMs: 2_186, event: { kind: 'node-join' } },
      { gapMs: 9_982, event: { kind: 'api-lost-answer', times: 2 } },
      { gapMs: 690, event: { kind: 'delete', pick: 1 } },
      { gapMs: 314, event: { kind: 'policy', pick: 5 } },
      { gapMs: 597, event: { kind: 'policy', pick: 3 } },
      { gapMs: 179_684, event: { kind: 'node-port', pick: 48 } },
      { gapMs: 22_713, event: { kind: 'watch-expire' } },
      { gapMs: 29_878, event: { kind: 'api-down', ms: 72_476 } },
      { gapMs: 2_568, event: { kind: 'node-join' } },
      { gapMs: 33_704, event: { kind: 'replace', pick: 5 } },
    ],
  },
  {
    name: 'a Service that only a stale list still shows is not written to again and again',
    seed: 15_077,
    surroundings: {
      replicas: 1,
      nodes: 1,
      apiLatencyMs: 2,
      watchDelayMs: 400,
      cloudLatencyMs: 20,
      provisioningMs: 90_000,
      registrationMs: 8_000,
      pageSize: 2,
    },
    steps: [
      {
        gapMs: 789,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
            policy: 'Local',
            annotations: {
              'service.beta.kubernetes.io/aws-load-balancer-shceme': 'internal',
              'service.beta.kubernetes.io/aws-load-balancer-name': 'wanted-by-many',
            },
          },
        },
      },
      { gapMs: 323, event: { kind: 'delete', pick: 2 } },
      {
        gapMs: 1_590,
        event: {
          kind: 'create',
          slot: 3,
          shape: {
            ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
            policy: 'Cluster',
            annotations: {},
            loadBalancerClass: 'sluice.dev/aws',
          },
        },
      },
      { gapMs: 22, event: { kind: 'restart', downMs: 90_000 } },
      { gapMs: 9, event: { kind: 'delete', pick: 4 } },
      { gapMs: 11_513, event: { kind: 'crash', downMs: 90_000, lagMs: 27_422 } },
      { gapMs: 91_274, event: { kind: 'crash-at-cloud-write', nth: 4, when: 'after', downMs: 90_000 } },
    ],
  },
];
