/**
 * `sluice migrate --from alibaba-cloud-controller-manager`: balancers that the cloud's own controller made.
 *
 * For each Service: our finalizer and a pause; our tags and name on the balancer, the other controller's off; a
 * look whether all of it is there; then the other controller's finalizer off and the pause over. Whatever
 * stops it between two of these, the balancer goes on and the command can be run again.
 */
import { controllerOptions } from '../controller/options.ts';
import { prepare } from '../controller/look.ts';
import { servedBy } from '../controller/served.ts';
import type { AlibabaWanted } from '../../providers/alibaba/wanted.ts';
import type { RunningAlibaba } from '../../providers/alibaba/start.ts';
import type { TakeOver } from '../../providers/alibaba/take-over.ts';
import { systemClock } from '../core/clock.ts';
import { asSluiceError, isSluiceError, SluiceError } from '../core/errors.ts';
import type { ServiceObject } from '../core/objects.ts';
import { emptyPlan } from '../core/plan.ts';
import { hasErrors } from '../core/problems.ts';
import type { AnyProvider, ClusterIdentity } from '../core/provider.ts';
import type { Door } from '../controller/door.ts';
import { readClusterId, servicePath, Writer } from '../kube/writer.ts';
import type { Settings } from '../settings/read.ts';
import { connectBy } from './access.ts';
import { agreed } from './consent.ts';
import {
  asStep,
  changed,
  handing,
  holding,
  isPausedByUser,
  isServedByOther,
  obstacle,
  type Change,
} from './migrate-alibaba-service.ts';
import {
  isLeft,
  migrationDocument,
  migrationText,
  type Migration,
  type Result,
} from './migrate-alibaba-report.ts';
import type { MigrationInput, MigrationSource } from './migrate-source.ts';
import { openDoor } from './picture.ts';
import { loadSettings } from './settings.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';

const from = 'alibaba-cloud-controller-manager';
/** How often a patch is tried again because somebody else wrote the Service meanwhile. */
const rounds = 5;

export const fromAlibaba: MigrationSource = {
  async run(input) {
    const { shell } = input;
    const settings = await loadSettings(input.config, shell);
    if (!settings) return exit.problem;
    const section = settings.providers.get('alibaba');
    if (section === undefined) {
      shell.err(`${paint(shell, 'red', 'sluice:')} ${input.config} has no providers.alibaba; add it\n`);
      return exit.problem;
    }
    const { startAlibaba } = await import('../../providers/alibaba/start.ts');
    const running = await startAlibaba(section, {
      clock: systemClock,
      random: Math.random,
      onCall: () => undefined,
    });
    const api = await connectBy(input);
    const abort = new AbortController();
    process.once('SIGINT', () => abort.abort(new Error('interrupted')));
    let door: Door | undefined;
    try {
      door = await openDoor(api);
      const id = settings.cluster.id ?? (await readClusterId(api));
      const cluster = { name: settings.cluster.name ?? id, id };
      const writer = new Writer(api);
      return await migrate(input, { running, door, cluster, settings, writer, signal: abort.signal });
    } finally {
      await door?.stop();
      running.close();
      await api.close();
    }
  },
};

interface Parts {
  readonly running: RunningAlibaba;
  readonly door: Door;
  readonly cluster: ClusterIdentity;
  readonly settings: Settings;
  readonly writer: Writer;
  readonly signal: AbortSignal;
}

async function migrate(input: MigrationInput, parts: Parts): Promise<number> {
  const { shell, only } = input;
  const services = [...parts.door.services()]
    .filter((service) => only === undefined || only.has(service.key) || only.has(service.name))
    .toSorted((a, b) => a.key.localeCompare(b.key));
  const missing = [...(only ?? [])].filter(
    (name) => !services.some((service) => service.key === name || service.name === name),
  );
  for (const name of missing) shell.err(`${paint(shell, 'red', 'sluice:')} there is no Service ${name}\n`);
  if (missing.length > 0) return exit.problem;
  const migrations: Migration[] = [];
  for (const service of services.filter(isServedByOther)) migrations.push(await planOne(parts, service));

  const tellAsJson = (results: ReadonlyMap<Migration, Result>): void =>
    shell.out(`${JSON.stringify(migrationDocument(from, migrations, results), undefined, 2)}\n`);
  const asText = input.output === 'text';
  if (asText && migrations.length === 0) {
    shell.out('No Service bears a finalizer of the other controller: nothing to do.\n');
    return exit.ok;
  }
  if (asText) shell.out(migrationText(migrationDocument(from, migrations, new Map()), painter(shell)));
  const todo = migrations.filter((one) => !isLeft(one));
  const someLeft = todo.length < migrations.length;
  const stopHere = input.planOnly || (!asText && !input.yes);
  if (todo.length === 0 || stopHere) {
    if (!asText) tellAsJson(new Map());
    return todo.length > 0 ? exit.changes : someLeft ? exit.left : exit.ok;
  }
  if (!input.yes && !(await agreed(shell))) return exit.problem;
  const results = new Map<Migration, Result>();
  for (const one of todo) {
    const why = await carryOut(parts, one);
    results.set(one, { outcome: why === undefined ? 'done' : 'failed', why: why ?? '' });
    if (asText) tellResult(shell, one, why);
  }
  if (!asText) tellAsJson(results);
  const failed = [...results.values()].some(({ outcome }) => outcome === 'failed');
  return failed ? exit.problem : someLeft ? exit.left : exit.ok;
}

function tellResult(shell: Shell, { service }: Migration, why: string | undefined): void {
  shell.out(
    why === undefined
      ? `  ${paint(shell, 'green', 'done')}  ${service.key}\n`
      : `  ${paint(shell, 'red', 'failed')}  ${service.key}: ${why}\n`,
  );
}

/** Reads, and changes nothing. */
async function planOne(parts: Parts, service: ServiceObject): Promise<Migration> {
  const rules = controllerOptions(parts.settings.controller, [...parts.settings.providers.keys()]).claim;
  const left = (problems: Migration['problems'], balancer?: TakeOver['balancer']): Migration => ({
    service,
    balancer,
    steps: [],
    first: emptyPlan,
    problems,
  });
  const refused = obstacle(service, rules);
  if (refused !== undefined) return left([refused]);
  const hold = holding(service);
  const held = hold === undefined ? service : changed(service, hold);
  const hand = handing(held, isPausedByUser(service));
  const after = changed(held, hand);
  try {
    const { takeOver, problems } = await lookAt(parts, after);
    if (hasErrors([...problems, ...takeOver.problems]))
      return left([...problems, ...takeOver.problems], takeOver.balancer);
    return {
      service,
      balancer: takeOver.balancer,
      first: takeOver.first,
      problems: [...problems, ...takeOver.problems],
      steps: [
        ...(hold === undefined
          ? []
          : [asStep(service, hold, 'hold', 'our finalizer comes first, and nothing is done meanwhile')]),
        ...takeOver.steps,
        asStep(service, hand, 'hand', 'the other controller has nothing to do with it any more'),
      ],
    };
  } catch (thrown) {
    if (parts.signal.aborted || !isSluiceError(thrown)) throw thrown;
    const { message } = thrown;
    const cure = 'mend what it says and run the command again';
    return left([
      { severity: 'error', reason: 'SyncLoadBalancerFailed', field: 'metadata.uid', message, cure },
    ]);
  }
}

async function lookAt(
  { running, door, cluster, settings, signal }: Parts,
  service: ServiceObject,
): Promise<{ readonly takeOver: TakeOver; readonly problems: Migration['problems'] }> {
  const options = controllerOptions(settings.controller, [...settings.providers.keys()]);
  const provider = running.provider as AnyProvider;
  const { desired, problems } = prepare({ cluster, view: door, options }, provider, service, () => [
    ...servedBy({ view: door, options }, 'alibaba'),
    service,
  ]);
  const owner = { cluster, service: service.key, uid: service.uid };
  const wanted = desired.wanted as AlibabaWanted;
  return { takeOver: await running.takeOver({ owner, wanted, signal }), problems };
}

/** @returns why it could not be done, or undefined. */
async function carryOut(parts: Parts, { service, steps }: Migration): Promise<string | undefined> {
  const { running, writer, signal } = parts;
  try {
    const userPaused = isPausedByUser(service);
    await patch(writer, service, (live) => holding(live), signal);
    for (const step of steps) {
      if (step.operation === 'PatchService') continue;
      await running.provider.apply(step, step.parameters, signal);
    }
    const live = await writer.getService(service.key, { signal });
    const { takeOver } = await lookAt(parts, changed(live, handing(live, userPaused)));
    const [problem] = takeOver.problems.filter(({ severity }) => severity === 'error');
    if (problem !== undefined || takeOver.steps.length > 0)
      return `the balancer is not as it should be (${problem?.message ?? takeOver.steps.map(({ operation }) => operation).join(', ')}); the Service stays paused, run the command again`;
    await patch(writer, service, (now) => handing(now, userPaused), signal);
    return undefined;
  } catch (thrown) {
    return `${asSluiceError(thrown).message}; run the command again`;
  }
}

/** One merge patch, tied to the version that it was computed from. */
async function patch(
  writer: Writer,
  service: ServiceObject,
  compute: (live: ServiceObject) => Change | undefined,
  signal: AbortSignal,
): Promise<void> {
  for (let round = 1; ; round += 1) {
    const live = await writer.getService(service.key, { signal });
    if (live.uid !== service.uid || live.deleting || !isServedByOther(live))
      throw new SluiceError('conflict', `service ${service.key} was deleted or changed hands meanwhile`, {
        code: 'ChangedMeanwhile',
        action: 'patch services',
      });
    const change = compute(live);
    if (change === undefined) return;
    const { uid, resourceVersion } = live;
    try {
      await writer.patch(
        servicePath(service.key),
        { metadata: { ...change, uid, resourceVersion } },
        { signal },
      );
      return;
    } catch (error) {
      if (!isSluiceError(error) || error.kind !== 'conflict' || round >= rounds) throw error;
    }
  }
}

function painter(shell: Shell): (style: Parameters<typeof paint>[1], text: string) => string {
  return (style, text) => paint(shell, style, text);
}
