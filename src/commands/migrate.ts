/**
 * `sluice migrate`: takes over what another controller serves. A dispatcher: each source is a file of its own,
 * which is loaded when it is named, plans first, and changes nothing that was not printed and agreed to.
 */
import { accessFlags, configFlag, outputFlag } from './access.ts';
import type { MigrationSource } from './migrate-source.ts';
import { command, exit } from './table.ts';

/** By the name under which people know the other controller. */
const sources = {
  'alibaba-cloud-controller-manager': async () => (await import('./migrate-alibaba.ts')).fromAlibaba,
  metallb: async () => (await import('./migrate-metallb.ts')).fromMetallb,
} as const satisfies Readonly<Record<string, () => Promise<MigrationSource>>>;

type SourceName = keyof typeof sources;

export const migrateCommand = command({
  name: 'migrate',
  summary: 'Take over what another controller serves',
  description:
    'First it prints everything that will be done, then it asks. It can be broken off and run again at any point.\n\n' +
    '--from alibaba-cloud-controller-manager: Classic Load Balancers of the cloud provider’s own controller. Tags and name of a ' +
    'balancer become ours; its address, listeners, groups and members are not written to, and a balancer that the first ' +
    'pass afterwards would have to change is left where it is. The Service gets our finalizer and the annotation ' +
    'service.beta.kubernetes.io/class: sluice.dev/alibaba, by which the other controller leaves it alone. Both can go on ' +
    'side by side. Without words it looks at all Services that the other controller serves; what cannot be taken over is ' +
    'left with the reason, and the others go on.\n\n' +
    '--from metallb: reads IPAddressPools and L2Advertisements, from the cluster or with -f from files, and prints the ' +
    'AddressPools that mean the same; what has no counterpart is named. --apply asks, puts them into the cluster, and, ' +
    'once MetalLB has stopped, takes its Services over with their addresses (all, or those that are named). Nothing of ' +
    'MetalLB is changed or deleted, and its annotations on Services go on to work.\n\n' +
    'Exit code: 0 done or nothing to do; 3 the same, and some Services stay with the other controller, each with its reason: ' +
    'nothing failed; 2 only planned; 1 any problem: something failed, or nobody agreed. With --from metallb a pool that could ' +
    'not be brought into the cluster is a problem.',
  words: '[NAMESPACE/NAME …]',
  wordCount: [0, 100],
  flags: {
    from: { kind: 'choice', choices: Object.keys(sources), help: 'Whose; there is no default' },
    file: {
      kind: 'list',
      value: 'PATH',
      short: 'f',
      help: 'Read these files or folders, or - for standard input, instead of the cluster (metallb)',
    },
    apply: { kind: 'boolean', help: 'Do what was printed, after asking (metallb)' },
    config: { ...configFlag, default: '/etc/sluice/config.yaml' },
    'plan-only': { kind: 'boolean', help: 'Print the plan and stop' },
    yes: { kind: 'boolean', short: 'y', help: 'Do not ask' },
    output: outputFlag,
    ...accessFlags,
  },
  examples: [
    {
      line: 'sluice migrate --from alibaba-cloud-controller-manager --config config.yaml --plan-only',
      does: 'see what would be done',
    },
    {
      line: 'sluice migrate --from alibaba-cloud-controller-manager --config config.yaml shop/web',
      does: 'take one Service over',
    },
    { line: 'sluice migrate --from metallb > pools.yaml', does: 'the pools of MetalLB in our words' },
    { line: 'sluice migrate --from metallb -f metallb.yaml', does: 'the same from files, without a cluster' },
  ],
  run: async ({ flags, words, shell }) => {
    if (flags.from === undefined) {
      shell.err(`sluice: say whose: --from ${Object.keys(sources).join(' or --from ')}\n`);
      return exit.usage;
    }
    const source = await sources[flags.from as SourceName]();
    return await source.run({
      config: flags.config,
      kubeconfig: flags.kubeconfig,
      context: flags.context,
      output: flags.output,
      files: flags.file,
      apply: flags.apply && !flags['plan-only'],
      planOnly: flags['plan-only'],
      yes: flags.yes,
      only:
        words.length === 0
          ? undefined
          : new Set(words.map((word) => word.replace(/^(svc|service)s?\//u, ''))),
      shell,
    });
  },
});
