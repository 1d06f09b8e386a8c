/**
 * `sluice drain`: no new connections for an endpoint or for the endpoints of a node, and a wait until those that are
 * open have ended. Nothing is ever cut.
 */
import { conntrackTable } from '../agent/conntrack/table.ts';
import { drainAnnotation, parseDrainTarget } from '../agent/drain.ts';
import { systemSpawn, toolRunner } from '../agent/tool.ts';
import { systemClock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { ObjectKey } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { accessFlags, connectBy, outputFlag } from './access.ts';
import { DrainFinder, mark } from './drain-cluster.ts';
import { aloneText, untilDrained, type Drained } from './drain-wait.ts';
import { paint, type Shell } from './shell.ts';
import { command, exit } from './table.ts';

export const drainCommand = command({
  name: 'drain',
  summary: 'Send new connections elsewhere and wait until an endpoint, or a node, has none left',
  description:
    `Writes the annotation ${drainAnnotation} on every Service that has the endpoint (or endpoints on the node). From then on every node agent gives it no new connections as long as the Service has other ready endpoints; under policy Local the health-check node port no longer counts it. What is open stays open: nothing is cut. An endpoint that is the only one keeps serving, and that is said.\n\n` +
    'Then it looks at the connection tracking table of this machine until no flow to the endpoint is open, or until --timeout. Run that part as root on the node of the endpoint, where all of its flows pass: there with --wait-only, after --mark-only from anywhere. Closed TCP connections that the kernel still remembers do not count; a UDP flow counts until the kernel forgets it.\n\n' +
    'The annotation stays when all is drained, so that nothing comes back; --undo takes it away. It works for Services that sluice serves; those of kube-proxy are left alone.\n\n' +
    'While it waits it looks at the cluster too: a Service or an endpoint of the target that appears meanwhile is marked and waited for as well (with --wait-only it is told, and nothing counts as drained before somebody marks it). Once the command has ended only endpoints are covered that come to Services which have the annotation: cordon a node first, so that no new pods come to it, or run the command again.\n\n' +
    'Exit code: 0 where it is drained (or marked, or undone), 2 where flows were left at --timeout, 1 for a problem.',
  words: 'pod/NAME|node/NAME|ADDRESS',
  wordCount: [1, 1],
  flags: {
    namespace: {
      kind: 'string',
      value: 'NAME',
      short: 'n',
      help: 'Services of this namespace only; default for a pod: default, else all',
    },
    scope: {
      kind: 'choice',
      choices: ['labelled', 'all'],
      default: 'labelled',
      help: 'Which Services the agents serve, as their own flag says',
    },
    timeout: { kind: 'duration', default: 600_000, help: 'Wait so long at most; 0: for ever' },
    every: { kind: 'duration', default: 2_000, help: 'Time between two looks at the tracked flows' },
    'mark-only': { kind: 'boolean', help: 'Write the annotation and do not wait' },
    'wait-only': { kind: 'boolean', help: 'Wait and write nothing: the annotation is there already' },
    undo: { kind: 'boolean', help: 'Take the annotation away again: new connections come back' },
    output: outputFlag,
    ...accessFlags,
  },
  examples: [
    { line: 'sluice drain pod/web-1 -n shop --mark-only', does: 'no new connections for this pod' },
    { line: 'sudo sluice drain pod/web-1 -n shop', does: 'and wait, on the node of the pod' },
    {
      line: 'sudo sluice drain node/node-1 --timeout 30m -o json',
      does: 'all endpoints of this node, for a script',
    },
    { line: 'sluice drain node/node-1 --undo', does: 'back to normal' },
  ],
  run: async ({ flags, words, shell }) => {
    const [word = ''] = words;
    const target = parseDrainTarget(word);
    const mistakes = [
      ...(target === undefined ? [`"${word}" is neither pod/NAME, node/NAME nor an address`] : []),
      ...([flags['mark-only'], flags['wait-only'], flags.undo].filter(Boolean).length > 1
        ? ['--mark-only, --wait-only and --undo exclude each other; run one of them']
        : []),
    ];
    if (target === undefined || mistakes.length > 0) {
      for (const mistake of mistakes) shell.err(`${paint(shell, 'red', 'sluice:')} ${mistake}\n`);
      shell.err('See `sluice drain --help`.\n');
      return exit.usage;
    }
    const api = await connectBy(flags);
    try {
      const namespace = flags.namespace ?? (target.kind === 'pod' ? 'default' : undefined);
      const finder = new DrainFinder(api, target, namespace, flags.scope);
      if (flags.undo) return await undo(word, finder, api, flags, shell);
      const found = await finder.find();
      if (found.length === 0) throw nothing(word);
      const unmarked = found.filter((one) => one.unmarked.length > 0).map(({ service }) => service);
      if (flags['wait-only'] && unmarked.length > 0)
        throw new SluiceError(
          'invalid',
          `${word} still gets new connections of ${unmarked.join(', ')}; run \`sluice drain ${word} --mark-only\` first`,
          { code: 'NotMarked' },
        );
      if (!flags['wait-only']) for (const one of found) await mark(api, one, false);
      const notes: string[] = [];
      const note = (text: string): void => {
        notes.push(text);
        const line = shell.interactive ? '\r\u001B[K' : '';
        shell.err(`${line}${paint(shell, 'yellow', 'sluice:')} ${text}\n`);
      };
      for (const { service, others } of found) if (!others) note(aloneText(service));
      const drained = flags['mark-only']
        ? undefined
        : await untilDrained({
            word,
            first: found,
            find: () => finder.find(),
            mark: flags['wait-only'] ? undefined : (one) => mark(api, one, false),
            table: conntrackTable(toolRunner(systemSpawn)),
            clock: systemClock,
            timeoutMs: flags.timeout,
            everyMs: flags.every,
            shown: progress(shell),
            note,
          });
      const services = drained?.services ?? found.map(({ service }) => service);
      const over = drained && drained.left === 0 && drained.unmarked.length === 0;
      if (flags.output === 'json') shell.out(report(word, 'set', services, notes, drained));
      else shell.out(`${said(word, services, drained)}\n`);
      return over === false ? exit.changes : exit.ok;
    } finally {
      await api.close();
    }
  },
});

async function undo(
  word: string,
  finder: DrainFinder,
  api: Api,
  flags: { readonly output: 'text' | 'json' },
  shell: Shell,
): Promise<number> {
  const found = await finder.marked();
  if (found.length === 0) throw nothing(word);
  for (const one of found) await mark(api, one, true);
  const services = found.map(({ service }) => service);
  if (flags.output === 'json') shell.out(report(word, 'removed', services, [], undefined));
  else shell.out(`${word} gets new connections again (${services.join(', ')})\n`);
  return exit.ok;
}

function nothing(word: string): SluiceError {
  return new SluiceError(
    'invalid',
    `no Service that sluice serves has ${word} among its endpoints; is the namespace right (-n), and do the agents run with --scope all (--scope)?`,
    { code: 'NothingToDrain' },
  );
}

/** On a terminal one line that changes; elsewhere a line when there is something new to say. */
function progress(shell: Shell): (text: string, seconds: number, over: boolean) => void {
  let before = '';
  return (text, seconds, over) => {
    if (shell.interactive) shell.err(`\r\u001B[K${text}, ${seconds.toFixed(0)} s${over ? '\n' : ''}`);
    else if (text !== before) shell.err(`${text}\n`);
    before = text;
  };
}

function report(
  target: string,
  annotation: 'set' | 'removed',
  services: readonly ObjectKey[],
  notes: readonly string[],
  drained: Drained | undefined,
): string {
  const told = {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Drain',
    target,
    services,
    annotation,
    drained: drained === undefined ? null : drained.left === 0 && drained.unmarked.length === 0,
    left: drained?.left ?? null,
    seconds: Number((drained?.seconds ?? 0).toFixed(1)),
    notes,
  };
  return `${JSON.stringify(told, undefined, 2)}\n`;
}

function said(word: string, services: readonly ObjectKey[], drained: Drained | undefined): string {
  const of = services.join(', ');
  if (drained === undefined) return `${word} gets no new connections any more (${of})`;
  const { left, unmarked } = drained;
  const after = `after ${drained.seconds.toFixed(0)} s (${of})`;
  if (unmarked.length > 0)
    return `${word} still gets new connections of ${unmarked.join(', ')}, and has ${left} open flows ${after}`;
  return left === 0
    ? `${word} is drained ${after}`
    : `${word} still has ${left} open flows ${after}; it gets no new ones`;
}
