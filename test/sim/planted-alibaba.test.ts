/**
 * Bugs that a controller of Alibaba Cloud's balancers can have, planted one at a time: each must be found by
 * random histories within a bounded number of runs.
 */
import { it } from 'vitest';
import { alibaba } from './clouds/alibaba.ts';
import { answering, changed, expectFound, type Planted } from './planted.ts';
import type { Plants } from './process.ts';

interface Listed {
  readonly LoadBalancers?: { readonly LoadBalancer?: readonly Entry[] };
}

interface Entry {
  readonly LoadBalancerId: string;
  readonly Tags?: { readonly Tag?: readonly { readonly TagKey: string; readonly TagValue?: string }[] };
}

/** The listing with more tags on each balancer. */
function tagged(tagsOf: (entry: Entry) => Readonly<Record<string, string>>): Plants {
  return answering('DescribeLoadBalancers', (answer) => {
    const entries = (answer as Listed).LoadBalancers?.LoadBalancer ?? [];
    const LoadBalancer = entries.map((entry) => {
      const more = Object.entries(tagsOf(entry)).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
      return { ...entry, Tags: { Tag: [...(entry.Tags?.Tag ?? []), ...more] } };
    });
    return { ...answer, LoadBalancers: { LoadBalancer } };
  });
}

/** A client that takes calls of these operations for done without making them. */
function swallowing(...operations: readonly string[]): Plants {
  return {
    client: (right) => ({
      call: async (operation, input, signal) =>
        operations.includes(operation) ? {} : await right.call(operation, input, signal),
    }),
  };
}

/** Failures with this code are answered by something else. */
function instead(code: RegExp, answer: (operation: string) => object | undefined): Plants {
  return {
    client: (right) => ({
      call: async (operation, input, signal) => {
        try {
          return await right.call(operation, input, signal);
        } catch (error) {
          const replaced = code.test((error as { code?: string }).code ?? '') ? answer(operation) : undefined;
          if (replaced === undefined) throw error;
          return replaced;
        }
      },
    }),
  };
}

let made = 0;

const bugs: readonly Planted[] = [
  {
    bug: 'the client token is another one each time',
    found: ['I1', 'I3'],
    plants: () => ({
      client: (right) => ({
        call: async (operation, input, signal) => {
          made += 1;
          const given = 'ClientToken' in input ? { ...input, ClientToken: `any-${made}` } : input;
          return await right.call(operation, given, signal);
        },
      }),
    }),
  },
  {
    bug: 'a failed read is believed to be an empty list',
    found: ['I1', 'I2', 'I3', 'I4', 'I5', 'I7'],
    plants: () =>
      instead(/./, (operation) => {
        if (operation === 'DescribeLoadBalancers') return { LoadBalancers: { LoadBalancer: [] } };
        if (operation === 'DescribeVServerGroups') return { VServerGroups: { VServerGroup: [] } };
        if (operation === 'DescribeVServerGroupAttribute') return { BackendServers: { BackendServer: [] } };
        return undefined;
      }),
  },
  {
    bug: 'somebody else’s deletion protection is taken for ours',
    found: ['I2'],
    plants: () => tagged(() => ({ 'sluice.dev/protection': 'set' })),
  },
  {
    bug: 'a listener is made and not started',
    found: ['I3'],
    plants: () => swallowing('StartLoadBalancerListener'),
  },
  { bug: 'weights are never set', found: ['I3'], plants: () => swallowing('SetVServerGroupAttribute') },
  { bug: 'old groups are left', found: ['I3'], plants: () => swallowing('DeleteVServerGroup') },
  {
    bug: 'busy is taken for done',
    found: ['I3', 'I1', 'I5', 'I6'],
    plants: () => instead(/^(ServiceIsConfiguring|SystemBusy|.*Processing|ServiceIsStopping)$/, () => ({})),
  },
  {
    bug: 'a listener is turned to its new group before that is filled',
    found: ['I7'],
    plants: () =>
      changed((right) => ({
        plan: (goal, observed, context) => {
          const plan = right.plan(goal, observed, context);
          // The next pass fills it.
          const steps = plan.steps.map((step) =>
            step.operation === 'CreateVServerGroup'
              ? { ...step, parameters: { ...step.parameters, BackendServers: undefined } }
              : step,
          );
          return { ...plan, steps };
        },
      })),
  },
  {
    bug: 'the address is shown before a listener runs',
    found: ['I6'],
    plants: () =>
      changed((right) => ({
        addresses: (wanted, observed) => {
          const address = right.addresses(wanted, observed);
          return address.kind === 'pending' && address.ingress.length > 0
            ? { kind: 'ready', ingress: address.ingress }
            : address;
        },
      })),
  },
  {
    bug: 'members go before their successors are healthy',
    found: ['I7'],
    plants: () =>
      changed((right) => ({
        plan: (goal, observed, context) => {
          const { memory } = right.plan(goal, observed, { ...context, now: 1e12 });
          const old = Object.fromEntries(Object.keys(memory).map((key) => [key, 0]));
          return right.plan(goal, observed, { ...context, now: 1e12, memory: old });
        },
      })),
  },
  {
    bug: 'a balancer is believed to be gone when its finalizer goes',
    found: ['I5', 'I1', 'I3'],
    plants: () => swallowing('DeleteLoadBalancer'),
  },
];

it.each(bugs)('finds it when $bug', async (planted) => {
  await expectFound(alibaba, planted);
});
