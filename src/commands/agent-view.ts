/** What a running agent shows of itself: readiness, metrics of its readers, and what it decided about a Service. */
import type { Agent } from '../agent/agent.ts';
import type { AnnouncePart } from '../agent/announce/part.ts';
import type { AgentDoor } from '../agent/door.ts';
import type { Clock } from '../core/clock.ts';
import { objectKey } from '../core/objects.ts';
import type { ReaderState } from '../kube/reader-report.ts';
import type { Sources } from '../observe/metrics.ts';
import type { CheckResult, ServerSources } from '../observe/server.ts';

export interface AgentViewParts {
  readonly door: Pick<AgentDoor, 'states'>;
  readonly agent: Pick<Agent, 'states' | 'health' | 'describe'>;
  readonly announce?: Pick<AnnouncePart, 'states' | 'waitsFor'> | undefined;
  readonly clock: Clock;
}

type AgentViewStates = Readonly<Record<string, ReaderState>>;

export function agentView({ door, agent, announce, clock }: AgentViewParts): {
  readonly metrics: Pick<Required<Sources>, 'readers'>;
  readonly server: Omit<ServerSources, 'metrics'>;
} {
  const states = (): AgentViewStates => ({ ...door.states(), ...announce?.states() });
  const ready = (): readonly CheckResult[] => [
    ...Object.entries(states()).map(([kind, { synced, problem }]) => ({
      name: kind,
      ok: synced,
      message: synced ? '' : `no complete list of ${kind} yet${problem ? `: ${problem.message}` : ''}`,
    })),
    { name: 'kernel', ok: agent.health().healthy, message: agent.health().reason },
    ...(announce === undefined
      ? []
      : [{ name: 'announce', ok: announce.waitsFor === '', message: announce.waitsFor }]),
  ];
  return {
    metrics: {
      readers: () =>
        Object.entries(states()).map(([kind, state]) => ({
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
