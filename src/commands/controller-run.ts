/**
 * `sluice controller`: the long-running part in the cluster. Wires doors, providers and the controller
 * together, contends for the lease, and gives it back on a clean stop.
 */
import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import { Controller } from '../controller/controller.ts';
import { controllerOptions } from '../controller/options.ts';
import { clusterWriter, Door } from '../controller/door.ts';
import { systemClock } from '../core/clock.ts';
import { Neighbourhood } from '../core/neighbours.ts';
import { asSluiceError } from '../core/errors.ts';
import { EventRecorder } from '../kube/events.ts';
import { Elector, type Term } from '../kube/lease.ts';
import { readClusterId, Writer } from '../kube/writer.ts';
import { collectWhenIdle } from '../observe/collect.ts';
import { createLog, type Log } from '../observe/log.ts';
import type { ReaderReport } from '../kube/reader-report.ts';
import { ensureHeartbeatSecret } from '../kube/heartbeat-secret.ts';
import { createMetrics } from '../observe/metrics.ts';
import { startServer } from '../observe/server.ts';
import { createTelemetry } from '../observe/telemetry.ts';
import { connectBy } from './access.ts';
import { LocalDoor } from './local-cluster.ts';
import { startProviders } from './providers.ts';
import { loadSettings } from './settings.ts';
import { exit } from './table.ts';
import { version } from './version.ts';
import { controllerView } from './controller-view.ts';
import type { ControllerInput } from './controller.ts';

/** @returns the exit code. */
export async function runController({ flags, shell }: ControllerInput): Promise<number> {
  const settings = await loadSettings(flags.config, shell);
  if (!settings) return exit.problem;
  const log = createLog({
    level: flags['log-level'],
    form:
      flags['log-form'] === 'text' || (flags['log-form'] === undefined && shell.interactive)
        ? 'text'
        : 'json',
    write: shell.out,
    now: Date.now,
  });
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log.info('stopping', { signal: name });
      stop.abort(new Error(name));
    });
  }
  const clock = systemClock;
  const random = Math.random;
  const metrics = createMetrics({ version, processMetrics: true });
  const telemetry = createTelemetry({ log, metrics });
  try {
    const api = await connectBy(flags, { clock, random });
    const id = settings.cluster.id ?? (await readClusterId(api));
    const cluster = { name: settings.cluster.name ?? id, id };
    const identity = `${hostname()}-${randomBytes(4).toString('hex')}`;
    const events = new EventRecorder({
      api,
      instance: identity,
      clock,
      random,
      report: (error) => log.warn('event not written', { error }),
    });
    const door = new Door({
      api,
      clock,
      random,
      report: readerLog(log),
    });
    const localDoor = settings.providers.has('local')
      ? new LocalDoor({ api, door, clock, random, report: readerLog(log) })
      : undefined;
    const neighbours = new Neighbourhood();
    const neighbour = (): string | undefined => neighbours.shown();
    const running = await startProviders(settings, {
      clock,
      random,
      onCall: telemetry.call,
      neighbour,
      ...(localDoor === undefined ? {} : { cluster: localDoor }),
    });
    const elector = new Elector({
      api,
      lease: settings.controller.lease,
      identity,
      clock,
      random,
      report: (event) => {
        if (event.kind === 'failed') log.warn(`lease: could not ${event.doing} it`, { error: event.error });
        else if (event.kind === 'lost') log.error('lease lost: all work is ended', { error: event.error });
        else log.info(`lease ${event.kind}`, event.kind === 'waiting' ? { holder: event.holder } : {});
      },
    });
    let leading: Controller | undefined;
    door.connect({
      serviceChanged: (before, after) => {
        if (!neighbours.note(before, after)) return;
        // Who was left alone may be ours now.
        for (const one of door.services())
          if (one.type === 'LoadBalancer' && one.loadBalancerClass === undefined) leading?.look(one.key);
      },
      nodeChanged: () => undefined,
      slicesChanged: () => undefined,
    });
    const view = controllerView({
      door: {
        services: () => door.services(),
        states: () => ({ ...door.states(), ...localDoor?.states() }),
      },
      elector,
      clock,
      controller: () => leading,
    });
    const { local } = running;
    metrics.readFrom({ ...view.metrics, ...(local === undefined ? {} : { pools: () => local.pools() }) });
    const server = await startServer(flags.listen ?? settings.controller.listen, {
      ...view.server,
      metrics: async () => ({ text: await metrics.text(), contentType: metrics.contentType }),
    });
    log.info('started', {
      version,
      cluster: cluster.name,
      providers: [...running.providers.keys()].join(','),
      port: server.port,
      server: api.server,
    });

    const lead = async (term: Term): Promise<void> => {
      const controller = new Controller({
        clock,
        random,
        cluster,
        view: door,
        writer: clusterWriter(new Writer(api), events),
        providers: running.providers,
        options: controllerOptions(settings.controller, [...running.providers.keys()], neighbour),
        workers: settings.controller.workers,
        telemetry,
        permit: () => term.guard(),
      });
      const ended = AbortSignal.any([term.signal, stop.signal]);
      const disconnect = door.connect(controller);
      leading = controller;
      controller.start();
      const keeping = running.local?.lead({
        wake: (key) => controller.look(key),
        permit: () => term.guard(),
        report: (error) => log.warn('pools: could not be kept up to date', { error }),
      });
      if (running.local !== undefined) {
        ensureHeartbeatSecret(api, settings.controller.lease.namespace, ended).catch((error: unknown) =>
          log.warn('the key of the heartbeats could not be made', { error: asSluiceError(error) }),
        );
      }
      log.info('serving');
      const endCollecting = collectWhenIdle({
        clock,
        idle: () => {
          const { ready, inFlight } = controller.queue.state;
          return ready === 0 && inFlight === 0;
        },
      });
      await new Promise<void>((resolve) => {
        if (ended.aborted) resolve();
        ended.addEventListener('abort', () => resolve(), { once: true });
      });
      endCollecting();
      disconnect();
      leading = undefined;
      await keeping?.();
      await controller.stop(ended.reason);
    };
    await startDoor([door, ...(localDoor === undefined ? [] : [localDoor])], stop.signal);
    if (!stop.signal.aborted) await elector.run(lead, stop.signal);
    await events.stop();
    await door.stop();
    await localDoor?.stop();
    await server.close();
    running.close();
    await api.close();
    log.info('stopped');
    return exit.ok;
  } catch (thrown) {
    log.error('cannot go on', { error: asSluiceError(thrown) });
    return exit.problem;
  }
}

/** Waits for the first complete lists, or for the end of the process if that comes first. */
async function startDoor(doors: readonly { start(): Promise<void> }[], stop: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) =>
    stop.addEventListener('abort', () => resolve(), { once: true }),
  );
  await Promise.race([Promise.all(doors.map((door) => door.start())), stopped]);
}

function readerLog(log: Log): (event: ReaderReport) => void {
  return (event) => {
    if (event.kind === 'failed')
      log.warn(`reading ${event.reader} failed`, { error: event.error, retryInMs: event.retryInMs });
    else if (event.kind !== 'listed')
      log.error(`reading ${event.reader}: ${event.kind}`, { error: event.error });
    else log.debug(`listed ${event.reader}`, { objects: event.objects, ms: Math.round(event.ms) });
    if (event.kind === 'failed' && event.error.kind === 'gone' && ours.has(event.reader))
      log.error('the kinds of local mode are not installed: kubectl apply -k manifests/crds');
  };
}

const ours: ReadonlySet<string> = new Set(['addresspools', 'serviceaddresses']);
