import { describe, expect, test } from 'vitest';
import { parseCidr } from '../../../src/core/cidr.ts';
import { aNode, aPort, aService } from '../../../src/core/fixtures.ts';
import type { ServiceObject } from '../../../src/core/objects.ts';
import type { Plan } from '../../../src/core/plan.ts';
import type { Owner } from '../../../src/core/provider.ts';
import type { Picture } from './host.ts';
import { plan } from './plan.ts';
import { addressSequence } from './space.ts';
import { parse, want, type LaptopConfig } from './wanted.ts';

const parsed = parseCidr('127.80.0.0/12');
if (parsed.kind !== 'cidr') throw new Error('malformed');
const linux: LaptopConfig = {
  space: parsed.cidr,
  ownAddresses: true,
  loopback6: true,
  unprivilegedFrom: 1024,
  via: 'nodes',
};
const mac: LaptopConfig = { ...linux, ownAddresses: false };
const empty: Picture = { holding: undefined, remembered: undefined, takenAddresses: [], takenPorts: [] };

function ownerOf(service: ServiceObject): Owner {
  return { cluster: { name: 'c', id: 'c' }, service: service.key, uid: service.uid };
}

function planned(service: ServiceObject, config: LaptopConfig, picture: Partial<Picture> = {}): Plan {
  const { settings } = parse(service, config);
  const { cluster } = ownerOf(service);
  const world = { cluster, service, services: [service], nodes: [aNode('n1')], slices: [] };
  return plan(
    { kind: 'present', wanted: want(settings, world, config).wanted },
    { ...empty, ...picture },
    { owner: ownerOf(service), now: 0, memory: {} },
    config,
  );
}

function addresses({ steps }: Plan): unknown {
  return steps.find(({ operation }) => operation === 'Reserve')?.parameters['Addresses'];
}

function ports({ steps }: Plan): readonly unknown[] {
  return steps
    .filter(({ operation }) => operation === 'Listen')
    .map(({ parameters }) => `${parameters['Address'] as string}:${parameters['ListenPort'] as number}`);
}

describe('the address', () => {
  const web = aService();
  const [first = '', second = '', third = ''] = addressSequence(linux.space, 'c', web.key);

  test.each([
    ['follows from the name', web, {}, first],
    ['passes over what others have', web, { takenAddresses: [first] }, second],
    [
      'is what was settled on before, although a better one is free again',
      web,
      { remembered: { addresses: [third], ports: {} } },
      third,
    ],
    ['is what the status shows', aService({ ingress: [{ ip: '127.81.2.3' }] }), {}, '127.81.2.3'],
    [
      'is not what the status shows where that is somebody else’s',
      aService({ ingress: [{ ip: '127.81.2.3' }] }),
      { takenAddresses: ['127.81.2.3'] },
      first,
    ],
    ['is not an address of another controller', aService({ ingress: [{ ip: '192.0.2.1' }] }), {}, first],
    ['is the one that is asked for', aService({ loadBalancerIP: '127.90.0.9' }), {}, '127.90.0.9'],
  ] as const)('%s', (_, service, picture, wanted) => {
    expect(addresses(planned(service, linux, picture))).toEqual([wanted]);
  });

  test('of a Service with IPv6 there is ::1 too, with a stated port', () => {
    const both = aService({ ipFamilies: ['IPv4', 'IPv6'] });
    const made = planned(both, linux);
    expect(addresses(made)).toEqual([first, '::1']);
    expect(ports(made)).toEqual([`${first}:8080`, '::1:8080']);
    expect(addresses(planned(both, { ...linux, loopback6: false }))).toEqual([first]);
  });

  test('none is free: one problem, and no step', () => {
    const tiny = parseCidr('10.0.0.1/32');
    if (tiny.kind !== 'cidr') throw new Error('malformed');
    const made = planned(web, { ...linux, space: tiny.cidr }, { takenAddresses: ['10.0.0.1'] });
    expect(made.steps).toEqual([]);
    expect(made.problems).toEqual([expect.objectContaining({ reason: 'NoAddress', severity: 'error' })]);
  });
});

describe('stated ports', () => {
  test('are told with the cure', () => {
    const made = planned(aService(), linux);
    expect(made.problems).toEqual([expect.objectContaining({ reason: 'PortMoved', severity: 'warning' })]);
    expect(made.problems[0]?.message).toContain(':8080');
    expect(made.problems[0]?.cure).toContain('sluice local setup');
  });

  test('on the one address of macOS a second Service gets another stated port, and keeps it', () => {
    const service = aService({ name: 'second', ports: [aPort({ port: 3000 })] });
    expect(ports(planned(service, mac))).toEqual(['127.0.0.1:3000']);
    const takenPorts = ['127.0.0.1 3000/TCP'];
    const [given] = ports(planned(service, mac, { takenPorts }));
    expect(given).toMatch(/^127\.0\.0\.1:2\d{4}$/u);
    const port = Number(String(given).split(':')[1]);
    const remembered = { addresses: ['127.0.0.1'], ports: { '127.0.0.1 3000/TCP': port } };
    // Free again or not: what was stated stays.
    expect(ports(planned(service, mac, { remembered }))).toEqual([given]);
    expect(ports(planned(service, mac, { remembered, takenPorts }))).toEqual([given]);
  });

  test('a port that this process may open now moves back to its own number', () => {
    const service = aService();
    const [address = ''] = addressSequence(linux.space, 'c', service.key);
    const rules = { sourceRanges: [], affinityMs: 0 };
    const listener = { address, protocol: 'TCP' as const, port: 80, listenPort: 8080, rules, targets: [] };
    const holding = { addresses: [address], listeners: [listener] };
    const made = planned(service, { ...linux, unprivilegedFrom: 0 }, { holding });
    expect(made.steps.map(({ operation }) => operation)).toEqual(['Unlisten', 'Listen', 'AddTargets']);
    expect(ports(made)).toEqual([`${address}:80`]);
  });
});

describe('what cannot be served is told', () => {
  test.each([
    ['SCTP', { ports: [aPort({ protocol: 'SCTP' })] }, linux, 'UnsupportedProtocol'],
    ['no node port', { ports: [aPort({ nodePort: 0 })] }, linux, 'NodePortMissing'],
    [
      'UDP through the API server',
      { ports: [aPort({ protocol: 'UDP' })] },
      { ...linux, via: 'api' },
      'UdpNotForwarded',
    ],
    [
      'UDP without a node port, although TCP could go around',
      { ports: [aPort({ protocol: 'UDP', nodePort: 0 })] },
      { ...linux, via: 'auto' },
      'NodePortMissing',
    ],
    ['a range that is none', { sourceRanges: ['10.0.0.0/33'] }, linux, 'ConflictingSettings'],
    ['an address outside the range', { loadBalancerIP: '192.0.2.1' }, linux, 'IneffectiveSetting'],
    ['an address on macOS', { loadBalancerIP: '127.80.0.1' }, mac, 'IneffectiveSetting'],
  ] as const)('%s', (_, change, config, reason) => {
    expect(parse(aService(change), config).problems).toEqual([expect.objectContaining({ reason })]);
  });

  test('TCP without a node port is served around the nodes', () => {
    const service = aService({ ports: [aPort({ nodePort: 0 })] });
    const config: LaptopConfig = { ...linux, via: 'auto' };
    expect(parse(service, config).problems).toEqual([]);
    const add = planned(service, config).steps.find(({ operation }) => operation === 'AddTargets');
    expect(add?.parameters['Targets']).toEqual([{ kind: 'api' }]);
  });
});
