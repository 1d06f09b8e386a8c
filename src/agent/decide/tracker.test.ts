import { describe, expect, test } from 'vitest';
import { aNode, aNodeName, anEndpoint, aPort, aService, aSlice } from '../../core/fixtures.ts';
import type { EndpointSliceObject, ServiceObject } from '../../core/objects.ts';
import { objectKey } from '../../core/objects.ts';
import { defaultSettings } from './settings.ts';
import { DecisionTracker } from './tracker.ts';

const settings = { ...defaultSettings(aNodeName('n1')), scope: 'all', families: ['IPv4'] } as const;
const webKey = objectKey('default', 'web');

function aTracker(
  services: readonly ServiceObject[] = [],
  slices: readonly EndpointSliceObject[] = [],
): DecisionTracker {
  const tracker = new DecisionTracker(settings);
  tracker.setNode(aNode('n1', { zone: 'z1' }));
  for (const service of services) tracker.setService(service);
  for (const slice of slices) tracker.setSlice(slice);
  tracker.setListed('services');
  tracker.setListed('slices');
  return tracker;
}

describe('when something is given', () => {
  test('O15: nothing before both lists are complete', () => {
    const tracker = new DecisionTracker(settings);
    tracker.setService(aService());
    tracker.setListed('services');

    expect(tracker.awaited).toBe('the list of EndpointSlices');
    expect([...tracker.changes(), ...tracker.decisions()]).toStrictEqual([]);

    tracker.setListed('slices');
    expect(tracker.complete).toBe(true);
    expect(tracker.awaited).toContain('Node');
    expect(tracker.changes()).toHaveLength(1);
  });

  test('O2: a label that takes the Service away, and its going, at run time', () => {
    const tracker = aTracker([aService()]);
    tracker.changes();
    tracker.setService(aService({ labels: { 'service.kubernetes.io/service-proxy-name': 'x' } }));

    expect(tracker.changes()).toMatchObject([{ before: { clusterIP: '10.96.0.10' }, after: undefined }]);

    tracker.setService(aService());
    expect(tracker.changes()).toMatchObject([{ before: undefined, after: { clusterIP: '10.96.0.10' } }]);
  });

  test('case 12: a balancer that hands its address to us at run time', () => {
    const tracker = aTracker([aService({ ingress: [{ ip: '203.0.113.1', ipMode: 'Proxy' }] })]);
    tracker.changes();
    tracker.setService(aService({ ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] }));

    expect(tracker.changes()).toMatchObject([
      { before: { balancerIPs: [] }, after: { balancerIPs: ['203.0.113.1'] } },
    ]);
  });

  test('case 27: a Service that becomes an ExternalName goes', () => {
    const tracker = aTracker([aService()]);
    tracker.changes();
    tracker.setService(aService({ type: 'ExternalName' }));

    expect(tracker.changes()).toMatchObject([{ after: undefined }]);
  });

  test('case 30: a cluster IP that passes to a new Service in one take goes before it comes', () => {
    const tracker = aTracker([aService({ name: 'zz' })]);
    tracker.changes();
    tracker.setService(aService({ name: 'aa' }));
    tracker.deleteService(objectKey('default', 'zz'));

    expect(tracker.changes().map(({ key, after }) => [key, after?.clusterIP])).toStrictEqual([
      ['default/zz:/tcp/ipv4', undefined],
      ['default/aa:/tcp/ipv4', '10.96.0.10'],
    ]);
  });

  test('what changes and changes back in between is no change', () => {
    const tracker = aTracker([aService()], [aSlice('s', [anEndpoint('10.244.1.2', 'n1')])]);
    tracker.changes();
    tracker.setSlice(aSlice('s', []));
    tracker.setSlice(aSlice('s', [anEndpoint('10.244.1.2', 'n1')]));

    expect(tracker.changes()).toStrictEqual([]);
  });

  test('§1.10: a zone that the node gets re-decides every Service, and a heartbeat none', () => {
    const hints = (zone: string) => ({ hintZones: [zone] });
    const tracker = aTracker(
      [aService()],
      [
        aSlice('s', [
          anEndpoint('10.244.1.2', 'n1', hints('z1')),
          anEndpoint('10.244.2.2', 'n2', hints('z2')),
        ]),
      ],
    );
    expect(tracker.changes()[0]?.after?.cluster).toHaveLength(1);
    tracker.setNode(aNode('n1', { zone: '' }));

    expect(tracker.changes()[0]?.after?.cluster).toHaveLength(2);
  });

  test('a slice whose label moves it goes from one Service to the other', () => {
    const tracker = aTracker(
      [aService(), aService({ name: 'api', clusterIPs: ['10.96.0.11'], ports: [aPort({ nodePort: 0 })] })],
      [aSlice('s', [anEndpoint('10.244.1.2', 'n1')])],
    );
    tracker.changes();
    tracker.setSlice(aSlice('s', [anEndpoint('10.244.1.2', 'n1')], { service: objectKey('default', 'api') }));
    const after = new Map(
      tracker.changes().map((change) => [change.key as string, change.after?.cluster.length]),
    );

    expect(after).toStrictEqual(
      new Map([
        ['default/web:/tcp/ipv4', 0],
        ['default/api:/tcp/ipv4', 1],
      ]),
    );
  });

  test('case 26: node-port addresses follow the interfaces; equal ones are the same array', () => {
    const tracker = new DecisionTracker({ ...settings, nodePortAddresses: ['10.0.0.0/8'] });
    tracker.setAddresses(['10.0.0.1']);
    const before = tracker.node;
    tracker.setAddresses(['10.0.0.1', '127.0.0.1']);

    expect(tracker.node).toBe(before);
    tracker.setAddresses(['10.0.0.2']);
    expect(tracker.node[0]?.nodePortAddresses).toStrictEqual(['10.0.0.2']);
  });

  test('O10: an address that turns up on another node is a change', () => {
    const tracker = aTracker([aService()], [aSlice('s', [anEndpoint('10.244.1.2', 'n2')])]);
    tracker.changes();
    tracker.setSlice(aSlice('s', [anEndpoint('10.244.1.2', 'n1')]));

    expect(tracker.changes()).toMatchObject([{ after: { cluster: [{ local: true }] } }]);
  });

  test('lists that stay equal inside a decision that changes stay the same array', () => {
    const tracker = aTracker([aService()], [aSlice('s', [anEndpoint('10.244.1.2', 'n1')])]);
    tracker.changes();
    tracker.setService(aService({ externalIPs: ['198.51.100.1'] }));
    const [change] = tracker.changes();

    expect(change?.after?.cluster).toBe(change?.before?.cluster);
  });
});

describe('health (H2)', () => {
  const local = aService({
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31000,
    ports: [aPort({ name: 'a' }), aPort({ name: 'b', port: 81, nodePort: 30081 })],
  });
  const ports = ['a', 'b'].map((name) => ({
    name,
    protocol: 'TCP' as const,
    port: 8080,
    appProtocol: undefined,
  }));
  const slice = (endpoints: Parameters<typeof aSlice>[1]) => aSlice('s', endpoints, { ports });

  test('local ready endpoints count once, however many ports they have', () => {
    const tracker = aTracker(
      [local],
      [
        slice([
          anEndpoint('10.244.1.2', 'n1'),
          anEndpoint('10.244.1.3', 'n1'),
          anEndpoint('10.244.2.2', 'n2'),
        ]),
      ],
    );

    expect(tracker.healthChanges()).toStrictEqual([
      { before: undefined, after: { service: webKey, family: 'IPv4', port: 31000, ready: 2 } },
    ]);
  });

  test('an endpoint in a slice that has no port of the Service does not count', () => {
    const other = aSlice('s', [anEndpoint('10.244.1.2', 'n1')], { ports: [] });

    expect(aTracker([local], [other]).healthChanges()).toMatchObject([{ after: { ready: 0 } }]);
  });

  test('the last one that begins to terminate makes it 0, though it goes on serving and no decision changes', () => {
    const tracker = aTracker([local], [slice([anEndpoint('10.244.1.2', 'n1')])]);
    tracker.changes();
    tracker.healthChanges();
    tracker.setSlice(slice([anEndpoint('10.244.1.2', 'n1', { ready: false, terminating: true })]));

    expect(tracker.changes()).toStrictEqual([]);
    expect(tracker.healthChanges()).toMatchObject([{ before: { ready: 1 }, after: { ready: 0 } }]);
  });

  test('a Service that never had a slice loses its health check with its end', () => {
    const tracker = aTracker([local], []);
    tracker.healthChanges();
    tracker.deleteService(local.key);

    expect(tracker.healthChanges()).toMatchObject([{ before: { ready: 0 }, after: undefined }]);
  });

  test('case 24: a Service that is given to another proxy loses its health check', () => {
    const tracker = aTracker([local], []);
    tracker.healthChanges();
    tracker.setService({ ...local, labels: { 'service.kubernetes.io/service-proxy-name': 'x' } });

    expect(tracker.healthChanges()).toMatchObject([{ before: { port: 31000 }, after: undefined }]);
    expect([...tracker.healthChecks()]).toStrictEqual([]);
  });
});

describe('UDP (K3)', () => {
  const dns = aService({
    ports: [aPort({ protocol: 'UDP', port: 53, nodePort: 30053 })],
    externalTrafficPolicy: 'Local',
  });
  const ports = [{ name: '', protocol: 'UDP' as const, port: 5353, appProtocol: undefined }];
  const slice = (endpoints: Parameters<typeof aSlice>[1]) => aSlice('s', endpoints, { ports });

  test('serving endpoints count whatever policy, hints and their end say', () => {
    const endpoints = [
      anEndpoint('10.244.1.2', 'n1', { ready: false, terminating: true }),
      anEndpoint('10.244.2.2', 'n2', { hintZones: ['z9'] }),
      anEndpoint('10.244.2.3', 'n2', { ready: false, serving: false }),
      anEndpoint('10.244.2.4', 'n2', { ready: true, serving: false }),
    ];
    const [fact] = aTracker([dns], [slice(endpoints)]).udpFacts();

    expect(fact).toStrictEqual({
      key: 'default/web:/udp/ipv4',
      family: 'IPv4',
      addresses: ['10.96.0.10'],
      port: 53,
      nodePort: 30053,
      serving: ['10.244.1.2 5353', '10.244.2.2 5353', '10.244.2.4 5353'],
    });
  });

  test('K5: scaled to zero, and deleted, it says so', () => {
    const tracker = aTracker([dns], [slice([anEndpoint('10.244.1.2', 'n1')])]);
    tracker.udpChanges();
    tracker.setSlice(slice([]));
    expect(tracker.udpChanges()).toMatchObject([
      { before: { serving: ['10.244.1.2 5353'] }, after: { serving: [] } },
    ]);

    tracker.deleteService(webKey);
    expect(tracker.udpChanges()).toMatchObject([{ before: { addresses: ['10.96.0.10'] }, after: undefined }]);
  });
});

describe('two Services that want one destination', () => {
  const shared = ['198.51.100.1'];
  const quiet = [aPort({ nodePort: 0 })];
  const older = aService({
    name: 'old',
    createdAt: 1,
    clusterIPs: ['10.96.0.1'],
    externalIPs: shared,
    ports: quiet,
  });
  const younger = aService({
    name: 'new',
    createdAt: 2,
    clusterIPs: ['10.96.0.2'],
    externalIPs: shared,
    ports: quiet,
  });

  test('the older has it, the other is told why, and gets it when the older goes', () => {
    const tracker = aTracker([younger, older]);
    const decisions = tracker.changes();
    expect(decisions.map(({ after }) => [after?.service, after?.externalIPs])).toStrictEqual([
      ['default/new', []],
      ['default/old', shared],
    ]);
    expect(tracker.conflicts()).toMatchObject([
      {
        reason: 'DestinationTaken',
        winner: 'default/old:/tcp/ipv4',
        loser: 'default/new:/tcp/ipv4',
        message:
          '198.51.100.1 port 80/TCP is served for default/old:/tcp/ipv4, because its Service is older; take it out of one of the two Services',
      },
    ]);

    tracker.deleteService(older.key);
    expect(tracker.changes()).toMatchObject([{ after: undefined }, { after: { externalIPs: shared } }]);
    expect(tracker.conflicts()).toStrictEqual([]);
  });

  test('made anew under its name, the older one is the younger', () => {
    const tracker = aTracker([younger, older]);
    tracker.changes();
    tracker.setService({ ...older, createdAt: 3 });

    expect(tracker.changes().map(({ after }) => [after?.service, after?.externalIPs])).toStrictEqual([
      ['default/new', shared],
      ['default/old', []],
    ]);
  });

  test('K3: UDP flows to what passed from one to the other are the other’s', () => {
    const udp = [aPort({ protocol: 'UDP', nodePort: 0 })];
    const tracker = aTracker([
      { ...younger, ports: udp },
      { ...older, ports: udp },
    ]);
    tracker.udpChanges();
    tracker.deleteService(older.key);

    expect(tracker.udpChanges().map(({ after }) => after?.addresses)).toStrictEqual([
      undefined,
      ['10.96.0.2', ...shared],
    ]);
  });

  test('nobody takes a cluster IP by writing it as an external IP, however old', () => {
    const thief = aService({
      name: 'thief',
      createdAt: 0,
      clusterIPs: ['10.96.0.3'],
      externalIPs: ['10.96.0.2'],
      ports: quiet,
    });
    const tracker = aTracker([thief, younger]);

    expect(tracker.conflicts()).toMatchObject([{ winner: 'default/new:/tcp/ipv4', address: '10.96.0.2' }]);
    expect(tracker.conflicts()[0]?.message).toContain('a cluster IP goes before an external IP');
  });

  test('L4: one balancer IP with different ports is no conflict', () => {
    const ingress = [{ ip: '203.0.113.1' }];
    const one = aService({
      name: 'one',
      clusterIPs: ['10.96.0.1'],
      ingress,
      ports: [aPort({ nodePort: 30001 })],
    });
    const two = aService({
      name: 'two',
      clusterIPs: ['10.96.0.2'],
      ingress,
      ports: [aPort({ port: 81, nodePort: 30002 })],
    });

    expect(aTracker([one, two]).conflicts()).toStrictEqual([]);
  });

  test('a node port can be had once', () => {
    const one = aService({ name: 'one', clusterIPs: ['10.96.0.1'] });
    const two = aService({ name: 'two', clusterIPs: ['10.96.0.2'] });
    const tracker = aTracker([two, one]);

    expect([...tracker.decisions()].map(({ service, nodePort }) => [service, nodePort])).toStrictEqual([
      ['default/two', 0],
      ['default/one', 30080],
    ]);
    expect(tracker.conflicts()).toMatchObject([{ address: undefined, port: 30080 }]);
  });
});
