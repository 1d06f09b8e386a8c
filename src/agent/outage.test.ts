/** The loop of the agent through a long absence of the API server, in virtual time, from its readers to its writer. */
import { expect, test } from 'vitest';
import { bookmark } from '../../test/support/scripted-api.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { seededRandom, sleep } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { objectKey, type NodeName } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { Agent } from './agent.ts';
import { defaultSettings } from './decide/settings.ts';
import { DecisionTracker } from './decide/tracker.ts';
import { AgentDoor } from './door.ts';
import { FakeBackend } from './fixtures.ts';
import { syncTimings } from './sync-report.ts';

interface Raw {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

const count = 50;
const service = (number: number, version: string): Raw =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'default',
      name: `s${number}`,
      uid: `u${number}`,
      resourceVersion: version,
      labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' },
    } as Raw['metadata'],
    spec: {
      clusterIP: `10.96.0.${number}`,
      clusterIPs: [`10.96.0.${number}`],
      ipFamilies: ['IPv4'],
      ports: [{ port: 80, protocol: 'TCP' }],
    },
  }) as Raw;
const slice = (number: number, version: string, address: string): Raw =>
  ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 'default',
      name: `s${number}-1`,
      resourceVersion: version,
      labels: { 'kubernetes.io/service-name': `s${number}` },
    } as Raw['metadata'],
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  }) as Raw;
const node: Raw = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', resourceVersion: '1' },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
} as Raw;

/** An API server that can go away: lists end with a bookmark, watches tell what is newer than what the reader has. */
function makeApi(clock: VirtualClock) {
  const world = new Map<string, Raw>();
  let away = new AbortController();
  let down = false;
  let asked = 0;
  const api: Api = {
    server: 'memory',
    request: () => Promise.reject(new SluiceError('transient', 'no pages here', { code: 'Test' })),
    stream: async function* stream(path, { query = {}, signal }) {
      asked += 1;
      if (down) throw new SluiceError('transient', 'refused', { code: 'ECONNREFUSED' });
      const kind = path.endsWith('/nodes')
        ? 'Node'
        : path.endsWith('/services')
          ? 'Service'
          : 'EndpointSlice';
      const whole = query['sendInitialEvents'] === true;
      let seen = whole ? 0 : Number(query['resourceVersion'] ?? 0);
      const ends = AbortSignal.any([away.signal, ...(signal === undefined ? [] : [signal])]);
      for (let first = true; ; first = false) {
        const newer = [...world.values()].filter(
          (one) => one.kind === kind && Number(one.metadata.resourceVersion) > seen,
        );
        for (const object of newer) {
          seen = Math.max(seen, Number(object.metadata.resourceVersion));
          yield [{ type: whole && first ? 'ADDED' : 'MODIFIED', object }];
        }
        if (whole && first) yield [{ type: 'BOOKMARK', object: bookmark(String(Math.max(seen, 1)), true) }];
        await sleep(clock, 100, ends).catch(() => undefined);
        if (ends.aborted) throw new SluiceError('transient', 'reset', { code: 'ECONNRESET' });
      }
    },
  };
  return {
    api,
    put: (object: Raw) => world.set(`${object.kind} ${object.metadata.name}`, object),
    goAway: () => {
      down = true;
      away.abort();
    },
    comeBack: () => {
      down = false;
      away = new AbortController();
    },
    asked: () => asked,
  };
}

test('ten minutes without an API server: rules stay, nothing is written, and what changed meanwhile is one small write', async () => {
  const clock = new VirtualClock({ wall: Date.UTC(2026, 0, 1) });
  const { api, put, goAway, comeBack, asked } = makeApi(clock);
  put(node);
  for (let number = 1; number <= count; number += 1) {
    put(service(number, '10'));
    put(slice(number, '10', `10.244.0.${number}`));
  }
  const failures: string[] = [];
  const random = seededRandom(1);
  const door = new AgentDoor({
    api,
    scope: 'labelled',
    nodeName: 'n1' as NodeName,
    clock,
    random,
    report: (event) => {
      if (event.kind === 'failed') failures.push(event.reader);
    },
  });
  const backend = new FakeBackend(clock);
  const tracker = new DecisionTracker({ ...defaultSettings('n1' as NodeName), families: ['IPv4'] });
  const nothing = (): void => undefined;
  const agent = new Agent({
    view: door,
    tracker,
    backends: [backend],
    addresses: () => new Set(['10.0.0.1']),
    conntrack: undefined,
    resetTcp: false,
    clock,
    random,
    timings: { ...syncTimings, verifyMs: 0 },
    telemetry: {
      sync: nothing,
      conntrack: nothing,
      changes: nothing,
      queued: nothing,
      programmed: nothing,
      healthPortFailed: nothing,
      found: nothing,
      addresses: nothing,
      problems: nothing,
      conflict: nothing,
    },
    soon: (run) => void clock.schedule(0, run),
  });
  const started = door.start();
  await clock.advance(1_000);
  await started;
  agent.start();
  await clock.advance(10_000);
  expect(backend.kernel.size).toBe(count);
  expect(backend.calls.map(({ kind }) => kind)).toEqual(['replace']);

  goAway();
  const before = asked();
  await clock.advance(5 * 60_000);
  put(slice(7, '11', '10.244.9.9'));
  await clock.advance(5 * 60_000);
  expect(backend.calls).toHaveLength(1);
  expect(backend.kernel.size).toBe(count);
  // The node is not called unhealthy for what it cannot help: its rules are as good as they were.
  expect(agent.health().healthy).toBe(true);
  expect(new Set(failures)).toEqual(new Set(['services', 'endpointslices', 'nodes']));
  // Three readers, each at most twice a minute once they have learned to wait.
  expect(asked() - before).toBeLessThan(3 * 40);

  comeBack();
  await clock.advance(60_000);
  expect(backend.calls.slice(1)).toMatchObject([{ kind: 'apply', changes: 1 }]);
  const key = [...backend.kernel.values()].find(({ service: of }) => of === objectKey('default', 's7'));
  expect(key?.cluster.map(({ address }) => address)).toEqual(['10.244.9.9']);
  const ended = Promise.all([agent.stop(), door.stop()]);
  await clock.advance(1_000);
  await ended;
});
