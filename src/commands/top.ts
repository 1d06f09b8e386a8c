/** `sluice top`: which Services get new connections on this node, and which turn them away. */
import { outputFlag } from './access.ts';
import { command, type Input } from './table.ts';

const flags = {
  sort: {
    kind: 'choice',
    choices: ['rate', 'connections', 'dropped', 'bytes', 'name'],
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
} as const;

export type TopInput = Input<typeof flags>;
export type TopOrder = TopInput['flags']['sort'];

export const topCommand = command({
  name: 'top',
  summary: 'Show new connections of each Service on this node, and those that are not served',
  description:
    'Asks the node agent that runs here (--agent) what it counts. On a terminal the table is shown again and again, with rates, until you press Ctrl-C; into a pipe, with --once or as JSON it is shown once. Counting is off by default: start the agent with --counters=connections, or --counters=bytes for bytes as well.\n\n' +
    'CONNECTIONS were given an endpoint. The others were not: NO ENDPOINT anywhere, so the client is told at once (is a Pod ready? `kubectl get endpointslices`); NOT HERE, because a traffic policy Local allows only endpoints of this node (a balancer should not send here: look at the health-check node port); NOT ALLOWED by loadBalancerSourceRanges. A client that tries again counts again.\n\n' +
    'A port of a Service is in the table for as long as it exists; counts begin when it does, and go on when the agent restarts. For a packet that goes astray ask `sluice explain --from A --to B`.',
  words: '[TEXT]',
  wordCount: [0, 1],
  flags,
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
  run: async (input) => {
    const { runTop } = await import('./top-run.ts');
    return await runTop(input);
  },
});
