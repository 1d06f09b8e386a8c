/** `sluice drain`: no new connections for an endpoint or for the endpoints of a node, and a wait for those that are open. */
import { agentAnnotation } from '../core/agent-annotations.ts';
import { accessFlags, outputFlag } from './access.ts';
import { command, type Input } from './table.ts';

const flags = {
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
} as const;

export type DrainInput = Input<typeof flags>;

export const drainCommand = command({
  name: 'drain',
  summary: 'Send new connections elsewhere and wait until an endpoint, or a node, has none left',
  description:
    `Writes the annotation ${agentAnnotation.drain.key} on every Service that has the endpoint (or endpoints on the node). From then on every node agent gives it no new connections as long as the Service has other ready endpoints; under policy Local the health-check node port no longer counts it. What is open stays open: nothing is cut. An endpoint that is the only one keeps serving, and that is said.\n\n` +
    'Then it looks at the connection tracking table of this machine until no flow to the endpoint is open, or until --timeout. Run that part as root on the node of the endpoint, where all of its flows pass: there with --wait-only, after --mark-only from anywhere. Closed TCP connections that the kernel still remembers do not count; a UDP flow counts until the kernel forgets it.\n\n' +
    'The annotation stays when all is drained, so that nothing comes back; --undo takes it away. It works for Services that sluice serves; those of kube-proxy are left alone.\n\n' +
    'While it waits it looks at the cluster too: a Service or an endpoint of the target that appears meanwhile is marked and waited for as well (with --wait-only it is told, and nothing counts as drained before somebody marks it). Once the command has ended only endpoints are covered that come to Services which have the annotation: cordon a node first, so that no new pods come to it, or run the command again.\n\n' +
    'Exit code: 0 where it is drained (or marked, or undone), 2 where flows were left at --timeout, 1 for a problem.',
  words: 'pod/NAME|node/NAME|ADDRESS',
  wordCount: [1, 1],
  flags,
  examples: [
    { line: 'sluice drain pod/web-1 -n shop --mark-only', does: 'no new connections for this pod' },
    { line: 'sudo sluice drain pod/web-1 -n shop', does: 'and wait, on the node of the pod' },
    {
      line: 'sudo sluice drain node/node-1 --timeout 30m -o json',
      does: 'all endpoints of this node, for a script',
    },
    { line: 'sluice drain node/node-1 --undo', does: 'back to normal' },
  ],
  run: async (input) => {
    const { runDrain } = await import('./drain-run.ts');
    return await runDrain(input);
  },
});
