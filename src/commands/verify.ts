/** `sluice verify`: is the kernel of this node as it should be? */
import { accessFlags, outputFlag } from './access.ts';
import { decisionFlags } from './agent-flags.ts';
import { command, type Input } from './table.ts';

const flags = {
  'node-name': {
    kind: 'string',
    value: 'NAME',
    env: 'NODE_NAME',
    help: 'Name of this Node object; default: the name of the host',
  },
  filename: {
    kind: 'list',
    value: 'FILE',
    short: 'f',
    help: 'Read Services, EndpointSlices and the Node from files or folders instead of a cluster',
  },
  settle: {
    kind: 'duration',
    default: 1_000,
    help: 'Time until the second look at what was found; 0: one look',
  },
  'api-server': {
    kind: 'string',
    value: 'URL',
    env: 'SLUICE_API_SERVER',
    help: 'Address of the API server; default: that of the kubeconfig',
  },
  output: outputFlag,
  ...decisionFlags,
  ...accessFlags,
} as const;

export type VerifyInput = Input<typeof flags>;

export const verifyCommand = command({
  name: 'verify',
  summary: 'Hold the live kernel of this node against what should be in it',
  description:
    'Decides anew from the API server (or from files) what the node agent should have written here, reads the kernel, and tells every difference with the Service that it belongs to. It changes nothing: programs that would write are not even started. It runs as root on the network of the node, beside a running agent or without one.\n\n' +
    'What it finds is looked at a second time a moment later, with fresh lists: a change that was under way is no difference. Give it the flags of the agent where they are not the usual ones.\n\n' +
    'Exit code: 0 where it is in step, 2 where there are differences, 1 where it could not be found out.',
  words: '',
  wordCount: [0, 0],
  flags,
  examples: [
    { line: 'sluice verify --node-name node-1', does: 'is the kernel as it should be?' },
    { line: 'sluice verify -o json', does: 'for a script; exit code 2 means differences' },
    { line: 'sluice verify -f world.yaml --node-name node-1', does: 'against a state that was saved before' },
  ],
  run: async (input) => {
    const { runVerify } = await import('./verify-run.ts');
    return await runVerify(input);
  },
});
