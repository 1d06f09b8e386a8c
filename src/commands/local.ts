/** `sluice local …`: its sub-commands, one file each. */
import { localRunCommand } from './local-run.ts';
import type { AnyCommand } from './table.ts';

export const localCommands: readonly AnyCommand[] = [localRunCommand];
