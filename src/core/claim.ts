/**
 * Who serves a Service: the first question of every pass, answered from the Service alone.
 *
 * Three rules. What is to be cleaned up is decided by our finalizer, never by the class, which the API
 * server wipes when the type changes. What bears our finalizer and is still a balancer stays ours, whatever
 * the settings or another controller say now: a settings file must not take a balancer down. Only one that
 * shows no address of ours, and whose user names another controller, is let go. And a Service without a class
 * is claimed only when nobody else shows on it.
 */
import { ownPrefix, providerNames, servedByAnnotation } from './annotations.ts';
import { foreignFinalizers, foreignMarks, handOverTo } from './neighbours.ts';
import type { ServiceObject } from './objects.ts';
import type { ProviderName } from './provider.ts';

/** Ours on Services: put there before the first cloud write, taken off after the last. */
export const finalizer = 'sluice.dev/balancer';

export interface ClaimRules {
  /** Configured in this controller. */
  readonly providers: readonly ProviderName[];
  /** Serves Services without a class that name no provider. Not needed where one alone is configured. */
  readonly defaultProvider?: ProviderName | undefined;
  /** Classes that a provider serves beside `sluice.dev/<provider>`. */
  readonly classes?: Readonly<Partial<Record<ProviderName, readonly string[]>>>;
  readonly claimClassless: boolean;
  /** Says of other controllers that serve Services without a class in this cluster; undefined where none shows. */
  readonly neighbour?: () => string | undefined;
}

export type Claim =
  | { readonly kind: 'ours'; readonly provider: ProviderName }
  /** Not (any more) ours to serve, but our finalizer is there: these providers may hold something of it. */
  | {
      readonly kind: 'released';
      readonly cause: 'deleted' | 'type' | 'class';
      readonly providers: readonly ProviderName[];
    }
  /** Somebody would think that it is ours, and it is not: worth a word to the user. */
  | {
      readonly kind: 'foreign';
      readonly reason: 'ClaimedElsewhere' | 'ClassNotServed';
      readonly message: string;
    }
  /** None of our business. */
  | { readonly kind: 'none' };

export function claimOf(service: ServiceObject, rules: ClaimRules): Claim {
  const held = service.finalizers.includes(finalizer);
  if (service.deleting) return held ? released(service, 'deleted', rules) : { kind: 'none' };
  if (service.type !== 'LoadBalancer') return held ? released(service, 'type', rules) : { kind: 'none' };
  const claim = byWhatItSays(service, held, rules);
  const other =
    claim.kind === 'ours' && claim.provider === 'alibaba' ? alibabaGivesAway(service, rules) : undefined;
  if (other === undefined) return claim;
  if (held) return { kind: 'released', cause: 'class', providers: [recordOf(service) ?? 'alibaba'] };
  return {
    kind: 'foreign',
    reason: 'ClaimedElsewhere',
    message: `service ${service.key} is left alone: ${other}`,
  };
}

function byWhatItSays(service: ServiceObject, held: boolean, rules: ClaimRules): Claim {
  if (service.loadBalancerClass !== undefined)
    return byClass(service, service.loadBalancerClass, held, rules);
  if (!held) {
    if (!rules.claimClassless && !isAlibabaClass(service.annotations[alibabaClass] ?? '', rules))
      return { kind: 'none' };
    const other = otherController(service);
    if (other !== undefined) {
      const cure =
        rules.defaultProvider === 'local'
          ? `; to give it to Sluice: ${handOverTo(classOf('local'), service)}`
          : '';
      const message = `service ${service.key} is left alone: ${other}${cure}`;
      return { kind: 'foreign', reason: 'ClaimedElsewhere', message };
    }
  }
  return byAnnotation(service, held, rules);
}

/** The class that a provider always serves. */
export function classOf(provider: ProviderName): string {
  return `${ownPrefix}${provider}`;
}

function byClass(service: ServiceObject, className: string, held: boolean, rules: ClaimRules): Claim {
  const provider = providerNames.find(
    (name) => className === classOf(name) || rules.classes?.[name]?.includes(className),
  );
  if (provider !== undefined && (held || rules.providers.includes(provider)))
    return { kind: 'ours', provider };
  if (provider === undefined && held) {
    // The class is fixed while the type is LoadBalancer, so either the type went away and came back, on which
    // the API server empties the status, or the class went from our settings, which takes nothing down.
    if (!showsOurAddress(service)) return released(service, 'class', rules);
    return {
      kind: 'foreign',
      reason: 'ClassNotServed',
      message: `service ${service.key}: class "${className}" is not in the settings any more; its balancer is left as it is`,
    };
  }
  if (!className.startsWith(ownPrefix)) return { kind: 'none' };
  const served = rules.providers.map(classOf).join(', ');
  return {
    kind: 'foreign',
    reason: 'ClassNotServed',
    message: `service ${service.key}: class "${className}" is not served by this controller, which serves ${served}`,
  };
}

/** A Service without a class: what it names, else what has served it, else the default. */
function byAnnotation(service: ServiceObject, held: boolean, rules: ClaimRules): Claim {
  const handed = held && !showsOurAddress(service) ? handedOver(service) : undefined;
  // As with a foreign class: the type went away and came back, and came back as another controller's.
  if (handed !== undefined) return released(service, 'class', rules);
  const key = `${ownPrefix}provider`;
  const ours = isAlibabaClass(service.annotations[alibabaClass] ?? '', rules) ? 'alibaba' : undefined;
  const named = service.annotations[key] ?? ours;
  if (named !== undefined) {
    const provider = rules.providers.find((name) => name === named);
    if (provider !== undefined) return { kind: 'ours', provider };
    if (!held) {
      return {
        kind: 'foreign',
        reason: 'ClassNotServed',
        message: `service ${service.key}: annotation ${ours === named ? alibabaClass : key} names "${named}"; configured here: ${rules.providers.join(', ')}`,
      };
    }
  }
  const recorded = held ? recordOf(service) : undefined;
  const only = rules.providers.length === 1 ? rules.providers[0] : undefined;
  const provider = recorded ?? rules.defaultProvider ?? only;
  // Both would write the status in turn. Where there is a neighbour, local mode serves only what is given to it by name.
  const neighbour = provider === 'local' && !held && named === undefined ? rules.neighbour?.() : undefined;
  if (neighbour !== undefined) {
    return {
      kind: 'foreign',
      reason: 'ClaimedElsewhere',
      message: `service ${service.key} is left alone: ${neighbour}; to give it to Sluice: ${handOverTo(classOf('local'), service)}`,
    };
  }
  if (provider !== undefined) return { kind: 'ours', provider };
  return {
    kind: 'foreign',
    reason: 'ClassNotServed',
    message: `service ${service.key} has no class and there is no default provider; name one of ${rules.providers.join(', ')} by annotation ${key}`,
  };
}

function released(service: ServiceObject, cause: 'deleted' | 'type' | 'class', rules: ClaimRules): Claim {
  const recorded = recordOf(service);
  return { kind: 'released', cause, providers: recorded === undefined ? rules.providers : [recorded] };
}

function showsOurAddress(service: ServiceObject): boolean {
  return service.ingress.length > 0 && service.ingressManagers.some((name) => name.startsWith('sluice'));
}

/** The provider that we wrote down beside the finalizer. */
function recordOf(service: ServiceObject): ProviderName | undefined {
  return providerNames.find((name) => name === service.annotations[servedByAnnotation]);
}

/** Says who serves a Service on Alibaba Cloud, where spec.loadBalancerClass cannot be set any more. */
export const alibabaClass = 'service.beta.kubernetes.io/class';

function isAlibabaClass(name: string, { classes }: ClaimRules): boolean {
  return name === classOf('alibaba') || classes?.alibaba?.includes(name) === true;
}

/**
 * The user's word that another controller of that cloud shall serve it. Unlike a class it can be put on a live
 * Service, and then it is meant: what was made goes.
 */
function alibabaGivesAway({ annotations }: ServiceObject, rules: ClaimRules): string | undefined {
  const name = annotations[alibabaClass]?.trim() ?? '';
  if (name !== '' && !isAlibabaClass(name, rules))
    return `annotation ${alibabaClass}: ${name} names another controller`;
  const tunnel = Object.keys(annotations).find((key) =>
    /^service\.beta\.kubernetes\.io\/(alibaba-cloud-loadbalancer|alicloud-load-?balancer)-tunnel-type$/.test(
      key,
    ),
  );
  return tunnel === undefined ? undefined : `annotation ${tunnel} hands it to another controller`;
}

const awsType = 'service.beta.kubernetes.io/aws-load-balancer-type';

/** The user's word that another controller shall serve it. */
function handedOver(service: ServiceObject): string | undefined {
  const type = service.annotations[awsType];
  if (type !== 'external' && type !== 'nlb-ip') return undefined;
  return `annotation ${awsType}: ${type} hands it to aws-load-balancer-controller`;
}

/** The controller that shows itself on a Service, and by what; undefined when none does. */
function otherController(service: ServiceObject): string | undefined {
  for (const name of service.finalizers) {
    const whose = foreignFinalizers[name];
    if (whose !== undefined) return `${whose} serves it (finalizer ${name})`;
  }
  for (const [key, whose] of Object.entries(foreignMarks)) {
    if (service.annotations[key] !== undefined) return `${whose} serves it (annotation ${key})`;
  }
  const handed = handedOver(service);
  if (handed !== undefined) return handed;
  // A person at a terminal is no controller.
  const manager = service.ingressManagers.find((name) => !/^(sluice|kubectl)/.test(name));
  return manager === undefined ? undefined : `"${manager}" writes its address (field manager of the status)`;
}
