/**
 * Brings up the agent of this node and keeps it until it is told to stop: readers, decisions, writers, health.
 *
 * The order matters: what is found wrong with the node is told before anything is written; nothing is written before
 * the lists, the Node object and the addresses are there; on the way out writes end first, rules stay.
 */
import { hostname } from 'node:os';
import { AddressWatch } from '../agent/addresses.ts';
import { Agent } from '../agent/agent.ts';
import { ServiceCounters } from '../agent/counters/counters.ts';
import { RoomWatch } from '../agent/conntrack/room.ts';
import { conntrackTable } from '../agent/conntrack/table.ts';
import { awaited } from '../agent/decide/node.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import { DecisionTracker } from '../agent/decide/tracker.ts';
import type { AgentDoor } from '../agent/door.ts';
import { spawnPiped } from '../agent/nftables/process.ts';
import { NodeChecks } from '../agent/node-checks.ts';
import { procSysctls } from '../agent/preflight.ts';
import { syncTimings } from '../agent/sync-report.ts';
import { systemSpawn, toolRunner } from '../agent/tool.ts';
import { sleep, systemClock } from '../core/clock.ts';
import { asSluiceError } from '../core/errors.ts';
import { eligibility } from '../core/nodes.ts';
import type { NodeObject } from '../core/objects.ts';
import { EventRecorder } from '../kube/events.ts';
import type { Log } from '../observe/log.ts';
import { collectWhenIdle, growFreely } from '../observe/collect.ts';
import { parseListen, type Listening } from '../observe/listening.ts';
import { createMetrics } from '../observe/metrics.ts';
import { startServer } from '../observe/server.ts';
import { announcing, setAnnounceGauges } from './agent-announce.ts';
import { countSeries, countsReport, packetSeries } from './agent-counters.ts';
import { removeCounting, type BackendKit } from './agent-backends.ts';
import type { OpenDoor } from './agent-door.ts';
import type { AgentChoice, AgentFlags } from './agent-flags.ts';
import { setAgentGauges } from './agent-gauges.ts';
import { startHealthServer } from './agent-health.ts';
import { agentTelemetry } from './agent-telemetry.ts';
import { agentView } from './agent-view.ts';
import { PendingChanges } from './pending-changes.ts';
import { version } from './version.ts';

export interface AgentRun {
  readonly flags: AgentFlags;
  readonly choice: AgentChoice;
  readonly settings: AgentSettings;
  readonly kit: BackendKit;
  readonly log: Log;
  readonly opened: OpenDoor;
  /** Ends the agent. */
  readonly stop: AbortSignal;
}

/** How long a port that is still another's is waited for before that is told again. */
const bindRetryMs = 1_000;

export async function runAgent({ flags, choice, settings, kit, log, opened, stop }: AgentRun): Promise<void> {
  const { api, door, listed } = opened;
  const growAsUsual = growFreely();
  const clock = systemClock;
  const random = Math.random;
  const run = toolRunner(systemSpawn);
  const metrics = createMetrics({ of: 'agent', version, processMetrics: true });
  const events = new EventRecorder({
    api,
    instance: process.env['POD_NAME'] ?? hostname(),
    controller: 'sluice.dev/agent',
    clock,
    random,
    report: (error) => log.warn('event not written', { error }),
  });
  const pending = new PendingChanges(settings.families);
  const telemetry = agentTelemetry({
    log,
    metrics,
    events,
    clock,
    random,
    backend: kit.name,
    node: { name: settings.nodeName, uid: () => door.node()?.uid },
    service: (key) => door.service(key),
    pending,
    stop,
  });
  const addresses = new AddressWatch({
    run,
    spawn: systemSpawn,
    clock,
    random,
    onChange: () => agent.addressesChanged(),
    report: (error) => log.warn('addresses of the node could not be read', { error }),
  });
  const tracker = new DecisionTracker(settings);
  const mode = flags.counters;
  const agent: Agent = new Agent({
    view: door,
    tracker,
    backends: settings.families.map((family) => kit.open(family)),
    addresses: () => addresses.addresses,
    conntrack: choice.forget === 'nothing' ? undefined : conntrackTable(run),
    resetTcp: choice.forget === 'udp+tcp',
    counters:
      mode === 'off'
        ? undefined
        : (family, source) =>
            new ServiceCounters({
              family,
              mode,
              start: spawnPiped,
              source,
              clock,
              report: (event) => telemetry.counters(event),
            }),
    clock,
    random,
    timings: { ...syncTimings, verifyMs: flags['verify-every'] },
    telemetry,
  });
  const doorReady = Promise.withResolvers<void>();
  const announce = announcing({
    flags,
    api,
    door,
    doorReady: doorReady.promise,
    nodeName: settings.nodeName,
    log,
    metrics,
    events,
    clock,
    random,
  });
  metrics.readFrom({
    ...agentView({ door, agent, announce, clock }).metrics,
    refresh: () => {
      setAgentGauges({ metrics, agent, decisions: (family) => tracker.decisions(family), pending, clock });
      if (announce !== undefined) setAnnounceGauges(metrics, announce);
    },
  });
  const checks = new NodeChecks({
    sysctls: procSysctls,
    run,
    families: settings.families,
    nodePorts: () => agent.nodePorts(),
    limits: () => kit.limits(tracker.decisions()),
    range: choice.nodePortRange,
    answersAt: () => agent.nodePortAddresses(),
    healthPorts: () => (settings.scope === 'all' ? agent.healthPorts() : undefined),
    clock,
    found: (finding) => telemetry.found(finding),
  });
  const room = new RoomWatch({
    sysctls: procSysctls,
    clock,
    seen: ({ entries, limit }) => {
      metrics.set('conntrackEntries', {}, entries);
      metrics.set('conntrackLimit', {}, limit);
    },
    found: (finding) => telemetry.found(finding),
  });
  const { host, port } = parseListen(choice.healthBind);
  const closers: (() => Promise<void>)[] = [];
  try {
    // Ends before what it tells; whoever opened it closes it.
    closers.push(() => door.stop());
    door.foretell(agent.prepare());
    const addressed = addresses.start();
    addressed.catch(() => undefined);
    closers.push(() => addresses.stop());
    const server = await startServer(flags.listen, {
      ...agentView({ door, agent, announce, clock }).server,
      counters: async () => countsReport(settings.nodeName, mode, await agent.counters()),
      metrics: async () => {
        await Promise.all([countSeries(metrics, agent, log), packetSeries(metrics, agent, log)]);
        return { text: await metrics.text(), contentType: metrics.contentType };
      },
    });
    closers.push(() => server.close());
    // kube-proxy may still hold the port while it is being replaced: the rules do not wait for that.
    const health = bindHealth(
      () =>
        startHealthServer({
          host,
          port,
          health: () => agent.health(),
          wall: () => clock.wall(),
          onAnswer: (path, status) =>
            metrics.count(path === 'healthz' ? 'proxyHealthz' : 'proxyLivez', { code: String(status) }),
        }),
      log,
      stop,
    );
    closers.push(async () => (await health)?.close());
    log.info('started', {
      version,
      node: settings.nodeName,
      scope: settings.scope,
      backend: kit.text,
      families: settings.families.join(','),
      metrics: server.port,
      server: api.server,
    });
    await addressed;
    // Everything that they are foretold to is there.
    opened.take();
    if (announce !== undefined) {
      // Ends before the readers: addresses are handed over, or kept for the next agent; rules stay anyway.
      const begun = announce.start();
      closers.push(async () => {
        await announce.end(leaves(announce.node) ? 'release' : 'keep');
        await begun;
      });
    }
    closers.push(() => agent.stop());
    await untilStopped(
      listed.then(() => doorReady.resolve()),
      stop,
    );
    await nodeKnown(door, settings, log, stop);
    if (!stop.aborted) {
      agent.start();
      checks.start();
      room.start();
      closers.push(async () => {
        checks.stop();
        room.stop();
      });
      // A collection takes as long as many changes do: not between two of them.
      const restedMs = 2_000;
      const endCollecting = collectWhenIdle({
        clock,
        idle: () =>
          [...agent.states().values()].every(
            ({ waitingSince, writing, writtenAt }) =>
              !writing && waitingSince === undefined && clock.wall() - (writtenAt ?? 0) > restedMs,
          ),
      });
      closers.push(async () => endCollecting());
      log.info('serving', { services: [...door.services()].length });
      await untilStopped(
        agent.written().then(() => {
          growAsUsual();
          return leaveOthers(kit, mode, log);
        }),
        stop,
      );
      await untilStopped(new Promise(() => undefined), stop);
    }
  } finally {
    for (const close of closers.toReversed()) await close();
    await events.stop();
  }
}

/** The node is being emptied or goes away: no agent will come back to its addresses in a moment. */
function leaves(node: NodeObject | undefined): boolean {
  return node !== undefined && (node.unschedulable || eligibility(node) !== undefined);
}

/** Rules of ours that another backend has written would translate a second time. */
async function leaveOthers(kit: BackendKit, mode: AgentFlags['counters'], log: Log): Promise<void> {
  try {
    // Counting that was asked for before, and is no more.
    if (mode === 'off') for (const line of (await removeCounting(systemSpawn)).removed) log.info(line);
    for (const line of await kit.removeOthers()) log.info(line);
  } catch (thrown) {
    log.warn('rules that another backend of ours has left could not be removed', {
      error: asSluiceError(thrown),
    });
  }
}

/** Waits for the node's own object, and says what it waits for. */
async function nodeKnown(
  door: AgentDoor,
  settings: AgentSettings,
  log: Log,
  stop: AbortSignal,
): Promise<void> {
  let told = '';
  for (;;) {
    const missing = awaited(door.node(), settings);
    if (missing === undefined || stop.aborted) return;
    if (missing !== told) {
      told = missing;
      log.error(`nothing is written before ${missing} is there; the rules of before stay`, {
        cure: 'is --node-name (or NODE_NAME) the name that `kubectl get nodes` shows?',
      });
    }
    await sleep(systemClock, 200, stop).catch(() => undefined);
  }
}

async function bindHealth(
  start: () => Promise<Listening>,
  log: Log,
  stop: AbortSignal,
): Promise<Listening | undefined> {
  let told = false;
  while (!stop.aborted) {
    try {
      return await start();
    } catch (thrown) {
      if (!told) log.error('health is not served yet', { error: asSluiceError(thrown) });
      told = true;
      await sleep(systemClock, bindRetryMs, stop).catch(() => undefined);
    }
  }
  return undefined;
}

async function untilStopped(work: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([work, stopped]);
}
