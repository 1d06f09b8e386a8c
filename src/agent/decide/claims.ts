/**
 * Who has a destination that two Service ports ask for.
 *
 * Nothing keeps two Services from naming one external IP and port, and a kernel table holds one of them. The winner is
 * found from what the objects say and never from the order in which they came: a cluster IP before a balancer IP before
 * an external IP (anybody who may edit a Service can write external IPs, so they must not take what the control plane
 * gave to another), then the older Service, then the smaller key. The loser's decision lacks the destination; the rest
 * of it is served.
 */
import type { IpFamily, TransportProtocol } from '../../core/objects.ts';
import type { Decision, DecisionKey } from '../decision.ts';
import { byText } from './addresses.ts';

export type ClaimKind = 'cluster' | 'balancer' | 'external' | 'node-port';

/** One destination that a decision asks for. */
export interface Claim {
  readonly decision: DecisionKey;
  readonly kind: ClaimKind;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** A destination that more than one Service port asks for, and one that does not get it. */
export interface Conflict {
  readonly reason: 'DestinationTaken';
  readonly family: IpFamily;
  readonly protocol: TransportProtocol;
  readonly port: number;
  /** Undefined for a node port. */
  readonly address: string | undefined;
  readonly winner: DecisionKey;
  readonly loser: DecisionKey;
  readonly message: string;
}

const ranks: Readonly<Record<ClaimKind, number>> = { cluster: 0, balancer: 1, external: 2, 'node-port': 0 };

/** Negative where `a` wins. */
export function compareClaims(a: Claim, b: Claim): number {
  return ranks[a.kind] - ranks[b.kind] || a.createdAt - b.createdAt || byText(a.decision, b.decision);
}

/** A destination as text; node ports are per family, addresses tell theirs. */
export function claimKey(decision: Decision, address: string | undefined): string {
  return address === undefined
    ? `${decision.family} ${decision.protocol} ${decision.nodePort}`
    : `${address} ${decision.protocol} ${decision.port}`;
}

/** Calls back for each destination that the decision asks for. */
export function eachClaim(
  decision: Decision,
  call: (kind: ClaimKind, key: string, address: string | undefined) => void,
): void {
  if (decision.clusterIP !== undefined)
    call('cluster', claimKey(decision, decision.clusterIP), decision.clusterIP);
  for (const address of decision.balancerIPs) call('balancer', claimKey(decision, address), address);
  for (const address of decision.externalIPs) call('external', claimKey(decision, address), address);
  if (decision.nodePort !== 0) call('node-port', claimKey(decision, undefined), undefined);
}

/** Whether two decisions of one key ask for the same destinations. */
export function sameClaims(a: Decision, b: Decision): boolean {
  return (
    a.clusterIP === b.clusterIP &&
    a.port === b.port &&
    a.nodePort === b.nodePort &&
    sameTexts(a.balancerIPs, b.balancerIPs) &&
    sameTexts(a.externalIPs, b.externalIPs)
  );
}

export function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, i) => text === b[i]));
}

/** The decision without the destinations that it lost; the same object where it lost none. */
export function withoutLost(decision: Decision, lost: (key: string) => boolean): Decision {
  let any = false;
  eachClaim(decision, (_kind, key) => {
    any ||= lost(key);
  });
  if (!any) return decision;
  const keeps = (address: string): boolean => !lost(claimKey(decision, address));
  return {
    ...decision,
    clusterIP: decision.clusterIP !== undefined && keeps(decision.clusterIP) ? decision.clusterIP : undefined,
    balancerIPs: decision.balancerIPs.filter(keeps),
    externalIPs: decision.externalIPs.filter(keeps),
    nodePort: decision.nodePort !== 0 && lost(claimKey(decision, undefined)) ? 0 : decision.nodePort,
  };
}

/** The conflict as people see it. */
export function conflict(
  winner: Claim,
  loser: Claim,
  decision: Decision,
  address: string | undefined,
): Conflict {
  const { family, protocol } = decision;
  const port = address === undefined ? decision.nodePort : decision.port;
  const what =
    address === undefined ? `node port ${port}/${protocol}` : `${address} port ${port}/${protocol}`;
  const why =
    winner.kind === loser.kind
      ? winner.createdAt === loser.createdAt
        ? 'it comes first by name'
        : 'its Service is older'
      : `${withArticle(winner.kind)} goes before ${withArticle(loser.kind)}`;
  return {
    reason: 'DestinationTaken',
    family,
    protocol,
    port,
    address,
    winner: winner.decision,
    loser: loser.decision,
    message: `${what} is served for ${winner.decision}, because ${why}; take it out of one of the two Services`,
  };
}

function withArticle(kind: ClaimKind): string {
  switch (kind) {
    case 'cluster':
      return 'a cluster IP';
    case 'balancer':
      return 'a balancer IP';
    case 'external':
      return 'an external IP';
    case 'node-port':
      return 'a node port';
  }
}
