/** `sluice verify`: holds the live kernel of this node against decisions made anew. Changes nothing. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { readAddresses } from '../agent/addresses.ts';
import { readOnly } from '../agent/answers/read-only.ts';
import {
  found,
  lasting,
  verificationText,
  verifyExitCode,
  type FoundDifference,
  type Verification,
} from '../agent/answers/verification.ts';
import type { Backend, Difference } from '../agent/backend.ts';
import type { Decision, NodeDecision } from '../agent/decision.ts';
import { decideNode } from '../agent/decide/node.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import { viewNode } from '../agent/decide/view.ts';
import { decideWorld } from '../agent/decide/world.ts';
import { inScope } from '../agent/door.ts';
import { conntrackIsLiberal, procSysctls } from '../agent/preflight.ts';
import { systemSpawn, toolRunner } from '../agent/tool.ts';
import { systemClock } from '../core/clock.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';
import type { IpFamily } from '../core/objects.ts';
import { familiesOfKernel, rulesInKernel } from './agent-backends.ts';
import { askedChoice } from './agent-flags.ts';
import type { AgentChoice } from './agent-flags.ts';
import { worldFromCluster, worldFromFiles, type AgentWorld } from './agent-world.ts';
import { paint } from './shell.ts';
import { exit } from './table.ts';
import type { VerifyInput } from './verify.ts';

/** @returns the exit code. */
export async function runVerify({ flags, shell }: VerifyInput): Promise<number> {
  const { choice, mistakes } = askedChoice(flags, flags['node-name']);
  if (mistakes.length > 0) {
    for (const mistake of mistakes) shell.err(`${paint(shell, 'red', 'sluice:')} ${mistake}\n`);
    shell.err('See `sluice verify --help`.\n');
    return exit.usage;
  }
  const world = async (): Promise<AgentWorld> => {
    const read =
      flags.filename.length > 0
        ? await worldFromFiles(
            flags.filename,
            flags['node-name'] === undefined ? undefined : choice.settings.nodeName,
          )
        : await worldFromCluster(flags, choice, flags['api-server']);
    if (read.mistakes.length > 0)
      throw new SluiceError('invalid', read.mistakes.join('; '), { code: 'BadFile' });
    return read;
  };
  const kernel = await kernelOf(choice);
  let report = await look(await world(), choice, kernel);
  if (!report.inStep && flags.settle > 0) {
    await sleep(flags.settle);
    const again = await look(await world(), choice, kernel);
    const differences = lasting(report.differences, again.differences);
    report = { ...again, differences, inStep: differences.length === 0 };
  }
  shell.out(
    flags.output === 'json'
      ? `${JSON.stringify(report, undefined, 2)}\n`
      : verificationText(report, (style, text) => paint(shell, style, text)),
  );
  return verifyExitCode(report);
}

interface Kernel {
  readonly backend: Backend['name'];
  readonly variant: AgentChoice['variant'];
  readonly families: readonly IpFamily[];
  /** Rules of ours that another backend has left: they would translate as well. */
  readonly others: readonly FoundDifference[];
  readonly notes: readonly string[];
}

/** Which backend is looked at: the one that is named, else the one whose rules are there. */
async function kernelOf({ backend: asked, variant, families: named }: AgentChoice): Promise<Kernel> {
  const families = named === 'auto' ? await familiesOfKernel() : named;
  const there = await rulesInKernel(systemSpawn);
  const backend =
    asked !== 'auto' ? asked : variant !== 'auto' ? 'iptables' : (there[0]?.backend ?? 'nftables');
  const chosen =
    backend === 'nftables'
      ? variant
      : variant !== 'auto'
        ? variant
        : (there.find((one) => one.variant !== undefined)?.variant ?? 'auto');
  const others = there.filter(
    (one) =>
      one.backend !== backend || (backend === 'iptables' && chosen !== 'auto' && one.variant !== chosen),
  );
  return {
    backend,
    variant: chosen,
    families,
    others: others.map(({ family, what }) => ({
      family,
      kind: 'unexpected',
      object: what,
      key: null,
      service: null,
    })),
    notes: there.length === 0 ? ['nothing of sluice is in the kernel: does an agent run on this node?'] : [],
  };
}

async function look(
  { node, services, slices }: AgentWorld,
  choice: AgentChoice,
  { backend: name, variant, families, others, notes }: Kernel,
): Promise<Verification> {
  const { nodeName } = choice.settings;
  if (node === undefined) {
    const hint =
      nodeName === hostname().toLowerCase()
        ? '; name it with --node-name, as `kubectl get nodes` shows it'
        : '';
    throw new SluiceError('invalid', `there is no Node ${nodeName}${hint}`, { code: 'NoSuchNode' });
  }
  const addresses = await readAddresses(toolRunner(systemSpawn));
  const settings: AgentSettings = {
    ...choice.settings,
    nodeName: node.name,
    backend: name,
    families,
    dropInvalid:
      choice.dropInvalid === 'auto' ? !(await conntrackIsLiberal(procSysctls)) : choice.dropInvalid,
  };
  const served = services.filter((service) => inScope(service, settings.scope));
  const { decisions, conflicts } = decideWorld(served, slices, viewNode(node, settings));
  const differences: FoundDifference[] = [...others];
  const told = [...notes, ...conflicts.map(({ message }) => message)];
  const counts: Partial<Record<IpFamily, number>> = {};
  for (const nodeDecision of decideNode(node, addresses, settings)) {
    const { family } = nodeDecision;
    const own = decisions.filter((decision) => decision.family === family);
    counts[family] = own.length;
    const backend = await openReading(name, variant, family);
    try {
      const { quarantined } = await backend.replace(nodeDecision, own);
      for (const { key, message } of quarantined) told.push(`${key} cannot be written: ${message}`);
      for (const difference of await backend.verify()) differences.push(found(family, difference));
    } finally {
      await backend.close();
    }
    for (const difference of await counterDifferences(nodeDecision, own))
      differences.push(found(family, difference));
  }
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Verification',
    node: node.name,
    backend: name,
    decisions: counts,
    inStep: differences.length === 0,
    differences,
    notes: told,
  };
}

/** Of the table that counts, where there is one: whether connections are counted is the agent's choice. */
async function counterDifferences(
  node: NodeDecision,
  decisions: readonly Decision[],
): Promise<readonly Difference[]> {
  const { countingMode, ServiceCounters } = await import('../agent/counters/counters.ts');
  const start = readOnly(systemSpawn);
  const mode = await countingMode(start, node.family).catch((thrown: unknown) => {
    const error = asSluiceError(thrown);
    if (error.code === 'ToolMissing') return undefined;
    throw error;
  });
  if (mode === undefined) return [];
  const counters = new ServiceCounters({
    family: node.family,
    mode,
    start,
    source: { node: () => node, decisions: () => decisions, decision: () => undefined },
    clock: systemClock,
    report: () => undefined,
  });
  return await counters.verify();
}

/** A backend that reads the kernel and believes that it has written. */
async function openReading(
  name: Backend['name'],
  variant: AgentChoice['variant'],
  family: IpFamily,
): Promise<Backend> {
  const spawn = readOnly(systemSpawn);
  if (name === 'nftables') {
    const { NftablesBackend } = await import('../agent/nftables/backend.ts');
    return new NftablesBackend({ family, start: spawn });
  }
  const { openIptables } = await import('../agent/iptables/open.ts');
  const { backend } = await openIptables({
    family,
    spawn,
    variant: variant === 'auto' ? undefined : variant,
    allowLocalhost: async () => undefined,
  });
  return backend;
}
