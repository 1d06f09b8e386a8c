import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { seededRandom } from '../core/clock.ts';
import { objectKey, type EndpointSliceObject, type NodeName, type ServiceObject } from '../core/objects.ts';
import { slimService, slimSlice } from '../kube/slim.ts';
import { Agent, type AgentTelemetry, type Decided, type Tracker } from './agent.ts';
import type { ConntrackEntry } from './conntrack/entries.ts';
import type { AgentHearer, AgentView } from './door.ts';
import { FakeBackend, testDecision, testNode } from './fixtures.ts';
import type { Decision, DecisionKey } from './decision.ts';
import { syncTimings } from './sync.ts';

const same = (text: string): string => text;
const dns = objectKey('kube-system', 'dns');

function service(over: object = {}): ServiceObject {
  const spec = {
    clusterIPs: ['10.96.0.10'],
    ports: [{ port: 53, protocol: 'UDP' }],
    ipFamilies: ['IPv4'],
    ...over,
  };
  return slimService({ metadata: { namespace: 'kube-system', name: 'dns', uid: 'u1' }, spec }, same);
}

function slice(addresses: readonly string[], triggeredAt?: string): EndpointSliceObject {
  return slimSlice(
    {
      metadata: {
        namespace: 'kube-system',
        name: 'dns-1',
        labels: { 'kubernetes.io/service-name': 'dns' },
        ...(triggeredAt === undefined
          ? {}
          : { annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': triggeredAt } }),
      },
      addressType: 'IPv4',
      ports: [{ name: '', port: 53, protocol: 'UDP' }],
      endpoints: addresses.map((address) => ({ addresses: [address], nodeName: 'n1' })),
    },
    same,
  );
}

/** A world of one Service, decided by hand: the endpoints of its slice. */
class World {
  object: ServiceObject | undefined;
  slice: EndpointSliceObject | undefined;
  nodeChanges = false;
  #hearer: AgentHearer | undefined;
  readonly #decided = new Map<DecisionKey, Decision>();

  connect(hearer: AgentHearer): () => void {
    this.#hearer = hearer;
    return () => undefined;
  }
  get hearer(): AgentHearer {
    if (!this.#hearer) throw new Error('nobody listens');
    return this.#hearer;
  }

  decide(): Decided {
    const before = [...this.#decided.values()];
    this.#decided.clear();
    if (this.object) {
      const endpoints = (this.slice?.endpoints ?? []).map(({ addresses }) => ({
        address: addresses[0] ?? '',
        port: 53,
        local: true,
        weight: 1,
      }));
      const one = testDecision('dns', { service: dns, protocol: 'UDP', port: 53, cluster: endpoints });
      this.#decided.set(one.key, one);
    }
    const after = [...this.#decided.values()];
    const [now] = after;
    const [then] = before;
    const key = now?.key ?? then?.key;
    const changed = JSON.stringify(now) !== JSON.stringify(then);
    return {
      changes: key === undefined || !changed ? [] : [{ key, before: then, after: now }],
      nodes: this.nodeChanges ? ['IPv4'] : [],
    };
  }

  decisions(): Iterable<Decision> {
    return this.#decided.values();
  }
  decision(key: DecisionKey): Decision | undefined {
    return this.#decided.get(key);
  }
}

function bench() {
  const clock = new VirtualClock({ wall: Date.UTC(2026, 0, 1) });
  const world = new World();
  world.object = service();
  world.slice = slice(['10.244.0.5']);
  const backend = new FakeBackend(clock);
  backend.ms = 5;
  let entries: ConntrackEntry[] = [];
  const log: string[] = [];
  const times: { readonly heardMs: number; readonly triggeredMs: number | undefined }[] = [];
  const telemetry: AgentTelemetry = {
    sync: ({ kind }) => log.push(kind),
    conntrack: (event) =>
      log.push(event.kind === 'reconciled' ? `forgot ${event.removed}` : 'conntrack failed'),
    changes: () => undefined,
    queued: () => undefined,
    programmed: (_, one) => times.push(one),
    healthPortFailed: () => undefined,
    found: () => undefined,
    addresses: () => undefined,
    trouble: () => undefined,
  };
  const view: AgentView = {
    service: (key) => (key === dns ? world.object : undefined),
    services: () => (world.object ? [world.object] : []),
    slices: () => (world.slice ? [world.slice] : []),
    node: () => undefined,
    connect: (hearer) => world.connect(hearer),
  };
  const tracker: Tracker = {
    load: () => void world.decide(),
    service: () => world.decide(),
    slices: () => world.decide(),
    node: () => world.decide(),
    nodeDecision: () => testNode,
    decisions: () => world.decisions(),
    decision: (key) => world.decision(key),
    ofService: () => world.decisions(),
  };
  const agent = new Agent({
    view,
    tracker,
    backends: [backend],
    nodeName: 'n1' as NodeName,
    addresses: () => new Set(['10.0.0.1']),
    conntrack: {
      dump: async (_family, _protocol, see) => {
        log.push(`dump with ${backend.kernel.size} in the kernel`);
        for (const entry of entries) see(entry);
      },
      remove: async (_family, _protocol, flows) => {
        entries = entries.filter(({ replySource }) => replySource !== flows.replySource);
        return flows.entries;
      },
    },
    resetTcp: false,
    clock,
    random: seededRandom(1),
    timings: { ...syncTimings, verifyMs: 0 },
    telemetry,
    soon: (run) => void clock.schedule(0, run),
  });
  const flowTo = (replySource: string): void => {
    entries.push({
      source: '10.244.1.9',
      destination: '10.96.0.10',
      sourcePort: 40_000,
      port: 53,
      replySource,
      replyPort: 53,
      zone: undefined,
    });
  };
  return { clock, world, backend, agent, log, times, flowTo, entries: () => entries };
}

describe('the agent', () => {
  test('writes the first picture whole and looks for stale flows after it', async () => {
    const { agent, clock, log, flowTo } = bench();
    flowTo('10.244.0.99');
    agent.start();
    await clock.advance(1_000);
    expect(log).toEqual(['written', 'dump with 1 in the kernel', 'forgot 1']);
  });

  test('carries a slice change into the kernel, then the flows, and tells how long both took', async () => {
    const { agent, clock, world, backend, log, times, flowTo, entries } = bench();
    agent.start();
    await clock.advance(10_000);
    log.length = 0;
    flowTo('10.244.0.5');
    world.slice = slice(['10.244.0.6'], '2026-01-01T00:00:08Z');
    world.hearer.slicesChanged(dns, world.slice, false);
    await clock.advance(1_000);
    expect([...backend.kernel.values()][0]?.cluster[0]?.address).toBe('10.244.0.6');
    expect(log).toEqual(['written', 'dump with 1 in the kernel', 'forgot 1']);
    expect(entries()).toEqual([]);
    expect(times).toEqual([{ heardMs: 5, triggeredMs: 2_005 }]);
  });

  test('an endpoint that no longer serves is forgotten also when no decision changes', async () => {
    const { agent, clock, world, log, flowTo } = bench();
    agent.start();
    await clock.advance(1_000);
    log.length = 0;
    flowTo('10.244.0.7');
    world.hearer.slicesChanged(dns, slice(['10.244.0.5']), false);
    await clock.advance(1_000);
    expect(log).toContain('forgot 1');
  });

  test('a deleted Service takes its flows with it, after its rules', async () => {
    const { agent, clock, world, log, flowTo, entries } = bench();
    agent.start();
    await clock.advance(1_000);
    log.length = 0;
    flowTo('10.244.0.5');
    const before = world.object;
    world.object = undefined;
    world.hearer.serviceChanged(before, undefined);
    await clock.advance(1_000);
    expect(log).toEqual(['written', 'dump with 0 in the kernel', 'forgot 1']);
    expect(entries()).toEqual([]);
  });

  test('a change of the node is a write of everything', async () => {
    const { agent, clock, world, backend } = bench();
    agent.start();
    await clock.advance(1_000);
    world.nodeChanges = true;
    agent.addressesChanged();
    await clock.advance(1_000);
    expect(backend.calls.map(({ kind }) => kind)).toEqual(['replace', 'replace']);
  });

  test('is healthy once it has written', async () => {
    const { agent, clock } = bench();
    expect(agent.health()).toMatchObject({ healthy: false, live: true });
    agent.start();
    await clock.advance(1_000);
    expect(agent.health()).toMatchObject({ healthy: true, live: true });
    await agent.stop();
  });

  test('counts the ready endpoints of its node, and knows nothing of a Service that it does not serve', () => {
    const { agent, world } = bench();
    expect(agent.readyEndpoints(dns, 'IPv4')).toBe(1);
    expect(agent.readyEndpoints(dns, 'IPv6')).toBe(0);
    world.object = undefined;
    expect(agent.readyEndpoints(dns, 'IPv4')).toBeUndefined();
  });
});
