/**
 * What other parts of the agent need from slices beside decisions: the ready count of health checks (H2), and which
 * endpoints a UDP conntrack entry may go on pointing to (K3).
 *
 * Both can change while a decision stays as it is: an endpoint that begins to terminate may still be the last resort,
 * and one that hints keep from us may still answer an old flow.
 */
import type { EndpointSliceObject, IpFamily, ObjectKey } from '../../core/objects.ts';
import type { Decision, DecisionKey } from '../decision.ts';
import { isDrained } from './annotations.ts';
import { addressOf, candidates, portNumber, usableSlices } from './endpoints.ts';
import type { Frame } from './service.ts';
import type { NodeView } from './view.ts';

/** The health check of a Service on this node in one family (H1, H2). */
export interface HealthCheck {
  readonly service: ObjectKey;
  readonly family: IpFamily;
  /** Where it listens. */
  readonly port: number;
  /** Ready local endpoints, unique by address; terminating and drained ones do not count, even where they still serve. */
  readonly ready: number;
}

/** What is true of the UDP flows of one Service port (K3). */
export interface UdpFact {
  readonly key: DecisionKey;
  readonly family: IpFamily;
  /** Cluster, balancer and external IPs: with `port` the original destinations. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Original destination port at the node's own addresses; 0: none. */
  readonly nodePort: number;
  /**
   * `address port` of each endpoint whose answers are good, whatever policy and hints say: serving or ready. An entry
   * for the destinations with any other reply source is stale. Sorted; empty where the Service has been scaled down.
   */
  readonly serving: readonly string[];
}

/**
 * Ready local endpoints of a Service in a family, unique by address.
 *
 * An endpoint counts where its slice has a port of the Service: without one, nothing could be sent to it.
 */
export function localReady(
  frame: Frame,
  slices: readonly EndpointSliceObject[],
  family: IpFamily,
  { settings }: NodeView,
): number {
  const seen = new Set<string>();
  for (const slice of usableSlices(slices, family)) {
    const reachable = frame.ports.some(
      ({ name, protocol }) => portNumber(slice, { name, protocol, family }) !== undefined,
    );
    if (!reachable) continue;
    for (const endpoint of slice.endpoints) {
      if (!endpoint.ready || endpoint.nodeName !== settings.nodeName) continue;
      const address = addressOf(endpoint, family);
      if (address !== undefined && !isDrained(frame.drain, address, endpoint)) seen.add(address);
    }
  }
  return seen.size;
}

/** @param decision of protocol UDP, as it is served (without the destinations that another Service has). */
export function udpFact(
  decision: Decision,
  slices: readonly EndpointSliceObject[],
  { settings }: NodeView,
): UdpFact {
  const { key, family, portName: name, protocol, port, nodePort } = decision;
  const all = candidates(usableSlices(slices, family), { name, protocol, family }, settings.nodeName, []);
  return {
    key,
    family,
    addresses: [
      ...(decision.clusterIP === undefined ? [] : [decision.clusterIP]),
      ...decision.balancerIPs,
      ...decision.externalIPs,
    ],
    port,
    nodePort,
    serving: all
      .filter(({ serving }) => serving)
      .map(({ endpoint }) => `${endpoint.address} ${endpoint.port}`),
  };
}

export function sameUdpFact(a: UdpFact, b: UdpFact): boolean {
  return (
    a.port === b.port &&
    a.nodePort === b.nodePort &&
    a.addresses.join() === b.addresses.join() &&
    a.serving.join() === b.serving.join()
  );
}
