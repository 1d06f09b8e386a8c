/** What a running agent shows of itself: readiness, metrics of its readers, and what it decided about a Service. */
import type { Agent } from '../agent/agent.ts';
import type { AgentDoor } from '../agent/door.ts';
import type { Clock } from '../core/clock.ts';
import { objectKey } from '../core/objects.ts';
import type { Sources } from '../observe/metrics.ts';
import type { CheckResult, ServerSources } from '../observe/server.ts';

export interface AgentViewParts {
  readonly door: Pick<AgentDoor, 'states'>;
  readonly agent: Pick<Agent, 'states' | 'health' | 'describe'>;
  readonly clock: Clock;
}

export function agentView({ door, agent, clock }: AgentViewParts): {
  readonly metrics: Pick<Required<Sources>, 'readers'>;
  readonly server: Omit<ServerSources, 'metrics'>;
} {
  const ready = (): readonly CheckResult[] => [
    ...Object.entries(door.states()).map(([kind, { synced, problem }]) => ({
      name: kind,
      ok: synced,
      message: synced ? '' : `no complete list of ${kind} yet${problem ? `: ${problem.message}` : ''}`,
    })),
    { name: 'kernel', ok: agent.health().healthy, message: agent.health().reason },
  ];
  return {
    metrics: {
      readers: () =>
        Object.entries(door.states()).map(([kind, state]) => ({
          kind,
          synced: state.synced,
          silenceMs: state.lastProgressAt === undefined ? undefined : clock.now() - state.lastProgressAt,
          objects: state.objects,
          lists: state.lists,
          failures: state.failures,
        })),
    },
    server: {
      health: () => [{ name: 'process', ok: agent.health().live, message: agent.health().reason }],
      ready,
      service: (namespace, name) => agent.describe(objectKey(namespace, name)),
      queue: () =>
        Object.fromEntries(
          [...agent.states()].map(([family, state]) => [
            family,
            {
              ...state,
              quarantined: Object.fromEntries(state.quarantined),
              problem: state.problem?.message,
            },
          ]),
        ),
    },
  };
}
