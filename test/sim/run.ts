/** Runs one history from birth to judgement, and says what was found. */
import type { Cloud } from './cloud.ts';
import { describeEvent, type History } from './events.ts';
import { judge } from './judge.ts';
import type { Violation } from './monitor.ts';
import { perform } from './perform.ts';
import type { Plants } from './process.ts';
import { describeError, World } from './world.ts';

export interface Result {
  readonly violations: readonly Violation[];
  /** Kind of event → how often it happened. */
  readonly happened: ReadonlyMap<string, number>;
  readonly virtualMs: number;
}

export interface RunOptions {
  readonly cloud: Cloud;
  readonly plants?: Plants;
  readonly checkSchema?: boolean;
  /** Told of every event, call and violation, one line each. */
  readonly trace?: (line: string) => void;
}

export async function runHistory(history: History, options: RunOptions): Promise<Result> {
  const { seed, surroundings, steps } = history;
  const world = new World({ seed, surroundings, ...options });
  try {
    for (const { gapMs, event } of steps) {
      if (gapMs > 0) await world.clock.advance(gapMs);
      options.trace?.(`${Math.round(world.clock.now())} ms  ── ${describeEvent(event)}`);
      perform(world, event);
      if (world.monitor.violations.length > 0) break;
    }
    if (world.monitor.violations.length === 0) await judge(world, seed % 4 === 0 ? 'long' : 'short');
  } catch (error) {
    world.monitor.report('crash', describeError(error));
  } finally {
    world.end();
  }
  return {
    violations: world.monitor.violations,
    happened: world.happened,
    virtualMs: world.clock.now(),
  };
}
