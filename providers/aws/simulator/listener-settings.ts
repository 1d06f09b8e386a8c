/** What a listener can be set to: protocol, port, certificate, policies and actions, and which of them go together. */

import type {
  Action,
  Certificate,
  MutualAuthenticationAttributes,
  ProtocolEnum,
  TargetGroupTuple,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { readCertificate } from './certificates.ts';
import { findTargetGroup } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, misconfigured, validation } from './errors.ts';
import type { ListenerRecord, LoadBalancerRecord, TargetGroupProtocol, TargetGroupRecord } from './store.ts';
import { checkTargetQuotas } from './target-quotas.ts';

export interface ListenerInput {
  readonly Port?: number | undefined;
  readonly Protocol?: ProtocolEnum | undefined;
  readonly SslPolicy?: string | undefined;
  readonly Certificates?: Certificate[] | undefined;
  readonly DefaultActions?: Action[] | undefined;
  readonly AlpnPolicy?: string[] | undefined;
  readonly MutualAuthentication?: MutualAuthenticationAttributes | undefined;
}

export type ListenerSettings = Pick<
  ListenerRecord,
  'protocol' | 'port' | 'actions' | 'certificate' | 'sslPolicy' | 'alpnPolicy'
>;

const DEFAULT_SSL_POLICY = 'ELBSecurityPolicy-2016-08';
const ALPN_POLICIES = ['HTTP1Only', 'HTTP2Only', 'HTTP2Optional', 'HTTP2Preferred', 'None'];

/** Which target groups a listener can forward to (guide to Network Load Balancers, listeners). */
const COMPATIBLE: Readonly<Record<TargetGroupProtocol, readonly TargetGroupProtocol[]>> = {
  TCP: ['TCP', 'TCP_UDP'],
  UDP: ['UDP', 'TCP_UDP'],
  TCP_UDP: ['TCP_UDP'],
  TLS: ['TCP', 'TLS'],
  QUIC: ['QUIC', 'TCP_QUIC'],
  TCP_QUIC: ['TCP_QUIC'],
};

/** The settings of a new listener, or of `before` with what `input` names. Throws what CreateListener documents. */
export function readListener(
  context: Context,
  balancer: LoadBalancerRecord,
  input: ListenerInput,
  before: ListenerRecord | undefined,
): ListenerSettings {
  const protocol = readProtocol(input.Protocol ?? before?.protocol);
  const port = input.Port ?? before?.port;
  if (port === undefined) throw validation('A listener port must be specified');
  if (port < 1 || port > 65_535) throw validation(`Listener port '${port}' must be between 1 and 65535`);
  if (input.MutualAuthentication !== undefined) {
    throw misconfigured("Mutual authentication is not supported by load balancers of type 'network'");
  }
  const datagram = protocol !== 'TCP' && protocol !== 'TLS';
  if (datagram && balancer.ipAddressType === 'dualstack' && balancer.sourceNatPrefix === 'off') {
    throw misconfigured(`Protocol ${protocol} needs a source NAT prefix on a dualstack load balancer`);
  }
  const secure = readSecure(context, protocol, input, before);
  const actions =
    input.DefaultActions === undefined && before !== undefined
      ? before.actions
      : [readAction(context, input.DefaultActions ?? [])];
  for (const arn of forwardsTo(actions)) checkTargetGroup(context, balancer, protocol, arn);
  return { protocol, port, actions, ...secure };
}

function readProtocol(protocol: string | undefined): TargetGroupProtocol {
  if (protocol === undefined) throw validation('A listener protocol must be specified');
  if (Object.hasOwn(COMPATIBLE, protocol)) return protocol as TargetGroupProtocol;
  throw new CloudError(
    'UnsupportedProtocol',
    `Protocol '${protocol}' is not supported by load balancers of type 'network'`,
  );
}

function readSecure(
  context: Context,
  protocol: TargetGroupProtocol,
  input: ListenerInput,
  before: ListenerRecord | undefined,
): Pick<ListenerSettings, 'certificate' | 'sslPolicy' | 'alpnPolicy'> {
  const { Certificates: certificates = [], AlpnPolicy: alpn = [], SslPolicy: policy } = input;
  if (protocol !== 'TLS') {
    if (certificates.length > 0)
      throw misconfigured(`Certificates cannot be specified for ${protocol} listeners`);
    if (policy !== undefined)
      throw misconfigured(`A security policy cannot be specified for ${protocol} listeners`);
    if (alpn.length > 0) throw misconfigured(`An ALPN policy cannot be specified for ${protocol} listeners`);
    return { certificate: undefined, sslPolicy: undefined, alpnPolicy: undefined };
  }
  if (certificates.length > 1) {
    throw new CloudError('TooManyCertificates', 'Exactly one default certificate can be specified');
  }
  const given = certificates[0];
  const certificate = given === undefined ? before?.certificate : readCertificate(context, given);
  if (certificate === undefined) throw validation('A certificate must be specified for TLS listeners');
  const sslPolicy = policy ?? before?.sslPolicy ?? DEFAULT_SSL_POLICY;
  if (!context.settings.sslPolicies.includes(sslPolicy)) {
    throw new CloudError('SSLPolicyNotFound', `SSL policy '${sslPolicy}' not found`);
  }
  if (alpn.length > 1) throw validation('At most one ALPN policy can be specified');
  const alpnPolicy = alpn[0] ?? before?.alpnPolicy;
  if (alpnPolicy !== undefined && !ALPN_POLICIES.includes(alpnPolicy)) {
    throw new CloudError('ALPNPolicyNotFound', `ALPN policy '${alpnPolicy}' is not supported`);
  }
  return { certificate, sslPolicy, alpnPolicy };
}

/** The one forward action, in the form in which AWS answers: the list of groups, and the group itself if it is one. */
function readAction(context: Context, actions: readonly Action[]): Action {
  const [action, ...more] = actions;
  if (action === undefined) throw validation('A default action must be specified');
  if (more.length > 0) throw new CloudError('TooManyActions', 'Exactly one default action can be specified');
  if (action.Type !== 'forward') {
    throw new CloudError(
      'InvalidLoadBalancerAction',
      `Action type '${action.Type}' is not supported, only 'forward' is`,
    );
  }
  const single = action.TargetGroupArn;
  const listed = action.ForwardConfig?.TargetGroups ?? [];
  const groups: readonly TargetGroupTuple[] =
    listed.length > 0 ? listed : single === undefined ? [] : [{ TargetGroupArn: single }];
  if (single !== undefined && (groups.length !== 1 || groups[0]?.TargetGroupArn !== single)) {
    throw new CloudError(
      'InvalidLoadBalancerAction',
      'TargetGroupArn and ForwardConfig name different target groups',
    );
  }
  if (groups.length === 0 || groups.some((group) => group.TargetGroupArn === undefined)) {
    throw new CloudError('InvalidLoadBalancerAction', 'A forward action must name a target group');
  }
  const most = context.settings.quotas.targetGroupsPerAction;
  if (groups.length > most) {
    throw new CloudError(
      'TooManyUniqueTargetGroupsPerLoadBalancer',
      `An action can forward to at most ${most} target groups`,
    );
  }
  for (const group of groups) {
    if (group.Weight !== undefined && (group.Weight < 0 || group.Weight > 999)) {
      throw validation(`Weight '${group.Weight}' must be between 0 and 999`);
    }
  }
  const only = groups.length === 1 ? groups[0]?.TargetGroupArn : undefined;
  return {
    Type: 'forward',
    ...(only !== undefined && { TargetGroupArn: only }),
    ...(action.Order !== undefined && { Order: action.Order }),
    ForwardConfig: { TargetGroups: groups.map((group) => ({ ...group })) },
  };
}

function forwardsTo(actions: readonly Action[]): readonly string[] {
  return actions.flatMap((action) =>
    (action.ForwardConfig?.TargetGroups ?? []).map((group) => group.TargetGroupArn ?? ''),
  );
}

function checkTargetGroup(
  context: Context,
  balancer: LoadBalancerRecord,
  protocol: TargetGroupProtocol,
  arn: string,
): void {
  const group: TargetGroupRecord = findTargetGroup(context, arn);
  if (group.vpcId !== balancer.vpcId) {
    throw misconfigured(
      `Target group '${arn}' is in VPC '${group.vpcId}', the load balancer in '${balancer.vpcId}'`,
    );
  }
  if (!COMPATIBLE[protocol].includes(group.protocol)) {
    throw new CloudError(
      'IncompatibleProtocols',
      `A ${protocol} listener cannot forward to target group '${arn}' with protocol ${group.protocol}`,
    );
  }
  if (group.usedBy !== undefined && group.usedBy.loadBalancerArn !== balancer.arn) {
    throw new CloudError(
      'TargetGroupAssociationLimit',
      `Target group '${arn}' is already associated with load balancer '${group.usedBy.loadBalancerArn}'`,
    );
  }
  if (group.usedBy === undefined) checkTargetQuotas(context, group, balancer.arn);
}
