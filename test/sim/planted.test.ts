/**
 * Bugs that controllers have had, planted one at a time: each must be found by random histories within a
 * bounded number of runs. What finds nothing here would find nothing in the controller either.
 */
import { it } from 'vitest';
import type { Owner } from '../../src/core/provider.ts';
import type { CloudClient } from './cloud.ts';
import { aws } from './clouds/aws.ts';
import { uidTag } from './marks.ts';
import { answering, changed, expectFound, type Planted } from './planted.ts';
import type { Plants } from './process.ts';

/** Failed reads of these are believed to be empty lists. */
function believingNothing(right: CloudClient): CloudClient {
  return {
    call: async (operation, input, signal) => {
      try {
        return await right.call(operation, input, signal);
      } catch (error) {
        if (operation === 'DescribeLoadBalancers') return { LoadBalancers: [] };
        if (operation === 'DescribeTargetGroups') return { TargetGroups: [] };
        throw error;
      }
    },
  };
}

/** Every resource without a mark is taken for the Service's that is just looked at. */
function ownershipByName(): Plants {
  let asking: Owner | undefined;
  const tagsOf = (owner: Owner | undefined): object[] =>
    owner === undefined
      ? []
      : [
          { Key: 'sluice.dev/cluster', Value: owner.cluster.id },
          { Key: uidTag, Value: owner.uid },
        ];
  return {
    ...changed((right) => ({
      observe: (request) => {
        asking = request.owner;
        return right.observe(request);
      },
    })),
    ...answering('DescribeTags', (answer) => {
      const { TagDescriptions = [] } = answer as {
        TagDescriptions?: { ResourceArn?: string; Tags?: object[] }[];
      };
      return {
        TagDescriptions: TagDescriptions.map(({ ResourceArn, Tags = [] }) => ({
          ResourceArn,
          Tags: Tags.length === 0 ? tagsOf(asking) : Tags,
        })),
      };
    }),
  };
}

const bugs: readonly Planted[] = [
  {
    bug: 'the finalizer is stored after the first call',
    found: ['I5'],
    plants: () => ({
      writer: (right) => ({
        ...right,
        addFinalizer: (service, annotations, signal) => {
          setImmediate(() => void right.addFinalizer(service, annotations, signal).catch(() => undefined));
          return Promise.resolve(service);
        },
      }),
    }),
  },
  {
    bug: 'old targets are deregistered without waiting for the new',
    found: ['I7'],
    plants: () =>
      changed((right) => ({
        plan: (goal, observed, context) => {
          const old = Object.fromEntries(Object.keys(context.memory).map((key) => [key, 0]));
          const plan = right.plan(goal, observed, { ...context, memory: old, now: 1e12 });
          // Asked again, because only a target that is remembered as unwanted can be old.
          return right.plan(goal, observed, {
            ...context,
            now: 1e12,
            memory: Object.fromEntries(Object.keys(plan.memory).map((key) => [key, 0])),
          });
        },
      })),
  },
  { bug: 'ownership goes by name', found: ['I2'], plants: ownershipByName },
  {
    bug: 'a failed read is believed to be an empty list',
    found: ['I1', 'I2', 'I3', 'I5', 'I6', 'I7'],
    plants: () => ({ client: believingNothing }),
  },
  {
    bug: 'the lease is ignored',
    found: ['L'],
    plants: () => ({ permit: () => () => undefined, deaf: true }),
  },
  {
    bug: 'the address is shown before the balancer is active',
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
    bug: 'the finalizer goes before the last deletion',
    found: ['I5'],
    plants: () =>
      changed((right) => ({
        isGone: () => true,
        plan: (goal, observed, context) => {
          const plan = right.plan(goal, observed, context);
          return goal.kind === 'absent' ? { ...plan, steps: plan.steps.slice(0, 1), problems: [] } : plan;
        },
      })),
  },
  {
    bug: 'a change of type is believed without a live look',
    found: ['I7', 'I5'],
    plants: () => ({
      writer: (right, view) => ({
        ...right,
        getService: (key) => Promise.resolve(view.service(key)),
      }),
    }),
  },
  {
    bug: 'the removal of most targets is not guarded',
    found: ['I7'],
    plants: () => ({ options: { guard: { share: 1, least: 1_000, windowMs: 0, checks: 1, spanMs: 0 } } }),
  },
  {
    bug: 'pauses are not read',
    found: ['I2'],
    plants: () => ({
      view: (right) => {
        const blind = <T extends { annotations: Readonly<Record<string, string>> }>(service: T): T => {
          const {
            'sluice.dev/paused': _paused,
            'sluice.dev/plan-only': _planOnly,
            ...annotations
          } = service.annotations;
          return { ...service, annotations };
        };
        return {
          service: (key) => {
            const found = right.service(key);
            return found && blind(found);
          },
          services: () => [...right.services()].map(blind),
          nodes: () => right.nodes(),
          slices: (key) => right.slices(key),
          caughtUp: (key, version) => right.caughtUp(key, version),
        };
      },
    }),
  },
  {
    bug: 'strays are never swept',
    found: ['I1', 'I3'],
    plants: () => ({ options: { strays: 'report' } }),
  },
  {
    bug: 'drift is never looked for',
    found: ['I3'],
    plants: () => ({ options: { fullEveryMs: 0, surveyEveryMs: 0 } }),
  },
  {
    bug: 'every pass writes the status',
    found: ['I4', 'I3'],
    plants: () => ({
      writer: (right) => ({
        ...right,
        patchStatus: (service, patch, signal) =>
          right.patchStatus(
            service,
            {
              ...patch,
              conditions: (patch.conditions ?? []).map((one) => ({
                ...one,
                message: `${one.message} at ${service.resourceVersion}`,
              })),
            },
            signal,
          ),
      }),
    }),
  },
];

it.each(bugs)('finds it when $bug', async (planted) => {
  await expectFound(aws, planted);
});
