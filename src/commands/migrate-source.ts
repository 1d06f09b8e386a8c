/** What `sluice migrate` asks of each source: one run over the Services that another controller serves. */
import type { Shell } from './shell.ts';

export interface MigrationInput {
  /** Path of the settings file. */
  readonly config: string;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly output: 'text' | 'json';
  /** Print the plan and stop. */
  readonly planOnly: boolean;
  /** Do not ask. */
  readonly yes: boolean;
  /** Names of Services, with or without their namespace. Undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
  readonly shell: Shell;
}

export interface MigrationSource {
  /** @returns the exit code: 0 done or nothing to do, 2 only planned, 1 any problem. */
  run(input: MigrationInput): Promise<number>;
}
