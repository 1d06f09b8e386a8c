/**
 * `sluice agent --dry-run`: what would be written on a node, as the text that the tools would be given. The very
 * backends write it, and the very counters where they are asked for, with a stand-in for the programs that takes down what it is told and touches nothing.
 */
import { ServiceCounters } from '../agent/counters/counters.ts';
import type { CounterMode } from '../agent/counters/layout.ts';
import { decideNode } from '../agent/decide/node.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import { viewNode } from '../agent/decide/view.ts';
import { decideWorld } from '../agent/decide/world.ts';
import { inScope } from '../agent/door.ts';
import type { DecisionSource } from '../agent/sync.ts';
import { systemClock } from '../core/clock.ts';
import type { IpFamily } from '../core/objects.ts';
import type { AgentChoice, AgentFlags } from './agent-flags.ts';
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
  if (node === undefined) {
    const where = flags.filename.length > 0 ? 'in the files' : 'in the cluster';
    shell.err(
      `${paint(shell, 'yellow', 'note:')} there is no Node ${choice.settings.nodeName} ${where}, so no endpoint is local and node ports have no primary address; name one with --node-name\n`,
    );
  }
  const settings: AgentSettings = {
    ...choice.settings,
    nodeName: node?.name ?? choice.settings.nodeName,
    backend: choice.backend === 'iptables' || choice.variant !== 'auto' ? 'iptables' : 'nftables',
    families: choice.families === 'auto' ? ['IPv4', 'IPv6'] : choice.families,
    dropInvalid: choice.dropInvalid === 'auto' ? true : choice.dropInvalid,
  };
  const served = services.filter((service) => inScope(service, settings.scope));
  const { decisions, conflicts } = decideWorld(served, slices, viewNode(node, settings));
  for (const { message } of conflicts) shell.err(`${paint(shell, 'yellow', 'note:')} ${message}\n`);
  const addresses = node === undefined ? [] : [...node.internalIPs, ...node.externalIPs];
  for (const nodeDecision of decideNode(node, addresses, settings)) {
    const { family } = nodeDecision;
    const recorder = new Recorder();
    const backend = await standIn(settings.backend, choice.variant, family, recorder.spawn);
    const own = decisions.filter((decision) => decision.family === family);
    const { quarantined } = await backend.replace(nodeDecision, own);
    await backend.close();
    for (const { key, message } of quarantined)
      shell.err(`${paint(shell, 'yellow', 'note:')} ${key} would be left out: ${message}\n`);
    shell.out(`# ${settings.backend}, ${family}, node ${settings.nodeName}: ${own.length} Service ports\n`);
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
