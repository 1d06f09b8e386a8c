/** What controllers say of themselves. */
import { until } from '../../src/sandbox/demo/stage.ts';
import type { RunningController, Sandbox } from '../../src/sandbox/sandbox.ts';

/** A gauge or counter of a controller, summed over its labels; `where` is text that the line must hold. */
export async function metric(controller: RunningController, name: string, where = ''): Promise<number> {
  const text = await (await fetch(`${controller.url}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && line.includes(where))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/**
 * Waits until every controller that runs has heard of so many nodes. They are watched on a connection of their own: a Service that
 * is made right after them may be heard of before.
 */
export async function knowNodes({ controllers }: Sandbox, count: number): Promise<void> {
  for (const controller of controllers.filter(({ process }) => process.ended() === undefined))
    await until(`${controller.process.name} to know ${count} nodes`, async () =>
      (await metric(controller, 'sluice_reader_objects', '"nodes"')) === count ? true : undefined,
    );
}
