/** `sluice uninstall`: takes Sluice's mark off every Service, in order. */
import { accessFlags, configFlag } from './access.ts';
import type { FlagValues } from './flags.ts';
import { paint } from './shell.ts';
import { command, exit } from './table.ts';

const uninstallFlags = {
  config: { ...configFlag, default: '/etc/sluice/config.yaml' },
  balancers: {
    kind: 'choice',
    choices: ['delete', 'keep'],
    help: 'What becomes of the balancers; there is no default',
  },
  yes: { kind: 'boolean', short: 'y', help: 'Do not ask' },
  ...accessFlags,
} as const;

export type UninstallFlags = FlagValues<typeof uninstallFlags>;

export const uninstallCommand = command({
  name: 'uninstall',
  summary: 'Take the finalizers off all Services, deleting or keeping their balancers',
  description:
    'Run this before the controller is removed from a cluster: a Service that still bears the finalizer ' +
    'sluice.dev/balancer cannot be deleted without a controller.\n\n' +
    '--balancers delete removes each balancer first and clears the address; --balancers keep leaves balancer and ' +
    'address as they are, for another controller or for nobody to take over.\n\n' +
    'Stop the controller first (kubectl -n sluice-system scale deployment sluice-controller --replicas 0); this ' +
    'command waits for its Lease and holds it while it works. Afterwards kubectl delete -k the manifests.',
  words: '',
  wordCount: [0, 0],
  flags: uninstallFlags,
  examples: [
    { line: 'sluice uninstall --config config.yaml --balancers keep', does: 'hand the balancers over' },
    { line: 'sluice uninstall --config config.yaml --balancers delete --yes', does: 'leave nothing behind' },
  ],
  run: async ({ flags, shell }) => {
    if (flags.balancers === undefined) {
      shell.err(
        `${paint(shell, 'red', 'sluice:')} say what becomes of the balancers: --balancers delete or --balancers keep\n`,
      );
      return exit.usage;
    }
    const { runUninstall } = await import('./uninstall-run.ts');
    return await runUninstall(flags, flags.balancers, shell);
  },
});
