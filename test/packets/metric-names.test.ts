/** Metrics that the real kube-proxy has too: its dashboards and alert rules read ours as they are. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentMetricTable } from '../../src/observe/agent-metric-table.ts';
import type { MetricRow } from '../../src/observe/metric-row.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';
import { startKubeProxy } from './kube-proxy.ts';

let bed: Bed;
let cluster: PacketCluster;

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
});
afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

interface Shape {
  readonly type: string;
  readonly labels: readonly string[];
}

/** Names, types and labels in the text format of Prometheus; what has no sample yet has no labels. */
function shapes(text: string): ReadonlyMap<string, Shape> {
  const found = new Map<string, Shape>();
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (kubeproxy_\S+) (\S+)$/gmu)) {
    const sample = new RegExp(`^${name}(?:_sum)?(?:\\{(.*)\\})? `, 'mu').exec(text);
    const labels = [...(sample?.[1] ?? '').matchAll(/(\w+)="/gu)].map(([, label = '']) => label);
    found.set(name, { type, labels: labels.toSorted() });
  }
  return found;
}

test.each(['nftables', 'iptables'] as const)(
  'what kube-proxy exports in %s mode has the same name, type and labels here',
  async (mode) => {
    const proxy = await startKubeProxy(bed, 'n1', { mode, kubeconfig: cluster.kubeconfig });
    try {
      let text = '';
      await until('it has written', async () => {
        text = (await bed.run('n1', 'curl', ['-s', 'http://127.0.0.1:10249/metrics'])).stdout;
        return text.includes('kubeproxy_sync_proxy_rules_last_timestamp_seconds{');
      });
      const theirs = shapes(text);
      expect(theirs.size).toBeGreaterThan(8);
      const rows: readonly MetricRow[] = Object.values(agentMetricTable);
      for (const [name, { type, labels }] of theirs) {
        const row = rows.find((one) => one.name === name);
        expect([name, row?.type, row?.labels.toSorted()]).toEqual([name, type, labels]);
      }
    } finally {
      await proxy.stop(5_000);
    }
  },
);
