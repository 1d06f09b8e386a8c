/** Counts of the kernel as series of metrics; those of Services also as what `sluice top` reads from a running agent. */
import type { Agent } from '../agent/agent.ts';
import { dropReasons, type CounterMode } from '../agent/counters/layout.ts';
import type { CounterRow } from '../agent/counters/rows.ts';
import { asSluiceError } from '../core/errors.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';

/** What `/debug/counters` of an agent answers. */
export interface CountsReport {
  readonly apiVersion: 'sluice.dev/v1alpha1';
  readonly kind: 'ServiceCounters';
  readonly node: string;
  readonly counting: CounterMode;
  readonly services: readonly CounterRow[];
}

export function countsReport(
  node: string,
  counting: CounterMode | 'off',
  services: readonly CounterRow[] | undefined,
): CountsReport | undefined {
  if (counting === 'off' || services === undefined) return undefined;
  return { apiVersion: 'sluice.dev/v1alpha1', kind: 'ServiceCounters', node, counting, services };
}

/** `http`, or `80/TCP` where the port has no name. */
export function portText({ port }: Pick<CounterRow, 'port'>): string {
  return port.name === '' ? `${port.number}/${port.protocol}` : `${port.name}/${port.protocol}`;
}

function labels(row: CounterRow): { service: string; port: string; ip_family: string } {
  return { service: row.service, port: portText(row), ip_family: row.family };
}

/**
 * Sets the series from what the kernel has counted: one of connections for each port, others only where there is
 * something to tell. What cannot be read leaves no series, which is not a count of 0.
 */
export async function countSeries(
  metrics: Pick<Metrics, 'replace'>,
  agent: Pick<Agent, 'counters'>,
  log: Pick<Log, 'warn'>,
): Promise<void> {
  let rows: readonly CounterRow[] = [];
  try {
    rows = (await agent.counters()) ?? [];
  } catch (thrown) {
    log.warn('counts of Services could not be read', { error: asSluiceError(thrown) });
  }
  metrics.replace(
    'serviceConnections',
    rows.map((row) => ({ labels: labels(row), value: row.connections })),
  );
  metrics.replace(
    'serviceDropped',
    rows.flatMap((row) =>
      dropReasons
        .filter((reason) => row.dropped[reason] > 0)
        .map((reason) => ({ labels: { ...labels(row), reason }, value: row.dropped[reason] })),
    ),
  );
  metrics.replace(
    'serviceBytes',
    rows.flatMap((row) =>
      row.bytes === null
        ? []
        : (['in', 'out'] as const).map((direction) => ({
            labels: { ...labels(row), direction },
            value: row.bytes?.[direction] ?? 0,
          })),
    ),
  );
}

/** Sets the series of the rules that are the node's own. What no rule counts, or cannot be read, has none. */
export async function packetSeries(
  metrics: Pick<Metrics, 'replace'>,
  agent: Pick<Agent, 'packetCounts'>,
  log: Pick<Log, 'warn'>,
): Promise<void> {
  let counts: Awaited<ReturnType<Agent['packetCounts']>> = [];
  try {
    counts = await agent.packetCounts();
  } catch (thrown) {
    log.warn('packets of rules could not be read', { error: asSluiceError(thrown) });
  }
  // One series for both families, as kube-proxy has it.
  for (const [id, of] of [
    ['proxyInvalidDropped', 'invalidDropped'],
    ['proxyLocalhostAccepted', 'toLocalhost'],
  ] as const) {
    const known = counts.flatMap((each) => each[of] ?? []);
    const value = known.reduce((sum, packets) => sum + packets, 0);
    metrics.replace(id, known.length === 0 ? [] : [{ labels: {}, value }]);
  }
}
