/**
 * `sluice agent --dry-run`: what would be written on a node, as the text that the tools would be given. The very
 * backends write it, with a stand-in for the programs that takes down what it is told and touches nothing.
 */
import { decideNode } from '../agent/decide/node.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import { viewNode } from '../agent/decide/view.ts';
import { decideWorld } from '../agent/decide/world.ts';
import { AgentDoor, inScope } from '../agent/door.ts';
import { systemClock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { EndpointSliceObject, NodeName, NodeObject, ServiceObject } from '../core/objects.ts';
import { connectBy } from './access.ts';
import type { AgentChoice, AgentFlags } from './agent-flags.ts';
import { readManifests } from './manifest-files.ts';
import { paint, type Shell } from './shell.ts';
import { Recorder, standIn } from './stand-in.ts';
import { exit } from './table.ts';

interface Picture {
  readonly services: readonly ServiceObject[];
  readonly slices: readonly EndpointSliceObject[];
  readonly node: NodeObject | undefined;
  readonly mistakes: readonly string[];
}

/** A cluster that does not answer is told after this. */
const listWithinMs = 20_000;

export async function dryRun(flags: AgentFlags, choice: AgentChoice, shell: Shell): Promise<number> {
  const named = flags['node-name'] === undefined ? undefined : choice.settings.nodeName;
  const picture =
    flags.filename.length > 0 ? await fromFiles(flags.filename, named) : await fromCluster(flags, choice);
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
  }
  return exit.ok;
}

async function fromFiles(paths: readonly string[], name: NodeName | undefined): Promise<Picture> {
  const { services, slices, nodes, mistakes } = await readManifests(paths);
  const [only] = nodes;
  const node = name === undefined && nodes.length === 1 ? only : nodes.find((one) => one.name === name);
  return { services, slices, node, mistakes };
}

async function fromCluster(flags: AgentFlags, choice: AgentChoice): Promise<Picture> {
  const { scope, nodeName } = choice.settings;
  const api = await connectBy(flags, { server: flags['api-server'] });
  let problem: SluiceError | undefined;
  const door = new AgentDoor({
    api,
    scope,
    nodeName,
    clock: systemClock,
    random: Math.random,
    report: (event) => {
      if (event.kind === 'failed') problem = event.error;
    },
  });
  const late = Promise.withResolvers<never>();
  const cancel = systemClock.schedule(listWithinMs, () => {
    const message = `the cluster could not be read within ${listWithinMs / 1000} s: ${problem?.message ?? 'it does not answer'}`;
    late.reject(new SluiceError('transient', message, { code: 'NotListed', cause: problem }));
  });
  try {
    await Promise.race([door.start(), late.promise]);
    const services = [...door.services()];
    return {
      services,
      slices: services.flatMap(({ key }) => door.slices(key)),
      node: door.node(),
      mistakes: [],
    };
  } finally {
    cancel();
    await door.stop();
    await api.close();
  }
}
