/** What can happen to a call at SLB: what can happen at every simulated cloud, and two ways of its own to fail. */
import type {
  FaultEffect as CommonEffect,
  FaultOrder as Order,
  When,
} from '../../../src/core/simulated/faults.ts';

export type FaultEffect =
  | Exclude<CommonEffect, { readonly kind: 'throttle' }>
  /** Refused as too fast; with the milliseconds that the cloud names, where it names any. */
  | { readonly kind: 'throttle'; readonly code?: string; readonly retryAfterMs?: number }
  /** A page of something in between, before the effect (the default) or after it. Default status 502. */
  | { readonly kind: 'html'; readonly status?: number; readonly when?: When }
  /** Refused with status 200 and the code in the body. */
  | { readonly kind: 'error-in-answer'; readonly code: string; readonly message?: string };

export type FaultOrder = Order<FaultEffect>;
