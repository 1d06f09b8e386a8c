/** `sluice agent`: the long-running part on every node. Wires flags, backends and the agent, or cleans up, or shows. */
import type { AgentSettings } from '../agent/decide/settings.ts';
import { conntrackIsLiberal, procSysctls } from '../agent/preflight.ts';
import { systemSpawn } from '../agent/tool.ts';
import { asSluiceError } from '../core/errors.ts';
import { createLog, type Log } from '../observe/log.ts';
import type { OpenDoor } from './agent-door.ts';
import { agentChoice, agentFlags, type AgentChoice, type AgentFlags } from './agent-flags.ts';
import { settingsProblems } from './agent-settings-problems.ts';
import { paint, type Shell } from './shell.ts';
import { command, exit } from './table.ts';

export const agentCommand = command({
  name: 'agent',
  summary: 'Carry Services to pods on this node: the long-running part of every node',
  description:
    'Watches Services, EndpointSlices and its own Node, and keeps the rules of the kernel in step: cluster IPs, external IPs, balancer IPs and node ports, by nftables or iptables. It runs as root on the network of the node.\n\n' +
    'Beside kube-proxy (the default) it serves the Services that carry the label service.kubernetes.io/service-proxy-name=sluice, which kube-proxy leaves alone. With --scope all it takes the place of kube-proxy; it then needs an address of the API server that is no cluster IP.\n\n' +
    'Nothing is written before the first complete lists. Rules stay when it ends, and while the API server is away. It only ever touches what is its own: nft tables named sluice and sluice-counters, iptables chains and ipsets that begin with SLUICE-. --cleanup removes them.',
  words: '',
  wordCount: [0, 0],
  flags: agentFlags,
  examples: [
    { line: 'sluice agent --node-name node-1', does: 'beside kube-proxy, with the kubeconfig at hand' },
    {
      line: 'sluice agent --scope all --api-server https://10.0.0.1:6443 --cluster-cidr 10.244.0.0/16',
      does: 'instead of kube-proxy',
    },
    { line: 'sluice agent --announce', does: 'and announce the addresses of local mode' },
    { line: 'sluice agent --dry-run --node-name node-1', does: 'the rules as text; nothing is written' },
    {
      line: 'sluice agent --dry-run -f manifests/ --backend iptables',
      does: 'the same from files, without a cluster',
    },
    { line: 'sluice agent --cleanup', does: 'remove all rules of sluice from this node' },
  ],
  run: async ({ flags, shell }) => {
    const { choice, mistakes } = agentChoice(flags, shell.env);
    if (mistakes.length > 0) {
      for (const mistake of mistakes) shell.err(`${paint(shell, 'red', 'sluice:')} ${mistake}\n`);
      shell.err('See `sluice agent --help`.\n');
      return exit.usage;
    }
    if (flags.cleanup) return await cleanUp(shell);
    if (flags['dry-run']) {
      const { dryRun } = await import('./agent-dry-run.ts');
      return await dryRun(flags, choice, shell);
    }
    return await serve(flags, choice, shell);
  },
});

async function serve(flags: AgentFlags, choice: AgentChoice, shell: Shell): Promise<number> {
  const log = agentLog(flags, shell);
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log.info('stopping; rules stay', { signal: name });
      stop.abort(new Error(name));
    });
  }
  const refuse = (thrown: unknown): void =>
    log.error('cannot go on; the rules that are there stay', { error: asSluiceError(thrown) });
  let opened: OpenDoor | undefined;
  try {
    const { openDoor } = await import('./agent-door.ts');
    // What is wrong with the node is told all the same.
    opened = await openDoor(flags, choice, log).catch((thrown: unknown) => {
      refuse(thrown);
      return undefined;
    });
    const { chooseBackends, familiesOfKernel } = await import('./agent-backends.ts');
    const families = choice.families === 'auto' ? await familiesOfKernel() : choice.families;
    const kit = await chooseBackends(choice, families, systemSpawn);
    const dropInvalid =
      choice.dropInvalid === 'auto' ? !(await conntrackIsLiberal(procSysctls)) : choice.dropInvalid;
    const settings: AgentSettings = {
      ...choice.settings,
      backend: kit.name,
      families: kit.families,
      dropInvalid,
    };
    for (const note of kit.notes) log.info(note);
    const problems = settingsProblems(settings);
    for (const { severity, field, message, cure } of problems) {
      if (severity === 'error') log.error(message, { field, cure });
      else log.warn(message, { field, cure });
    }
    if (problems.some(({ severity }) => severity === 'error')) return exit.usage;
    if (opened === undefined) return exit.problem;
    const { runAgent } = await import('./agent-run.ts');
    await runAgent({ flags, choice, settings, kit, log, opened, stop: stop.signal });
    log.info('stopped');
    return exit.ok;
  } catch (thrown) {
    refuse(thrown);
    return exit.problem;
  } finally {
    await opened?.close();
  }
}

async function cleanUp(shell: Shell): Promise<number> {
  const { removeEverything } = await import('./agent-backends.ts');
  const { removed, problems } = await removeEverything(systemSpawn);
  for (const line of removed) shell.out(`${line}\n`);
  for (const { message } of problems) shell.err(`${paint(shell, 'red', 'sluice:')} ${message}\n`);
  if (removed.length === 0 && problems.length === 0)
    shell.out('nothing of sluice is in the kernel of this node\n');
  return problems.length === 0 ? exit.ok : exit.problem;
}

function agentLog(flags: AgentFlags, shell: Shell): Log {
  const asked = flags['log-form'];
  return createLog({
    level: flags['log-level'],
    form: asked === 'text' || (asked === undefined && shell.interactive) ? 'text' : 'json',
    write: shell.out,
    now: Date.now,
  });
}
