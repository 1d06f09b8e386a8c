/**
 * Histories that were once not followed by silence (I4), made small, under the name of what each showed.
 * They are data: the generator may change, these stay, each with its seed, so that chance falls as it did.
 */
import type { NamedHistory } from './events.ts';

export const keptForSilence: readonly NamedHistory[] = [
  {
    name: 'that a Service without node ports cannot be served yet is not said again after a restart',
    seed: 8,
    surroundings: {
      replicas: 1,
      nodes: 1,
      apiLatencyMs: 20,
      watchDelayMs: 10,
      cloudLatencyMs: 20,
      provisioningMs: 90_000,
      registrationMs: 0,
      pageSize: 400,
    },
    steps: [
      {
        gapMs: 1_028,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
            policy: 'Local',
            annotations: {},
            allocateNodePorts: false,
          },
        },
      },
    ],
  },
  {
    name: 'an own write of which the event was lost is not made again at every look',
    seed: 15_868,
    surroundings: {
      replicas: 1,
      nodes: 3,
      apiLatencyMs: 0,
      watchDelayMs: 10,
      cloudLatencyMs: 0,
      provisioningMs: 0,
      registrationMs: 0,
      pageSize: 400,
    },
    steps: [
      {
        gapMs: 1_327,
        event: {
          kind: 'create',
          slot: 3,
          shape: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }], policy: 'Cluster', annotations: {} },
        },
      },
      { gapMs: 255_587, event: { kind: 'policy', pick: 0 } },
      {
        gapMs: 587,
        event: {
          kind: 'annotate',
          pick: 4,
          key: 'service.beta.kubernetes.io/aws-load-balancer-target-group-attributes',
          value: 'deregistration_delay.timeout_seconds=30',
        },
      },
      { gapMs: 45, event: { kind: 'api-403', ms: 33_410 } },
      {
        gapMs: 596,
        event: {
          kind: 'annotate',
          pick: 4,
          key: 'service.beta.kubernetes.io/aws-load-balancer-target-group-attributes',
          value: undefined,
        },
      },
      { gapMs: 13, event: { kind: 'protocol', pick: 59, protocol: 'UDP' } },
      { gapMs: 31, event: { kind: 'watch-expire' } },
      { gapMs: 12, event: { kind: 'nodes-all-excluded', ms: 41_546 } },
      { gapMs: 38, event: { kind: 'api-429', times: 3, seconds: 5 } },
      {
        gapMs: 2_380,
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
            loadBalancerClass: 'sluice.dev/aws',
          },
        },
      },
      { gapMs: 29_760, event: { kind: 'watch-miss', of: 'services' } },
      { gapMs: 17_473, event: { kind: 'api-down', ms: 67_464 } },
    ],
  },
  {
    name: 'nodes whose change was never told are found by the next list, before silence is judged',
    seed: 22_508,
    surroundings: {
      replicas: 2,
      nodes: 2,
      apiLatencyMs: 20,
      watchDelayMs: 10,
      cloudLatencyMs: 20,
      provisioningMs: 0,
      registrationMs: 0,
      pageSize: 2,
    },
    steps: [
      { gapMs: 130, event: { kind: 'watch-miss', of: 'nodes' } },
      { gapMs: 3_975, event: { kind: 'node-exclude', pick: 15, value: 'true' } },
      {
        gapMs: 10_415,
        event: {
          kind: 'create',
          slot: 1,
          shape: {
            ports: [
              { name: 'dns', port: 53, protocol: 'UDP' },
              { name: 'dns-tcp', port: 53, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: {
              'service.beta.kubernetes.io/aws-load-balancer-target-group-attributes':
                'deregistration_delay.timeout_seconds=30',
            },
          },
        },
      },
      { gapMs: 1_455, event: { kind: 'node-leave', pick: 6 } },
    ],
  },
];
