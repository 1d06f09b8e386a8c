/**
 * The plan of a Service without carrying it out: the same path as a pass, stopped before apply.
 *
 * `sluice plan` and `sluice explain` show this. Offline it starts from nothing; against a live account it
 * reads, and changes nothing anywhere.
 */
import { claimOf, finalizer } from '../core/claim.ts';
import { guard, type HeldStep } from '../core/guard.ts';
import type { ServiceObject } from '../core/objects.ts';
import { emptyPlan, type Plan } from '../core/plan.ts';
import { hasErrors, type Problem } from '../core/problems.ts';
import type { Exclusion, ProviderName } from '../core/provider.ts';
import type { Context } from './context.ts';
import { prepare, type Prepared } from './look.ts';
import { servedBy } from './served.ts';

export type PreviewContext = Pick<Context, 'clock' | 'cluster' | 'view' | 'options' | 'providers'>;

export interface Preview {
  readonly service: ServiceObject;
  /** Undefined where nobody of ours serves the Service; `claim` says why. */
  readonly provider: ProviderName | undefined;
  readonly claim: string;
  readonly mode: Prepared['mode'] | 'removal' | 'none';
  readonly problems: readonly Problem[];
  readonly wanted: unknown;
  readonly excluded: readonly Exclusion[];
  readonly plan: Plan;
  /** Steps of the plan that the guard would hold back, and why. */
  readonly held: readonly HeldStep[];
}

/** `live`: read what the provider holds. Else plan as if nothing existed. */
export async function preview(
  context: PreviewContext,
  service: ServiceObject,
  live: boolean,
  signal: AbortSignal,
): Promise<Preview> {
  const claim = claimOf(service, context.options.claim);
  const nothing = { wanted: undefined, excluded: [], plan: emptyPlan, held: [], problems: [] } as const;
  if (claim.kind === 'none' || claim.kind === 'foreign') {
    const why = claim.kind === 'foreign' ? claim.message : 'not a Service for this controller';
    return { service, provider: undefined, claim: why, mode: 'none', ...nothing };
  }
  const name = claim.kind === 'ours' ? claim.provider : claim.providers[0];
  const provider = name === undefined ? undefined : context.providers.get(name);
  if (!provider) {
    return {
      service,
      provider: name,
      claim: `provider ${name ?? ''} is not configured`,
      mode: 'none',
      ...nothing,
    };
  }
  const owner = { cluster: context.cluster, service: service.key, uid: service.uid };
  const planContext = { owner, now: context.clock.now(), memory: {} };
  const observe = async (wanted: unknown, depth: 'full' | 'removal'): Promise<unknown> =>
    live ? await provider.observe({ owner, depth, wanted, previous: undefined, signal }) : provider.nothing;

  if (claim.kind === 'released') {
    const { settings } = provider.parse(service);
    const plan = provider.plan(
      { kind: 'absent', settings },
      await observe(undefined, 'removal'),
      planContext,
    );
    return {
      ...nothing,
      service,
      provider: provider.name,
      claim: 'released',
      mode: 'removal',
      plan,
      problems: plan.problems,
    };
  }
  const prepared = prepare(context, provider, service, () => servedBy(context, provider.name));
  const { wanted, excluded } = prepared.desired;
  const refused = hasErrors(prepared.problems) && !service.finalizers.includes(finalizer);
  const plan = refused
    ? emptyPlan
    : provider.plan({ kind: 'present', wanted }, await observe(wanted, 'full'), planContext);
  const { held } = guard({
    plan,
    removal: false,
    now: planContext.now,
    memory: {},
    rules: context.options.guard,
  });
  return {
    service,
    provider: provider.name,
    claim: 'served',
    mode: prepared.mode,
    problems: [...prepared.problems, ...plan.problems],
    wanted,
    excluded,
    plan,
    held,
  };
}
