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
export function knowNodes(sandbox: Sandbox, count: number): Promise<void> {
  return know(sandbox, 'nodes', count);
}

/** The same of any kind: as many objects as are there now, unless said otherwise. */
export async function know(
  { api, controllers }: Sandbox,
  kind: 'nodes' | 'addresspools' | 'namespaces',
  count?: number,
): Promise<void> {
  const path = kind === 'addresspools' ? '/apis/sluice.dev/v1alpha1/addresspools' : `/api/v1/${kind}`;
  const there = async (): Promise<number> =>
    ((await api.request('GET', path)) as { readonly items: readonly unknown[] }).items.length;
  for (const controller of controllers.filter(({ process }) => process.ended() === undefined))
    await until(`${controller.process.name} to know all ${kind}`, async () => {
      const known = await metric(controller, 'sluice_reader_objects', `"${kind}"`);
      return known === (count ?? (await there())) ? true : undefined;
    });
}
