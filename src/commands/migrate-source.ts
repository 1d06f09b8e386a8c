/** What `sluice migrate` asks of each source: one run over the Services that another controller serves. */
import type { Shell } from './shell.ts';

export interface MigrationInput {
  /** Path of the settings file. */
  readonly config: string;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly output: 'text' | 'json';
  /** Read these instead of the cluster. */
  readonly files: readonly string[];
  /** Apply what was printed. */
  readonly apply: boolean;
  /** Print the plan and stop. */
  readonly planOnly: boolean;
  /** Do not ask. */
  readonly yes: boolean;
  /** Names of Services, with or without their namespace. Undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
  readonly shell: Shell;
}

export interface MigrationSource {
  /**
   * @returns the exit code: 0 done or nothing to do, 3 the same but some Services stay with the other controller for a
   * reason that was given, 2 only planned, 1 any problem: something failed, or was not agreed to.
   */
  run(input: MigrationInput): Promise<number>;
}
