/**
 * Histories in which what was made a moment ago once cost more than ten writes a minute (I4), made small, under the name of what each showed.
 * They are data: the generator may change, these stay, each with its seed, so that chance falls as it did.
 */
import type { NamedHistory } from './events.ts';

export const keptForCreations: readonly NamedHistory[] = [
  {
    name: 'a newcomer whose parts are unseen at first costs no more than ten writes a minute',
    seed: 7_749,
    surroundings: {
      replicas: 1,
      nodes: 1,
      apiLatencyMs: 20,
      watchDelayMs: 0,
      cloudLatencyMs: 80,
      provisioningMs: 0,
      registrationMs: 40_000,
      pageSize: 400,
    },
    steps: [
      { gapMs: 771, event: { kind: 'delete', pick: 4 } },
      { gapMs: 289_497, event: { kind: 'cloud-hidden', hiddenMs: 6_280, times: 2 } },
      { gapMs: 3, event: { kind: 'restart', downMs: 90_000 } },
      {
        gapMs: 1_938,
        event: {
          kind: 'create',
          slot: 2,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: { 'service.beta.kubernetes.io/aws-load-balancer-shceme': 'internal' },
            loadBalancerClass: 'sluice.dev/aws',
          },
        },
      },
      { gapMs: 216_690, event: { kind: 'cloud-short-read', times: 2 } },
    ],
  },
  {
    name: 'a listener is not asked for again and again on a balancer that somebody deleted a moment after it was made',
    seed: 854,
    surroundings: {
      replicas: 2,
      nodes: 0,
      apiLatencyMs: 20,
      watchDelayMs: 0,
      cloudLatencyMs: 20,
      provisioningMs: 3_000,
      registrationMs: 0,
      pageSize: 400,
    },
    steps: [
      {
        gapMs: 1_656,
        event: {
          kind: 'create',
          slot: 1,
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
      {
        gapMs: 1_237,
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
      { gapMs: 28_083, event: { kind: 'delete', pick: 4 } },
      { gapMs: 102_420, event: { kind: 'replace', pick: 6 } },
      { gapMs: 19_522, event: { kind: 'hand-delete-balancer', pick: 1 } },
      { gapMs: 127, event: { kind: 'node-join' } },
      { gapMs: 2_643, event: { kind: 'port-add', pick: 7, port: 82, protocol: 'UDP' } },
    ],
  },
  {
    name: 'a listener on a balancer unseen at first, beside a target that is refused, costs no more than ten writes a minute',
    seed: 13_520,
    surroundings: {
      replicas: 1,
      nodes: 5,
      apiLatencyMs: 2,
      watchDelayMs: 400,
      cloudLatencyMs: 80,
      provisioningMs: 0,
      registrationMs: 40_000,
      pageSize: 2,
    },
    steps: [
      { gapMs: 233_706, event: { kind: 'cloud-hidden', hiddenMs: 8_260, times: 1 } },
      { gapMs: 11_055, event: { kind: 'instance-gone', pick: 6 } },
      {
        gapMs: 15_403,
        event: {
          kind: 'create',
          slot: 0,
          shape: {
            ports: [
              { name: 'http', port: 80, protocol: 'TCP' },
              { name: 'https', port: 443, protocol: 'TCP' },
            ],
            policy: 'Cluster',
            annotations: {},
            allocateNodePorts: false,
          },
        },
      },
      { gapMs: 543, event: { kind: 'type-flip', pick: 5, awayMs: 0, stallMs: 30_000 } },
      { gapMs: 107_895, event: { kind: 'port-add', pick: 4, port: 81, protocol: 'TCP' } },
    ],
  },
];
