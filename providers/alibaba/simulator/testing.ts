/** What the tests of the simulator share: a clock that is moved by hand and an account with the usual beginnings. */
import type { Clock } from '../../../src/core/clock.ts';
import { seededRandom } from '../../../src/core/clock.ts';
import type { Calls } from '../client-types.ts';
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
  readonly call: <Operation extends keyof Calls>(operation: Operation, input: object) => Calls[Operation][1];
  /** The code of the refusal, or `accepted`. */
  readonly codeOf: (operation: string, input: object) => string;
  /** Its id. */
  readonly createLoadBalancer: (input?: object) => string;
  /** Its id. */
  readonly createGroup: (loadBalancerId: string, input?: object) => string;
  /** A TCP listener on port 80. */
  readonly createListener: (loadBalancerId: string, groupId: string, input?: object) => void;
  /** Members as `id:port weight`. */
  readonly members: (groupId: string) => readonly string[];
}

export const onUsage = { AddressType: 'internet', InstanceChargeType: 'PayByCLCU', LoadBalancerName: 'web' };

/** So many servers, at node port 30080. */
export function servers(
  count: number,
  first = 1,
): readonly { readonly ServerId: string; readonly Port: number }[] {
  return Array.from({ length: count }, (_, index) => ({ ServerId: `i-${first + index}`, Port: 30_080 }));
}

export function bench(settings?: SettingsInput): Bench {
  const clock = manualClock();
  const account = new Account({
    clock,
    random: seededRandom(1),
    ...(settings !== undefined && { settings }),
  });
  const call = <Operation extends keyof Calls>(operation: Operation, input: object): Calls[Operation][1] =>
    account.handle(operation, input);
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
    createLoadBalancer: (input = {}) => call('CreateLoadBalancer', { ...onUsage, ...input }).LoadBalancerId,
    createGroup: (LoadBalancerId, input = {}) =>
      call('CreateVServerGroup', { LoadBalancerId, VServerGroupName: 'web-80', ...input }).VServerGroupId,
    createListener(LoadBalancerId, VServerGroupId, input = {}) {
      const base = { LoadBalancerId, VServerGroupId, ListenerPort: 80, Bandwidth: -1 };
      call('CreateLoadBalancerTCPListener', { ...base, ...input });
    },
    members(VServerGroupId) {
      const found =
        call('DescribeVServerGroupAttribute', { VServerGroupId }).BackendServers?.BackendServer ?? [];
      return found.map(({ ServerId, Port, Weight }) => `${ServerId}:${Port} ${Weight}`);
    },
  };
}
