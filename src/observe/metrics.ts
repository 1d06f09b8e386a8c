/**
 * The metrics of one process: a registry made from the metric table, and the few verbs that fill it.
 *
 * Nothing global: each process (and each test) has a registry of its own. What is a state and not an event
 * (queue, readers, lease, conditions) is read from its source when somebody asks, and never kept twice.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { metricTable } from './metric-table.ts';
import type { MetricRow } from './metric-row.ts';
import type { MetricId } from './metric-table.ts';

type Labels<Id extends MetricId> = Readonly<Record<(typeof metricTable)[Id]['labels'][number], string>>;
type IdOf<Type extends MetricRow['type']> = {
  [Id in MetricId]: (typeof metricTable)[Id]['type'] extends Type ? Id : never;
}[MetricId];

/** States, asked for at each scrape. What is not known (yet) is undefined and not exported. */
export interface Sources {
  readonly queue?: () => {
    readonly depth: number;
    readonly oldestMs: number;
    readonly working: number;
  };
  readonly readers?: () => readonly {
    readonly kind: string;
    readonly synced: boolean;
    /** Milliseconds since the server was last heard of; undefined before. */
    readonly silenceMs: number | undefined;
    readonly objects: number;
    readonly lists: number;
    readonly failures: number;
  }[];
  readonly leaseHeld?: () => boolean;
  /** Sets gauges by `set`, from states that live elsewhere. */
  readonly refresh?: () => void;
  /** Those of local mode; none where another replica leads. */
  readonly pools?: () => Iterable<{
    readonly name: string;
    readonly waiting: number;
    readonly families: Readonly<Record<'IPv4' | 'IPv6', { readonly inUse: number; readonly free: number }>>;
  }>;
  /** One entry a condition of a Service that we serve. */
  readonly conditions?: () => Iterable<{
    readonly type: string;
    readonly status: string;
    readonly reason: string;
  }>;
}

export interface Metrics {
  /** The Prometheus text format. */
  readonly text: () => Promise<string>;
  readonly contentType: string;
  readonly count: <Id extends IdOf<'counter'>>(id: Id, labels: Labels<Id>, by?: number) => void;
  /** A duration, given in milliseconds and exported in seconds. */
  readonly time: <Id extends IdOf<'histogram'>>(id: Id, labels: Labels<Id>, ms: number) => void;
  readonly set: <Id extends IdOf<'gauge'>>(id: Id, labels: Labels<Id>, value: number) => void;
  /** Counts that are kept elsewhere, in place of all series of this metric: what is not named any more is gone. */
  readonly replace: <Id extends IdOf<'counter'>>(
    id: Id,
    series: Iterable<{ readonly labels: Labels<Id>; readonly value: number }>,
  ) => void;
  /** Sources become known one after another while the process is put together. */
  readonly readFrom: (sources: Sources) => void;
}

export interface MetricsOptions {
  /** Whose metrics: an agent exports none of the controller's. Default: the controller's. */
  readonly of?: 'controller' | 'agent';
  readonly version: string;
  /** Metrics of Node itself (heap, event-loop lag, file handles) too. */
  readonly processMetrics: boolean;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  const rows: readonly (readonly [string, MetricRow])[] = Object.entries(metricTable);
  const { of: owner = 'controller' } = options;
  for (const [id, row] of rows) {
    const { of = 'controller' } = row;
    if (of !== owner && of !== 'both') continue;
    const common = { name: row.name, help: row.help, labelNames: [...row.labels], registers: [registry] };
    if (row.type === 'counter') counters.set(id, new Counter(common));
    else if (row.type === 'gauge') gauges.set(id, new Gauge(common));
    else histograms.set(id, new Histogram({ ...common, buckets: [...(row.buckets ?? [])] }));
  }
  if (options.processMetrics) collectDefaultMetrics({ register: registry });

  let sources: Sources = {};
  const set: Metrics['set'] = (id, labels, value) => gauges.get(id)?.set(labels, value);
  set('build', { version: options.version, node: process.version }, 1);

  const readSources = (): void => {
    const queue = sources.queue?.();
    if (queue) {
      set('queueDepth', {}, queue.depth);
      set('queueAge', {}, queue.oldestMs / 1000);
      set('queueWorking', {}, queue.working);
    }
    for (const reader of sources.readers?.() ?? []) {
      const { kind } = reader;
      set('readerSynced', { kind }, reader.synced ? 1 : 0);
      if (reader.silenceMs !== undefined) set('readerSilence', { kind }, reader.silenceMs / 1000);
      set('readerObjects', { kind }, reader.objects);
      set('readerLists', { kind }, reader.lists);
      set('readerFailures', { kind }, reader.failures);
    }
    sources.refresh?.();
    if (sources.leaseHeld) set('leaseHeld', {}, sources.leaseHeld() ? 1 : 0);
    if (sources.pools) {
      for (const id of ['poolAddresses', 'poolWaiting'] as const) gauges.get(id)?.reset();
      for (const { name: pool, waiting, families } of sources.pools()) {
        set('poolWaiting', { pool }, waiting);
        for (const [ip_family, { inUse, free }] of Object.entries(families)) {
          // A pool has one family or both.
          if (inUse + free === 0) continue;
          set('poolAddresses', { pool, ip_family, state: 'in-use' }, inUse);
          set('poolAddresses', { pool, ip_family, state: 'free' }, free);
        }
      }
    }
    if (sources.conditions) {
      const gauge = gauges.get('conditions');
      gauge?.reset();
      for (const { type, status, reason } of sources.conditions()) {
        gauge?.inc({ condition: type, status, reason });
      }
    }
  };

  return {
    contentType: registry.contentType,
    text: () => {
      readSources();
      return registry.metrics();
    },
    count: (id, labels, by = 1) => counters.get(id)?.inc(labels, by),
    time: (id, labels, ms) => histograms.get(id)?.observe(labels, ms / 1000),
    set,
    replace: (id, series) => {
      const counter = counters.get(id);
      counter?.reset();
      // Without labels it begins at 0 again, which nobody has counted.
      if (metricTable[id].labels.length === 0) counter?.remove();
      for (const { labels, value } of series) counter?.inc(labels, value);
    },
    readFrom: (more) => {
      sources = { ...sources, ...more };
    },
  };
}
