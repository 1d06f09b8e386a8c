/**
 * The faults of the sweep, after the rows of the field's list of faults: what each is, on which calls it can
 * fall, and what happens then.
 */
import type { ApiFault } from './api-client.ts';
import type { Cloud, CloudEffect } from './cloud.ts';
import type { SimEvent, Surroundings } from './events.ts';
import { takenName } from './people.ts';

/** One call of the clean run. */
export interface Point {
  readonly side: 'api' | 'cloud';
  /** From 1, in the order of the clean run. */
  readonly nth: number;
  /** `CreateListener`, `PATCH services/status`. */
  readonly call: string;
  readonly write: boolean;
  /** After the life itself, while the run is judged and everything is deleted. */
  readonly late: boolean;
}

/** What is done at a point. */
export type Blow =
  /** With `forMs`, the same happens to all calls of that operation for so long. */
  | { readonly kind: 'cloud'; readonly effect: CloudEffect; readonly forMs?: number }
  | { readonly kind: 'api'; readonly fault: ApiFault }
  | { readonly kind: 'events'; readonly events: readonly SimEvent[] };

export interface SweptFault {
  /** Row of field/faults.md. */
  readonly row: number;
  readonly name: string;
  readonly at: (point: Point) => boolean;
  readonly blow: (point: Point) => Blow;
  readonly surroundings?: Partial<Surroundings>;
}

const api = ({ side }: Point): boolean => side === 'api';
const apiWrite = ({ side, write }: Point): boolean => side === 'api' && write;
const serviceWrite = ({ side, call }: Point): boolean => side === 'api' && call.startsWith('PATCH services');
const cloud = ({ side }: Point): boolean => side === 'cloud';
const cloudWrite = ({ side, write }: Point): boolean => side === 'cloud' && write;
const cloudRead = ({ side, write }: Point): boolean => side === 'cloud' && !write;
const calls =
  (operations: readonly string[]) =>
  (point: Point): boolean =>
    cloud(point) && operations.includes(point.call);
const anywhere = (): boolean => true;
const inLife = ({ late }: Point): boolean => !late;

const meet =
  (...events: SimEvent[]) =>
  (): Blow => ({ kind: 'events', events });
const answer = (fault: ApiFault) => (): Blow => ({ kind: 'api', fault });
const cloudDoes = (effect: CloudEffect, forMs?: number) => (): Blow => ({
  kind: 'cloud',
  effect,
  ...(forMs === undefined ? {} : { forMs }),
});
const refuse = (code: string, forMs?: number) => cloudDoes({ kind: 'error', code }, forMs);

/** All rows for a cloud. */
export function faultsOf({ words }: Cloud): readonly SweptFault[] {
  return [...everywhere, ...onCalls(words), ...words.sweep];
}

const everywhere: readonly SweptFault[] = [
  { row: 1, name: 'watches cut', at: anywhere, blow: meet({ kind: 'watch-cut' }) },
  { row: 2, name: '410 Gone on the watches', at: anywhere, blow: meet({ kind: 'watch-expire' }) },
  { row: 3, name: 'a rival writes first (409)', at: serviceWrite, blow: answer({ kind: 'rival' }) },
  {
    row: 4,
    name: '429 with Retry-After',
    at: api,
    blow: answer({ kind: 'refuse', code: 429, retryAfterSeconds: 5 }),
  },
  { row: 5, name: 'API answers 500', at: api, blow: answer({ kind: 'refuse', code: 500 }) },
  { row: 5, name: 'API answers 503', at: api, blow: answer({ kind: 'refuse', code: 503 }) },
  { row: 5, name: 'API answer lost after the effect', at: apiWrite, blow: answer({ kind: 'lost-answer' }) },
  { row: 5, name: 'API request lost', at: api, blow: answer({ kind: 'lost-request' }) },
  {
    row: 6,
    name: 'API slow (5 s) for a minute',
    at: anywhere,
    blow: meet({ kind: 'api-slow', ms: 60_000 }),
    surroundings: { replicas: 2 },
  },
  {
    row: 6,
    name: 'API down for a minute',
    at: anywhere,
    blow: meet({ kind: 'api-down', ms: 60_000 }),
    surroundings: { replicas: 2 },
  },
  {
    row: 7,
    name: 'crash, then stale lists for 20 s',
    at: anywhere,
    blow: meet({ kind: 'crash', downMs: 1_000, lagMs: 20_000 }),
  },
  { row: 7, name: 'watches lag by 30 s', at: anywhere, blow: meet({ kind: 'watch-stall', ms: 30_000 }) },
  {
    row: 8,
    name: 'Service event never told',
    at: anywhere,
    blow: meet({ kind: 'watch-miss', of: 'services' }),
  },
  {
    row: 8,
    name: 'Node event never told',
    at: anywhere,
    blow: meet({ kind: 'watch-miss', of: 'nodes' }),
  },
  {
    row: 8,
    name: 'slice event never told',
    at: anywhere,
    blow: meet({ kind: 'watch-miss', of: 'endpointslices' }),
  },
  {
    row: 9,
    name: 'made anew under its name while down',
    at: anywhere,
    blow: meet({ kind: 'crash', downMs: 20_000 }, { kind: 'replace', pick: 0 }),
  },
  {
    row: 9,
    name: 'made anew under its name while up',
    at: anywhere,
    blow: meet({ kind: 'replace', pick: 0 }),
  },
  {
    row: 10,
    name: 'deleted by force while down',
    at: anywhere,
    blow: meet({ kind: 'crash', downMs: 20_000 }, { kind: 'force-delete', pick: 0 }),
  },
  { row: 10, name: 'deleted by force while up', at: anywhere, blow: meet({ kind: 'force-delete', pick: 0 }) },
  { row: 11, name: 'crash before a cloud call', at: cloud, blow: meet({ kind: 'crash', downMs: 2_000 }) },
  {
    row: 11,
    name: 'crash after a cloud call',
    at: cloudWrite,
    blow: meet({ kind: 'crash-at-cloud-write', nth: 1, when: 'after', downMs: 2_000 }),
  },
  { row: 11, name: 'crash before an API call', at: api, blow: answer({ kind: 'crash', when: 'before' }) },
  { row: 11, name: 'crash after an API call', at: api, blow: answer({ kind: 'crash', when: 'after' }) },
  {
    row: 12,
    name: 'cloud answer lost after the effect',
    at: cloudWrite,
    blow: cloudDoes({ kind: 'lost-answer' }),
  },
  { row: 12, name: 'cloud request lost', at: cloud, blow: cloudDoes({ kind: 'lost-request' }) },
  { row: 12, name: 'cloud never answers', at: cloud, blow: cloudDoes({ kind: 'hang' }) },
  {
    row: 13,
    name: 'one action throttled for 30 s',
    at: cloud,
    blow: cloudDoes({ kind: 'throttle' }, 30_000),
  },
  {
    row: 13,
    name: 'all actions throttled for 30 s',
    at: cloud,
    blow: meet({ kind: 'cloud-throttle', ms: 30_000 }),
  },
  {
    row: 13,
    name: 'cloud slow (8 s a call) for a minute',
    at: cloud,
    blow: meet({ kind: 'cloud-slow', callMs: 8_000, ms: 60_000 }),
  },
  {
    row: 14,
    name: 'reads lag by up to 10 s for a minute',
    at: cloud,
    blow: meet({ kind: 'cloud-read-lag', lagMs: 10_000, ms: 60_000 }),
  },
  {
    row: 14,
    name: 'references lag by 10 s for a minute',
    at: cloud,
    blow: meet({ kind: 'cloud-reference-lag', lagMs: 10_000, ms: 60_000 }),
  },
  {
    row: 20,
    name: 'listener deleted by hand',
    at: anywhere,
    blow: meet({ kind: 'hand-delete-listener', pick: 0 }),
  },
  {
    row: 20,
    name: 'target deregistered by hand',
    at: anywhere,
    blow: meet({ kind: 'hand-deregister', pick: 0 }),
  },
  {
    row: 20,
    name: 'target registered by hand',
    at: anywhere,
    blow: meet({ kind: 'hand-register-extra', pick: 0 }),
  },
  { row: 20, name: 'tag removed by hand', at: anywhere, blow: meet({ kind: 'hand-remove-tag', pick: 0 }) },
  { row: 20, name: 'attribute set by hand', at: anywhere, blow: meet({ kind: 'hand-attribute', pick: 0 }) },
  {
    row: 21,
    name: 'balancer deleted by hand',
    at: anywhere,
    blow: meet({ kind: 'hand-delete-balancer', pick: 0 }),
  },
  { row: 22, name: 'protected by hand', at: inLife, blow: meet({ kind: 'hand-protect', pick: 0 }) },
  {
    row: 23,
    name: 'a target never healthy',
    at: anywhere,
    blow: meet({ kind: 'health', pick: 0, healthy: false }),
  },
  {
    row: 23,
    name: 'no target ever healthy',
    at: anywhere,
    blow: meet(...[0, 1, 2, 3].map((pick): SimEvent => ({ kind: 'health', pick, healthy: false }))),
  },
  { row: 24, name: 'an instance vanishes', at: anywhere, blow: meet({ kind: 'instance-gone', pick: 1 }) },
  {
    row: 25,
    name: 'crash with a second replica',
    at: anywhere,
    blow: meet({ kind: 'crash', downMs: 30_000 }),
    surroundings: { replicas: 2 },
  },
  {
    row: 25,
    name: 'clean stop with a second replica',
    at: anywhere,
    blow: meet({ kind: 'restart', downMs: 30_000 }),
    surroundings: { replicas: 2 },
  },
  {
    row: 26,
    name: 'frozen for 5 s',
    at: anywhere,
    blow: meet({ kind: 'freeze', ms: 5_000 }),
    surroundings: { replicas: 2 },
  },
  {
    row: 26,
    name: 'frozen for 70 s, another takes over',
    at: anywhere,
    blow: meet({ kind: 'freeze', ms: 70_000 }),
    surroundings: { replicas: 2 },
  },
  {
    row: 26,
    name: 'the wall clock jumps ahead by a day',
    at: anywhere,
    blow: meet({ kind: 'wall-jump', ms: 86_400_000 }),
  },
  {
    row: 26,
    name: 'the wall clock jumps back by an hour',
    at: anywhere,
    blow: meet({ kind: 'wall-jump', ms: -3_600_000 }),
  },
  {
    row: 27,
    name: '1,000 node changes in a minute',
    at: anywhere,
    blow: meet({ kind: 'node-storm', changes: 1_000, overMs: 60_000 }),
  },
];

/** Rows on calls that have another name at each cloud. */
function onCalls(words: Cloud['words']): readonly SweptFault[] {
  const { calls: create, codes } = words;
  return [
    { row: 12, name: 'cloud answers 503', at: cloud, blow: refuse('ServiceUnavailable') },
    {
      row: 14,
      name: 'what is made is unseen for 10 s',
      at: calls([...create.createBalancer, ...create.createGroup, ...create.createListener]),
      blow: cloudDoes({ kind: 'hide-created', ms: 10_000 }),
    },
    {
      row: 14,
      name: 'one read answered empty',
      at: cloudRead,
      blow: cloudDoes({ kind: 'empty-list' }),
    },
    {
      row: 14,
      name: 'one read cut short',
      at: cloudRead,
      blow: cloudDoes({ kind: 'truncated-list', keep: 1 }),
    },
    {
      row: 15,
      name: 'in use on deletion for 60 s',
      at: calls(create.deleteGroup),
      blow: refuse(codes.inUse, 60_000),
    },
    {
      row: 16,
      name: 'a listener refused',
      at: calls(create.createListener),
      blow: refuse(codes.badListener),
    },
    {
      row: 17,
      name: 'quota of balancers',
      at: calls(create.createBalancer),
      blow: refuse(codes.quotaOfBalancers, 30_000),
    },
    {
      row: 17,
      name: 'quota of groups',
      at: calls(create.createGroup),
      blow: refuse(codes.quotaOfGroups, 30_000),
    },
    {
      row: 17,
      name: 'quota of listeners',
      at: calls(create.createListener),
      blow: refuse(codes.quotaOfListeners, 30_000),
    },
    {
      row: 17,
      name: 'quota of targets',
      at: calls(create.register),
      blow: refuse(codes.quotaOfTargets, 30_000),
    },
    { row: 18, name: 'access denied on one action for 30 s', at: cloud, blow: refuse(codes.denied, 30_000) },
    { row: 18, name: 'access denied on one call', at: cloud, blow: refuse(codes.denied) },
    {
      row: 19,
      name: 'a stranger has the name',
      at: anywhere,
      blow: meet({ kind: 'stranger' }, annotate(words.nameKey, takenName)),
    },
  ];
}

export function annotate(key: string, value: string): SimEvent {
  return { kind: 'annotate', pick: 0, key, value };
}
