/**
 * Faults to order from a simulated cloud: which calls are hit, how often, and what happens to them.
 *
 * An order is plain data, so that another process can give it over the wire, except where it carries a
 * function. Several orders can hit one call: delays add up, and of those that decide the outcome the one that
 * was ordered first wins. A cloud that fails in ways of its own names its own kind of effect.
 */

/** What happens to a call that is hit, at every cloud. */
export type FaultEffect =
  /** Refused before any effect. `code` is the wire code; status and message follow from it unless given. */
  | { readonly kind: 'error'; readonly code: string; readonly message?: string; readonly httpStatus?: number }
  /** Refused as too fast. */
  | { readonly kind: 'throttle'; readonly code?: string }
  /** Takes longer, before its effect (the default) or between effect and answer. */
  | { readonly kind: 'latency'; readonly ms: number; readonly when?: When }
  /** The connection is cut before the effect. */
  | { readonly kind: 'lost-request' }
  /** The effect happens, then the connection is cut. */
  | { readonly kind: 'lost-answer' }
  /** No answer ever, before the effect (the default) or after it. */
  | { readonly kind: 'hang'; readonly when?: When }
  /** A read answered from the state of `ms` ago, or of `writes` changes ago. */
  | { readonly kind: 'stale'; readonly ms?: number; readonly writes?: number }
  /** A create call succeeds, and what it made is unseen for `ms`. */
  | { readonly kind: 'hide-created'; readonly ms: number }
  /** A read whose lists are empty. */
  | { readonly kind: 'empty-list' }
  /** A read whose lists end after `keep` entries, without a marker for more. */
  | { readonly kind: 'truncated-list'; readonly keep: number }
  /** Functions of the caller's, in the same process only: where a crash is put. What they throw goes to the caller. */
  | {
      readonly kind: 'hook';
      readonly before?: (call: IncomingCall) => void;
      readonly after?: (call: IncomingCall) => void;
    };

export type When = 'before' | 'after';

export interface IncomingCall {
  readonly operation: string;
  readonly input: object;
  readonly mutating: boolean;
  /** Who calls: the access key on the wire. */
  readonly by: string;
}

/** Which calls an order is about; every member that is given must agree. */
export interface FaultMatch {
  readonly operation?: string | readonly string[];
  readonly mutating?: boolean;
  readonly by?: string;
  /** Members of the input, equal as JSON. */
  readonly input?: Readonly<Record<string, unknown>>;
  /** In the same process only. */
  readonly where?: (call: IncomingCall) => boolean;
}

export interface FaultOrder<Effect = FaultEffect> {
  /** Chosen by the caller, else given. */
  readonly id?: string;
  readonly match?: FaultMatch;
  /** The first call to hit, counting matching calls from 1. Default 1. */
  readonly nth?: number;
  /** How many calls to hit from there on. Default 1. */
  readonly times?: number | 'until-cleared';
  readonly effect: Effect;
}

export interface OrderedFault<Effect = FaultEffect> extends FaultOrder<Effect> {
  readonly id: string;
  /** Matching calls so far, up to the last one to hit. */
  readonly seen: number;
  /** Calls hit so far. */
  readonly hits: number;
}

interface Standing<Effect> {
  readonly id: string;
  readonly order: FaultOrder<Effect>;
  seen: number;
  hits: number;
}

export class Faults<Effect = FaultEffect> {
  #standing: Standing<Effect>[] = [];
  #count = 0;

  /** Returns the order's id. */
  order(order: FaultOrder<Effect>): string {
    this.#count += 1;
    const id = order.id ?? `fault-${this.#count}`;
    this.#standing.push({ id, order, seen: 0, hits: 0 });
    return id;
  }

  /** Takes back one order, or all. Returns whether there was any. */
  clear(id?: string): boolean {
    const before = this.#standing.length;
    this.#standing = id === undefined ? [] : this.#standing.filter((fault) => fault.id !== id);
    return this.#standing.length < before;
  }

  list(): readonly OrderedFault<Effect>[] {
    return this.#standing.map(({ id, order, seen, hits }) => ({ ...order, id, seen, hits }));
  }

  /** The effects on this call, in the order in which they were ordered. Counts the call. */
  take(call: IncomingCall): readonly Effect[] {
    if (this.#standing.length === 0) return NONE;
    const effects: Effect[] = [];
    for (const fault of this.#standing) {
      const times = fault.order.times ?? 1;
      if (times !== 'until-cleared' && fault.hits >= times) continue;
      if (!matches(fault.order.match, call)) continue;
      fault.seen += 1;
      if (fault.seen < (fault.order.nth ?? 1)) continue;
      fault.hits += 1;
      effects.push(fault.order.effect);
    }
    return effects;
  }
}

const NONE: readonly never[] = [];

function matches(match: FaultMatch | undefined, call: IncomingCall): boolean {
  if (match === undefined) return true;
  const { operation, mutating, by, input, where } = match;
  if (
    operation !== undefined &&
    !(typeof operation === 'string' ? [operation] : operation).includes(call.operation)
  ) {
    return false;
  }
  if (mutating !== undefined && mutating !== call.mutating) return false;
  if (by !== undefined && by !== call.by) return false;
  if (input !== undefined) {
    const given = call.input as Readonly<Record<string, unknown>>;
    for (const [key, value] of Object.entries(input)) {
      if (JSON.stringify(given[key]) !== JSON.stringify(value)) return false;
    }
  }
  return where?.(call) ?? true;
}
