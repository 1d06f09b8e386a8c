/**
 * `sluice agent --dry-run`: what would be written on a node, as the text that the tools would be given, and on standard
 * error what an agent would complain of. The very backends write it, and the very counters where they are asked for, with
 * a stand-in for the programs that takes down what it is told and touches nothing.
 */
import { ServiceCounters } from '../agent/counters/counters.ts';
import type { CounterMode } from '../agent/counters/layout.ts';
import { decideNode } from '../agent/decide/node.ts';
import { notServed, ownProxyName, proxyNameLabel } from '../agent/decide/service.ts';
import { serviceProblems } from '../agent/decide/service-check.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import { viewNode } from '../agent/decide/view.ts';
import { decideWorld } from '../agent/decide/world.ts';
import { inScope } from '../agent/door.ts';
import type { DecisionSource } from '../agent/sync.ts';
import { systemClock } from '../core/clock.ts';
import type { IpFamily } from '../core/objects.ts';
import { describeProblem, hasErrors } from '../core/problems.ts';
import type { AgentChoice, AgentFlags } from './agent-flags.ts';
import { settingsProblems } from './agent-settings-problems.ts';
import { worldFromCluster, worldFromFiles } from './agent-world.ts';
import { paint, type Shell } from './shell.ts';
import { Recorder, standIn } from './stand-in.ts';
import { exit } from './table.ts';

export async function dryRun(flags: AgentFlags, choice: AgentChoice, shell: Shell): Promise<number> {
  const named = flags['node-name'] === undefined ? undefined : choice.settings.nodeName;
  const picture =
    flags.filename.length > 0
      ? await worldFromFiles(flags.filename, named)
      : await worldFromCluster(flags, choice, flags['api-server']);
  for (const mistake of picture.mistakes) shell.err(`${paint(shell, 'red', 'sluice:')} ${mistake}\n`);
  if (picture.mistakes.length > 0) return exit.problem;
  const { node, services, slices } = picture;
  const note = (text: string): void => shell.err(`${paint(shell, 'yellow', 'note:')} ${text}\n`);
  if (node === undefined) {
    const { nodeName } = choice.settings;
    const [where, cure] =
      flags.filename.length > 0
        ? ['in the files', `\`kubectl get node ${nodeName} -o yaml\` prints it for them`]
        : ['in the cluster', 'name one that is there with --node-name'];
    note(
      `there is no Node ${nodeName} ${where}, so no endpoint is local and node ports have no primary address; ${cure}`,
    );
  }
  const settings: AgentSettings = {
    ...choice.settings,
    nodeName: node?.name ?? choice.settings.nodeName,
    backend: choice.backend === 'iptables' || choice.variant !== 'auto' ? 'iptables' : 'nftables',
    families: choice.families === 'auto' ? ['IPv4', 'IPv6'] : choice.families,
    dropInvalid: choice.dropInvalid === 'auto' ? true : choice.dropInvalid,
  };
  // What an agent with these flags would say at its start, and of each Service.
  const problems = settingsProblems(settings);
  for (const problem of problems) {
    if (problem.severity === 'warning') note(describeProblem(problem));
    else shell.err(`${paint(shell, 'red', 'sluice:')} ${describeProblem(problem)}\n`);
  }
  if (hasErrors(problems)) return exit.usage;
  const served = services.filter((service) => inScope(service, settings.scope));
  const left = services.length - served.length;
  if (left > 0 && settings.scope === 'labelled') {
    note(
      `${left} of ${services.length} Services do not carry the label ${proxyNameLabel}=${ownProxyName} and are left to kube-proxy; --scope all serves them too`,
    );
  }
  const view = viewNode(node, settings);
  for (const service of served) {
    if (service.type !== 'ExternalName' && !service.headless && service.clusterIPs.length === 0) {
      note(`${service.key} has no cluster IP yet, so there is nothing to serve; the API server gives it one`);
    }
    if (notServed(service, view) !== undefined) continue;
    for (const problem of serviceProblems(service, view)) note(`${service.key}: ${describeProblem(problem)}`);
  }
  const { decisions, conflicts } = decideWorld(served, slices, view);
  for (const { message } of conflicts) note(message);
  const addresses = node === undefined ? [] : [...node.internalIPs, ...node.externalIPs];
  for (const nodeDecision of decideNode(node, addresses, settings)) {
    const { family } = nodeDecision;
    const recorder = new Recorder();
    const backend = await standIn(settings.backend, choice.variant, family, recorder.spawn);
    const own = decisions.filter((decision) => decision.family === family);
    const { quarantined } = await backend.replace(nodeDecision, own);
    await backend.close();
    for (const { key, message } of quarantined) note(`${key} would be left out: ${message}`);
    const ports = `${own.length} Service ${own.length === 1 ? 'port' : 'ports'}`;
    shell.out(`# ${settings.backend}, ${family}, node ${settings.nodeName}: ${ports}\n`);
    shell.out(recorder.text());
    if (flags.counters === 'off') continue;
    shell.out(`# counters, ${family}: ${flags.counters}\n`);
    shell.out(
      await counterText(family, flags.counters, {
        node: () => nodeDecision,
        decisions: () => own,
        decision: (key) => own.find((one) => one.key === key),
      }),
    );
  }
  return exit.ok;
}

/** The counting table, as it would be written where there is none. @throws SluiceError where it cannot be. */
async function counterText(family: IpFamily, mode: CounterMode, source: DecisionSource): Promise<string> {
  const recorder = new Recorder();
  let problem: Error | undefined;
  const counters = new ServiceCounters({
    family,
    mode,
    start: recorder.spawn,
    source,
    clock: systemClock,
    report: (event) => {
      if (event.kind === 'failed') problem = event.error;
    },
  });
  await counters.settled();
  await counters.stop();
  if (problem !== undefined) throw problem;
  return recorder.text();
}
