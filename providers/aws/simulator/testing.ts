/** What the tests of the simulator share: a clock that is moved by hand and an account with the usual beginnings. */

import type { Clock } from '../../../src/core/clock.ts';
import { seededRandom } from '../../../src/core/clock.ts';
import { Account } from './account.ts';
import { CloudError } from './errors.ts';
import type { SettingsInput } from './settings.ts';

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

function manualClock(): ManualClock {
  let now = 0;
  return {
    now: () => now,
    wall: () => Date.UTC(2026, 0, 1) + now,
    schedule: () => {
      throw new Error('the account itself never waits');
    },
    advance: (ms) => {
      now += ms;
    },
  };
}

export interface Bench {
  readonly account: Account;
  readonly clock: ManualClock;
  /** As `account.handle`, with the answer as a record to look into. */
  readonly call: (operation: string, input: object) => Record<string, unknown>;
  /** The wire code of the refusal, or `accepted`. */
  readonly codeOf: (operation: string, input: object) => string;
  readonly createLoadBalancer: (input?: object) => string;
  readonly createTargetGroup: (input?: object) => string;
  /** A TCP listener that forwards to the group. */
  readonly createListener: (loadBalancerArn: string, targetGroupArn: string, input?: object) => string;
  /** State of each target, as `id:port state reason`. */
  readonly health: (targetGroupArn: string) => readonly string[];
}

export const CERTIFICATE = 'arn:aws:acm:eu-west-1:123456789012:certificate/one';

function first(output: Record<string, unknown>, list: string, member: string): string {
  return String((output[list] as readonly Record<string, unknown>[])[0]?.[member]);
}

export function bench(settings?: SettingsInput): Bench {
  const clock = manualClock();
  const account = new Account({
    clock,
    random: seededRandom(1),
    ...(settings !== undefined && { settings }),
  });
  const call = (operation: string, input: object): Record<string, unknown> =>
    account.handle(operation, input) as Record<string, unknown>;
  return {
    account,
    clock,
    call,
    codeOf(operation, input) {
      try {
        account.handle(operation, input);
        return 'accepted';
      } catch (error) {
        if (error instanceof CloudError) return error.code;
        throw error;
      }
    },
    createLoadBalancer: (input = {}) =>
      first(
        call('CreateLoadBalancer', { Name: 'web', Type: 'network', Subnets: ['subnet-a'], ...input }),
        'LoadBalancers',
        'LoadBalancerArn',
      ),
    createTargetGroup: (input = {}) =>
      first(
        call('CreateTargetGroup', { Name: 'web', Protocol: 'TCP', Port: 30_080, VpcId: 'vpc-1', ...input }),
        'TargetGroups',
        'TargetGroupArn',
      ),
    createListener: (LoadBalancerArn, TargetGroupArn, input = {}) =>
      first(
        call('CreateListener', {
          LoadBalancerArn,
          Protocol: 'TCP',
          Port: 80,
          DefaultActions: [{ Type: 'forward', TargetGroupArn }],
          ...input,
        }),
        'Listeners',
        'ListenerArn',
      ),
    health(TargetGroupArn) {
      const { TargetHealthDescriptions } = call('DescribeTargetHealth', { TargetGroupArn });
      return (
        TargetHealthDescriptions as readonly {
          readonly Target: { readonly Id: string; readonly Port: number };
          readonly TargetHealth: { readonly State: string; readonly Reason?: string };
        }[]
      ).map(({ Target, TargetHealth }) =>
        `${Target.Id}:${Target.Port} ${TargetHealth.State} ${TargetHealth.Reason ?? ''}`.trim(),
      );
    },
  };
}
