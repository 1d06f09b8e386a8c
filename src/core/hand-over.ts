/**
 * The hand-over of one group's targets: register the new at once, let the old go only when it is safe.
 *
 * A balancer needs tens of seconds to minutes before a new target gets traffic, so deregistering first, or
 * both together, leaves a gap. Health is the balancer's own word; time is counted from when a target was
 * first seen unwanted, which the caller keeps between plans (`memory`). A restart forgets it, and so waits
 * longer, never shorter.
 *
 * Invariants: nothing is removed while nothing is wanted; nothing that is wanted is removed; a target that
 * drains counts as absent (it is added again when wanted, and never removed twice); a healthy target whose
 * node only lost its endpoints goes after the grace period and only beside a healthy successor.
 */
import type { HandOverMemory, Wait } from './plan.ts';

/** In the words of no cloud in particular. `unused`: registered but not checked, for example no listener yet. */
export type TargetHealth = 'healthy' | 'unhealthy' | 'initial' | 'unused' | 'draining' | 'unknown';

/**
 * Why a registered target is not wanted (without meaning for one that is):
 *
 * - `gone`: its node is deleted, excluded, or no longer an instance;
 * - `endpoint`: policy Local, and its node no longer holds an endpoint; it may still serve connections;
 * - `port`: same node, another node port is wanted now;
 * - `other`: anything else, such as a changed selector.
 */
export type UnwantedCause = 'gone' | 'endpoint' | 'port' | 'other';

export interface HandOverRules {
  /** How long a node must have been without endpoints before it is let go, in milliseconds. */
  readonly endpointGraceMs: number;
  /** How long causes other than `endpoint` wait for a healthy successor, in milliseconds. */
  readonly patienceMs: number;
  /** Least time between two looks at the health of successors, in milliseconds; it grows with the wait. */
  readonly recheckMs: number;
  /** Most time between two looks, in milliseconds. */
  readonly slowRecheckMs: number;
}

export const handOverRules: HandOverRules = {
  endpointGraceMs: 60_000,
  patienceMs: 300_000,
  recheckMs: 10_000,
  slowRecheckMs: 300_000,
};

export interface RegisteredTarget {
  readonly key: string;
  readonly health: TargetHealth;
  readonly cause: UnwantedCause;
}

export interface HandOverInput {
  /** Names the group in messages and in the memory; unique in a plan. */
  readonly group: string;
  /** Target identity (id, port, zone) in the provider's own form. */
  readonly wanted: readonly { readonly key: string }[];
  readonly registered: readonly RegisteredTarget[];
  /** Monotonic milliseconds. */
  readonly now: number;
  /** What the plan remembered last time; entries of other groups are ignored. */
  readonly memory: HandOverMemory;
  readonly rules?: HandOverRules;
}

export interface HandOver {
  /** In the order wanted. */
  readonly add: readonly string[];
  /** Sorted by key. */
  readonly remove: readonly string[];
  readonly waits: readonly Wait[];
  /** This group's entries only: merging those of all groups forgets groups that are no more. */
  readonly memory: HandOverMemory;
  /** Healthy targets in the group now: what the guard compares with. */
  readonly healthyBefore: number;
  /** Those among `remove` that are healthy now. */
  readonly healthyRemoved: readonly string[];
}

export function handOver(input: HandOverInput): HandOver {
  const { group, now, rules = handOverRules } = input;
  const wantedKeys = new Set(input.wanted.map(({ key }) => key));
  const present = input.registered.filter(({ health }) => health !== 'draining');
  const presentKeys = new Set(present.map(({ key }) => key));
  const add = [...wantedKeys].filter((key) => !presentKeys.has(key));
  // Clouds list targets in any order; equal situations must give equal plans, or the guard never believes them.
  const unwanted = present.filter(({ key }) => !wantedKeys.has(key)).toSorted(byKey);
  const successor = present.some(({ key, health }) => wantedKeys.has(key) && health === 'healthy');
  const healthyBefore = present.filter(({ health }) => health === 'healthy').length;

  const memory: Record<string, number> = {};
  const remove: RegisteredTarget[] = [];
  const kept: { readonly key: string; readonly recheckMs: number }[] = [];
  for (const target of unwanted) {
    const entry = `${group}|${target.key}`;
    const since = input.memory[entry] ?? now;
    memory[entry] = since;
    const recheckMs = delayOf(target, now - since, successor, rules);
    if (recheckMs === undefined && wantedKeys.size > 0) remove.push(target);
    else kept.push({ key: target.key, recheckMs: recheckMs ?? rules.slowRecheckMs });
  }

  return {
    add,
    remove: remove.map(({ key }) => key),
    waits: waitsOf(group, wantedKeys.size, kept, successor, rules),
    memory,
    healthyBefore,
    healthyRemoved: remove.filter(({ health }) => health === 'healthy').map(({ key }) => key),
  };
}

function byKey(a: RegisteredTarget, b: RegisteredTarget): number {
  return a.key < b.key ? -1 : 1;
}

/** Milliseconds until a look at this unwanted target makes sense again; undefined when it may go now. */
function delayOf(
  { cause, health }: RegisteredTarget,
  age: number,
  successor: boolean,
  rules: HandOverRules,
): number | undefined {
  // The longer it lasts, the slower we ask: a successor that never gets healthy must not cost reads for ever.
  const poll = Math.min(rules.slowRecheckMs, Math.max(rules.recheckMs, age / 6));
  if (cause === 'endpoint') {
    if (age < rules.endpointGraceMs) return rules.endpointGraceMs - age;
    return successor ? undefined : poll;
  }
  const idle = health === 'unhealthy' || health === 'unused';
  if (successor || idle || age >= rules.patienceMs) return undefined;
  return Math.min(poll, rules.patienceMs - age);
}

function waitsOf(
  group: string,
  wanted: number,
  kept: readonly { readonly key: string; readonly recheckMs: number }[],
  successor: boolean,
  rules: HandOverRules,
): readonly Wait[] {
  if (wanted === 0) {
    const stay =
      kept.length === 0
        ? ''
        : kept.length === 1
          ? '; the one registered target stays'
          : `; the ${kept.length} registered targets stay`;
    return [
      {
        reason: 'UnAvailableLoadBalancer',
        message: `${group}: no node can be a target${stay}`,
        // Only a change of nodes or endpoints can end this, and that triggers a look by itself.
        recheckMs: rules.slowRecheckMs,
      },
    ];
  }
  if (kept.length === 0) return [];
  const named = kept.slice(0, 3).map(({ key }) => key);
  const more = kept.length > named.length ? ` and ${kept.length - named.length} more` : '';
  const verb = kept.length === 1 ? 'stays' : 'stay';
  const until = successor ? 'the grace period is over' : 'a new target is healthy';
  return [
    {
      reason: 'HandingOver',
      message: `${group}: ${named.join(', ')}${more} ${verb} until ${until}`,
      recheckMs: Math.max(1, Math.ceil(Math.min(...kept.map(({ recheckMs }) => recheckMs)))),
    },
  ];
}
