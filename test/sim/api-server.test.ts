/** The simulated API server, met through the real reader and writer: what it is used by everywhere else. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/core/clock.ts';
import { objectKey, type ObjectKey, type ServiceObject } from '../../src/core/objects.ts';
import { services } from '../../src/kube/kinds.ts';
import { Reader } from '../../src/kube/reader.ts';
import { Writer } from '../../src/kube/writer.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { SimApi, type ApiFault, type Wire } from './api-client.ts';
import { ApiServer } from './api-server.ts';
import { clockOf, Life } from './life.ts';

const key = objectKey('shop', 'web');

function setUp(change: Partial<Wire> = {}) {
  const clock = new VirtualClock();
  const server = new ApiServer(() => clock.wall());
  const life = new Life();
  const faults: ApiFault[] = [];
  const wire: Wire = {
    faultFor: () => faults.shift(),
    record: () => {},
    latencyMs: () => 5,
    watchDelayMs: () => 20,
    lag: () => undefined,
    onCrash: () => life.kill(),
    ...change,
  };
  const random = seededRandom(1);
  const api = new SimApi({ server, clock, life, by: 'a', wire });
  const own = clockOf(life, clock);
  const reader = new Reader<ObjectKey, ServiceObject>({ api, kind: services(), clock: own, random });
  server.create('services', {
    metadata: { namespace: 'shop', name: 'web' },
    spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 80 }] },
  });
  return { clock, server, life, faults, api, reader, writer: new Writer(api) };
}

/** Runs the clock until the promise has settled. */
async function done<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await clock.runUntil(() => settled, clock.now() + 600_000);
  return promise;
}

describe('the simulated API server', () => {
  it('fills in node ports and wipes what belongs to the type when the type changes', () => {
    const { server } = setUp();
    const made = server.get('services', key);
    expect(made?.spec?.ports?.[0]?.nodePort).toBeGreaterThan(30_000);
    expect(made?.spec?.healthCheckNodePort).toBeGreaterThan(30_000);
    server.update('services', key, (service) => ({
      ...service,
      spec: { ...service.spec, type: 'ClusterIP', loadBalancerClass: 'sluice.dev/aws' },
    }));
    const changed = server.get('services', key);
    expect(changed?.spec).toEqual({ type: 'ClusterIP', ports: [{ port: 80 }] });
    expect(changed?.metadata?.generation).toBe(2);
  });

  it('keeps a deleted object until its last finalizer is gone, and takes no new ones meanwhile', async () => {
    const { clock, server, reader, writer } = setUp();
    reader.start();
    await clock.run(1_000);
    const service = await done(clock, writer.getService(key));
    const held = await done(clock, writer.addFinalizer(service, 'sluice.dev/balancer'));
    server.delete('services', key);
    expect(server.get('services', key)?.metadata?.deletionTimestamp).toBeDefined();
    await expect(done(clock, writer.addFinalizer(held, 'other'))).rejects.toMatchObject({ code: 'Deleting' });
    await done(clock, writer.removeFinalizer(held, 'sluice.dev/balancer'));
    expect(server.get('services', key)).toBeUndefined();
    await clock.advance(100);
    expect(reader.store.get(key)).toBeUndefined();
  });

  it('refuses a write that was computed from an older version, and the writer makes it again', async () => {
    const { clock, server, faults, writer } = setUp();
    const service = await done(clock, writer.getService(key));
    faults.push({ kind: 'rival' });
    const held = await done(clock, writer.addFinalizer(service, 'sluice.dev/balancer'));
    expect(held.finalizers).toEqual(['sluice.dev/balancer']);
    expect(held.annotations).toEqual({ 'example.com/rival': '1' });
    expect(server.get('services', key)?.metadata?.finalizers).toEqual(['sluice.dev/balancer']);
  });

  it('never writes to a new object under an old name', async () => {
    const { clock, server, writer } = setUp();
    const service = await done(clock, writer.getService(key));
    server.delete('services', key);
    server.create('services', { metadata: { namespace: 'shop', name: 'web' }, spec: {} });
    await expect(done(clock, writer.addFinalizer(service, 'f'))).rejects.toMatchObject({ kind: 'gone' });
    const status = done(clock, writer.patchStatus(service, { ingress: [] }));
    await expect(status).rejects.toMatchObject({ kind: 'gone' });
  });

  it('wipes the addresses with the type, and takes no new ones for other types', async () => {
    const { clock, server, writer } = setUp();
    const service = await done(clock, writer.getService(key));
    const shown = await done(clock, writer.patchStatus(service, { ingress: [{ hostname: 'a.example' }] }));
    expect(shown.ingressManagers).toEqual(['sluice-controller']);
    server.update('services', key, (one) => ({ ...one, spec: { ...one.spec, type: 'NodePort' } }));
    const after = await done(clock, writer.getService(key));
    expect(after.ingress).toEqual([]);
    const again = done(clock, writer.patchStatus(after, { ingress: [{ hostname: 'a.example' }] }));
    await expect(again).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('merges conditions by type and leaves those of others alone', async () => {
    const { clock, server, writer } = setUp();
    const other = {
      type: 'Theirs',
      status: 'True',
      reason: 'R',
      message: 'm',
      lastTransitionTime: 't',
    } as const;
    server.update('services', key, (one) => ({ ...one, status: { ...one.status, conditions: [other] } }));
    const service = await done(clock, writer.getService(key));
    const ours = { ...other, type: 'Accepted' };
    const written = await done(clock, writer.patchStatus(service, { conditions: [ours] }));
    expect(written.conditions.map(({ type }) => type)).toEqual(['Theirs', 'Accepted']);
    const dropped = await done(clock, writer.patchStatus(written, { dropConditions: ['Accepted'] }));
    expect(dropped.conditions.map(({ type }) => type)).toEqual(['Theirs']);
  });

  it('tells a watch every change in order, and resumes after a cut', async () => {
    const { clock, server, api, reader } = setUp();
    const heard: string[] = [];
    reader.subscribe((change) => void heard.push(`${change.kind} ${change.object.labels['step'] ?? ''}`));
    reader.start();
    await clock.run(1_000);
    const label = (step: string): void =>
      void server.update('services', key, (one) => ({
        ...one,
        metadata: { ...one.metadata, labels: { step } },
      }));
    label('1');
    await clock.advance(10);
    api.cutStreams();
    label('2');
    await clock.advance(5_000);
    expect(heard).toEqual(['added ', 'updated 1', 'updated 2']);
    expect(reader.state.lists).toBe(1);
  });

  it('finds an event that was never told at the next list', async () => {
    const { clock, server, api, reader } = setUp();
    reader.start();
    await clock.run(1_000);
    api.missNext('services');
    server.delete('services', key);
    await clock.advance(60_000);
    expect(reader.store.get(key)).toBeDefined();
    await clock.advance(4_500_000);
    expect(reader.store.get(key)).toBeUndefined();
  });

  it('makes whoever resumes from a version that is no longer kept list anew', async () => {
    const { clock, server, api, reader } = setUp();
    reader.start();
    await clock.run(1_000);
    api.stallStreams(10_000);
    server.delete('services', key);
    api.expireStreams();
    await clock.advance(5_000);
    expect(reader.store.get(key)).toBeUndefined();
    expect(reader.state.lists).toBe(2);
  });

  it('serves the past while it lags, and the present afterwards', async () => {
    const lag: { version: number; untilMs: number } = { version: 0, untilMs: 0 };
    const { clock, server, reader } = setUp({ lag: () => lag });
    lag.version = server.version;
    lag.untilMs = 30_000;
    server.delete('services', key);
    reader.start();
    await clock.run(29_000);
    expect(reader.store.get(key)).toBeDefined();
    await clock.run(31_000);
    expect(reader.store.get(key)).toBeUndefined();
  });

  it('takes a request of a process that froze meanwhile, which hears the answer when it wakes', async () => {
    const { clock, server, life, writer } = setUp();
    const service = await done(clock, writer.getService(key));
    let answered = false;
    void writer.addFinalizer(service, 'f').then(() => (answered = true));
    life.freeze();
    await clock.advance(60_000);
    expect(server.get('services', key)?.metadata?.finalizers).toEqual(['f']);
    expect(answered).toBe(false);
    life.thaw(clock);
    await clock.settle();
    expect(answered).toBe(true);
  });

  it('says that a write may have happened when its answer is lost', async () => {
    const { clock, server, faults, writer } = setUp();
    const service = await done(clock, writer.getService(key));
    faults.push({ kind: 'lost-answer' });
    const lost = done(clock, writer.addFinalizer(service, 'f'));
    await expect(lost).rejects.toMatchObject({ kind: 'ambiguous' });
    expect(server.get('services', key)?.metadata?.finalizers).toEqual(['f']);
    faults.push({ kind: 'refuse', code: 429, retryAfterSeconds: 3 });
    const refused = done(clock, writer.patchStatus(service, { ingress: [] }));
    await expect(refused).rejects.toMatchObject({ kind: 'throttled', retryAfterMs: 3_000 });
  });
});
