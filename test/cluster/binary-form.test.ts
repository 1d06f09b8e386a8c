/**
 * The binary form of a real kube-apiserver against its JSON: the same objects, whatever their fields are. The shapes that
 * we read it with are hand-made tables of numbers, which nothing but the server can vouch for.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connect, type Connection } from '../../src/kube/connection.ts';
import { endpointSlices, nodes, services, type Kind, type Slim } from '../../src/kube/kinds.ts';
import type { Shape } from '../../src/kube/protobuf/shape.ts';
import type { RawObject } from '../../src/kube/raw.ts';
import { streamingList, wholeList } from '../../src/kube/stream.ts';
import { startControlPlane, type ControlPlane } from '../../src/sandbox/control-plane.ts';

let plane: ControlPlane;
let connection: Connection;

beforeAll(async () => {
  plane = await startControlPlane();
  connection = await connect({ path: plane.admin.path });
  for (const [path, object] of everything) await connection.request('POST', path, { body: object });
  for (const [path, status] of statuses) {
    const body = { status };
    await connection.request('PATCH', path, { body, contentType: 'application/merge-patch+json' });
  }
  // Stays, with the time of its deletion: it has a finalizer.
  await connection.request('DELETE', '/api/v1/namespaces/default/services/full');
}, 600_000);

afterAll(async () => {
  await connection?.close();
  await plane?.stop();
});

const text = 'ä “quoted” \\ 漢 \u{1f600}';

const everything: readonly (readonly [string, object])[] = [
  [
    '/api/v1/namespaces/default/services',
    {
      metadata: {
        name: 'full',
        labels: { a: 'b', 'example.com/empty': '' },
        annotations: { 'example.com/text': text, 'sluice.dev/paused': 'true' },
        finalizers: ['sluice.dev/balancer'],
      },
      spec: {
        type: 'LoadBalancer',
        loadBalancerClass: 'sluice.dev/local',
        ports: [
          { name: 'web', port: 80, targetPort: 'http', nodePort: 30_080, appProtocol: 'kubernetes.io/h2c' },
          { name: 'dns', port: 53, protocol: 'UDP', targetPort: 5353 },
          { name: 'sig', port: 2905, protocol: 'SCTP' },
        ],
        selector: { app: 'web' },
        externalTrafficPolicy: 'Local',
        internalTrafficPolicy: 'Local',
        healthCheckNodePort: 30_999,
        trafficDistribution: 'PreferSameZone',
        publishNotReadyAddresses: true,
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 77 } },
        loadBalancerSourceRanges: ['192.0.2.0/24', '198.51.100.0/24'],
        loadBalancerIP: '192.0.2.1',
        externalIPs: ['203.0.113.9'],
        ipFamilyPolicy: 'PreferDualStack',
      },
    },
  ],
  ['/api/v1/namespaces/default/services', { metadata: { name: 'plain' }, spec: { ports: [{ port: 80 }] } }],
  [
    '/api/v1/namespaces/default/services',
    {
      metadata: { name: 'portless' },
      spec: { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] },
    },
  ],
  [
    '/api/v1/namespaces/default/services',
    { metadata: { name: 'headless' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } },
  ],
  [
    '/api/v1/namespaces/default/services',
    { metadata: { name: 'named' }, spec: { type: 'ExternalName', externalName: 'example.com' } },
  ],
  [
    '/api/v1/nodes',
    {
      metadata: {
        name: 'full',
        labels: { 'topology.kubernetes.io/zone': 'a' },
        annotations: { 'example.com/text': text },
      },
      spec: {
        providerID: 'aws:///a/i-1',
        unschedulable: true,
        podCIDR: '10.1.0.0/24',
        podCIDRs: ['10.1.0.0/24', 'fd00:1::/64'],
        taints: [{ key: 'example.com/taint', value: 'x', effect: 'NoSchedule' }],
      },
    },
  ],
  ['/api/v1/nodes', { metadata: { name: 'plain' } }],
  [
    '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices',
    {
      metadata: {
        name: 'full',
        labels: { 'kubernetes.io/service-name': 'full', 'service.kubernetes.io/headless': '' },
        annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-11-21T10:00:00.123456Z' },
      },
      addressType: 'IPv6',
      ports: [{ name: 'web', port: 8080, protocol: 'TCP', appProtocol: 'http' }, { name: 'any' }],
      endpoints: [
        {
          addresses: ['fd00::1'],
          conditions: { ready: false, serving: true, terminating: true },
          hostname: 'one',
          targetRef: { kind: 'Pod', namespace: 'default', name: 'web-1' },
          nodeName: 'full',
          zone: 'a',
          hints: { forZones: [{ name: 'a' }, { name: 'b' }], forNodes: [{ name: 'full' }] },
        },
        { addresses: ['fd00::2'], conditions: { ready: true } },
        { addresses: ['fd00::3'], conditions: {} },
      ],
    },
  ],
  [
    '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices',
    { metadata: { name: 'empty' }, addressType: 'FQDN', endpoints: [] },
  ],
];

const now = '2026-11-21T10:00:00Z';

const statuses: readonly (readonly [string, object])[] = [
  [
    '/api/v1/namespaces/default/services/full/status',
    {
      loadBalancer: {
        ingress: [
          {
            ip: '192.0.2.1',
            ipMode: 'Proxy',
            ports: [
              { port: 80, protocol: 'TCP' },
              { port: 53, protocol: 'UDP', error: 'example.com/NoPort' },
            ],
          },
          { hostname: 'balancer.example.com' },
        ],
      },
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          observedGeneration: 3,
          lastTransitionTime: now,
          reason: 'Fine',
          message: text,
        },
      ],
    },
  ],
  [
    '/api/v1/nodes/full/status',
    {
      addresses: [
        { type: 'InternalIP', address: '10.0.0.1' },
        { type: 'ExternalIP', address: '203.0.113.1' },
      ],
      conditions: [
        { type: 'Ready', status: 'True', reason: 'Up', lastTransitionTime: now },
        { type: 'NetworkUnavailable', status: 'True' },
      ],
      images: [{ names: ['example.com/image'], sizeBytes: 5 }],
    },
  ],
];

/** The objects of a kind as they come, before they are made slim. */
async function listed<K extends string, T extends Slim>(
  kind: Kind<K, T>,
  form: typeof wholeList | typeof streamingList = streamingList,
): Promise<readonly RawObject[]> {
  const { signal } = new AbortController();
  const objects: RawObject[] = [];
  for await (const batch of form(connection, kind, { signal, inactivityMs: 30_000, timeoutSeconds: 60 })) {
    for (const event of batch) {
      if (event.kind === 'put') objects.push(event.raw);
      if (event.kind === 'complete') return objects;
    }
  }
  throw new Error('the list did not end');
}

describe.each<[string, Kind<string, Slim>, number, readonly string[]]>([
  // Those of Services have no generation (Kubernetes 1.36).
  ['Services', services(), 6, ['/metadata/generation']],
  ['Nodes', nodes(), 2, ['/metadata/namespace', '/metadata/deletionTimestamp']],
  ['EndpointSlices', endpointSlices(), 2, ['/metadata/deletionTimestamp']],
])('%s', (_name, kind, least, neverThere) => {
  test('are the same in both forms', async () => {
    const { shape: _shape, ...inJson } = kind;
    const [binary, json] = [await listed(kind), await listed(inJson)];

    expect(binary.length).toBeGreaterThanOrEqual(least);
    expect(binary.map((raw) => kind.slim(raw))).toEqual(json.map((raw) => kind.slim(raw)));
    // No shape names the kind of an object, and all JSON of the API has it: these were two forms.
    expect(binary.filter((raw) => raw.kind !== undefined)).toEqual([]);
  });

  test('are the same in one answer, in either form', async () => {
    const { shape: _shape, ...inJson } = kind;
    const streamed = await listed(kind);

    expect(bySlim(kind, await listed(kind, wholeList))).toEqual(bySlim(kind, streamed));
    expect(bySlim(kind, await listed(inJson, wholeList))).toEqual(bySlim(kind, streamed));
  });

  test('have every field that the shape names, in one object or another', async () => {
    const seen = new Set<string>();
    for (const raw of await listed(kind)) pathsIn(raw, '', seen);
    const named = new Set<string>();
    pathsOf(kind.shape ?? [], '', named);

    expect([...named.difference(seen)]).toEqual(neverThere);
  });
});

function bySlim(kind: Kind<string, Slim>, objects: readonly RawObject[]): Map<string, Slim> {
  return new Map(objects.map((raw) => [raw.metadata?.uid ?? '', kind.slim(raw)]));
}

function pathsIn(value: unknown, path: string, into: Set<string>): void {
  if (Array.isArray(value)) for (const one of value) pathsIn(one, path, into);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      into.add(`${path}/${name}`);
      pathsIn(inner, `${path}/${name}`, into);
    }
  }
}

function pathsOf(shape: Shape, path: string, into: Set<string>): void {
  for (const field of shape) {
    if (field === undefined) continue;
    into.add(`${path}/${field.name}`);
    if ('shape' in field) pathsOf(field.shape, `${path}/${field.name}`, into);
  }
}
