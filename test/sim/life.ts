/**
 * The life of one simulated process: running, frozen (SIGSTOP) or dead (a crash).
 *
 * Invariants: code of the process runs only while it runs; what comes to a frozen process (a timer, an
 * answer) waits in order until it is woken; what comes to a dead one is never heard. What a process has
 * sent before it froze or died is on the wire and has its effect all the same.
 */
import type { Clock } from '../../src/core/clock.ts';

export class Life {
  #state: 'running' | 'frozen' | 'dead' = 'running';
  #waiting: (() => void)[] = [];

  get state(): 'running' | 'frozen' | 'dead' {
    return this.#state;
  }

  /** Everything that enters the process comes through here. */
  enter(run: () => void): void {
    if (this.#state === 'running') run();
    else if (this.#state === 'frozen') this.#waiting.push(run);
  }

  freeze(): void {
    if (this.#state === 'running') this.#state = 'frozen';
  }

  /** What waited runs as timers of this moment, one by one, as an event loop would. */
  thaw(clock: Clock): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) clock.schedule(0, () => this.enter(run));
  }

  kill(): void {
    this.#state = 'dead';
    this.#waiting = [];
  }
}

/** The clock as the process has it: its timers run only while it does. */
export function clockOf(life: Life, clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    schedule: (ms, run) => {
      let cancelled = false;
      const cancel = clock.schedule(ms, () => {
        life.enter(() => {
          if (!cancelled) run();
        });
      });
      return () => {
        cancelled = true;
        cancel();
      };
    },
  };
}
