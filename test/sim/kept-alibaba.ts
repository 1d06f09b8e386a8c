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
];
