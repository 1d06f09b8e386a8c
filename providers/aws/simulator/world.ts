/**
 * The world around the account that its owner does not describe through the API: which instances exist and in
 * which state, and whether they would answer a health check. Set from outside, by tests, the sandbox or a hand.
 */

import type { TargetHealthReasonEnum } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Delays } from './settings.ts';
import type { TargetGroupRecord, TargetRecord } from './store.ts';

export interface Instance {
  readonly state: 'pending' | 'running' | 'shutting-down' | 'stopping' | 'stopped' | 'terminated';
  readonly zone?: string;
  /** Absent: in whichever VPC is asked for. */
  readonly vpcId?: string;
}

/** How a target answers: `healthy`, or the reason that DescribeTargetHealth gives. */
export type Condition =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'unhealthy'; readonly reason: TargetHealthReasonEnum };

/** Which targets a rule is about; an absent member means any. The rule that names most wins. */
export interface TargetSelector {
  readonly targetGroupArn?: string;
  readonly id?: string;
  readonly port?: number;
}

/** Decides a target's health in place of the rules; `undefined` leaves it to them. */
export type HealthFunction = (
  group: TargetGroupRecord,
  target: TargetRecord,
  now: number,
) => Condition | undefined;

interface Rule {
  readonly condition: Condition;
  readonly previous: Condition;
  readonly changedAt: number;
}

const HEALTHY: Condition = { kind: 'healthy' };

export class World {
  readonly instances = new Map<string, Instance>();
  /** ARN to the moment until which an ordered fault hides it. */
  readonly hidden = new Map<string, number>();
  healthOf: HealthFunction | undefined;
  readonly #rules = new Map<string, Rule>();

  /** From `now` on the selected targets answer like this; what they show follows after the configured delay. */
  setHealth(selector: TargetSelector, condition: Condition, now: number): void {
    const key = keyOf(selector.targetGroupArn, selector.id, selector.port);
    const previous = this.#rules.get(key)?.condition ?? HEALTHY;
    if (previous.kind === condition.kind && this.#rules.has(key)) {
      this.#rules.set(key, { condition, previous: condition, changedAt: now });
      return;
    }
    this.#rules.set(key, { condition, previous, changedAt: now });
  }

  /** What the health checks of a registered target have found, and since when. */
  conditionOf(
    group: TargetGroupRecord,
    target: TargetRecord,
    delays: Delays,
    now: number,
  ): { readonly condition: Condition; readonly since: number } {
    const decided = this.healthOf?.(group, target, now);
    if (decided !== undefined) return { condition: decided, since: now };
    const rule = this.#rules.size === 0 ? undefined : this.#ruleFor(group.arn, target.id, target.port);
    if (rule === undefined) return { condition: HEALTHY, since: 0 };
    const delay = rule.condition.kind === 'healthy' ? delays.becomesHealthyMs : delays.becomesUnhealthyMs;
    const since = rule.changedAt + delay;
    if (now >= since) return { condition: rule.condition, since };
    // A target that came after the change was never seen otherwise.
    if (target.registeredAt > rule.changedAt)
      return { condition: rule.condition, since: target.registeredAt };
    return { condition: rule.previous, since: 0 };
  }

  #ruleFor(arn: string, id: string, port: number): Rule | undefined {
    const rules = this.#rules;
    return (
      rules.get(keyOf(arn, id, port)) ??
      rules.get(keyOf(undefined, id, port)) ??
      rules.get(keyOf(arn, id, undefined)) ??
      rules.get(keyOf(undefined, id, undefined)) ??
      rules.get(keyOf(arn, undefined, port)) ??
      rules.get(keyOf(undefined, undefined, port)) ??
      rules.get(keyOf(arn, undefined, undefined)) ??
      rules.get(keyOf(undefined, undefined, undefined))
    );
  }
}

function keyOf(arn: string | undefined, id: string | undefined, port: number | undefined): string {
  return `${arn ?? '*'}|${id ?? '*'}|${port ?? '*'}`;
}
