/** What no rule counts is not exported as a count of nothing. */
import { expect, test } from 'vitest';
import type { PacketCounts } from '../agent/backend.ts';
import { createMetrics } from '../observe/metrics.ts';
import { packetSeries } from './agent-counters.ts';

const invalid = 'kubeproxy_iptables_ct_state_invalid_dropped_packets_total';
const localhost = 'kubeproxy_iptables_localhost_nodeports_accepted_packets_total';

async function exported(counts: () => Promise<readonly PacketCounts[]>) {
  const metrics = createMetrics({ of: 'agent', version: '0', processMetrics: false });
  const warned: string[] = [];
  await packetSeries(metrics, { packetCounts: counts }, { warn: (message) => void warned.push(message) });
  const text = await metrics.text();
  const of = (name: string): string | undefined => new RegExp(`^${name} (\\d+)$`, 'mu').exec(text)?.[1];
  return { warned, invalid: of(invalid), localhost: of(localhost) };
}

test('packets of both families are one sum', async () => {
  const counts = [
    { invalidDropped: 3, toLocalhost: 0 },
    { invalidDropped: 4, toLocalhost: undefined },
  ];
  expect(await exported(() => Promise.resolve(counts))).toEqual({
    warned: [],
    invalid: '7',
    localhost: '0',
  });
});

test('where there is no such rule, or it cannot be read, there is no series', async () => {
  const none = { warned: [], invalid: undefined, localhost: undefined };
  expect(await exported(() => Promise.resolve([]))).toEqual(none);
  const failing = await exported(() => Promise.reject(new Error('no')));
  expect(failing).toEqual({ ...none, warned: ['packets of rules could not be read'] });
});
