import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { seededRandom } from '../core/clock.ts';
import {
  objectKey,
  type EndpointSliceObject,
  type NodeName,
  type NodeObject,
  type ServiceObject,
} from '../core/objects.ts';
import { slimNode, slimService, slimSlice } from '../kube/slim.ts';
import { Agent } from './agent.ts';
import type { AgentTelemetry } from './telemetry.ts';
import type { ConntrackEntry } from './conntrack/entries.ts';
import { defaultSettings } from './decide/settings.ts';
import { DecisionTracker } from './decide/tracker.ts';
import type { AgentHearer } from './door.ts';
import { FakeBackend } from './fixtures.ts';
import { syncTimings } from './sync-report.ts';

const same = (text: string): string => text;
const dns = objectKey('kube-system', 'dns');
const labels = { 'service.kubernetes.io/service-proxy-name': 'sluice' };

function service(over: object = {}): ServiceObject {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  const spec = { clusterIPs: ['10.96.0.10'], ports, ipFamilies: ['IPv4'], ...over };
  return slimService({ metadata: { namespace: 'kube-system', name: 'dns', uid: 'u1', labels }, spec }, same);
}

interface Pod {
  readonly address: string;
  readonly serving?: boolean;
}

function slice(pods: readonly Pod[], triggeredAt?: string): EndpointSliceObject {
  const annotations = { 'endpoints.kubernetes.io/last-change-trigger-time': triggeredAt ?? '' };
  return slimSlice(
    {
      metadata: {
        namespace: 'kube-system',
        name: 'dns-1',
        labels: { 'kubernetes.io/service-name': 'dns' },
        ...(triggeredAt === undefined ? {} : { annotations }),
      },
      addressType: 'IPv4',
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      ],
      endpoints: pods.map(({ address, serving = true }) => ({
        addresses: [address],
        nodeName: 'n1',
        conditions: { ready: serving, serving },
      })),
    },
    same,
  );
}

function node(address: string): NodeObject {
  return slimNode(
    { metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address }] } },
    same,
  );
}

const first: Pod = { address: '10.244.0.5' };
const second: Pod = { address: '10.244.0.6' };

function bench(resetTcp = false) {
  const clock = new VirtualClock({ wall: Date.UTC(2026, 0, 1) });
  const world: {
    service: ServiceObject | undefined;
    slice: EndpointSliceObject | undefined;
    node: NodeObject;
    hearer: AgentHearer | undefined;
  } = { service: service(), slice: slice([first]), node: node('10.0.0.1'), hearer: undefined };
  const backend = new FakeBackend(clock);
  backend.ms = 5;
  const entries: { udp: ConntrackEntry[]; tcp: ConntrackEntry[] } = { udp: [], tcp: [] };
  const log: string[] = [];
  const times: { readonly heardMs: number; readonly triggeredMs: number | undefined }[] = [];
  const problems: string[] = [];
  const telemetry: AgentTelemetry = {
    sync: ({ kind }) => log.push(kind),
    conntrack: (event) =>
      log.push(
        event.kind === 'reconciled' ? `forgot ${event.removed} ${event.protocol}` : 'conntrack failed',
      ),
    changes: () => undefined,
    queued: () => undefined,
    programmed: (_, one) => times.push(one),
    healthPortFailed: () => undefined,
    found: () => undefined,
    addresses: () => undefined,
    problems: (_, all) => problems.push(all.map(({ message }) => message).join(' | ')),
    conflict: () => undefined,
  };
  const agent = new Agent({
    view: {
      service: (key) => (key === dns ? world.service : undefined),
      services: () => (world.service ? [world.service] : []),
      slices: () => (world.slice ? [world.slice] : []),
      allSlices: () => (world.slice ? [world.slice] : []),
      node: () => world.node,
      connect: (hearer) => {
        world.hearer = hearer;
        return () => undefined;
      },
    },
    tracker: new DecisionTracker({ ...defaultSettings('n1' as NodeName), families: ['IPv4'] }),
    backends: [backend],
    addresses: () => new Set(['10.0.0.1']),
    conntrack: {
      dump: async (_family, protocol, see) => {
        const [decision] = backend.kernel.values();
        log.push(`${protocol} with ${decision?.cluster.map(({ address }) => address).join() ?? 'nothing'}`);
        for (const entry of entries[protocol]) see(entry);
      },
      remove: async (_family, protocol, flows) => {
        entries[protocol] = entries[protocol].filter(({ replySource }) => replySource !== flows.replySource);
        return flows.entries;
      },
    },
    resetTcp,
    clock,
    random: seededRandom(1),
    timings: { ...syncTimings, verifyMs: 0 },
    telemetry,
    soon: (run) => void clock.schedule(0, run),
  });
  const flowTo = (protocol: 'udp' | 'tcp', replySource: string): void => {
    entries[protocol].push({
      source: '10.244.1.9',
      destination: '10.96.0.10',
      sourcePort: 40_000,
      port: 53,
      replySource,
      replyPort: 53,
      zone: undefined,
    });
  };
  const becomes = async (next: EndpointSliceObject | undefined): Promise<void> => {
    const before = world.slice;
    world.slice = next;
    world.hearer?.sliceChanged(before, next);
    await clock.advance(1_000);
  };
  const start = async (): Promise<void> => {
    agent.start();
    await clock.advance(10_000);
    log.length = 0;
  };
  return { clock, world, backend, agent, log, times, problems, flowTo, entries, becomes, start };
}

describe('the agent', () => {
  test('writes the first picture whole and looks for stale flows after it', async () => {
    const { agent, clock, log, flowTo } = bench();
    flowTo('udp', '10.244.0.99');
    agent.start();
    await clock.advance(1_000);
    expect(log).toEqual(['written', 'udp with 10.244.0.5', 'forgot 1 udp']);
  });

  test('carries a slice change into the kernel, then the flows, and tells how long both took', async () => {
    const { start, log, times, flowTo, entries, becomes } = bench();
    await start();
    flowTo('udp', first.address);
    await becomes(slice([second], '2026-01-01T00:00:08Z'));
    expect(log).toEqual(['written', 'udp with 10.244.0.6', 'forgot 1 udp']);
    expect(entries.udp).toEqual([]);
    expect(times).toEqual([{ heardMs: 5, triggeredMs: 2_005 }]);
  });

  test('changes that come in one go are one write', async () => {
    const { start, world, backend, becomes, log } = bench();
    await start();
    world.hearer?.sliceChanged(world.slice, slice([second]));
    await becomes(slice([first, second]));
    expect(log.filter((line) => line === 'written')).toHaveLength(1);
    expect(backend.calls.at(-1)).toMatchObject({ kind: 'apply', changes: 2 });
  });

  test('an endpoint that no longer serves loses its flows also when no decision changes', async () => {
    const { start, world, becomes, log, flowTo } = bench();
    world.slice = slice([first, { ...second, serving: true }]);
    await start();
    await becomes(slice([first]));
    flowTo('udp', '10.244.0.7');
    log.length = 0;
    await becomes(slice([first, { address: '10.244.0.7', serving: false }]));
    expect(log).not.toContain('written');
    await becomes(slice([{ address: '10.244.0.7', serving: false }]));
    expect(log).toContain('forgot 1 udp');
  });

  test('a deleted Service takes its flows with it, after its rules', async () => {
    const { start, clock, world, log, flowTo, entries } = bench();
    await start();
    flowTo('udp', first.address);
    const before = world.service;
    world.service = undefined;
    world.hearer?.serviceChanged(before, undefined);
    await clock.advance(1_000);
    expect(log).toEqual(['written', 'udp with nothing', 'forgot 1 udp']);
    expect(entries.udp).toEqual([]);
  });

  test('TCP connections are left alone, and cut where that is asked for, after the rules', async () => {
    for (const resetTcp of [false, true]) {
      const { start, log, flowTo, entries, becomes } = bench(resetTcp);
      await start();
      flowTo('tcp', first.address);
      await becomes(slice([{ ...first, serving: false }, second]));
      expect(entries.tcp).toHaveLength(1);
      log.length = 0;
      await becomes(slice([second]));
      expect(entries.tcp).toHaveLength(resetTcp ? 0 : 1);
    }
  });

  test('a change of the node is a write of everything; what changes nothing is none', async () => {
    const { start, clock, world, backend } = bench();
    await start();
    world.hearer?.nodeChanged(node('10.0.0.1'));
    await clock.advance(1_000);
    expect(backend.calls).toHaveLength(1);
    world.hearer?.nodeChanged(node('10.0.0.2'));
    await clock.advance(1_000);
    expect(backend.calls.map(({ kind }) => kind)).toEqual(['replace', 'replace']);
  });

  test('tells what is wrong with a Service once', async () => {
    const { start, clock, world, problems } = bench();
    world.service = service({ externalIPs: ['nonsense'] });
    await start();
    world.hearer?.serviceChanged(world.service, service({ externalIPs: ['nonsense'] }));
    await clock.advance(1_000);
    expect(problems).toEqual([expect.stringContaining('"nonsense" is not an address')]);
  });

  test('is healthy once it has written', async () => {
    const { agent, clock } = bench();
    expect(agent.health()).toMatchObject({ healthy: false, live: true });
    agent.start();
    await clock.advance(1_000);
    expect(agent.health()).toMatchObject({ healthy: true, live: true });
    await agent.stop();
  });

  test('shows what it decided about a Service, and nothing of one that it does not serve', async () => {
    const { agent, start } = bench();
    await start();
    expect(agent.describe(dns)).toHaveLength(2);
    expect(agent.describe(objectKey('a', 'b'))).toBeUndefined();
  });
});
