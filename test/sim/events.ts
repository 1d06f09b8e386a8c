/**
 * What can happen in a history, as data: the vocabulary of random histories, of the sweep and of named seeds.
 *
 * `pick` and `slot` are numbers that are taken modulo what is there when the event happens. A fault with
 * `ms` stands for that long; one with `times` hits that many calls.
 */
import type { Shape } from './people.ts';

export type ServiceEvent =
  | { readonly kind: 'create'; readonly slot: number; readonly shape: Shape }
  | { readonly kind: 'delete' | 'force-delete' | 'replace'; readonly pick: number }
  | {
      readonly kind: 'type';
      readonly pick: number;
      readonly type: string;
      readonly loadBalancerClass?: string;
    }
  /** No balancer any more, and after `awayMs` a balancer again; watches say nothing for `stallMs`. */
  | {
      readonly kind: 'type-flip';
      readonly pick: number;
      readonly awayMs: number;
      readonly stallMs: number;
    }
  | { readonly kind: 'port-add'; readonly pick: number; readonly port: number; readonly protocol: string }
  | { readonly kind: 'port-remove' | 'node-port' | 'policy' | 'label'; readonly pick: number }
  | { readonly kind: 'protocol'; readonly pick: number; readonly protocol: string }
  | {
      readonly kind: 'annotate';
      readonly pick: number;
      readonly key: string;
      readonly value: string | undefined;
    };

export type NodeEvent =
  | { readonly kind: 'node-join'; readonly providerID?: string }
  | {
      readonly kind: 'node-leave' | 'node-taint' | 'node-untaint' | 'node-provider-id';
      readonly pick: number;
    }
  | { readonly kind: 'node-exclude'; readonly pick: number; readonly value: string | undefined }
  | { readonly kind: 'node-heartbeat'; readonly pick: number; readonly ready: 'True' | 'False' }
  /** Many changes of nodes in a short time, most of no importance. */
  | { readonly kind: 'node-storm'; readonly changes: number; readonly overMs: number }
  /** A mistake of somebody's: every node, or all but one, is excluded for so long. */
  | { readonly kind: 'nodes-all-excluded' | 'nodes-most-excluded'; readonly ms: number };

export type EndpointEvent = {
  readonly kind: 'endpoints';
  readonly pick: number;
  readonly on: readonly { readonly node: number; readonly state: 'ready' | 'not-ready' | 'terminating' }[];
};

/** Faults of the cloud. */
export type CloudEvent =
  | { readonly kind: 'cloud-throttle'; readonly operation?: string; readonly ms: number }
  | { readonly kind: 'cloud-slow'; readonly callMs: number; readonly ms: number }
  | {
      readonly kind: 'cloud-lost-answer' | 'cloud-lost-request' | 'cloud-error' | 'cloud-hang';
      readonly times: number;
    }
  | { readonly kind: 'cloud-denied'; readonly operation: string; readonly ms: number }
  | { readonly kind: 'cloud-quota'; readonly ms: number }
  | { readonly kind: 'cloud-read-lag' | 'cloud-reference-lag'; readonly lagMs: number; readonly ms: number }
  | { readonly kind: 'cloud-hidden'; readonly hiddenMs: number; readonly times: number }
  | { readonly kind: 'cloud-in-use'; readonly releaseMs: number; readonly ms: number }
  | {
      readonly kind: 'cloud-empty-read' | 'cloud-short-read';
      readonly times: number;
      readonly operation?: string;
    }
  | { readonly kind: 'instance-gone' | 'instance-back'; readonly pick: number };

/** What somebody does in the cloud's console. */
export type HandEvent =
  | {
      readonly kind:
        | 'hand-delete-balancer'
        | 'hand-delete-listener'
        | 'hand-deregister'
        | 'hand-register-extra'
        | 'hand-remove-tag'
        | 'hand-protect'
        | 'hand-attribute';
      readonly pick: number;
    }
  /** Somebody else makes a balancer of the name that Services may ask for. */
  | { readonly kind: 'stranger' }
  | { readonly kind: 'health'; readonly pick: number; readonly healthy: boolean };

/** Faults of the API server and of the way to it. */
export type ApiEvent =
  | {
      readonly kind: 'api-rival' | 'api-lost-answer' | 'api-lost-request' | 'api-500';
      readonly times: number;
    }
  | { readonly kind: 'api-429'; readonly times: number; readonly seconds: number }
  | { readonly kind: 'api-slow' | 'api-403' | 'api-down'; readonly ms: number }
  | { readonly kind: 'watch-cut' | 'watch-expire' }
  | { readonly kind: 'watch-stall'; readonly ms: number }
  | { readonly kind: 'watch-miss'; readonly of: 'services' | 'nodes' | 'endpointslices' };

export type ProcessEvent =
  /** Dead at once, there again after `downMs`. */
  | { readonly kind: 'crash'; readonly downMs: number; readonly lagMs?: number }
  | {
      readonly kind: 'crash-at-cloud-write' | 'crash-at-api-write';
      readonly nth: number;
      readonly when: 'before' | 'after';
      readonly downMs: number;
    }
  | { readonly kind: 'freeze'; readonly ms: number }
  /** A clean stop of the leader: the next one starts at once. */
  | { readonly kind: 'restart'; readonly downMs: number }
  | { readonly kind: 'wall-jump'; readonly ms: number };

export type SimEvent =
  | ServiceEvent
  | NodeEvent
  | EndpointEvent
  | CloudEvent
  | HandEvent
  | ApiEvent
  | ProcessEvent
  | { readonly kind: 'wait' };

export type EventKind = SimEvent['kind'];

export interface HistoryStep {
  /** Time that passes before it. */
  readonly gapMs: number;
  readonly event: SimEvent;
}

/** The world that a history happens in. */
export interface Surroundings {
  readonly replicas: 1 | 2;
  readonly nodes: number;
  readonly apiLatencyMs: number;
  readonly watchDelayMs: number;
  readonly cloudLatencyMs: number;
  readonly provisioningMs: number;
  readonly registrationMs: number;
  readonly pageSize: number;
}

export interface History {
  readonly seed: number;
  readonly surroundings: Surroundings;
  readonly steps: readonly HistoryStep[];
}

export interface NamedHistory extends History {
  readonly name: string;
}

/** One line a step, for people. */
export function describeHistory(history: History): string {
  const { seed, surroundings, steps } = history;
  const lines = steps.map(({ gapMs, event }) => `  +${Math.round(gapMs)} ms  ${describeEvent(event)}`);
  return [`seed ${seed}, ${JSON.stringify(surroundings)}`, ...lines].join('\n');
}

export function describeEvent(event: SimEvent): string {
  const { kind, ...rest } = event;
  return Object.keys(rest).length === 0 ? kind : `${kind} ${JSON.stringify(rest)}`;
}
