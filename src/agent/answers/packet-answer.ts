/**
 * Where a packet goes on a node, and why: the answer as data (pure), from the very decisions that the agent writes.
 *
 * The JSON form is a promise: codes are stable, fields are added and never change their meaning.
 */
import { agentAnnotation } from '../../core/agent-annotations.ts';
import { SluiceError } from '../../core/errors.ts';
import type {
  EndpointSliceObject,
  IpFamily,
  ObjectKey,
  ServiceObject,
  TransportProtocol,
} from '../../core/objects.ts';
import { describeProblem } from '../../core/problems.ts';
import { canonical } from '../decide/addresses.ts';
import { indexDestinations } from '../decide/destinations.ts';
import { explainEndpoints } from '../decide/explain.ts';
import type { EndpointReason } from '../decide/explain.ts';
import { decideNode } from '../decide/node.ts';
import { serviceProblems } from '../decide/service-check.ts';
import { notServed } from '../decide/service.ts';
import type { NotServed } from '../decide/service.ts';
import type { AgentSettings } from '../decide/settings.ts';
import { viewNode } from '../decide/view.ts';
import { decideWorld } from '../decide/world.ts';
import type { Decision, DecisionKey, Endpoint, NodeDecision } from '../decision.ts';
import { evaluateFully } from '../evaluate.ts';
import type { Branch, Evaluation } from '../evaluate.ts';
import type { Picture, Resolved } from './resolve.ts';
import type { AnswerReason } from './words.ts';

export interface AnsweredEndpoint {
  readonly address: string;
  readonly port: number | null;
  readonly node: string | null;
  readonly slice: ObjectKey;
  /** New connections of this kind may be sent to it. */
  readonly used: boolean;
  readonly reason: EndpointReason;
  /** Share of new connections, 0 to 1; 0 where it is not used. */
  readonly share: number;
  /** The source becomes the node's; false too where it is not used. */
  readonly masquerade: boolean;
}

export interface PacketAnswer {
  readonly apiVersion: 'sluice.dev/v1alpha1';
  readonly kind: 'PacketAnswer';
  readonly node: string;
  readonly backend: AgentSettings['backend'];
  readonly packet: {
    readonly family: IpFamily;
    readonly protocol: TransportProtocol;
    readonly source: string;
    readonly destination: string;
    readonly port: number;
    /** `process`, or the interface. */
    readonly from: string;
  };
  readonly outcome: 'deliver' | 'reject' | 'drop' | 'untouched';
  readonly reason: AnswerReason;
  readonly branch: Branch;
  /** What was hit; null where no Service was. */
  readonly hit: {
    readonly service: ObjectKey;
    readonly port: string;
    readonly key: DecisionKey;
    readonly kind: 'cluster' | 'external' | 'balancer' | 'node-port';
    readonly policy: 'Cluster' | 'Local';
    readonly affinitySeconds: number | null;
    readonly balancing: 'random' | 'hash';
    /** Who is let in at this destination; null where nobody is asked, whatever the Service says of its balancer IPs. */
    readonly sourceRanges: readonly string[] | null;
  } | null;
  readonly endpoints: readonly AnsweredEndpoint[];
  /** Services that have this destination and do not serve it here. */
  readonly others: readonly {
    readonly service: ObjectKey;
    readonly reason: NotServed | 'DestinationTaken';
    readonly message: string;
  }[];
  /** The kernel objects that serve it, in the backend's own words. */
  readonly rules: readonly string[];
  readonly notes: readonly string[];
}

/** What the rules are made from, for whoever has a backend at hand. */
export interface AnswerParts {
  readonly answer: PacketAnswer;
  readonly nodeDecision: NodeDecision;
  readonly hit: Decision | undefined;
  readonly evaluation: Evaluation;
  readonly decisions: readonly Decision[];
}

export function answerPacket(
  { packet, node, nodeName, addresses, notes }: Resolved,
  picture: Picture,
  given: AgentSettings,
): AnswerParts {
  const settings = { ...given, nodeName, families: [packet.family] };
  const view = viewNode(node, settings);
  const { decisions, conflicts } = decideWorld(picture.services, picture.slices, view);
  const [nodeDecision] = decideNode(node, addresses, settings);
  if (nodeDecision === undefined)
    throw new SluiceError('bug', `nothing is decided about ${packet.family}`, { code: 'NotDecided' });
  const index = indexDestinations(decisions, packet.family);
  const evaluation = evaluateFully(nodeDecision, index, { addresses }, packet);
  const { outcome, branch, hit } = evaluation;
  const service = picture.services.find(({ key }) => key === hit?.decision.service);
  const wants = (one: ServiceObject): boolean => asksFor(one, packet, addresses);
  const others = [
    ...picture.services.flatMap((one) => {
      const why = wants(one) ? notServed(one, view) : undefined;
      return why === undefined ? [] : [{ service: one.key, reason: why, message: '' }];
    }),
    ...conflicts
      .filter(
        ({ address, port, protocol }) =>
          port === packet.port &&
          protocol === packet.protocol &&
          (address === undefined ? hit?.kind === 'node-port' : address === packet.destination),
      )
      .map(({ loser, message }) => ({
        service: loser.slice(0, loser.indexOf(':')) as ObjectKey,
        reason: 'DestinationTaken' as const,
        message,
      })),
  ];
  const answer: PacketAnswer = {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'PacketAnswer',
    node: nodeName,
    backend: settings.backend,
    packet: {
      family: packet.family,
      protocol: packet.protocol,
      source: packet.source,
      destination: packet.destination,
      port: packet.port,
      from: packet.from.kind === 'process' ? 'process' : packet.from.name,
    },
    outcome: outcome.kind,
    reason: reasonOf(evaluation, others.length > 0),
    branch,
    hit:
      hit === undefined
        ? null
        : {
            service: hit.decision.service,
            port: hit.decision.portName,
            key: hit.decision.key,
            kind: hit.kind,
            policy:
              (hit.kind === 'cluster' ? service?.internalTrafficPolicy : service?.externalTrafficPolicy) ??
              'Cluster',
            affinitySeconds: hit.decision.affinitySeconds ?? null,
            balancing: hit.decision.balancing,
            sourceRanges: rangesOf(hit),
          },
    endpoints: service === undefined ? [] : endpointsOf(service, picture.slices, evaluation, view),
    others,
    rules: [],
    notes: [
      ...notes,
      ...picture.unread,
      ...(hit === undefined ? [] : unguarded(hit)),
      ...(service === undefined ? [] : serviceProblems(service, view).map(describeProblem)),
    ],
  };
  return { answer, nodeDecision, hit: hit?.decision, evaluation, decisions };
}

type Hit = NonNullable<Evaluation['hit']>;

function rangesOf({ decision, kind }: Hit): readonly string[] | null {
  const asked = kind === 'balancer' || (kind !== 'cluster' && decision.guardEverything);
  return asked ? (decision.sourceRanges ?? null) : null;
}

/** Many expect the ranges to hold at the node port too. */
function unguarded(hit: Hit): readonly string[] {
  const open = hit.kind === 'node-port' || hit.kind === 'external';
  return open && hit.decision.sourceRanges !== undefined && rangesOf(hit) === null
    ? [
        `loadBalancerSourceRanges guard the balancer IPs alone, not this destination; the annotation ${agentAnnotation.guardEverything.key}: "true" has them guard all`,
      ]
    : [];
}

function reasonOf({ outcome, branch }: Evaluation, others: boolean): AnswerReason {
  switch (branch) {
    case 'other-family':
    case 'not-ours':
      return others ? 'NotServedHere' : 'NoService';
    case 'undefined-port':
      return 'UndefinedPort';
    case 'unallocated':
      return 'UnallocatedAddress';
    case 'guard':
      return 'OutsideSourceRanges';
    case 'internal':
    case 'external-cluster':
    case 'local-pod':
    case 'local-process':
    case 'local-other':
      if (outcome.kind === 'reject') return 'NoEndpoints';
      if (outcome.kind === 'drop') return 'NoLocalEndpoints';
      return 'Balanced';
  }
}

function endpointsOf(
  service: ServiceObject,
  slices: readonly EndpointSliceObject[],
  { outcome, hit, branch }: Evaluation,
  view: Parameters<typeof explainEndpoints>[2],
): readonly AnsweredEndpoint[] {
  // The guard is asked before the endpoints.
  if (hit === undefined || branch === 'guard') return [];
  const own = slices.filter((slice) => slice.service === service.key);
  const port = explainEndpoints(service, own, view).ports.find(({ key }) => key === hit.decision.key);
  const local = localList(hit.decision, branch);
  const to = outcome.kind === 'deliver' ? outcome.to : [];
  const whole = to.reduce((sum, { endpoint }) => sum + endpoint.weight, 0);
  const left = new Map(to.map((one) => [endpointText(one.endpoint), one]));
  return (port?.endpoints ?? []).map((endpoint): AnsweredEndpoint => {
    const reason = local ? endpoint.local : endpoint.cluster;
    const good = reason === 'Used' || reason === 'UsedTerminating' || reason === 'UsedDraining';
    const chosen = good ? left.get(endpointText(endpoint)) : undefined;
    return {
      address: endpoint.address,
      port: endpoint.port ?? null,
      node: endpoint.node ?? null,
      slice: endpoint.slice,
      used: chosen !== undefined,
      reason,
      share: chosen === undefined ? 0 : chosen.endpoint.weight / whole,
      masquerade: chosen?.masquerade ?? false,
    };
  });
}

/** Whether the list of this node's own endpoints was asked. */
function localList({ internal, external, shortcut }: Decision, branch: Branch): boolean {
  const fate =
    branch === 'internal'
      ? internal
      : branch === 'local-pod' || branch === 'local-process'
        ? (shortcut ?? external)
        : external;
  // Silence is the answer where the policy is Local and nothing is here.
  return fate.kind === 'balance' ? fate.to === 'local' : fate.kind === 'drop';
}

function endpointText({
  address,
  port,
}: Pick<Endpoint, 'address'> & { readonly port: number | undefined }): string {
  return `${address} ${port ?? ''}`;
}

/** Whether a Service names this destination, served or not. */
function asksFor(
  service: ServiceObject,
  { destination, port, protocol, family }: Resolved['packet'],
  addresses: ReadonlySet<string>,
): boolean {
  const named = [
    ...service.clusterIPs,
    ...service.externalIPs,
    ...service.ingress.flatMap(({ ip }) => ip ?? []),
  ];
  const here = named.some((text) => canonical(text, family) === destination);
  const own = addresses.has(destination);
  return service.ports.some(
    (one) => one.protocol === protocol && ((here && one.port === port) || (own && one.nodePort === port)),
  );
}
