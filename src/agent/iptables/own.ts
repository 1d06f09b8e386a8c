/** Which processes are ours, for telling our changes of the kernel from others'. */
import type { Spawn } from './programs.ts';

/** Ids are used again: those that ended long ago are forgotten, events of a program never lag that far behind. */
const remembered = 256;

export class OwnProcesses {
  readonly #children = new Map<number, ReturnType<Spawn>>();
  readonly spawn: Spawn;

  constructor(start: Spawn) {
    this.spawn = (program, args) => {
      const child = start(program, args);
      if (child.pid !== undefined) this.#children.set(child.pid, child);
      for (const [old, { exitCode, signalCode }] of this.#children) {
        if (this.#children.size <= remembered) break;
        if (exitCode !== null || signalCode !== null) this.#children.delete(old);
      }
      return child;
    };
  }

  has(pid: number): boolean {
    return this.#children.has(pid);
  }
}
