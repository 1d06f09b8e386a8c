/**
 * The plan of a Service without carrying it out: the same path as a pass, stopped before apply.
 *
 * `sluice plan` and `sluice explain` show this. Offline it starts from nothing; against a live account it
 * reads, and changes nothing anywhere.
 */
import { claimOf, finalizer, type Claim } from '../core/claim.ts';
import { guard, type HeldStep } from '../core/guard.ts';
import type { ServiceObject } from '../core/objects.ts';
import { parsed } from '../core/parsed.ts';
import { emptyPlan, type Plan } from '../core/plan.ts';
import { hasErrors, type Problem } from '../core/problems.ts';
import type { Address, Exclusion, ProviderName } from '../core/provider.ts';
import { reasons } from '../core/reasons.ts';
import type { Context } from './context.ts';
import { prepare, targetSteps, type Prepared } from './look.ts';
import { servedBy } from './served.ts';

export interface PreviewContext extends Pick<
  Context,
  'clock' | 'cluster' | 'view' | 'options' | 'providers'
> {
  /** Providers that are asked although nothing is live: what they stand on is among the files. */
  readonly atHand?: ReadonlySet<ProviderName>;
}

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
    const why = whyNotOurs(service, claim);
    return { service, provider: undefined, claim: why, mode: 'none', ...nothing };
  }
  const name = claim.kind === 'ours' ? claim.provider : claim.providers[0];
  const provider = name === undefined ? undefined : context.providers.get(name);
  if (!provider) {
    const why = `provider ${name ?? ''} serves it and is not in the settings`;
    return {
      ...nothing,
      service,
      provider: undefined,
      claim: why,
      mode: 'none',
      problems: [
        {
          severity: 'error',
          reason: 'ClassNotServed',
          field: name === undefined ? 'providers' : `providers.${name}`,
          message: why,
          cure: 'add its section to the settings',
        },
      ],
    };
  }
  const owner = { cluster: context.cluster, service: service.key, uid: service.uid };
  const planContext = { owner, now: context.clock.now(), memory: {} };
  const observe = async (wanted: unknown, depth: 'full' | 'removal'): Promise<unknown> =>
    live || context.atHand?.has(provider.name) === true
      ? await provider.observe({ owner, depth, wanted, previous: undefined, signal })
      : provider.nothing;

  if (claim.kind === 'released') {
    const { settings } = parsed(provider, service);
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
  const observed = refused ? provider.nothing : await observe(wanted, 'full');
  const full = refused ? emptyPlan : provider.plan({ kind: 'present', wanted }, observed, planContext);
  const plan = prepared.mode === 'targets-only' ? { ...full, steps: targetSteps(full) } : full;
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
    problems: [
      ...prepared.problems,
      ...plan.problems,
      ...(full.steps.length > 0 ? [] : stuck(provider.addresses(wanted, observed))),
    ],
    wanted,
    excluded,
    plan,
    held,
  };
}

/** There is nothing to do, and still no address: why. */
function stuck(address: Address): readonly Problem[] {
  if (address.kind !== 'pending' || address.reason === undefined) return [];
  const { reason, message } = address;
  return [{ severity: 'warning', reason, field: 'status.loadBalancer', message, cure: reasons[reason].cure }];
}

/** Why nobody of ours serves a Service, in a sentence of which the Service is the subject. */
export function whyNotOurs(
  { key, type, deleting, loadBalancerClass }: ServiceObject,
  claim: Extract<Claim, { kind: 'none' | 'foreign' }>,
): string {
  if (claim.kind === 'foreign') {
    const name = `service ${key}`;
    return claim.message.startsWith(name)
      ? claim.message.slice(name.length).replace(/^:? (?:is )?/, '')
      : claim.message;
  }
  if (type !== 'LoadBalancer') return `not a Service for this controller: its type is ${type}`;
  if (deleting) return 'being deleted, and nothing of ours is left of it';
  if (loadBalancerClass !== undefined) return `not for this controller: its class is "${loadBalancerClass}"`;
  return 'not for this controller, whose settings leave Services without a class alone (controller.claimClassless)';
}
