/** `sluice local` and its sub-commands: what they say of themselves; each is loaded when it runs. */
import { accessFlags, outputFlag } from './access.ts';
import { localPoolsCommand } from './local-pools.ts';
import { localSetupCommand, localTeardownCommand } from './local-setup.ts';
import { command, type AnyCommand, type Input } from './table.ts';

const runFlags = {
  ...accessFlags,
  classless: { kind: 'boolean', help: 'Serve Services without a class too' },
  via: {
    kind: 'choice',
    choices: ['auto', 'nodes', 'api'],
    default: 'auto',
    help: 'How pods are reached: node ports, the API server, or whichever answers',
  },
  pool: {
    kind: 'string',
    value: 'CIDR',
    help: 'Range of the addresses instead of 127.80.0.0/12; one outside 127.0.0.0/8 needs `sluice local setup --pool`',
  },
  keep: { kind: 'boolean', help: 'Leave addresses and finalizers on the Services at the end' },
  release: { kind: 'boolean', help: 'Only take our mark off all Services, as after a crash, and end' },
  'take-over': {
    kind: 'boolean',
    help: 'Serve here what `sluice local` on another machine serves or left behind',
  },
  force: { kind: 'boolean', help: 'Serve a cluster that has address pools of its own' },
  output: { ...outputFlag, help: 'Text, or a line of JSON for each change' },
} as const;

export type LocalInput = Input<typeof runFlags>;

const localRunCommand = command({
  name: 'local',
  summary: 'Addresses on this machine for the LoadBalancer Services of any cluster, without root',
  description:
    'Works with every kubeconfig: kind, minikube, k3d, Docker Desktop, a remote cluster. Nothing is installed in the ' +
    'cluster. Each Service of class sluice.dev/local (with --classless also those without a class) gets an address ' +
    'of 127.80.0.0/12 that stays the same for its name, with its own ports where this user may open them, else with ' +
    'a stated one (80 is 8080). On macOS all Services share 127.0.0.1.\n\n' +
    "Connections go to the node ports; where no node can be reached, through the API server's port-forward to a " +
    'pod (TCP only).\n\n' +
    'On Ctrl-C the Services are left as they were found; the next start gives them the same addresses. A second ' +
    '`sluice local` on the same cluster stands by and takes over when the first ends. What another machine serves is left ' +
    'to it, and shown as such, as long as that machine is heard of: after two minutes of silence it is served here. ' +
    '--take-over does so at once.',
  words: '',
  wordCount: [0, 0],
  flags: runFlags,
  examples: [
    { line: 'npx sluice local', does: 'serve the cluster of the current context' },
    { line: 'npx sluice local --context kind-dev --classless', does: 'also Services without a class' },
    { line: 'npx sluice local --output json', does: 'for a script: a line of JSON for each change' },
  ],
  run: async (input) => {
    const { runLocal } = await import('./local-run.ts');
    return await runLocal(input);
  },
});

export const localCommands: readonly AnyCommand[] = [
  localRunCommand,
  localSetupCommand,
  localTeardownCommand,
  localPoolsCommand,
];
