/** Which rows `sluice top` shows, in which order, and what stands in them. */
import { describe, expect, test } from 'vitest';
import type { CounterRow } from '../agent/counters/rows.ts';
import { objectKey } from '../core/objects.ts';
import { createMetrics } from '../observe/metrics.ts';
import { countSeries, countsReport, type CountsReport } from './agent-counters.ts';
import { bytesText, topRows, topTable, type TopChoice } from './top-report.ts';

const none = { NoEndpoints: 0, NoLocalEndpoints: 0, OutsideSourceRanges: 0 };

function row(name: string, connections: number, over: Partial<CounterRow> = {}): CounterRow {
  return {
    service: objectKey('shop', name),
    port: { name: 'http', number: 80, protocol: 'TCP' },
    family: 'IPv4',
    connections,
    dropped: none,
    bytes: null,
    ...over,
  };
}

function report(...services: readonly CounterRow[]): CountsReport {
  const made = countsReport('n1', 'connections', services);
  if (made === undefined) throw new Error('it is counted');
  return made;
}

const plain: TopChoice = { sort: 'rate', filter: '', namespace: '', dropped: false, limit: 0 };
const looks = {
  before: report(row('web', 100), row('api', 0)),
  now: report(row('web', 110), row('api', 40), row('new', 3, { dropped: { ...none, NoEndpoints: 2 } })),
  seconds: 2,
};
const names = (choice: Partial<TopChoice>): readonly string[] =>
  topRows(looks, { ...plain, ...choice }).map(({ service }) => service.replace('shop/', ''));

describe('rows', () => {
  test.each<[string, Partial<TopChoice>, readonly string[]]>([
    ['by rate', {}, ['api', 'web', 'new']],
    ['by connections', { sort: 'connections' }, ['web', 'api', 'new']],
    ['by what was dropped, then by name', { sort: 'dropped' }, ['new', 'api', 'web']],
    ['by name', { sort: 'name' }, ['api', 'new', 'web']],
    ['that dropped something', { dropped: true }, ['new']],
    ['with a text in the name', { filter: 'we' }, ['web']],
    ['of another namespace', { namespace: 'sho' }, []],
    ['at most so many', { limit: 1 }, ['api']],
  ])('%s', (_name, choice, expected) => expect(names(choice)).toEqual(expected));

  test('rates are per second, and none are told from one look', () => {
    expect(topRows(looks, plain).map(({ rate }) => rate)).toEqual([20, 5, 1.5]);
    expect(topRows({ ...looks, before: undefined }, plain)[0]?.rate).toBeNull();
  });

  test('a count that began anew is no negative rate', () => {
    const back = { ...looks, before: report(row('web', 1_000)) };
    expect(topRows(back, plain).find(({ service }) => service === 'shop/web')?.rate).toBe(0);
  });
});

test('the table has a head, columns in line, and bytes only where they are counted', () => {
  const [head = '', first = ''] = topTable(looks.now, topRows(looks, plain));
  expect(head).toMatch(/^SERVICE +PORT +FAMILY +CONNECTIONS +PER S +NO ENDPOINT +NOT HERE +NOT ALLOWED$/u);
  expect(first).toMatch(/^shop\/api +http\/TCP +IPv4 +40 +20\.0 +0 +0 +0$/u);
  expect(topTable({ node: 'n1', counting: 'bytes' }, [])[0]).toMatch(/IN +OUT$/u);
  expect(topTable(looks.now, [])[1]).toContain('no port of a Service on node n1');
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [5 * 1024 ** 3, '5.0 GiB'],
])('%d bytes', (bytes, text) => expect(bytesText(bytes)).toBe(text));

test('series: what is gone leaves none, and what cannot be read is no 0', async () => {
  const metrics = createMetrics({ of: 'agent', version: '0', processMetrics: false });
  const told: string[] = [];
  const log = { warn: (message: string) => told.push(message) };
  await countSeries(metrics, { counters: async () => [row('web', 7), row('api', 1)] }, log);
  expect(await metrics.text()).toContain(
    'sluice_service_connections_total{service="shop/web",port="http/TCP",ip_family="IPv4"} 7',
  );
  await countSeries(metrics, { counters: async () => [row('api', 2)] }, log);
  expect(await metrics.text()).not.toContain('shop/web');
  const failing = async (): Promise<never> => {
    throw new Error('no');
  };
  await countSeries(metrics, { counters: failing }, log);
  expect(await metrics.text()).not.toContain('shop/api');
  expect(told).toHaveLength(1);
});
