/**
 * `sluice migrate`: takes over what another controller serves. A dispatcher: each source is a file of its own,
 * which is loaded when it is named, plans first, and changes nothing that was not printed and agreed to.
 */
import { accessFlags, outputFlag } from './access.ts';
import type { MigrationSource } from './migrate-source.ts';
import { configFlag } from './settings.ts';
import { command, exit } from './table.ts';

/** By the name under which people know the other controller. */
const sources = {
  'alibaba-cloud-controller-manager': async () => (await import('./migrate-alibaba.ts')).fromAlibaba,
} as const satisfies Readonly<Record<string, () => Promise<MigrationSource>>>;

type SourceName = keyof typeof sources;

export const migrateCommand = command({
  name: 'migrate',
  summary: 'Take over Services and what serves them from another controller',
  description:
    'First it prints everything that will be done, then it asks. Without words it looks at all Services that the other ' +
    'controller serves; what cannot be taken over is left with the reason, and the others go on. It can be ' +
    'broken off and run again at any point.\n\n' +
    '--from alibaba-cloud-controller-manager: Classic Load Balancers of the cloud provider’s own controller. Tags and name of a ' +
    'balancer become ours; its address, listeners, groups and members are not written to, and a balancer that the first ' +
    'pass afterwards would have to change is left where it is. The Service gets our finalizer and the annotation ' +
    'service.beta.kubernetes.io/class: sluice.dev/alibaba, by which the other controller leaves it alone. Both can go on side by side.\n\n' +
    'Exit code: 0 done or nothing to do, 2 only planned, 1 any problem.',
  words: '[NAMESPACE/NAME …]',
  wordCount: [0, 100],
  flags: {
    from: {
      kind: 'choice',
      choices: Object.keys(sources),
      help: 'Whose Services; there is no default',
    },
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
  ],
  run: async ({ flags, words, shell }) => {
    if (flags.from === undefined) {
      shell.err(`sluice: say whose Services: --from ${Object.keys(sources).join(' or --from ')}\n`);
      return exit.usage;
    }
    const source = await sources[flags.from as SourceName]();
    return await source.run({
      config: flags.config,
      kubeconfig: flags.kubeconfig,
      context: flags.context,
      output: flags.output,
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
