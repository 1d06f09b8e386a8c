/**
 * Histories that once broke an invariant, each as small as it could be made, under the name of what was wrong.
 * They are data, not seeds: the generator may change, these stay.
 */
import { expect, it } from 'vitest';
import { alibaba } from './clouds/alibaba.ts';
import { aws } from './clouds/aws.ts';
import type { History, HistoryStep, Surroundings } from './events.ts';
import { keptForAlibaba } from './kept-alibaba.ts';
import { keptForCreations } from './kept-creations.ts';
import { keptForOthers } from './kept-others.ts';
import { keptForSilence } from './kept-silence.ts';
import { keptForWrites } from './kept-writes.ts';
import { runHistory } from './run.ts';

const calm: Surroundings = {
  replicas: 1,
  nodes: 3,
  apiLatencyMs: 2,
  watchDelayMs: 10,
  cloudLatencyMs: 20,
  provisioningMs: 0,
  registrationMs: 0,
  pageSize: 400,
};

const web = {
  ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
  policy: 'Cluster',
  annotations: {},
} as const;

const chosenName = { 'service.beta.kubernetes.io/aws-load-balancer-name': 'wanted-by-many' };

const histories: readonly {
  readonly name: string;
  readonly surroundings?: Partial<Surroundings>;
  readonly steps: readonly HistoryStep[];
}[] = [
  {
    name: 'a Service that was refused and then changed its type keeps no conditions of ours',
    steps: [
      { gapMs: 1_600, event: { kind: 'create', slot: 3, shape: { ...web, allocateNodePorts: false } } },
      { gapMs: 20_600, event: { kind: 'type', pick: 0, type: 'ClusterIP' } },
    ],
  },
  {
    name: 'a Service that was held back and then changed its type keeps no conditions of ours',
    steps: [
      {
        gapMs: 1_900,
        event: { kind: 'create', slot: 2, shape: { ...web, annotations: { 'sluice.dev/paused': 'true' } } },
      },
      { gapMs: 19_000, event: { kind: 'type', pick: 0, type: 'NodePort' } },
    ],
  },
  {
    name: 'a port that is added is not announced as a new address',
    steps: [
      { gapMs: 20, event: { kind: 'create', slot: 1, shape: web } },
      { gapMs: 28_000, event: { kind: 'port-add', pick: 0, port: 53, protocol: 'TCP' } },
    ],
  },
  {
    name: 'what a lying read left of a Service that changed its type is found and removed',
    surroundings: { replicas: 2, nodes: 1, pageSize: 2 },
    steps: [
      {
        gapMs: 800,
        event: {
          kind: 'create',
          slot: 2,
          shape: { ...web, ports: [...web.ports, { name: 'https', port: 443, protocol: 'TCP' }] },
        },
      },
      // The one look before the removal sees one target group of two.
      { gapMs: 60_000, event: { kind: 'cloud-short-read', times: 1, operation: 'DescribeTargetGroups' } },
      { gapMs: 0, event: { kind: 'type', pick: 0, type: 'ClusterIP' } },
      { gapMs: 10_000, event: { kind: 'wait' } },
    ],
  },
  {
    name: 'a balancer that was deleted while its Service was being provisioned is not shown',
    surroundings: { nodes: 1, cloudLatencyMs: 80 },
    steps: [
      {
        gapMs: 1_600,
        event: {
          kind: 'create',
          slot: 1,
          shape: { ...web, ports: [...web.ports, { name: 'https', port: 443, protocol: 'TCP' }] },
        },
      },
      { gapMs: 300, event: { kind: 'hand-delete-balancer', pick: 0 } },
    ],
  },
  {
    name: 'a Service that changed its type before its finalizer was stored is not provisioned and forgotten',
    surroundings: { replicas: 2, nodes: 1, watchDelayMs: 400 },
    steps: [
      { gapMs: 13_260, event: { kind: 'api-down', ms: 2_600 } },
      {
        gapMs: 13,
        event: { kind: 'create', slot: 0, shape: { ...web, loadBalancerClass: 'sluice.dev/aws' } },
      },
      { gapMs: 2_562, event: { kind: 'type', pick: 0, type: 'ClusterIP' } },
    ],
  },
  {
    name: 'a status that may not be written is not tried twice in a pass',
    steps: [
      { gapMs: 2_000, event: { kind: 'create', slot: 0, shape: web } },
      { gapMs: 10_000, event: { kind: 'watch-stall', ms: 65_000 } },
      { gapMs: 10, event: { kind: 'api-403', ms: 400_000 } },
      { gapMs: 10, event: { kind: 'port-add', pick: 0, port: 81, protocol: 'TCP' } },
      { gapMs: 390_000, event: { kind: 'wait' } },
    ],
  },
  {
    name: 'a chosen name that was another Service’s a moment ago is not built on',
    steps: [
      { gapMs: 20_000, event: { kind: 'cloud-hidden', hiddenMs: 9_000, times: 1 } },
      { gapMs: 0, event: { kind: 'create', slot: 1, shape: { ...web, annotations: chosenName } } },
      { gapMs: 150, event: { kind: 'restart', downMs: 0 } },
      { gapMs: 0, event: { kind: 'replace', pick: 0 } },
      { gapMs: 60_000, event: { kind: 'wait' } },
    ],
  },
];

it.each(histories)('$name', async ({ surroundings, steps }) => {
  const history: History = { seed: 4, surroundings: { ...calm, ...surroundings }, steps };
  const { violations } = await runHistory(history, { cloud: aws, checkSchema: true });
  expect(violations).toEqual([]);
});

it.each([...keptForWrites, ...keptForCreations, ...keptForSilence, ...keptForOthers])(
  '$name',
  async (history) => {
    const { violations } = await runHistory(history, { cloud: aws, checkSchema: true });
    expect(violations).toEqual([]);
  },
);

it.each(keptForAlibaba)('on Alibaba Cloud, $name', async (history) => {
  const { violations } = await runHistory(history, { cloud: alibaba });
  expect(violations).toEqual([]);
});
