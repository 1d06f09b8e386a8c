/** `sluice local setup` and `sluice local teardown`: what they say of themselves; local-setup-run.ts is what they do. */
import type { FlagValues } from './flags.ts';
import { command } from './table.ts';

const teardownFlags = {
  'dry-run': { kind: 'boolean', help: 'Only show what would be done' },
  yes: { kind: 'boolean', short: 'y', help: 'Do not ask' },
} as const;

const setupFlags = {
  ...teardownFlags,
  'ports-from': {
    kind: 'integer',
    min: 0,
    max: 1024,
    default: 0,
    help: 'Least port that users may open',
  },
  pool: { kind: 'string', value: 'CIDR', help: 'A range outside 127.0.0.0/8 for `sluice local --pool`' },
} as const;

export type TeardownFlags = FlagValues<typeof teardownFlags>;
export type SetupFlags = FlagValues<typeof setupFlags>;

export const localSetupCommand = command({
  name: 'local setup',
  summary: 'Once, as root: real ports below 1024 and address pools for sluice local',
  description:
    'Shows the commands that need root, asks, and runs them with sudo (or as they are where you are root): a lower bound ' +
    'for the ports that users may open, and with --pool a route that makes every address of a range one of this ' +
    'machine. Without it `sluice local` works too, with stated ports (80 is 8080) and addresses of 127.80.0.0/12.\n\n' +
    'Each step is written into a journal first; `sluice local teardown` undoes exactly those. A reboot undoes them too. ' +
    'Linux (WSL2 included) only: macOS has no such steps here, and Windows needs none.',
  words: '',
  wordCount: [0, 0],
  flags: setupFlags,
  examples: [
    { line: 'sluice local setup --dry-run', does: 'what it would do' },
    { line: 'sluice local setup --pool 10.240.0.0/24', does: 'ports, and a range of its own' },
  ],
  run: async ({ flags, shell }) => {
    const { setUp } = await import('./local-setup-run.ts');
    return await setUp(flags, shell);
  },
});

export const localTeardownCommand = command({
  name: 'local teardown',
  summary: 'Undo what sluice local setup did, and nothing else',
  description:
    'Reads the journal of `sluice local setup` and undoes its steps, the last first, also after a crash in the middle. ' +
    'What a reboot took away, or somebody set differently since, is left alone and named.',
  words: '',
  wordCount: [0, 0],
  flags: teardownFlags,
  examples: [{ line: 'sluice local teardown', does: 'as if it had never been set up' }],
  run: async ({ flags, shell }) => {
    const { tearDown } = await import('./local-setup-run.ts');
    return await tearDown(flags, shell);
  },
});
