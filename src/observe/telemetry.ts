/**
 * What passes report, told to people (log) and machines (metrics).
 *
 * One line for each write to a cloud, with its reason; a warning for what a person may have to look at;
 * nothing for a pass that found everything in order.
 */
import type { SluiceError } from '../core/errors.ts';
import type { ObjectKey } from '../core/objects.ts';
import type { Parameters } from '../core/plan.ts';
import type { ProviderName } from '../core/provider.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** One call to a cloud, reads included, as the provider's client tells it. */
export interface CloudCall {
  readonly operation: string;
  /** The call itself. */
  readonly ms: number;
  /** Waiting for its turn. */
  readonly waitedMs: number;
  readonly error: SluiceError | undefined;
}

/** Parameters of a call may be long (a thousand targets); a log line shows their beginning. */
const parametersShown = 400;

function shown(parameters: Parameters): string {
  const text = JSON.stringify(parameters);
  return text.length > parametersShown ? `${text.slice(0, parametersShown)}…` : text;
}

/** Answers the calls that the controller makes (its `Telemetry`), and those of the cloud clients. */
export function createTelemetry({
  log,
  metrics,
}: {
  readonly log: Log;
  readonly metrics: Metrics;
}): Telemetry & { readonly call: (provider: ProviderName, call: CloudCall) => void } {
  /** Strays are told when they change, not at every survey. */
  const straysTold = new Map<ProviderName, string>();
  /** Services whose targets were changed by the pass that is under way. */
  const targetsChanged = new Set<ObjectKey>();
  /** Code with which a provider's credential is refused: told when that begins and when it is over. */
  const credentialRefused = new Map<ProviderName, string>();
  return {
    step: (service, provider, step, parameters, ms, error) => {
      const { operation, risk, subject, reason, effect } = step;
      if (effect.kind !== 'other') targetsChanged.add(service);
      metrics.count('steps', { provider, operation, risk, outcome: error?.kind ?? 'ok' });
      const fields = { service, provider, subject, reason, risk, ms: Math.round(ms) };
      if (error) log.warn(`${operation} failed`, { ...fields, error, parameters: shown(parameters) });
      else log.info(operation, { ...fields, parameters: shown(parameters) });
    },

    pass: (service, provider, result, ms) => {
      metrics.time('passSeconds', { provider: provider ?? 'none', result }, ms);
      if (result === 'changed') metrics.count('syncs', {});
      if (result === 'failed') metrics.count('queueRetries', {});
      if (targetsChanged.delete(service)) metrics.time('hostUpdateSeconds', {}, ms);
      log.debug(`pass: ${result}`, { service, provider, ms: Math.round(ms) });
    },

    held: (service, messages) => {
      metrics.count('held', {});
      log.warn('held back: the plan would remove too much', { service, why: messages.join('; ') });
    },

    drift: (service, provider, steps) => {
      metrics.count('drift', { provider }, steps.length);
      const what = steps.map((step) => `${step.operation} ${step.subject}`).join('; ');
      log.warn('changed behind our back', { service, provider, what });
    },

    published: (service, provider, ms) => {
      metrics.time('addressSeconds', { provider }, ms);
      log.info('address published', { service, provider, ms: Math.round(ms) });
    },

    healthy: (service, provider, ms) => {
      metrics.time('healthySeconds', { provider }, ms);
      log.info('first healthy target', { service, provider, ms: Math.round(ms) });
    },

    stage: (provider, stage, ms) => {
      metrics.time('stageSeconds', { provider, stage }, ms);
    },

    nodeSync: (ms, failed) => {
      metrics.time('nodeSyncSeconds', {}, ms);
      if (failed > 0) metrics.count('nodeSyncErrors', {}, failed);
    },

    strays: (provider, strays) => {
      metrics.set('strays', { provider }, strays.length);
      const told = strays.map((stray) => `${stray.service} ${stray.uid}`).join(', ');
      if (told === (straysTold.get(provider) ?? '')) return;
      straysTold.set(provider, told);
      if (strays.length > 0) log.warn('resources without their Service', { provider, strays: told });
    },

    skipped: (service, reason) => {
      metrics.count('skips', { reason });
      log.debug('left alone', { service, reason });
    },

    call: (provider, call) => {
      const { operation, ms, waitedMs, error } = call;
      metrics.count('cloudCalls', { provider, operation, outcome: error?.kind ?? 'ok' });
      metrics.time('cloudSeconds', { provider, operation }, ms);
      metrics.time('cloudWaitSeconds', { provider }, waitedMs);
      if (error?.kind === 'throttled') metrics.count('cloudThrottles', { provider, operation });
      if (error?.kind === 'denied' && error.action === undefined) {
        if (credentialRefused.get(provider) !== error.code)
          log.error('the cloud does not accept our credentials', { provider, error });
        credentialRefused.set(provider, error.code);
      } else if (error === undefined && credentialRefused.delete(provider)) {
        log.info('the cloud accepts our credentials again', { provider });
      }
      log.debug(`call ${operation}`, { provider, ms: Math.round(ms), waited: Math.round(waitedMs), error });
    },
  };
}
