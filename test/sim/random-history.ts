/**
 * A random history from a seed: surroundings and at least thirty steps, of every kind that there is.
 *
 * Kinds are drawn by weight; histories have moods (calm, faults of the cloud, faults of the API, of the
 * process, all together), because a fault shows best when not everything breaks at once.
 */
import { seededRandom, type Random } from '../../src/core/clock.ts';
import type { Cloud } from './cloud.ts';
import type { EventKind, History, HistoryStep, SimEvent, Surroundings } from './events.ts';
import { takenName, type Port, type Shape } from './people.ts';
import { handedKey } from './truth.ts';

const leastSteps = 30;
const mostSteps = 40;

type Annotations = readonly (readonly [key: string, values: readonly string[]])[];

/** Annotations of the provider's table, and those that are the same on every cloud. */
function annotationsOf({ words }: Cloud): Annotations {
  return [
    ...words.annotations,
    // Somebody else's: no business of ours.
    ['example.com/deployed-at', ['monday', 'tuesday']],
    ['sluice.dev/paused', ['true']],
    ['sluice.dev/plan-only', ['true']],
    ['sluice.dev/drift-policy', ['correct', 'report']],
    ...Object.entries(words.broken).map(([key, value]) => [key, [value]] as const),
  ];
}

type Maker = (dice: Dice) => SimEvent;

/** Kind → weight and how one is made. Every kind of event has a row. */
const makers: { readonly [K in EventKind]: readonly [weight: number, mood: Mood | 'any', make: Maker] } = {
  create: [14, 'any', (d) => ({ kind: 'create', slot: d.int(4), shape: d.shape() })],
  delete: [5, 'any', (d) => ({ kind: 'delete', pick: d.int(8) })],
  'force-delete': [2, 'any', (d) => ({ kind: 'force-delete', pick: d.int(8) })],
  replace: [2, 'any', (d) => ({ kind: 'replace', pick: d.int(8) })],
  type: [4, 'any', (d) => d.typeChange()],
  'type-flip': [
    3,
    'any',
    (d) => ({
      kind: 'type-flip',
      pick: d.int(8),
      awayMs: d.of([0, 100, 2_000, 15_000]),
      stallMs: d.of([0, 0, 12_000, 30_000]),
    }),
  ],
  'port-add': [
    4,
    'any',
    (d) => ({
      kind: 'port-add',
      pick: d.int(8),
      port: d.of([81, 82, 443, 53]),
      protocol: d.of(['TCP', 'UDP']),
    }),
  ],
  'port-remove': [3, 'any', (d) => ({ kind: 'port-remove', pick: d.int(64) })],
  'node-port': [3, 'any', (d) => ({ kind: 'node-port', pick: d.int(64) })],
  protocol: [
    2,
    'any',
    (d) => ({ kind: 'protocol', pick: d.int(64), protocol: d.of(['TCP', 'UDP', 'UDP', 'SCTP']) }),
  ],
  policy: [3, 'any', (d) => ({ kind: 'policy', pick: d.int(8) })],
  label: [1, 'any', (d) => ({ kind: 'label', pick: d.int(8) })],
  annotate: [10, 'any', (d) => d.annotation()],
  'node-join': [5, 'any', (d) => ({ kind: 'node-join', ...d.oddProviderID() })],
  'node-leave': [4, 'any', (d) => ({ kind: 'node-leave', pick: d.int(16) })],
  'node-taint': [2, 'any', (d) => ({ kind: 'node-taint', pick: d.int(16) })],
  'node-untaint': [1, 'any', (d) => ({ kind: 'node-untaint', pick: d.int(16) })],
  'node-exclude': [
    3,
    'any',
    (d) => ({
      kind: 'node-exclude',
      pick: d.int(16),
      value: d.of(['', 'true', 'false', undefined, undefined]),
    }),
  ],
  'node-provider-id': [1, 'any', (d) => ({ kind: 'node-provider-id', pick: d.int(16) })],
  'node-heartbeat': [
    2,
    'any',
    (d) => ({ kind: 'node-heartbeat', pick: d.int(16), ready: d.of(['True', 'False']) }),
  ],
  'node-storm': [0.4, 'any', (d) => ({ kind: 'node-storm', changes: 60, overMs: 4_000 + d.int(6_000) })],
  'nodes-all-excluded': [0.6, 'any', (d) => ({ kind: 'nodes-all-excluded', ms: 2_000 + d.int(40_000) })],
  'nodes-most-excluded': [0.8, 'any', (d) => ({ kind: 'nodes-most-excluded', ms: 2_000 + d.int(40_000) })],
  endpoints: [9, 'any', (d) => ({ kind: 'endpoints', pick: d.int(8), on: d.endpoints() })],

  'cloud-throttle': [3, 'cloud', (d) => ({ kind: 'cloud-throttle', ...d.maybeOperation(), ms: d.stretch() })],
  'cloud-slow': [
    2,
    'cloud',
    (d) => ({ kind: 'cloud-slow', callMs: d.of([500, 3_000, 8_000]), ms: d.stretch() }),
  ],
  'cloud-lost-answer': [4, 'cloud', (d) => ({ kind: 'cloud-lost-answer', times: 1 + d.int(3) })],
  'cloud-lost-request': [2, 'cloud', (d) => ({ kind: 'cloud-lost-request', times: 1 + d.int(4) })],
  'cloud-error': [3, 'cloud', (d) => ({ kind: 'cloud-error', times: 1 + d.int(6) })],
  'cloud-hang': [1, 'cloud', () => ({ kind: 'cloud-hang', times: 1 })],
  'cloud-denied': [2, 'cloud', (d) => ({ kind: 'cloud-denied', operation: d.operation(), ms: d.stretch() })],
  'cloud-quota': [2, 'cloud', (d) => ({ kind: 'cloud-quota', ms: d.stretch() })],
  'cloud-read-lag': [
    3,
    'cloud',
    (d) => ({ kind: 'cloud-read-lag', lagMs: 1_000 + d.int(9_000), ms: d.stretch() }),
  ],
  'cloud-reference-lag': [
    2,
    'cloud',
    (d) => ({ kind: 'cloud-reference-lag', lagMs: 1_000 + d.int(9_000), ms: d.stretch() }),
  ],
  'cloud-hidden': [
    2,
    'cloud',
    (d) => ({ kind: 'cloud-hidden', hiddenMs: 1_000 + d.int(9_000), times: 1 + d.int(2) }),
  ],
  'cloud-in-use': [
    2,
    'cloud',
    (d) => ({ kind: 'cloud-in-use', releaseMs: 5_000 + d.int(55_000), ms: d.stretch() }),
  ],
  'cloud-empty-read': [2, 'cloud', (d) => ({ kind: 'cloud-empty-read', times: 1 + d.int(2) })],
  'cloud-short-read': [2, 'cloud', (d) => ({ kind: 'cloud-short-read', times: 1 + d.int(2) })],
  'instance-gone': [2, 'cloud', (d) => ({ kind: 'instance-gone', pick: d.int(16) })],
  'instance-back': [1, 'cloud', (d) => ({ kind: 'instance-back', pick: d.int(16) })],

  'hand-delete-balancer': [2, 'hand', (d) => ({ kind: 'hand-delete-balancer', pick: d.int(8) })],
  'hand-delete-listener': [3, 'hand', (d) => ({ kind: 'hand-delete-listener', pick: d.int(8) })],
  'hand-deregister': [3, 'hand', (d) => ({ kind: 'hand-deregister', pick: d.int(64) })],
  'hand-register-extra': [2, 'hand', (d) => ({ kind: 'hand-register-extra', pick: d.int(64) })],
  'hand-remove-tag': [2, 'hand', (d) => ({ kind: 'hand-remove-tag', pick: d.int(16) })],
  'hand-protect': [1, 'hand', (d) => ({ kind: 'hand-protect', pick: d.int(8) })],
  'hand-attribute': [2, 'hand', (d) => ({ kind: 'hand-attribute', pick: d.int(8) })],
  stranger: [2, 'hand', () => ({ kind: 'stranger' })],
  health: [5, 'hand', (d) => ({ kind: 'health', pick: d.int(16), healthy: d.int(3) === 0 })],

  'api-rival': [4, 'api', (d) => ({ kind: 'api-rival', times: 1 + d.int(3) })],
  'api-lost-answer': [4, 'api', (d) => ({ kind: 'api-lost-answer', times: 1 + d.int(2) })],
  'api-lost-request': [2, 'api', (d) => ({ kind: 'api-lost-request', times: 1 + d.int(3) })],
  'api-500': [3, 'api', (d) => ({ kind: 'api-500', times: 1 + d.int(4) })],
  'api-429': [2, 'api', (d) => ({ kind: 'api-429', times: 1 + d.int(4), seconds: 1 + d.int(10) })],
  'api-slow': [2, 'api', (d) => ({ kind: 'api-slow', ms: d.stretch() })],
  'api-403': [1, 'api', (d) => ({ kind: 'api-403', ms: d.stretch() })],
  'api-down': [2, 'api', (d) => ({ kind: 'api-down', ms: d.stretch() })],
  'watch-cut': [3, 'api', () => ({ kind: 'watch-cut' })],
  'watch-expire': [2, 'api', () => ({ kind: 'watch-expire' })],
  'watch-stall': [3, 'api', (d) => ({ kind: 'watch-stall', ms: 1_000 + d.int(40_000) })],
  'watch-miss': [
    1,
    'api',
    (d) => ({ kind: 'watch-miss', of: d.of(['services', 'nodes', 'endpointslices']) }),
  ],

  crash: [4, 'process', (d) => ({ kind: 'crash', downMs: d.down(), ...d.maybeLag() })],
  'crash-at-cloud-write': [
    6,
    'process',
    (d) => ({
      kind: 'crash-at-cloud-write',
      nth: 1 + d.int(6),
      when: d.of(['before', 'after']),
      downMs: d.down(),
    }),
  ],
  'crash-at-api-write': [
    4,
    'process',
    (d) => ({
      kind: 'crash-at-api-write',
      nth: 1 + d.int(4),
      when: d.of(['before', 'after']),
      downMs: d.down(),
    }),
  ],
  freeze: [3, 'process', (d) => ({ kind: 'freeze', ms: 1_000 + d.int(70_000) })],
  restart: [3, 'process', (d) => ({ kind: 'restart', downMs: d.down() })],
  'wall-jump': [1, 'process', (d) => ({ kind: 'wall-jump', ms: d.of([-3_600_000, 60_000, 86_400_000]) })],
  wait: [2, 'any', () => ({ kind: 'wait' })],
};

type Mood = 'cloud' | 'hand' | 'api' | 'process';

const moods: readonly (readonly Mood[])[] = [
  [],
  ['cloud'],
  ['cloud'],
  ['hand'],
  ['api'],
  ['process'],
  ['process'],
  ['cloud', 'process'],
  ['api', 'process'],
  ['cloud', 'hand'],
  ['cloud', 'hand', 'api', 'process'],
];

export const eventKinds = Object.keys(makers) as readonly EventKind[];

class Dice {
  readonly #random: Random;
  readonly #cloud: Cloud;
  readonly #annotations: Annotations;

  constructor(random: Random, cloud: Cloud) {
    this.#random = random;
    this.#cloud = cloud;
    this.#annotations = annotationsOf(cloud);
  }

  /** 0 to below `limit`. */
  int(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.int(choices.length)] as T;
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  gap(): number {
    const roll = this.#random();
    if (roll < 0.2) return this.int(50);
    if (roll < 0.6) return this.int(3_000);
    if (roll < 0.93) return this.int(30_000);
    return this.int(300_000);
  }

  /** How long a standing fault lasts. */
  stretch(): number {
    return this.of([3_000, 15_000, 60_000]) + this.int(20_000);
  }

  down(): number {
    return this.of([0, 2_000, 20_000, 90_000]);
  }

  operation(): string {
    return this.of(this.#cloud.words.operations);
  }

  maybeOperation(): { operation?: string } {
    return this.chance(0.5) ? { operation: this.operation() } : {};
  }

  maybeLag(): { lagMs?: number } {
    return this.chance(0.3) ? { lagMs: 1_000 + this.int(30_000) } : {};
  }

  oddProviderID(): { providerID?: string } {
    if (this.chance(0.8)) return {};
    return { providerID: this.of(this.#cloud.words.oddProviderIDs) };
  }

  endpoints(): readonly { node: number; state: 'ready' | 'not-ready' | 'terminating' }[] {
    return Array.from({ length: this.int(4) }, () => ({
      node: this.int(16),
      state: this.of(['ready', 'ready', 'ready', 'not-ready', 'terminating'] as const),
    }));
  }

  annotation(): SimEvent {
    const [key, values] = this.of(this.#annotations);
    return {
      kind: 'annotate',
      pick: this.int(8),
      key,
      value: this.chance(0.4) ? undefined : this.of(values),
    };
  }

  typeChange(): SimEvent {
    const type = this.of(['ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer']);
    const loadBalancerClass = this.of([this.#cloud.className, 'example.com/other', undefined, undefined]);
    const named = type === 'LoadBalancer' && loadBalancerClass !== undefined;
    return { kind: 'type', pick: this.int(8), type, ...(named ? { loadBalancerClass } : {}) };
  }

  shape(): Shape {
    const portSets: readonly (readonly Port[])[] = [
      [{ name: 'http', port: 80, protocol: 'TCP' }],
      [
        { name: 'http', port: 80, protocol: 'TCP' },
        { name: 'https', port: 443, protocol: 'TCP' },
      ],
      [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      ],
      [{ name: 'dns', port: 53, protocol: 'UDP' }],
    ];
    const annotations: Record<string, string> = {};
    const { words, className } = this.#cloud;
    if (this.chance(0.2)) annotations[words.side[0]] = words.side[1];
    for (let i = this.int(3); i > 0; i -= 1) {
      const [key, values] = this.of(this.#annotations);
      if (this.chance(0.6)) annotations[key] = this.of(values);
    }
    if (this.chance(0.04)) annotations[handedKey] = 'external';
    if (this.chance(0.08)) annotations[words.nameKey] = takenName;
    const loadBalancerClass = this.of([className, undefined, undefined, undefined]);
    return {
      ports: this.of(portSets),
      policy: this.chance(0.45) ? 'Local' : 'Cluster',
      annotations,
      ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
      ...(this.chance(0.05) ? { allocateNodePorts: false } : {}),
      ...(this.chance(0.08) ? { type: 'ClusterIP' } : {}),
    };
  }

  surroundings(): Surroundings {
    return {
      replicas: this.chance(0.35) ? 2 : 1,
      nodes: this.int(6),
      apiLatencyMs: this.of([0, 2, 20]),
      watchDelayMs: this.of([0, 10, 400]),
      cloudLatencyMs: this.of([0, 20, 80]),
      provisioningMs: this.of([0, 0, 3_000, 90_000]),
      registrationMs: this.of([0, 0, 8_000, 40_000]),
      pageSize: this.of([400, 400, 2]),
    };
  }
}

export function randomHistory(seed: number, cloud: Cloud): History {
  const dice = new Dice(seededRandom(seed), cloud);
  const mood = dice.of(moods);
  const choices = eventKinds.filter(
    (kind) => makers[kind][1] === 'any' || mood.some((one) => one === makers[kind][1]),
  );
  // In a mood its faults are a good part of what happens, but life goes on.
  const weightOf = (kind: EventKind): number =>
    makers[kind][0] * (makers[kind][1] === 'any' ? 1 : 2 / mood.length);
  const total = choices.reduce((sum, kind) => sum + weightOf(kind), 0);
  const draw = (): SimEvent => {
    let left = (dice.int(1_000_000) / 1_000_000) * total;
    for (const kind of choices) {
      left -= weightOf(kind);
      if (left <= 0) return makers[kind][2](dice);
    }
    return { kind: 'wait' };
  };
  const surroundings = dice.surroundings();
  const steps: HistoryStep[] = [];
  // Something to happen to.
  for (let i = 1 + dice.int(3); i > 0; i -= 1)
    steps.push({ gapMs: dice.int(2_000), event: makers.create[2](dice) });
  const count = leastSteps + dice.int(mostSteps - leastSteps + 1);
  while (steps.length < count) steps.push({ gapMs: dice.gap(), event: draw() });
  return { seed, surroundings, steps };
}
