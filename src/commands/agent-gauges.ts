/** States of a running agent as gauges, set when somebody asks for the metrics. */
import type { Agent } from '../agent/agent.ts';
import type { Decision } from '../agent/decision.ts';
import type { Clock } from '../core/clock.ts';
import type { IpFamily } from '../core/objects.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { PendingChanges } from './pending-changes.ts';

export interface AgentGaugeParts {
  readonly metrics: Metrics;
  readonly agent: Pick<Agent, 'states' | 'ruleCounts' | 'listening'>;
  readonly decisions: (family: IpFamily) => Iterable<Decision>;
  readonly pending: PendingChanges;
  readonly clock: Clock;
}

export function setAgentGauges({ metrics, agent, decisions, pending, clock }: AgentGaugeParts): void {
  if ([...agent.states().values()].every(({ waitingSince }) => waitingSince === undefined)) pending.settled();
  metrics.set('proxyServicesPending', {}, pending.count('services'));
  metrics.set('proxyEndpointsPending', {}, pending.count('slices'));
  for (const [family, state] of agent.states()) {
    const label = { ip_family: family };
    let count = 0;
    const dropped = { internal: 0, external: 0 };
    for (const { internal, external } of decisions(family)) {
      count += 1;
      if (internal.kind === 'drop') dropped.internal += 1;
      if (external.kind === 'drop') dropped.external += 1;
    }
    const waited = state.waitingSince === undefined ? 0 : clock.now() - state.waitingSince;
    metrics.set('decisions', label, count);
    metrics.set('pendingChanges', label, state.pending);
    metrics.set('waitingSeconds', label, waited / 1000);
    metrics.set('quarantined', label, state.quarantined.size);
    for (const policy of ['internal', 'external'] as const)
      metrics.set('proxyNoLocalEndpoints', { ...label, traffic_policy: policy }, dropped[policy]);
  }
  for (const [ip_family, counts] of agent.ruleCounts()) {
    for (const { table, total, written } of counts) {
      metrics.set('proxyRules', { table, ip_family }, total);
      metrics.set('proxyRulesWritten', { table, ip_family }, written);
    }
  }
  metrics.set('healthListeners', {}, agent.listening);
}
