/** `sluice local …`: its sub-commands, one file each. */
import { localPoolsCommand } from './local-pools.ts';
import { localRunCommand } from './local-run.ts';
import { localSetupCommand, localTeardownCommand } from './local-setup.ts';
import type { AnyCommand } from './table.ts';

export const localCommands: readonly AnyCommand[] = [
  localRunCommand,
  localSetupCommand,
  localTeardownCommand,
  localPoolsCommand,
];
