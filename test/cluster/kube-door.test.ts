/**
 * The one door to Kubernetes against a real kube-apiserver and etcd: what no scripted server can vouch for.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

import { systemClock } from '../../src/core/clock.ts';
import { objectKey } from '../../src/core/objects.ts';
import type { ObjectKey, ServiceObject } from '../../src/core/objects.ts';
import { connect } from '../../src/kube/connection.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { byService, endpointSlices, nodes, services } from '../../src/kube/kinds.ts';
import { Elector, leaseTimings } from '../../src/kube/lease.ts';
import type { Term } from '../../src/kube/lease.ts';
import { Reader } from '../../src/kube/reader.ts';
import type { ReaderReport } from '../../src/kube/reader-report.ts';
import { OwnWrites } from '../../src/kube/staleness.ts';
import { Writer, readClusterId, servicePath } from '../../src/kube/writer.ts';
import { startControlPlane } from '../../src/sandbox/control-plane.ts';
import type { ControlPlane } from '../../src/sandbox/control-plane.ts';

let plane: ControlPlane;
let connection: Connection;
let writer: Writer;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  plane = await startControlPlane();
  connection = await connect({ path: plane.admin.path });
  writer = new Writer(connection);
}, 600_000);

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

afterAll(async () => {
  await connection?.close();
  await plane?.stop();
});

const finalizer = 'sluice.dev/balancer';
let made = 0;

async function service(spec: object = {}): Promise<ServiceObject> {
  made += 1;
  const key = objectKey('default', `door-${made}`);
  await writer.create('/api/v1/namespaces/default/services', {
    metadata: { name: `door-${made}` },
    spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
  });
  return writer.getService(key);
}

function remove(key: ObjectKey): Promise<unknown> {
  return connection.request('DELETE', servicePath(key));
}

function condition(type: string) {
  const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  return { type, status: 'True', reason: 'Tested', message: 'by a test', lastTransitionTime } as const;
}

interface Watching {
  readonly reader: Reader<ObjectKey, ServiceObject>;
  readonly heard: string[];
  readonly reports: ReaderReport[];
}

async function watching(): Promise<Watching> {
  const heard: string[] = [];
  const reports: ReaderReport[] = [];
  const reader = new Reader({ api: connection, kind: services(), report: (event) => reports.push(event) });
  reader.subscribe((change) => {
    heard.push(`${change.kind} ${change.object.name}`);
  });
  cleanups.push(() => reader.stop());
  reader.start();
  await reader.synced();
  return { reader, heard, reports };
}

function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 20 });
}

describe('reader', () => {
  test('each kind is listed as one stream', async () => {
    const streamed: boolean[] = [];
    const report = (event: ReaderReport): void => {
      if (event.kind === 'listed') streamed.push(event.streamed);
    };
    const readers = [
      new Reader({ api: connection, kind: services(), report }),
      new Reader({ api: connection, kind: nodes(), report }),
      new Reader({ api: connection, kind: endpointSlices(), indexes: { service: byService }, report }),
    ];
    for (const reader of readers) reader.start();
    await Promise.all(readers.map((reader) => reader.synced()));
    await Promise.all(readers.map((reader) => reader.stop()));

    expect(streamed).toEqual([true, true, true]);
  });

  test('the life of a Service is told, and our own writes are waited for', async () => {
    const { reader, heard } = await watching();
    const own = new OwnWrites(reader.store, systemClock);
    let live = await service();
    live = await writer.addFinalizer(live, finalizer);
    own.wrote(live.key, live.resourceVersion);
    await until(() => expect(own.fresh(live.key)).toBe(true));
    expect(reader.store.get(live.key)?.finalizers).toEqual([finalizer]);

    await remove(live.key);
    await until(() => expect(reader.store.get(live.key)?.deleting).toBe(true));
    expect(await writer.removeFinalizer(live, finalizer)).toBeUndefined();
    await until(() => expect(reader.store.get(live.key)).toBeUndefined());
    expect(new Set(heard.filter((line) => line.endsWith(live.name)))).toEqual(
      new Set([`added ${live.name}`, `updated ${live.name}`, `deleted ${live.name}`]),
    );
  });

  test('a restart of the API server with its history compacted away loses nothing', async () => {
    const kept = await service();
    const { reader, heard, reports } = await watching();
    await plane.compact();
    await plane.restartApiServer();
    const later = await vi.waitFor(() => service(), { timeout: 30_000, interval: 300 });
    await until(() => expect(reader.store.get(later.key)).toBeDefined());

    expect(reader.store.get(kept.key)?.uid).toBe(kept.uid);
    expect(heard.filter((line) => line.startsWith('deleted'))).toEqual([]);
    expect(reports.filter((event) => event.kind === 'failed').length).toBeGreaterThan(0);
    await remove(kept.key);
    await remove(later.key);
  });
});

describe('writer', () => {
  test('a stale copy is no reason to lose what another controller wrote', async () => {
    const stale = await service();
    await writer.addFinalizer(stale, 'rival.dev/x');
    await writer.patchStatus(stale, { conditions: [condition('rival.dev/Ready')] });
    let live = await writer.addFinalizer(stale, finalizer);
    expect(live.finalizers).toEqual(['rival.dev/x', finalizer]);

    live = await writer.patchStatus(stale, {
      ingress: [{ hostname: 'a.example' }],
      conditions: [condition('Accepted')],
    });
    expect(live.conditions.map((one) => one.type).toSorted()).toEqual(['Accepted', 'rival.dev/Ready']);
    expect(live.ingress).toEqual([{ hostname: 'a.example' }]);
    expect(live.ingressManagers).toEqual(['sluice-controller']);

    live = await writer.patchStatus(live, { ingress: [], dropConditions: ['Accepted'] });
    expect(live.conditions.map((one) => one.type)).toEqual(['rival.dev/Ready']);
    expect(live.ingress).toEqual([]);

    expect((await writer.removeFinalizer(stale, finalizer))?.finalizers).toEqual(['rival.dev/x']);
    await writer.removeFinalizer(live, 'rival.dev/x');
    await remove(stale.key);
  });

  test('addresses that someone else wrote are not overwritten from a stale copy', async () => {
    const stale = await service();
    await writer.patchStatus(stale, { ingress: [{ ip: '192.0.2.1' }] });

    await expect(writer.patchStatus(stale, { ingress: [{ ip: '192.0.2.2' }] })).rejects.toMatchObject({
      kind: 'conflict',
    });
    await remove(stale.key);
  });

  test('a new Service under the old name is not touched by anything meant for the old one', async () => {
    const old = await service();
    await remove(old.key);
    await writer.create('/api/v1/namespaces/default/services', {
      metadata: { name: old.name },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
    });
    const gone = { kind: 'gone', code: 'UidChanged' };

    await expect(writer.addFinalizer(old, finalizer)).rejects.toMatchObject(gone);
    await expect(writer.patchStatus(old, { conditions: [condition('Accepted')] })).rejects.toMatchObject(
      gone,
    );
    await expect(writer.patchStatus(old, { ingress: [{ ip: '192.0.2.1' }] })).rejects.toMatchObject(gone);
    await expect(writer.patchAnnotations(old, { a: '1' })).rejects.toMatchObject(gone);
    const live = await writer.getService(old.key);
    expect(live).toMatchObject({ finalizers: [], conditions: [], ingress: [], annotations: {} });
    await remove(old.key);
  });

  test('an address that the API refuses is the user’s or ours to fix, with the field named', async () => {
    const live = await service();

    await expect(
      writer.patchStatus(live, { ingress: [{ hostname: 'a.example', ipMode: 'VIP' }] }),
    ).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining('ipMode') });
    await remove(live.key);
  });

  test('the cluster has an identity', async () => {
    expect(await readClusterId(connection)).toMatch(/^[0-9a-f-]{36}$/);
  });
});

test('the lease passes on with a clean stop, and nobody waits for its end', async () => {
  // Each try has a Lease of its own.
  made += 1;
  const name = `sluice-door-${made}`;
  const stops = [new AbortController(), new AbortController()] as const;
  const began: number[] = [];
  const terms: Term[] = [];
  const runs = stops.map((stop, index) =>
    new Elector({
      api: connection,
      lease: { namespace: 'default', name },
      identity: `contender-${index}`,
    }).run(async (term) => {
      began[index] = performance.now();
      terms[index] = term;
      await new Promise((resolve) => {
        stop.signal.addEventListener('abort', resolve);
      });
    }, stop.signal),
  );
  cleanups.push(async () => {
    for (const stop of stops) stop.abort();
    await Promise.all(runs);
  });
  await until(() => expect(began.filter((at) => at !== undefined)).toHaveLength(1));
  const first = began[0] === undefined ? 1 : 0;
  const second = 1 - first;
  expect(terms[first]?.held()).toBe(true);
  stops[first]?.abort();
  const stoppedAt = performance.now();
  await until(() => expect(began[second]).toBeDefined());
  // How soon that is on a machine of one's own stands beside the lease (src/kube/lease.test.ts): two seconds.
  expect((began[second] ?? Infinity) - stoppedAt).toBeLessThan(leaseTimings.durationMs / 2);
  stops[second]?.abort();
  await Promise.all(runs);
});

test('events arrive, the longest too, and repeats become a series', async () => {
  const live = await service();
  const failures: unknown[] = [];
  const recorder = new EventRecorder({
    api: connection,
    instance: 'door-test',
    report: (error) => failures.push(error),
  });
  const note = {
    type: 'Warning',
    reason: 'SyncFailed',
    action: 'Provision',
    note: 'ä'.repeat(2_000),
  } as const;
  for (let round = 0; round < 3; round += 1) recorder.event(live, note);
  await recorder.stop();

  const list = (await connection.request('GET', '/apis/events.k8s.io/v1/namespaces/default/events')) as {
    readonly items: readonly {
      readonly regarding: { readonly uid: string };
      readonly reason: string;
      readonly series?: { readonly count: number };
      readonly note: string;
    }[];
  };
  const own = list.items.filter((one) => one.regarding.uid === live.uid);
  expect(failures).toEqual([]);
  expect(own).toHaveLength(1);
  expect(own[0]).toMatchObject({ reason: 'SyncFailed', series: { count: 3 } });
  await remove(live.key);
});
