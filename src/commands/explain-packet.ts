/** `sluice explain --from A --to B:port/proto`: where a packet goes on a node, and why. */
import { hostname } from 'node:os';
import { readAddresses } from '../agent/addresses.ts';
import { answerPacket } from '../agent/answers/packet-answer.ts';
import { readFrom, readTo } from '../agent/answers/question.ts';
import { generalRules, relevantRules } from '../agent/answers/relevant.ts';
import { backendMet } from '../agent/answers/trace.ts';
import { resolve, type Picture } from '../agent/answers/resolve.ts';
import type { AnswerParts } from '../agent/answers/packet-answer.ts';
import { notServed } from '../agent/decide/service.ts';
import { serviceProblems } from '../agent/decide/service-check.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import { viewNode } from '../agent/decide/view.ts';
import { systemSpawn, toolRunner, type RunTool } from '../agent/tool.ts';
import { unknownOwn } from '../core/annotations.ts';
import { SluiceError } from '../core/errors.ts';
import type { IpFamily, NodeObject, ServiceObject } from '../core/objects.ts';
import type { Problem } from '../core/problems.ts';
import { connectBy } from './access.ts';
import { askedChoice } from './agent-flags.ts';
import type { AgentChoice } from './agent-flags.ts';
import type { ExplainFlags } from './explain-flags.ts';
import { packetText, type PacketDocument } from './packet-report.ts';
import { pictureFromCluster, pictureFromFiles } from './packet-picture.ts';
import { paint, type Shell } from './shell.ts';
import { Recorder, standIn } from './stand-in.ts';
import { exit } from './table.ts';

const withoutTrace =
  '--trace reads what nf_tables says, and the rules of iptables-legacy are not there. The kernel tells of them in its log alone: put a rule with the target TRACE for the packet into table raw (iptables-legacy -t raw -I PREROUTING or OUTPUT), read dmesg, and take it out again; sluice verify says whether the rules are as decided';

/** @returns exit 0 where the answer could be given (and a trace confirms it), 1 where not, 64 for a wrong command line. */
export async function explainPacket(flags: ExplainFlags, shell: Shell): Promise<number> {
  const from = readFrom(flags.from ?? '');
  const to = readTo(flags.to ?? '');
  const { choice: given, mistakes } = askedChoice(flags, flags.node);
  const wrong = [
    ...(flags.from === undefined
      ? ['--to needs --from WHO: an address, pod/NAME, or node']
      : 'mistake' in from
        ? [from.mistake]
        : []),
    ...(flags.to === undefined
      ? ['--from needs --to WHAT, such as svc/NAME:80 or 10.96.0.10:80/tcp']
      : 'mistake' in to
        ? [to.mistake]
        : []),
    ...(flags.trace && flags.filename.length > 0
      ? ['--trace asks the kernel of a node, and -f is about files; leave one of them away']
      : []),
    ...(flags.trace && given.variant === 'legacy' ? [withoutTrace] : []),
    ...mistakes,
  ];
  if (wrong.length > 0 || 'mistake' in from || 'mistake' in to) {
    for (const mistake of wrong) shell.err(`${paint(shell, 'red', 'sluice:')} ${mistake}\n`);
    shell.err('See `sluice explain --help`.\n');
    return exit.usage;
  }
  const run = toolRunner(systemSpawn);
  const asked = { from: from.value, to: to.value, node: flags.node };
  const offline = flags.filename.length > 0;
  const picture = offline
    ? await pictureFromFiles(flags.filename, flags.namespace ?? 'default')
    : await fromCluster(flags, asked);
  const machine: ReadonlySet<string> = offline ? new Set() : await readAddresses(run);
  // Whoever holds the node's first address is that node.
  const isHere = (node: NodeObject | undefined): boolean => machine.has(node?.internalIPs[0] ?? '');
  const resolved = resolve({ ...asked, interface: flags.interface }, picture, {
    ownName: offline ? undefined : (picture.nodes.find(isHere)?.name ?? hostname().toLowerCase()),
    addressesOf: (node) => (isHere(node) ? machine : fromObject(node)),
    settings: settingsFor(given),
  });
  const here = isHere(resolved.node);
  const choice = here ? await asInKernel(given) : given;
  const settings = settingsFor(choice);
  const parts = answerPacket(resolved, picture, settings);
  const answer = { ...parts.answer, rules: await rulesOf(parts, choice, resolved.packet) };
  if (flags.trace && !here)
    throw new SluiceError(
      'invalid',
      `--trace sends a packet on the node itself, and this machine is not ${resolved.nodeName} (it has none of its addresses); run it there`,
      { code: 'NotOnNode' },
    );
  if (flags.trace && choice.variant === 'legacy')
    throw new SluiceError('invalid', `the rules of this node are of iptables-legacy: ${withoutTrace}`, {
      code: 'CannotTrace',
    });
  const { tracePacket } = await import('../agent/answers/trace-run.ts');
  const trace = flags.trace
    ? await tracePacket({
        run,
        spawn: systemSpawn,
        random: Math.random,
        answer,
        own: machine,
        netns: flags.netns,
        waitMs: flags['trace-wait'],
        say: shell.err,
      })
    : null;
  const met = trace === null ? undefined : backendMet(trace.steps);
  const document: PacketDocument = {
    ...answer,
    notes:
      met === undefined || met === answer.backend
        ? answer.notes
        : [
            ...answer.notes,
            `the rules of this node are of the backend ${met}: give --backend ${met}, as its agent has it, to see which serve the packet`,
          ],
    trace,
    sources: here ? await sourcesOf(answer, run) : {},
  };
  shell.out(
    flags.output === 'json'
      ? `${JSON.stringify(document, undefined, 2)}\n`
      : packetText(document, (style, text) => paint(shell, style, text)),
  );
  return trace === null || trace.confirmed ? exit.ok : exit.problem;
}

/**
 * Whether the agents serve a Service that no controller does, and what they tell of it; where they do not serve it
 * either, what nobody knows.
 */
export function agentSays(
  service: ServiceObject,
  flags: ExplainFlags,
): { readonly serve: boolean; readonly problems: readonly Problem[] } {
  const view = viewNode(undefined, settingsFor(askedChoice(flags, flags.node).choice));
  return notServed(service, view) === undefined
    ? { serve: true, problems: serviceProblems(service, view) }
    : { serve: false, problems: unknownOwn(service.annotations) };
}

/** The backend and variant whose rules this node has, where the flags leave that open and it can be looked at. */
async function asInKernel(choice: AgentChoice): Promise<AgentChoice> {
  if (choice.variant !== 'auto' || choice.backend === 'nftables' || process.getuid?.() !== 0) return choice;
  const { rulesInKernel } = await import('./agent-backends.ts');
  const there = await rulesInKernel(systemSpawn).catch(() => []);
  const found = there.find(({ backend }) => choice.backend === 'auto' || backend === choice.backend);
  return found === undefined
    ? choice
    : { ...choice, backend: found.backend, variant: found.variant ?? 'auto' };
}

async function fromCluster(
  flags: ExplainFlags,
  asked: Parameters<typeof pictureFromCluster>[1],
): Promise<Picture> {
  const api = await connectBy(flags);
  try {
    return await pictureFromCluster(api, asked, flags.namespace ?? api.namespace ?? 'default');
  } finally {
    await api.close();
  }
}

function settingsFor(choice: AgentChoice): AgentSettings {
  return {
    ...choice.settings,
    backend: choice.backend === 'iptables' || choice.variant !== 'auto' ? 'iptables' : 'nftables',
    families: choice.families === 'auto' ? ['IPv4', 'IPv6'] : choice.families,
    dropInvalid: choice.dropInvalid === 'auto' ? true : choice.dropInvalid,
  };
}

/** What the Node object says of its addresses: all that is known from afar. */
function fromObject(node: NodeObject | undefined): ReadonlySet<string> {
  return new Set(['127.0.0.1', '::1', ...(node?.internalIPs ?? []), ...(node?.externalIPs ?? [])]);
}

/** The rules as the backend would write them, for the decision that is hit alone. */
async function rulesOf(
  { answer, nodeDecision, hit, decisions, evaluation }: AnswerParts,
  choice: AgentChoice,
  packet: Parameters<typeof relevantRules>[2]['packet'],
): Promise<readonly string[]> {
  const { branch } = evaluation;
  if (hit === undefined && branch !== 'undefined-port' && branch !== 'unallocated') return [];
  const recorder = new Recorder();
  const family: IpFamily = answer.packet.family;
  const backend = await standIn(answer.backend, choice.variant, family, recorder.spawn);
  const about =
    hit === undefined ? decisions.filter(({ clusterIP }) => clusterIP === packet.destination) : [hit];
  await backend.replace(nodeDecision, about);
  const described = hit === undefined ? [] : backend.describe(hit.key);
  await backend.close();
  return hit === undefined
    ? generalRules(answer.backend, recorder.text(), { packet, branch })
    : relevantRules(answer.backend, described, {
        packet,
        branch,
        byNodePort: answer.hit?.kind === 'node-port',
      });
}

/** The source that each endpoint sees where it is the node's: the address of the interface on the way to it. */
async function sourcesOf(
  { endpoints }: Pick<PacketDocument, 'endpoints'>,
  run: RunTool,
): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const { address } of endpoints.filter(({ used, masquerade }) => used && masquerade).slice(0, 16)) {
    try {
      const { code, out } = await run('ip', ['-json', 'route', 'get', address]);
      const [route] = code === 0 ? (JSON.parse(out) as readonly { readonly prefsrc?: string }[]) : [];
      if (route?.prefsrc !== undefined) found[address] = route.prefsrc;
    } catch {
      // Without `ip` the answer is given in words.
      return found;
    }
  }
  return found;
}
