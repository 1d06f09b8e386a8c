/**
 * Where a Service stands and what it waits for, as people read it and as scripts do. Pure.
 *
 * The verdict is the first thing that stands in the way, in the order in which a Service comes to life:
 * claimed, accepted, provisioned, targets, in sync.
 */
import { whyNotOurs } from '../controller/preview.ts';
import { claimOf, type Claim, type ClaimRules } from '../core/claim.ts';
import { ownAnnotations } from '../core/annotations.ts';
import { nodesWithEndpoints } from '../core/endpoints.ts';
import type { Condition, EndpointSliceObject, ServiceObject } from '../core/objects.ts';
import type { Problem } from '../core/problems.ts';
import { reasons, type ReasonCode } from '../core/reasons.ts';
import type { Exclusion } from '../core/provider.ts';
import { storyLines, type AddressStory } from './explain-address.ts';
import { laptopLines, type LaptopStory } from './explain-laptop.ts';
import { sign, type PlannedStep } from './plan-report.ts';
import type { Style } from './shell.ts';

export interface EventLine {
  /** RFC 3339. */
  readonly at: string;
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly count: number;
  /** Who said it. */
  readonly by: string;
}

export interface ExplainInput {
  readonly service: ServiceObject;
  readonly slices: readonly EndpointSliceObject[];
  readonly events: readonly EventLine[];
  readonly claim: ClaimRules;
  /** What the provider says of the annotations and the spec, read afresh. */
  readonly problems: readonly Problem[];
  /** Nodes that are no targets, and why. */
  readonly excluded: readonly Exclusion[];
  /** What the controller would do now; undefined when that could not be found out. */
  readonly plan: readonly PlannedStep[] | undefined;
  /** What could not be read with the caller's rights. */
  readonly unread: readonly string[];
  /** Of Services of local mode: how each of its addresses is announced. */
  readonly announced?: readonly AddressStory[];
  /** Of Services that `sluice local` serves. */
  readonly laptop?: LaptopStory;
  /** The cluster has no kinds of local mode, so no controller in it can serve the Service. */
  readonly withoutKinds?: boolean;
  /** No controller serves it, and by its label or their scope the node agents do. */
  readonly byAgents?: boolean;
}

export interface Explanation {
  readonly apiVersion: 'sluice.dev/v1alpha1';
  readonly kind: 'Explanation';
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  /** One sentence. */
  readonly verdict: string;
  /** What to do; empty where nothing is to be done. */
  readonly cure: string;
  readonly ok: boolean;
  readonly claim: string;
  readonly endpoints: { readonly policy: string; readonly nodes: readonly string[] };
  readonly conditions: readonly (Condition & { readonly means: string; readonly cure: string })[];
  readonly problems: readonly Problem[];
  readonly excluded: readonly Exclusion[];
  readonly plan: readonly PlannedStep[] | null;
  readonly events: readonly EventLine[];
  readonly unread: readonly string[];
  /** Null for what is not of local mode. */
  readonly announced: readonly AddressStory[] | null;
  /** Null for what `sluice local` does not serve. */
  readonly laptop: LaptopStory | null;
}

const order = ['Accepted', 'Provisioned', 'TargetsReady', 'InSync'];

export function explanation(input: ExplainInput): Explanation {
  const { service, slices, events, problems, unread } = input;
  const claim = claimOf(service, input.claim);
  const claimed =
    claim.kind === 'ours'
      ? `served by provider ${claim.provider}`
      : claim.kind === 'released'
        ? 'being released: what was made for it is taken away'
        : whyNotOurs(service, claim);
  const conditions = service.conditions
    .filter(({ type }) => order.includes(type))
    .toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type))
    .map((condition) => ({ ...condition, ...meaning(condition.reason) }));
  const verdict = withAddresses(verdictOf(input, claim, claimed, conditions), claim, input);
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Explanation',
    namespace: service.namespace,
    name: service.name,
    addresses: service.ingress.map((entry) => entry.hostname ?? entry.ip ?? ''),
    ...verdict,
    claim: claimed,
    endpoints: {
      policy: service.externalTrafficPolicy,
      nodes: [...nodesWithEndpoints(slices).keys()].toSorted(),
    },
    conditions,
    problems,
    excluded: input.excluded,
    plan: input.plan ?? null,
    events,
    unread,
    announced: input.announced ?? null,
    laptop: input.laptop ?? null,
  };
}

/**
 * A Service that is in order by its conditions may still not be answered for; and where it waits for an address, the
 * address itself knows better why.
 */
function withAddresses(
  verdict: Pick<Explanation, 'verdict' | 'cure' | 'ok'>,
  claim: Claim,
  { announced = [], laptop, service, problems }: ExplainInput,
): Pick<Explanation, 'verdict' | 'cure' | 'ok'> {
  const trouble = [...announced, ...(laptop === undefined ? [] : [laptop])].find(({ ok }) => !ok);
  if (claim.kind !== 'ours' || claim.provider !== 'local' || trouble === undefined) return verdict;
  if (ownAnnotations(service.annotations).settings.paused) return verdict;
  if (problems.some(({ severity }) => severity === 'error')) return verdict;
  return { ok: false, verdict: capital(trouble.verdict), cure: trouble.command };
}

function verdictOf(
  { service, problems, withoutKinds = false, byAgents = false }: ExplainInput,
  claim: Claim,
  claimed: string,
  conditions: Explanation['conditions'],
): Pick<Explanation, 'verdict' | 'cure' | 'ok'> {
  const error = problems.find(({ severity }) => severity === 'error');
  if (claim.kind === 'none' && byAgents && service.type !== 'LoadBalancer') {
    if (error) return { ok: false, verdict: `${error.field}: ${error.message}`, cure: error.cure };
    const well = `For the node agents: its type, ${service.type}, asks for no balancer`;
    return { ok: true, verdict: `${well}${warned(problems)}`, cure: '' };
  }
  if (claim.kind === 'none')
    return {
      ok: false,
      verdict: capital(claimed),
      cure: service.type === 'LoadBalancer' ? '' : 'Set spec.type to LoadBalancer',
    };
  if (claim.kind === 'foreign')
    return { ok: false, verdict: capital(claimed), cure: foreignCures[claim.reason] };
  if (claim.kind === 'released')
    return { ok: false, verdict: `Being released; waits for the cloud`, cure: '' };
  if (ownAnnotations(service.annotations).settings.paused)
    return { ok: false, verdict: 'Paused by annotation', cure: reasons.Paused.cure };
  if (error) return { ok: false, verdict: `${error.field}: ${error.message}`, cure: error.cure };
  const blocked = conditions.find(({ status }) => status !== 'True');
  if (blocked)
    return {
      ok: false,
      verdict: `${blocked.type} is ${blocked.status}: ${blocked.message}`,
      cure: blocked.cure,
    };
  if (conditions.length === 0) {
    return {
      ok: false,
      verdict: 'No controller has taken note of this Service yet',
      cure: withoutKinds
        ? 'Run npx sluice local on your machine, or install local mode: kubectl apply -k manifests/overlays/local'
        : 'Check that the controller runs and leads: kubectl -n sluice-system get pods,leases',
    };
  }
  const addresses = service.ingress.map((entry) => entry.hostname ?? entry.ip).join(', ');
  if (problems.length > 0)
    return { ok: true, verdict: `Reachable at ${addresses}${warned(problems)}`, cure: '' };
  return { ok: true, verdict: `All is well: reachable at ${addresses}`, cure: '' };
}

function warned(problems: readonly Problem[]): string {
  if (problems.length === 0) return '';
  return `, with ${problems.length === 1 ? 'one warning' : `${problems.length} warnings`}: see Problems`;
}

const foreignCures = {
  ClaimedElsewhere: reasons.ClaimedElsewhere.cure,
  ClassNotServed: 'Name a class or provider that the controller serves, or add the provider to its settings.',
} as const;

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function meaning(reason: string): { readonly means: string; readonly cure: string } {
  return Object.hasOwn(reasons, reason) ? reasons[reason as ReasonCode] : { means: '', cure: '' };
}

export function explanationText(
  explained: Explanation,
  paint: (style: Style, text: string) => string,
): string {
  const { ok, verdict, cure, claim, addresses, endpoints, conditions, problems, events, unread } = explained;
  const lines = [
    `${paint('bold', `${explained.namespace}/${explained.name}`)}  ${addresses.length > 0 ? addresses.join(', ') : '<no address>'}`,
    `  ${paint(ok ? 'green' : 'red', verdict)}`,
    ...(cure === '' ? [] : [`  ${paint('bold', 'Cure:')} ${cure}`]),
    '',
    `Claim       ${claim}`,
    `Endpoints   policy ${endpoints.policy}; ${endpoints.nodes.length === 0 ? 'none: no pod stands behind the Service' : `on ${endpoints.nodes.join(', ')}`}`,
  ];
  for (const story of explained.announced ?? []) lines.push(...storyLines(story));
  if (explained.laptop !== null) lines.push(...laptopLines(explained.laptop));
  if (conditions.length > 0) lines.push('', 'Conditions');
  for (const { type, status, reason, message } of conditions) {
    lines.push(
      `  ${paint(status === 'True' ? 'green' : 'yellow', status.padEnd(7))} ${type.padEnd(12)} ${reason}: ${message}`,
    );
  }
  if (problems.length > 0) lines.push('', 'Problems');
  for (const { severity, field, message, cure: mend } of problems)
    lines.push(`  ${severity}  ${field}: ${message}; ${mend}`);
  if (explained.excluded.length > 0) lines.push('', 'Nodes that are no targets');
  for (const { node, reason, message } of explained.excluded) lines.push(`  ${node}  ${reason}: ${message}`);
  if (explained.plan !== null)
    lines.push(
      '',
      `Plan        ${explained.plan.length === 0 ? 'nothing to do' : `${explained.plan.length} to do`}`,
    );
  for (const step of explained.plan ?? []) {
    lines.push(
      `  ${sign(step.operation)} ${step.operation}  ${step.subject}, because ${step.reason}${step.held === null ? '' : ` (held back: ${step.held})`}`,
    );
  }
  if (events.length > 0) lines.push('', 'Events');
  for (const { at, type, reason, note, count } of events) {
    lines.push(
      `  ${toSeconds(at)}  ${type === 'Warning' ? paint('yellow', type) : type}  ${reason}${count > 1 ? ` (×${count})` : ''}: ${note}`,
    );
  }
  if (unread.length > 0) lines.push('', paint('dim', `Not read: ${unread.join('; ')}`));
  return `${lines.join('\n')}\n`;
}

/** Fractions of a second only make people read longer. */
function toSeconds(at: string): string {
  return at.replace(/\.\d+Z$/u, 'Z');
}
