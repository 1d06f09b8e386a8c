/**
 * `sluice drain`: no new connections for an endpoint or for the endpoints of a node, and a wait until those that are
 * open have ended. Nothing is ever cut.
 */
import { conntrackTable } from '../agent/conntrack/table.ts';
import { parseDrainTarget } from '../agent/drain.ts';
import { systemSpawn, toolRunner } from '../agent/tool.ts';
import { systemClock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { ObjectKey } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { connectBy } from './access.ts';
import { DrainFinder, mark } from './drain-cluster.ts';
import { aloneText, untilDrained, type Drained } from './drain-wait.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';
import type { DrainInput } from './drain.ts';

/** @returns the exit code. */
export async function runDrain({ flags, words, shell }: DrainInput): Promise<number> {
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
}

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
