/** `sluice top`: which Services get new connections on this node, and which turn them away. Asks the running agent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SluiceError } from '../core/errors.ts';
import type { CountsReport } from './agent-counters.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';
import { topRows, topTable, type Looks, type TopChoice } from './top-report.ts';
import type { TopInput } from './top.ts';

const answerWithinMs = 10_000;

/** @returns the exit code. */
export async function runTop({ flags, words, shell }: TopInput): Promise<number> {
  const live = shell.interactive && !flags.once && flags.output === 'text';
  const [filter = ''] = words;
  const choice: TopChoice = {
    sort: flags.sort,
    filter,
    namespace: flags.namespace ?? '',
    dropped: flags.dropped,
    limit: flags.limit,
  };
  if (!live) {
    const now = await ask(flags.agent);
    const looks: Looks = { now, before: undefined, seconds: 0 };
    if (flags.output === 'json') shell.out(`${JSON.stringify(jsonOf(looks, choice), undefined, 2)}\n`);
    else shell.out(`${topTable(now, topRows(looks, choice)).join('\n')}\n`);
    return exit.ok;
  }
  await show(flags.agent, flags.interval, choice, shell);
  return exit.ok;
}

function jsonOf(looks: Looks, choice: TopChoice): object {
  // Rates want two looks; one has none to tell.
  const services = topRows(looks, choice).map(({ rate: _rate, dropRate: _dropRate, ...row }) => row);
  return { ...looks.now, services };
}

/** Until the terminal's owner has seen enough. */
async function show(agent: string, intervalMs: number, choice: TopChoice, shell: Shell): Promise<void> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  let before: { readonly report: CountsReport; readonly at: number } | undefined;
  try {
    while (!stop.signal.aborted) {
      const now = await ask(agent);
      const at = performance.now();
      const seconds = before === undefined ? 0 : (at - before.at) / 1000;
      const lines = topTable(now, topRows({ now, before: before?.report, seconds }, choice));
      const fits = choice.limit === 0 ? (process.stdout.rows ?? 25) - 3 : lines.length;
      const [head = '', ...rest] = lines;
      const title = `node ${now.node}, every ${intervalMs / 1000} s, by ${choice.sort}; Ctrl-C ends`;
      const hidden = Math.max(0, rest.length - fits);
      const more = hidden > 0 ? [paint(shell, 'dim', `and ${hidden} more`)] : [];
      const page = [paint(shell, 'dim', title), paint(shell, 'bold', head), ...rest.slice(0, fits), ...more];
      // Home, the page with each line's rest cleared, and what stood below it cleared.
      shell.out(`\u001B[H${page.map((line) => `${line}\u001B[K\n`).join('')}\u001B[J`);
      before = { report: now, at };
      await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
}

/** @throws SluiceError with the cure where no agent answers, or where it counts nothing. */
async function ask(agent: string): Promise<CountsReport> {
  const url = URL.canParse('/debug/counters', agent) ? new URL('/debug/counters', agent) : undefined;
  if (url === undefined)
    throw new SluiceError('invalid', `--agent is "${agent}"; write a URL such as http://127.0.0.1:10271`, {
      code: 'BadAgent',
    });
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(answerWithinMs) });
  } catch (cause) {
    throw new SluiceError(
      'transient',
      `no agent answers at ${agent}: does one run on this node, on its network? --agent names another address (the agent's flag --listen)`,
      { code: 'NoAgent', cause },
    );
  }
  const text = await response.text();
  if (response.status === 404)
    throw new SluiceError(
      'invalid',
      'this agent counts nothing: start it with --counters=connections (or bytes)',
      { code: 'NothingCounted' },
    );
  if (!response.ok)
    throw new SluiceError('transient', `the agent cannot tell: ${text.trim()}`, { code: 'NotCounted' });
  return JSON.parse(text) as CountsReport;
}
