/** `sluice local …`: its sub-commands, one file each. */
import { localPoolsCommand } from './local-pools.ts';
import { localRunCommand } from './local-run.ts';
import type { AnyCommand } from './table.ts';

export const localCommands: readonly AnyCommand[] = [localRunCommand, localPoolsCommand];
