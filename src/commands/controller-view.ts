/** What a running controller shows of itself: health, readiness, metrics and the reasons behind a Service. */
import type { Door } from '../controller/door.ts';
import type { LastPass } from '../controller/memory.ts';
import { ownConditionTypes } from '../core/conditions.ts';
import type { Clock } from '../core/clock.ts';
import { objectKey, type ObjectKey } from '../core/objects.ts';
import type { QueueState } from '../core/queue.ts';
import type { Elector } from '../kube/lease.ts';
import type { ReaderState } from '../kube/reader-report.ts';
import type { Sources } from '../observe/metrics.ts';
import type { CheckResult, ServerSources } from '../observe/server.ts';

/** A reader that has not heard of the server for this long, bookmarks included, is not well. */
const silentMs = 300_000;

/** What is asked of the controller that leads. */
interface LeadingController {
  readonly queue: { readonly state: QueueState };
  memory(key: ObjectKey): { readonly lastPass: LastPass | undefined } | undefined;
}

export interface ControllerViewParts {
  readonly door: Pick<Door, 'services'> & {
    /** By kind, those of local mode too. */
    states(): Readonly<Record<string, ReaderState>>;
  };
  readonly elector: Pick<Elector, 'held'>;
  readonly clock: Clock;
  /** The controller of the present term; undefined while another replica leads. */
  readonly controller: () => LeadingController | undefined;
}

export function controllerView(parts: ControllerViewParts): {
  readonly metrics: Required<Omit<Sources, 'refresh' | 'pools'>>;
  readonly server: Omit<ServerSources, 'metrics'>;
} {
  const { door, elector, clock, controller } = parts;
  const silence = (at: number | undefined): number | undefined =>
    at === undefined ? undefined : clock.now() - at;
  const readers = (): readonly (readonly [string, ReaderState])[] => Object.entries(door.states());
  return {
    metrics: {
      queue: () => {
        const state = controller()?.queue.state;
        return state === undefined
          ? { depth: 0, oldestMs: 0, working: 0 }
          : { depth: state.ready + state.blocked, oldestMs: state.oldestMs, working: state.inFlight };
      },
      readers: () =>
        readers().map(([kind, state]) => ({
          kind,
          synced: state.synced,
          silenceMs: silence(state.lastProgressAt),
          objects: state.objects,
          lists: state.lists,
          failures: state.failures,
        })),
      leaseHeld: () => elector.held(),
      conditions: function* () {
        for (const service of door.services()) {
          for (const { type, status, reason } of service.conditions) {
            if ((ownConditionTypes as readonly string[]).includes(type)) yield { type, status, reason };
          }
        }
      },
    },
    server: {
      health: () => [{ name: 'process', ok: true, message: '' }],
      ready: () =>
        readers().map(([kind, state]): CheckResult => {
          const quiet = silence(state.lastProgressAt) ?? 0;
          const message = !state.synced
            ? `no complete list of ${kind} yet${state.problem ? `: ${state.problem.message}` : ''}`
            : quiet > silentMs
              ? `the API server has been silent on ${kind} for ${Math.round(quiet / 1000)} s`
              : '';
          return { name: kind, ok: message === '', message };
        }),
      service: (namespace, name) => controller()?.memory(objectKey(namespace, name))?.lastPass,
      queue: () => controller()?.queue.state ?? { leading: false },
    },
  };
}
