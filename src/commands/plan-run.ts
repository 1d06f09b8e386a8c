/**
 * `sluice plan`: what would be called, in which order, why, and what is risky. Nothing is changed anywhere.
 *
 * Offline (`-f`) it needs no cluster and no credentials and plans as if nothing existed; without `-f` it
 * reads the live cluster and account with the very code that the controller runs.
 */
import { controllerOptions } from '../controller/options.ts';
import type { Door } from '../controller/door.ts';
import { preview, type Preview, type PreviewContext } from '../controller/preview.ts';
import type { ClusterView } from '../controller/cluster.ts';
import { systemClock } from '../core/clock.ts';
import { Neighbourhood } from '../core/neighbours.ts';
import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import type { ClusterIdentity, ProviderName } from '../core/provider.ts';
import { readClusterId } from '../kube/writer.ts';
import { describeFileProblem, readSettings, type Settings } from '../settings/read.ts';
import { connectBy } from './access.ts';
import { readManifests, type Manifests } from './manifest-files.ts';
import { openDoor, openLocalDoor } from './picture.ts';
import type { LocalCluster } from '../../providers/local/cluster.ts';
import type { RunningLocal } from '../../providers/local/start.ts';
import type { LocalDoor } from './local-cluster.ts';
import { describeProblem } from '../core/problems.ts';
import { planDocument, planExitCode, planText } from './plan-report.ts';
import { providerChecks, startProviders } from './providers.ts';
import { loadSettings } from './settings.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';
import type { PlanInput } from './plan.ts';

/** Stands in offline where the settings name no cluster: the plan is an example, and says so by this name. */
const offlineCluster: ClusterIdentity = { name: 'example', id: '00000000-0000-0000-0000-000000000000' };

/** @returns the exit code. */
export async function runPlan({ flags, words, shell }: PlanInput): Promise<number> {
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort(new Error('interrupted')));
  const only =
    words.length === 0 ? undefined : new Set(words.map((word) => word.replace(/^(svc|service)s?\//u, '')));
  const previews =
    flags.file.length > 0
      ? await offline(flags.file, flags.config, only, shell, abort.signal)
      : await live(flags, only, shell, abort.signal);
  if (!previews) return exit.problem;
  const document = planDocument(previews);
  shell.out(
    flags.output === 'json'
      ? `${JSON.stringify(document, undefined, 2)}\n`
      : planText(document, (style, text) => paint(shell, style, text)),
  );
  return planExitCode(document);
}

async function offline(
  paths: readonly string[],
  config: string | undefined,
  only: ReadonlySet<string> | undefined,
  shell: Shell,
  signal: AbortSignal,
): Promise<readonly Preview[] | undefined> {
  const manifests = await readManifests(paths);
  for (const mistake of manifests.mistakes) shell.err(`${paint(shell, 'red', 'error:')} ${mistake}\n`);
  if (manifests.mistakes.length > 0) return undefined;
  const settings =
    config === undefined ? await settingsAmong(manifests, shell) : await loadSettings(config, shell);
  if (!settings) return undefined;
  const cluster = {
    name: settings.cluster.name ?? offlineCluster.name,
    id: settings.cluster.id ?? offlineCluster.id,
  };
  return await previewAll({
    settings,
    cluster,
    view: fixedView(manifests),
    ...(await poolsAmong(manifests)),
    live: false,
    only,
    shell,
    signal,
  });
}

/** Without pools among the files local mode plans as if it knew none. */
async function poolsAmong(manifests: Manifests): Promise<{ readonly local?: LocalCluster }> {
  if (manifests.pools.length === 0) return {};
  const { fileCluster } = await import('./file-cluster.ts');
  return { local: fileCluster(manifests) };
}

/** The settings that stand among the manifests. */
async function settingsAmong(manifests: Manifests, shell: Shell): Promise<Settings | undefined> {
  const [first, second] = manifests.settings;
  if (!first || second) {
    const found = second
      ? `both ${first?.file} and ${second.file} hold settings`
      : 'no settings among the files';
    shell.err(`${paint(shell, 'red', 'error:')} ${found}; name one with --config FILE\n`);
    return undefined;
  }
  const { settings, problems } = readSettings(first.text, first.file, await providerChecks());
  for (const problem of problems) shell.err(`${problem.severity}: ${describeFileProblem(problem)}\n`);
  return problems.some(({ severity }) => severity === 'error') ? undefined : settings;
}

async function live(
  flags: {
    readonly config: string | undefined;
    readonly kubeconfig: string | undefined;
    readonly context: string | undefined;
  },
  only: ReadonlySet<string> | undefined,
  shell: Shell,
  signal: AbortSignal,
): Promise<readonly Preview[] | undefined> {
  if (flags.config === undefined) {
    shell.err(
      `${paint(shell, 'red', 'error:')} name the settings with --config FILE, or plan offline with -f FILES\n`,
    );
    return undefined;
  }
  const settings = await loadSettings(flags.config, shell);
  if (!settings) return undefined;
  const api = await connectBy(flags);
  let door: Door | undefined;
  let local: LocalDoor | undefined;
  try {
    const id = settings.cluster.id ?? (await readClusterId(api));
    door = await openDoor(api);
    local = await openLocalDoor(api, door, settings);
    return await previewAll({
      settings,
      cluster: { name: settings.cluster.name ?? id, id },
      view: door,
      local,
      live: true,
      only,
      shell,
      signal,
    });
  } finally {
    await local?.stop();
    await door?.stop();
    await api.close();
  }
}

async function previewAll(parts: {
  readonly settings: Settings;
  readonly cluster: ClusterIdentity;
  readonly view: ClusterView;
  readonly local?: LocalCluster | undefined;
  readonly live: boolean;
  readonly only: ReadonlySet<string> | undefined;
  readonly shell: Shell;
  readonly signal: AbortSignal;
}): Promise<readonly Preview[] | undefined> {
  const { settings, cluster, view, only, shell, signal } = parts;
  const clock = systemClock;
  const neighbours = Neighbourhood.of(view.services());
  const neighbour = (): string | undefined => neighbours.shown();
  const running = await startProviders(settings, {
    clock,
    neighbour,
    random: Math.random,
    onCall: () => undefined,
    ...(parts.local === undefined ? {} : { cluster: parts.local }),
  });
  const context: PreviewContext = {
    clock,
    cluster,
    view,
    providers: running.providers,
    ...(parts.local === undefined ? {} : { atHand: localOnly }),
    options: controllerOptions(settings.controller, [...running.providers.keys()], neighbour),
  };
  try {
    const chosen = [...view.services()]
      .filter((service) => concerns(service, only))
      .toSorted((a, b) => a.key.localeCompare(b.key));
    const missing = [...(only ?? [])].filter(
      (name) => !chosen.some((service) => service.key === name || service.name === name),
    );
    for (const name of missing) shell.err(`${paint(shell, 'red', 'error:')} there is no Service ${name}\n`);
    if (missing.length > 0) return undefined;
    if (!parts.live && poolMistakes(running.local, shell)) return undefined;
    const previews: Preview[] = [];
    for (const service of chosen) previews.push(await preview(context, service, parts.live, signal));
    return previews;
  } finally {
    running.close();
  }
}

const localOnly: ReadonlySet<ProviderName> = new Set(['local']);

/** Tells what is wrong with pools among the files; true where one gives out nothing for it. */
function poolMistakes(local: RunningLocal | undefined, shell: Shell): boolean {
  if (local === undefined || !local.ledger.canStart) return false;
  local.ledger.start();
  const told = local.ledger.judged.flatMap(({ name, problems }) =>
    problems.map((problem) => ({ name, problem })),
  );
  for (const { name, problem } of told) {
    const word =
      problem.severity === 'error' ? paint(shell, 'red', 'error:') : paint(shell, 'yellow', 'warning:');
    shell.err(`${word} AddressPool ${name}: ${describeProblem(problem)}\n`);
  }
  return told.some(({ problem }) => problem.severity === 'error');
}

function concerns(service: ServiceObject, only: ReadonlySet<string> | undefined): boolean {
  if (only) return only.has(service.key) || only.has(service.name);
  return service.type === 'LoadBalancer' || service.finalizers.length > 0;
}

/** Manifests as the controller sees a cluster. */
function fixedView({ services, nodes, slices }: Manifests): ClusterView {
  const byKey = new Map<ObjectKey, ServiceObject>(services.map((service) => [service.key, service]));
  return {
    service: (key) => byKey.get(key),
    services: () => byKey.values(),
    nodes: () => nodes,
    slices: (service) => slices.filter((slice) => slice.service === service),
    caughtUp: () => true,
  };
}
