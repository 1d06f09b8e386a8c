/** `sluice plan`: what would be called, in which order, why, and what is risky. */
import { accessFlags, configFlag, outputFlag } from './access.ts';
import { command, type Input } from './table.ts';

const flags = {
  file: {
    kind: 'list',
    value: 'PATH',
    short: 'f',
    help: 'Manifests: a file, a folder, or - for standard input',
  },
  config: configFlag,
  output: outputFlag,
  ...accessFlags,
} as const;

export type PlanInput = Input<typeof flags>;

export const planCommand = command({
  name: 'plan',
  summary: 'Show what would be called for each Service, and why; change nothing',
  description:
    'With -f it reads Services, Nodes, EndpointSlices and settings from files and plans as if nothing existed yet: ' +
    'no cluster, no credentials, fit for a pull request. AddressPools among the files are judged, and Services of local ' +
    'mode get the addresses that those pools would give them. Without -f it reads the live cluster and the live account, ' +
    'compares, and shows what the controller would do now.\n\n' +
    "Each step is one call of the cloud's API with its parameters. + adds, ~ changes, - takes away; what may cost " +
    'connections or cannot be undone is marked with !.\n\n' +
    'Exit code: 0 nothing to do, 2 changes, 1 any problem (an unknown annotation is one).',
  words: '[NAMESPACE/NAME …]',
  wordCount: [0, 100],
  flags,
  examples: [
    { line: 'sluice plan -f examples/', does: 'plan the Services of a folder, offline' },
    {
      line: 'helm template shop | sluice plan -f - --config config.yaml -o json',
      does: 'what balancers would a chart make?',
    },
    { line: 'sluice plan --config config.yaml shop/web', does: 'compare one Service with the live account' },
  ],
  run: async (input) => {
    const { runPlan } = await import('./plan-run.ts');
    return await runPlan(input);
  },
});
