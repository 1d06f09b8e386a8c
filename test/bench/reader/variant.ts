/**
 * One reader in a process of its own, so that its memory is its own: reads Nodes, Services and slices one
 * after another, then takes the changes of slices, and prints what it cost.
 *
 * Arguments: `ours`, `ours-paged` or `informer`; the server's URL; counts as JSON.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';

import type { Counts } from './data.ts';

export interface Figures {
  /** Milliseconds from the first request to the last object of the three lists. */
  readonly listMs: number;
  /** Highest resident size of the process until the lists were in, MB. */
  readonly peakMb: number;
  /** Heap after a collection, above that of before, MB. */
  readonly heapMb: number;
  /** Longest time that the event loop was held up while listing, ms. */
  readonly stallMs: number;
  /** Milliseconds to take all the changes. */
  readonly updatesMs: number;
}

interface Reading {
  /** Reads one kind after the other; resolves when all are in. */
  list(): Promise<void>;
  /** Calls `each` for every changed slice. */
  onUpdate(each: () => void): void;
  counts(): readonly [number, number, number];
}

async function ours(url: string, paged: boolean): Promise<Reading> {
  const { Connection, plainAccess } = await import('../../../src/kube/connection.ts');
  const { Reader } = await import('../../../src/kube/reader.ts');
  const { makeIntern } = await import('../../../src/kube/intern.ts');
  const { byService, endpointSlices, nodes, services } = await import('../../../src/kube/kinds.ts');
  const { pagesOnly } = await import('./pages-only.ts');
  const connection = new Connection(plainAccess(url));
  const api = paged ? pagesOnly(connection) : connection;
  const intern = makeIntern();
  const readers = [
    new Reader({ api, kind: nodes({ intern }) }),
    new Reader({ api, kind: services({ intern }) }),
    new Reader({ api, kind: endpointSlices({ intern }), indexes: { service: byService } }),
  ] as const;
  return {
    list: async () => {
      for (const reader of readers) {
        reader.start();
        await reader.synced();
      }
    },
    onUpdate: (each) => {
      readers[2].subscribe((change) => {
        if (change.kind === 'updated') each();
      });
    },
    counts: () => [readers[0].store.size, readers[1].store.size, readers[2].store.size],
  };
}

async function informer(url: string): Promise<Reading> {
  const { CoreV1Api, DiscoveryV1Api, KubeConfig, makeInformer } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'c', server: url, skipTLSVerify: true }],
    users: [{ name: 'u' }],
    contexts: [{ name: 'c', cluster: 'c', user: 'u' }],
    currentContext: 'c',
  });
  const core = config.makeApiClient(CoreV1Api);
  const discovery = config.makeApiClient(DiscoveryV1Api);
  const informers = [
    makeInformer(config, '/api/v1/nodes', () => core.listNode()),
    makeInformer(config, '/api/v1/services', () => core.listServiceForAllNamespaces()),
    makeInformer(config, '/apis/discovery.k8s.io/v1/endpointslices', () =>
      discovery.listEndpointSliceForAllNamespaces(),
    ),
  ] as const;
  return {
    list: async () => {
      for (const each of informers) await each.start();
    },
    onUpdate: (each) => informers[2].on('update', each),
    counts: () => [informers[0].list().length, informers[1].list().length, informers[2].list().length],
  };
}

async function measure(variant: string, url: string, counts: Counts): Promise<Figures> {
  const reading = variant === 'informer' ? await informer(url) : await ours(url, variant === 'ours-paged');
  collect();
  const heapBefore = process.memoryUsage().heapUsed;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const from = performance.now();
  await reading.list();
  const listMs = performance.now() - from;
  // The last stall is only seen by a timer that runs after it.
  await pause(20);
  delay.disable();
  const peakMb = process.resourceUsage().maxRSS / 1024;
  const wanted = [counts.nodes, counts.services, counts.slices];
  if (JSON.stringify(reading.counts()) !== JSON.stringify(wanted)) {
    throw new Error(`${variant} holds ${JSON.stringify(reading.counts())}, not ${JSON.stringify(wanted)}`);
  }
  await pause(200);
  collect();
  const heapMb = (process.memoryUsage().heapUsed - heapBefore) / 2 ** 20;
  const updatesMs = await takeUpdates(reading, url, counts.updates);
  return { listMs, peakMb, heapMb, stallMs: delay.max / 1e6, updatesMs };
}

async function takeUpdates(reading: Reading, url: string, wanted: number): Promise<number> {
  const all = Promise.withResolvers<void>();
  let seen = 0;
  reading.onUpdate(() => {
    seen += 1;
    if (seen === wanted) all.resolve();
  });
  await pause(500);
  // The first fetch of a process loads code: not what is measured.
  await (await fetch(`${url}/warm-up`)).text();
  const from = performance.now();
  const response = await fetch(`${url}/updates`, { method: 'POST' });
  if ((await response.text()) !== '1') throw new Error('the slices are not watched');
  await all.promise;
  return performance.now() - from;
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
  for (let round = 0; round < 3; round += 1) globalThis.gc();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

const [variant = '', url = '', counts = '{}'] = process.argv.slice(2);
console.log(JSON.stringify(await measure(variant, url, JSON.parse(counts) as Counts)));
process.exit(0);
