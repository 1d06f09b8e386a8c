/** Which packet a question is about, which node meets it, and what is told where there is none such. */
import { describe, expect, test } from 'vitest';
import { aNode, aPort, aService } from '../../core/fixtures.ts';
import { ask, testAround, testPicture, testSettings } from './fixtures.ts';
import { resolve, type Picture, type Question } from './resolve.ts';

function packetOf(question: Question, picture: Picture = testPicture()): string {
  const { packet, nodeName } = resolve(question, picture, testAround());
  const { source, destination, port, protocol, from } = packet;
  return `${source} > ${destination} ${port} ${protocol} ${from.kind} @${nodeName}`;
}

describe('the packet and the node that meets it', () => {
  test.each<[string, Question, string]>([
    [
      'a pod, on its own node',
      ask('pod/web-1', 'svc/web:80'),
      '10.244.1.2 > 10.96.0.10 80 TCP interface @n1',
    ],
    [
      'a pod of another namespace',
      ask('pod/shop/cart', 'svc/web'),
      '10.244.2.9 > 10.96.0.10 80 TCP interface @n2',
    ],
    ['a port by name', ask('pod/web-1', 'svc/web:http/tcp'), '10.244.1.2 > 10.96.0.10 80 TCP interface @n1'],
    [
      'the node that holds the destination',
      ask('198.51.100.7', '10.0.0.2:30080'),
      '198.51.100.7 > 10.0.0.2 30080 TCP interface @n2',
    ],
    [
      'the node that holds the source is a process',
      ask('10.0.0.3', 'svc/web'),
      '10.0.0.3 > 10.96.0.10 80 TCP process @n3',
    ],
    [
      'a process of a named node',
      ask('node', 'svc/web', { node: 'n2' }),
      '10.0.0.2 > 10.96.0.10 80 TCP process @n2',
    ],
    [
      'a node port of a named node',
      ask('198.51.100.7', 'node:30080', { node: 'n3' }),
      '198.51.100.7 > 10.0.0.3 30080 TCP interface @n3',
    ],
    [
      'a process asks at a loopback address from there',
      ask('node', '127.0.0.1:30080', { node: 'n1' }),
      '127.0.0.1 > 127.0.0.1 30080 TCP process @n1',
    ],
    [
      'a port that the Service has not is a fair question',
      ask('pod/web-1', 'svc/web:81/udp'),
      '10.244.1.2 > 10.96.0.10 81 UDP interface @n1',
    ],
  ])('%s', (_name, question, packet) => expect(packetOf(question)).toBe(packet));

  test('the only Node there is need not be named', () => {
    const picture = testPicture({}, { nodes: [aNode('solo', { internalIPs: ['10.0.0.9'] })] });
    expect(packetOf(ask('198.51.100.7', '10.96.0.10:80'), picture)).toContain('@solo');
  });

  test('the machine that is asked on is meant where it is a node', () => {
    const around = testAround({ ownName: 'n3' });
    expect(resolve(ask('198.51.100.7', '10.96.0.10:80'), testPicture(), around).nodeName).toBe('n3');
  });

  test('a node that could not be read is believed', () => {
    const picture = testPicture({}, { nodes: [], unread: ['nodes (no right to list nodes)'] });
    const { nodeName, node } = resolve(ask('10.244.1.9', 'svc/web', { node: 'n7' }), picture, testAround());
    expect([nodeName, node]).toEqual(['n7', undefined]);
  });

  test('with pods told by interface, the assumption is told too', () => {
    const settings = { ...testSettings, detectLocal: { kind: 'interface-prefix', prefix: 'veth' } } as const;
    const here = resolve(ask('pod/web-1', 'svc/web'), testPicture(), testAround({ settings }));
    expect(here.packet.from).toEqual({ kind: 'interface', name: 'veth0' });
    expect(here.notes).toEqual([expect.stringContaining('--interface NAME')]);
  });

  test('a pod asked about at another node gets a note', () => {
    const { notes } = resolve(ask('pod/web-1', 'svc/web', { node: 'n2' }), testPicture(), testAround());
    expect(notes).toEqual(['pod web-1 runs on n1, whose rules its packets meet first']);
  });
});

describe('what cannot be asked', () => {
  const dns = aService({
    name: 'dns',
    ports: [aPort({ name: 'dns', protocol: 'UDP', port: 53 }), aPort({ name: 'dns-tcp', port: 53 })],
  });
  const two = testPicture({}, { services: [...testPicture().services, dns] });
  test.each<[string, Question, Picture, string]>([
    [
      'unknown Service',
      ask('pod/web-1', 'svc/wep'),
      testPicture(),
      'there is no Service wep in namespace default; did you mean web?',
    ],
    [
      'Service of another namespace',
      ask('pod/web-1', 'svc/shop/web'),
      testPicture(),
      'there is no Service web in namespace shop; there is one in default: svc/default/web',
    ],
    [
      'port that is not named so',
      ask('pod/web-1', 'svc/web:https'),
      testPicture(),
      'Service default/web has no port "https"; it has 80/TCP (http)',
    ],
    [
      'wrong protocol of a named port',
      ask('pod/web-1', 'svc/web:http/udp'),
      testPicture(),
      'Service default/web has no port "http" of UDP; it has 80/TCP (http)',
    ],
    [
      'several ports, none named',
      ask('pod/web-1', 'svc/dns'),
      two,
      'Service default/dns has 53/UDP (dns), 53/TCP (dns-tcp); name one of them',
    ],
    [
      'addresses of two families',
      ask('fd00::7', '10.96.0.10:80'),
      testPicture(),
      'the source is IPv6 and the destination IPv4; a packet has one family, so name two of the same',
    ],
    [
      'a Service without the family',
      ask('fd00::7', 'svc/web', { node: 'n1' }),
      testPicture(),
      'Service default/web has no IPv6 cluster IP (only 10.96.0.10); ask from an address of the family that it has',
    ],
    [
      'a pod without the family',
      ask('pod/web-1', '[fd00::1]:80'),
      testPicture(),
      'pod web-1 has no IPv6 address (it has 10.244.1.2), and the destination is IPv6',
    ],
    [
      'a headless Service',
      ask('pod/web-1', 'svc/web:80'),
      testPicture({ headless: true, clusterIPs: [] }),
      'Service default/web has no cluster IP (it is headless): names lead straight to its endpoints, and no rule is concerned',
    ],
    [
      'no such pod',
      ask('pod/gone', 'svc/web'),
      testPicture(),
      'there is no pod gone in namespace default; name its address instead',
    ],
    [
      'a pod that has no address yet',
      ask('pod/new', 'svc/web'),
      testPicture(),
      'pod new has no address yet; it cannot send anything',
    ],
    [
      'no such node',
      ask('10.244.1.9', 'svc/web', { node: 'n12' }),
      testPicture(),
      'there is no Node n12; did you mean n1?',
    ],
    [
      'a node, and none was read',
      ask('10.244.1.9', 'svc/web', { node: 'n1' }),
      testPicture({}, { nodes: [] }),
      'there is no Node n1; what was read has no Node object at all: `kubectl get node n1 -o yaml` prints it for the files',
    ],
    [
      'no node named',
      ask('198.51.100.7', '10.96.0.10:80'),
      testPicture(),
      'the answer depends on the node that the packet meets; name one with --node: n1, n2, n3',
    ],
    [
      'no node at all',
      ask('198.51.100.7', '10.96.0.10:80'),
      testPicture({}, { nodes: [] }),
      'there is no Node object in what was read, and the answer depends on the node; add it, and name it with --node',
    ],
    [
      'a node without an address of the family',
      ask('fd00::7', 'node:30080', { node: 'n1' }),
      testPicture(),
      'node n1 has no known IPv6 address; name the address itself',
    ],
  ])('%s', (_name, question, picture, message) => {
    expect(() => resolve(question, picture, testAround())).toThrow(message);
  });
});
