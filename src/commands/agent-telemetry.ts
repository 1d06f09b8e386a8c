/**
 * What the parts of the agent report, told to people (log, events) and machines (metrics).
 *
 * A write is a line at level debug: a busy cluster has many a second. What a person may have to look at is a warning
 * and an event on the object that it is about: the Service, or the node.
 */
import type { CounterReport } from '../agent/counters/counters.ts';
import type { AgentTelemetry } from '../agent/telemetry.ts';
import type { IpFamily, NodeName, ObjectKey, ServiceObject } from '../core/objects.ts';
import type { ReasonCode } from '../core/reasons.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Clock, Random } from '../core/clock.ts';
import { listProblems } from '../core/problems.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { PendingChanges } from './pending-changes.ts';
import { ToldByAll } from './told-by-all.ts';

export interface AgentTelemetryParts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly events: Pick<EventRecorder, 'event' | 'record'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly backend: 'nftables' | 'iptables';
  readonly node: { readonly name: NodeName; uid(): string | undefined };
  readonly service: (key: ObjectKey) => ServiceObject | undefined;
  readonly pending?: PendingChanges;
  /** Fires when the agent ends: what has not been told by then is not. */
  readonly stop?: AbortSignal;
}

export function agentTelemetry(
  parts: AgentTelemetryParts,
): AgentTelemetry & { counters(event: CounterReport): void } {
  const { log, metrics, events, clock, backend, node, service, pending } = parts;
  const byAll = new ToldByAll(parts);

  const onService = (
    key: ObjectKey,
    type: 'Normal' | 'Warning',
    reason: ReasonCode,
    action: string,
    note: string,
  ): void => {
    const object = service(key);
    if (object) events.event(object, { type, reason, action, note: `node ${node.name}: ${note}` });
  };
  const onNode = (reason: ReasonCode, action: string, note: string): void => {
    const uid = node.uid();
    if (uid === undefined) return;
    const regarding = { apiVersion: 'v1', kind: 'Node', namespace: '', name: node.name, uid };
    events.record(regarding, { type: 'Warning', reason, action, note });
  };

  return {
    sync: (event) => {
      const { family } = event;
      switch (event.kind) {
        case 'written': {
          const { full, changes, operations, ms } = event;
          metrics.time('proxySync', label(family), ms);
          metrics.time(full ? 'proxyFullSync' : 'proxyPartialSync', label(family), ms);
          metrics.set('proxySyncedAt', label(family), clock.wall() / 1000);
          pending?.written(family, clock.now() - ms);
          metrics.count('kernelOperations', { ...label(family), backend }, operations);
          const fields = { family, changes, operations, ms: Number(ms.toFixed(2)) };
          if (full) log.info('wrote everything', fields);
          else log.debug('wrote changes', fields);
          break;
        }
        case 'failed': {
          const { full, error, retryInMs } = event;
          if (backend === 'nftables') metrics.count('proxyNftablesFailures', label(family));
          else {
            metrics.count('proxyRestoreFailures', label(family));
            if (!full) metrics.count('proxyPartialRestoreFailures', label(family));
          }
          log.error('writing to the kernel failed', {
            family,
            full,
            error,
            retryInMs: Math.round(retryInMs),
          });
          break;
        }
        case 'foreign': {
          const { message, process } = event.change;
          metrics.count('foreignChanges', label(family));
          // Without its id, which is another one each time: the event is counted up instead of written anew.
          const who = process?.replace(/\s*\(?\[?(?:pid )?\d+\]?\)?$/u, '') ?? 'another program';
          log.warn('rules of ours were changed from outside; they are written anew', {
            family,
            message,
            process,
          });
          onNode(
            'ForeignChange',
            'Repair',
            `${who} changed ${family} rules of sluice: ${message}; they are written anew`,
          );
          break;
        }
        case 'quarantined': {
          const { decision, message } = event;
          const port = `${decision.port}/${decision.protocol} (${family})`;
          log.error('the kernel refuses a port; it is left out', { key: decision.key, error: message });
          onService(
            decision.service,
            'Warning',
            'RulesRefused',
            'Program',
            `port ${port} is left out: ${message}`,
          );
          break;
        }
        case 'released':
          log.info('the kernel takes a port that it had refused', { key: event.key });
          onService(serviceOf(event.key), 'Normal', 'RulesAccepted', 'Program', `${event.key} is programmed`);
          break;
        case 'verified': {
          const { differences, ms } = event;
          metrics.time('verifySeconds', label(family), ms);
          metrics.set('kernelDifferences', label(family), differences.length);
          if (differences.length === 0) {
            log.debug('the kernel is as it was written', { family, ms });
            break;
          }
          const shown = differences.slice(0, 5).map(({ kind, object }) => `${kind} ${object}`);
          log.warn('the kernel is not as it was written', { family, differences: differences.length, shown });
          onNode(
            'KernelDiffers',
            'Verify',
            `${differences.length} differences in the ${family} rules of sluice, among them ${shown.join('; ')}; they are written anew`,
          );
          break;
        }
        case 'verify-failed':
          log.warn('the kernel could not be looked at', { family, error: event.error });
          break;
      }
    },

    conntrack: (event) => {
      const { family, protocol } = event;
      if (event.kind === 'reconciled') {
        const { seen, removed, ms } = event;
        metrics.time('conntrackSeconds', label(family), ms);
        if (removed > 0) metrics.count('conntrackDeleted', label(family), removed);
        const fields = { family, protocol, seen, removed, ms: Math.round(ms) };
        if (removed > 0) log.info('forgot stale flows', fields);
        else log.debug('looked for stale flows', fields);
        return;
      }
      const { error, retryInMs } = event;
      if (retryInMs === undefined)
        log.error(`stale ${protocol.toUpperCase()} flows will not be cleaned up`, { family, error });
      else log.warn('stale flows could not be cleaned up', { family, protocol, error, retryInMs });
    },

    counters: (event) => {
      switch (event.kind) {
        case 'written': {
          const { family, operations, ms } = event;
          log.debug('wrote counters', { family, operations, ms: Number(ms.toFixed(2)) });
          break;
        }
        case 'failed': {
          const { family, error, retryInMs } = event;
          log.warn('connections are not counted; everything is served', { family, error, retryInMs });
          break;
        }
        case 'differs': {
          const { family, differences } = event;
          const shown = differences.slice(0, 5).map(({ kind, object }) => `${kind} ${object}`);
          log.warn('the table that counts is not as it was written', {
            family,
            differences: differences.length,
            shown,
          });
          break;
        }
      }
    },

    changes: (kind, count) => {
      metrics.count(kind === 'services' ? 'proxyServiceChanges' : 'proxyEndpointChanges', {}, count);
      pending?.heard(kind, count, clock.now());
    },

    queued: (family) => metrics.set('proxyQueuedAt', label(family), clock.wall() / 1000),

    programmed: (family, { heardMs, triggeredMs }) => {
      metrics.time('changeSeconds', label(family), heardMs);
      if (triggeredMs !== undefined) metrics.time('networkProgramming', label(family), triggeredMs);
    },

    healthPortFailed: (key, address, port, error) => {
      log.error('a health-check node port cannot be listened on', { service: key, address, port, error });
      onService(key, 'Warning', 'FailedToStartServiceHealthcheck', 'StartHealthCheck', error.message);
    },

    found: ({ code, message, service: about }) => {
      log.warn(message, { code, service: about });
      if (about === undefined) onNode(code, 'Check', message);
      else onService(about, 'Warning', code, 'Check', message);
    },

    addresses: (count) => log.info('addresses of the node read', { count }),

    problems: (key, problems) => {
      for (const { severity, reason, field, message, cure } of problems) {
        const fields = { service: key, reason, field, cure };
        if (severity === 'error') log.error(message, fields);
        else log.warn(message, fields);
      }
      const topic = `problems ${key}`;
      const first = problems.find(({ severity }) => severity === 'error') ?? problems[0];
      if (first === undefined) byAll.withdraw(topic);
      else {
        const note = listProblems(problems);
        byAll.say(topic, key, { type: 'Warning', reason: first.reason, action: 'ReadService', note });
      }
    },

    conflict: ({ reason, winner, loser, message }) => {
      log.warn(message, { reason, winner, loser });
      const note = { type: 'Warning', reason, action: 'Claim', note: message } as const;
      byAll.say(`conflict ${loser} ${message}`, serviceOf(loser), note);
    },
  };
}

function label(family: IpFamily): { readonly ip_family: string } {
  return { ip_family: family };
}

/** `namespace/name` of a decision's key. */
function serviceOf(key: string): ObjectKey {
  return key.slice(0, key.indexOf(':')) as ObjectKey;
}
