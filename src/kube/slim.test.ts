import { describe, expect, test } from 'vitest';

import { makeIntern } from './intern.ts';
import type { RawService, RawSlice } from './raw.ts';
import { slimNode, slimService, slimSlice } from './slim.ts';

const intern = makeIntern();

describe('a Service', () => {
  test('that says nothing has the API’s defaults', () => {
    expect(slimService({}, intern)).toMatchObject({
      type: 'ClusterIP',
      ports: [],
      externalTrafficPolicy: 'Cluster',
      internalTrafficPolicy: 'Cluster',
      allocateNodePorts: true,
      healthCheckNodePort: 0,
      sessionAffinity: 'None',
      sessionAffinityTimeout: 10_800,
      deleting: false,
      createdAt: 0,
      ingress: [],
      conditions: [],
      finalizers: [],
    });
  });

  test.each<[string, RawService['spec'], object]>([
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }, { headless: true, clusterIPs: [] }],
    ['of before dual stack', { clusterIP: '10.0.0.1' }, { headless: false, clusterIPs: ['10.0.0.1'] }],
    ['without an address yet', { clusterIP: '' }, { headless: false, clusterIPs: [] }],
    ['without node ports', { allocateLoadBalancerNodePorts: false }, { allocateNodePorts: false }],
    [
      'with affinity',
      { sessionAffinity: 'ClientIP' },
      { sessionAffinity: 'ClientIP', sessionAffinityTimeout: 10_800 },
    ],
    [
      'with a port that names its target',
      { ports: [{ port: 80, targetPort: 'http', protocol: 'UDP', nodePort: 30_080 }] },
      {
        ports: [
          {
            name: '',
            port: 80,
            targetPort: 'http',
            protocol: 'UDP',
            nodePort: 30_080,
            appProtocol: undefined,
          },
        ],
      },
    ],
    [
      'with a port that says only its number',
      { ports: [{ port: 80 }] },
      { ports: [{ targetPort: 80, protocol: 'TCP', nodePort: 0 }] },
    ],
  ])('%s', (_what, spec, slim) => {
    expect(slimService(spec === undefined ? {} : { spec }, intern)).toMatchObject(slim);
  });

  test('forgets the copy that kubectl keeps, and leaves the other annotations', () => {
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', a: '1' };

    expect(slimService({ metadata: { annotations } }, intern).annotations).toEqual({ a: '1' });
  });

  test('names who wrote addresses, and nobody else', () => {
    const owns = (fields: object) => ({ 'f:status': fields });
    const managedFields = [
      { manager: 'kubectl', fieldsV1: { 'f:spec': {} } },
      {
        manager: 'other-controller',
        subresource: 'status',
        fieldsV1: owns({ 'f:loadBalancer': { 'f:ingress': {} } }),
      },
      { manager: 'other-controller', fieldsV1: owns({ 'f:loadBalancer': {} }) },
      { manager: 'conditions-only', fieldsV1: owns({ 'f:conditions': {} }) },
    ];

    expect(slimService({ metadata: { managedFields } }, intern).ingressManagers).toEqual([
      'other-controller',
    ]);
  });

  test('keeps addresses as they are, with no field that is not there', () => {
    const status = {
      loadBalancer: {
        ingress: [
          { hostname: 'a.example' },
          { ip: '192.0.2.1', ipMode: 'VIP', ports: [{ port: 80, protocol: 'TCP' }] },
        ],
      },
    };

    expect(slimService({ status }, intern).ingress).toStrictEqual([
      { hostname: 'a.example' },
      { ip: '192.0.2.1', ipMode: 'VIP', ports: [{ port: 80, protocol: 'TCP' }] },
    ]);
  });
});

describe('an EndpointSlice', () => {
  test.each<[string, NonNullable<NonNullable<RawSlice['endpoints']>[number]['conditions']>, object]>([
    ['says nothing: ready', {}, { ready: true, serving: true, terminating: false }],
    [
      'is not ready, and does not say whether it serves: it does (API reference)',
      { ready: false },
      { ready: false, serving: true, terminating: false },
    ],
    [
      'drains',
      { ready: false, serving: true, terminating: true },
      { ready: false, serving: true, terminating: true },
    ],
  ])('endpoint that %s', (_what, conditions, slim) => {
    expect(slimSlice({ endpoints: [{ conditions }] }, intern).endpoints[0]).toMatchObject(slim);
  });

  test('belongs to the Service that its label names', () => {
    const labels = { 'kubernetes.io/service-name': 'web' };

    expect(slimSlice({ metadata: { namespace: 'shop', name: 'web-1', labels } }, intern).service).toBe(
      'shop/web',
    );
    expect(slimSlice({ metadata: { namespace: 'shop', name: 'web-1' } }, intern).service).toBeUndefined();
  });

  test('may be hidden from proxies by its label, whatever the value', () => {
    const labels = { 'service.kubernetes.io/headless': '' };

    expect(slimSlice({ metadata: { labels } }, intern).headless).toBe(true);
    expect(slimSlice({ metadata: {} }, intern).headless).toBe(false);
  });

  test('without endpoints or ports, which the API writes as null', () => {
    expect(slimSlice({ endpoints: null, ports: null }, intern)).toMatchObject({ endpoints: [], ports: [] });
  });
});

test('a Node keeps what decides about traffic', () => {
  const node = slimNode(
    {
      metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'a' } },
      spec: {
        providerID: 'aws:///a/i-1',
        unschedulable: true,
        podCIDR: '10.1.0.0/24',
        taints: [{ key: 'k', effect: 'NoSchedule' }],
      },
      status: {
        addresses: [
          { type: 'InternalIP', address: '10.0.0.1' },
          { type: 'Hostname', address: 'n1' },
          { type: 'ExternalIP', address: '192.0.2.1' },
        ],
        conditions: [
          { type: 'Ready', status: 'False' },
          { type: 'NetworkUnavailable', status: 'True' },
        ],
      },
    },
    intern,
  );

  expect(node).toMatchObject({
    name: 'n1',
    providerID: 'aws:///a/i-1',
    unschedulable: true,
    taints: [{ key: 'k', value: '', effect: 'NoSchedule' }],
    internalIPs: ['10.0.0.1'],
    externalIPs: ['192.0.2.1'],
    podCIDRs: ['10.1.0.0/24'],
    ready: 'False',
    networkUnavailable: true,
    zone: 'a',
  });
  expect(slimNode({}, intern).ready).toBe('Unknown');
});
