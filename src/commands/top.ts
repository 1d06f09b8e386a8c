/** `sluice top`: which Services get new connections on this node, and which turn them away. Asks the running agent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SluiceError } from '../core/errors.ts';
import { outputFlag } from './access.ts';
import type { CountsReport } from './agent-counters.ts';
import { paint, type Shell } from './shell.ts';
import { command, exit } from './table.ts';
import { topOrders, topRows, topTable, type Looks, type TopChoice } from './top-report.ts';

const answerWithinMs = 10_000;

export const topCommand = command({
  name: 'top',
  summary: 'Show new connections of each Service on this node, and those that are not served',
  description:
    'Asks the node agent that runs here (--agent) what it counts. On a terminal the table is shown again and again, with rates, until you press Ctrl-C; into a pipe, with --once or as JSON it is shown once. Counting is off by default: start the agent with --counters=connections, or --counters=bytes for bytes as well.\n\n' +
    'CONNECTIONS were given an endpoint. The others were not: NO ENDPOINT anywhere, so the client is told at once (is a Pod ready? `kubectl get endpointslices`); NOT HERE, because a traffic policy Local allows only endpoints of this node (a balancer should not send here: look at the health-check node port); NOT ALLOWED by loadBalancerSourceRanges. A client that tries again counts again.\n\n' +
    'A port of a Service is in the table for as long as it exists; counts begin when it does, and go on when the agent restarts. For a packet that goes astray ask `sluice explain --from A --to B`.',
  words: '[TEXT]',
  wordCount: [0, 1],
  flags: {
    sort: {
      kind: 'choice',
      choices: topOrders,
      default: 'rate',
      help: 'Order; rate: new connections per second, in all where there is no look before',
    },
    namespace: {
      kind: 'string',
      value: 'NAME',
      short: 'n',
      help: 'Services of this namespace only',
    },
    dropped: { kind: 'boolean', help: 'Only what was not served at least once' },
    limit: {
      kind: 'integer',
      min: 0,
      max: 1_000_000,
      default: 0,
      help: 'So many rows; 0: all (on a terminal, what fits)',
    },
    interval: { kind: 'duration', default: 2_000, help: 'Time between two looks on a terminal' },
    once: { kind: 'boolean', help: 'Show the table once, also on a terminal' },
    agent: {
      kind: 'string',
      value: 'URL',
      default: 'http://127.0.0.1:10271',
      help: 'Where the agent shows its metrics (its flag --listen)',
    },
    output: outputFlag,
  },
  examples: [
    { line: 'sluice top', does: 'the busiest Services, live' },
    { line: 'sluice top --dropped --sort dropped', does: 'who is turned away, and why' },
    {
      line: 'sluice top web -n shop -o json',
      does: 'for a script: Services of namespace shop with web in their name',
    },
    {
      line: 'kubectl exec -it -n sluice-agent POD -- node /sluice/dist/sluice.js top',
      does: 'on another node, in its agent Pod',
    },
  ],
  run: async ({ flags, words, shell }) => {
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
  },
});

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
