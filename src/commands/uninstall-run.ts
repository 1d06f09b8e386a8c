/**
 * `sluice uninstall`: takes Sluice's mark off every Service, in order, so that nobody is left with Services
 * that cannot be deleted. The balancers are deleted first, or kept as they are, by choice.
 *
 * It holds the controller's Lease while it works, so that no controller makes anew what it takes away.
 */
import { ownMarks, servedByAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import type { Context } from '../controller/context.ts';
import { silent } from '../core/telemetry.ts';
import { clusterWriter, type Door } from '../controller/door.ts';
import { Memories, newMemory } from '../controller/memory.ts';
import { controllerOptions } from '../controller/options.ts';
import { release } from '../controller/release.ts';
import { sleep, systemClock } from '../core/clock.ts';
import { asSluiceError } from '../core/errors.ts';
import type { ServiceObject } from '../core/objects.ts';
import type { AnyProvider, ProviderName } from '../core/provider.ts';
import { EventRecorder } from '../kube/events.ts';
import { Elector, type Term } from '../kube/lease.ts';
import { readClusterId, Writer } from '../kube/writer.ts';
import { connectBy } from './access.ts';
import { agreed } from './consent.ts';
import type { LocalDoor } from './local-cluster.ts';
import { openDoor, openLocalDoor } from './picture.ts';
import { startProviders, type RunningProviders } from './providers.ts';
import { loadSettings } from './settings.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';
import type { UninstallFlags } from './uninstall.ts';

/** How long to wait for a controller that still runs to give the Lease up. */
const leaseWaitMs = 30_000;
/** How long one Service may take; a cloud that is busy is asked again. */
const serviceLimitMs = 300_000;

/** @returns the exit code. */
export async function runUninstall(
  flags: UninstallFlags,
  balancers: 'delete' | 'keep',
  shell: Shell,
): Promise<number> {
  const settings = await loadSettings(flags.config, shell);
  if (!settings) return exit.problem;
  const clock = systemClock;
  const random = Math.random;
  const api = await connectBy(flags);
  let opened: Door | undefined;
  let local: LocalDoor | undefined;
  let running: RunningProviders | undefined;
  const identity = `uninstall-${hostname()}-${randomBytes(4).toString('hex')}`;
  const events = new EventRecorder({ api, instance: identity });
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('interrupted')));
  try {
    const door = await openDoor(api);
    opened = door;
    local = await openLocalDoor(api, door, settings);
    const parts = { clock, random, onCall: () => undefined };
    const started = await startProviders(
      settings,
      local === undefined ? parts : { ...parts, cluster: local },
    );
    running = started;
    const held = [...door.services()].filter(({ finalizers }) => finalizers.includes(finalizer));
    if (held.length === 0) {
      shell.out('No Service bears the finalizer sluice.dev/balancer: nothing to do.\n');
      return exit.ok;
    }
    shell.out(
      `${held.length} ${held.length === 1 ? 'Service' : 'Services'}; the balancers are ${balancers === 'keep' ? 'kept' : 'DELETED'}:\n`,
    );
    for (const service of held) shell.out(`  ${service.key}  ${addressOf(service)}\n`);
    if (!flags.yes && !(await agreed(shell))) return exit.problem;
    const id = settings.cluster.id ?? (await readClusterId(api));
    let failures = 0;
    const work = async (term: Term): Promise<void> => {
      const context: Context = {
        clock,
        random,
        cluster: { name: settings.cluster.name ?? id, id },
        view: door,
        writer: clusterWriter(new Writer(api), events),
        providers: started.providers,
        options: controllerOptions(settings.controller, [...started.providers.keys()]),
        memories: new Memories(),
        telemetry: silent,
        permit: () => term.guard(),
      };
      for (const service of held) {
        const signal = AbortSignal.any([term.signal, stop.signal]);
        const why =
          balancers === 'keep' ? await keep(context, service, signal) : await drop(context, service, signal);
        if (why !== undefined) failures += 1;
        shell.out(
          why === undefined
            ? `  ${paint(shell, 'green', 'done')}  ${service.key}\n`
            : `  ${paint(shell, 'red', 'kept')}  ${service.key}: ${why}\n`,
        );
      }
    };
    const waiting = new AbortController();
    let began = false;
    const cancel = clock.schedule(leaseWaitMs, () => began || waiting.abort());
    const elector = new Elector({
      api,
      lease: settings.controller.lease,
      identity,
      report: (event) =>
        event.kind === 'waiting' && shell.err(`waiting for ${event.holder} to give the Lease up …\n`),
    });
    await elector.run(
      async (term) => {
        began = true;
        await work(term);
      },
      AbortSignal.any([waiting.signal, stop.signal]),
    );
    cancel();
    if (!began) {
      shell.err(
        `${paint(shell, 'red', 'sluice:')} a controller still holds the Lease; stop it first: kubectl -n ${settings.controller.lease.namespace} scale deployment sluice-controller --replicas 0\n`,
      );
      return exit.problem;
    }
    return failures === 0 ? exit.ok : exit.problem;
  } catch (thrown) {
    shell.err(`${paint(shell, 'red', 'sluice:')} ${asSluiceError(thrown).message}\n`);
    return exit.problem;
  } finally {
    await events.stop();
    await local?.stop();
    await opened?.stop();
    running?.close();
    await api.close();
  }
}

/** @returns why it could not be done, or undefined. */
async function keep(
  context: Context,
  service: ServiceObject,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    context.permit();
    await context.writer.removeFinalizer(service, ownMarks, signal);
    return undefined;
  } catch (thrown) {
    return asSluiceError(thrown).message;
  }
}

async function drop(
  context: Context,
  service: ServiceObject,
  signal: AbortSignal,
): Promise<string | undefined> {
  const recorded = service.annotations[servedByAnnotation] as ProviderName | undefined;
  const providers: AnyProvider[] = [...context.providers.values()].filter(
    ({ name }) => recorded === undefined || name === recorded,
  );
  if (providers.length === 0) return `provider ${recorded ?? ''} is not in the settings`;
  const owner = { cluster: context.cluster, service: service.key, uid: service.uid };
  const memory = context.memories.put(newMemory(owner, service.key, recorded ?? 'aws', context.clock.now()));
  const until = context.clock.now() + serviceLimitMs;
  for (;;) {
    try {
      const live = await context.writer.getService(service.key, signal);
      if (live?.uid !== service.uid) return undefined;
      const outcome = await release(context, providers, live, memory, signal);
      if (outcome.kind === 'done') return undefined;
      const why =
        outcome.kind === 'retry'
          ? outcome.error.message
          : (memory.lastPass?.problems[0]?.message ?? memory.lastPass?.error ?? 'the cloud is not done yet');
      const wait = outcome.kind === 'after' ? outcome.ms : 5_000;
      if (context.clock.now() + wait > until || memory.lastPass?.problems.length) return why;
      await sleep(context.clock, wait, signal);
    } catch (thrown) {
      return asSluiceError(thrown).message;
    }
  }
}

function addressOf(service: ServiceObject): string {
  return service.ingress.map((entry) => entry.hostname ?? entry.ip ?? '').join(', ') || '<no address>';
}
