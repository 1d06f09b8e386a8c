/** Questions as people write them. */
import { describe, expect, test } from 'vitest';
import { readFrom, readTo, type From, type To } from './question.ts';

describe('who asks', () => {
  test.each<[string, From]>([
    ['node', { kind: 'node' }],
    ['10.0.0.7', { kind: 'address', address: '10.0.0.7', family: 'IPv4' }],
    ['FD00::0007', { kind: 'address', address: 'fd00::7', family: 'IPv6' }],
    ['[fd00::7]', { kind: 'address', address: 'fd00::7', family: 'IPv6' }],
    ['pod/web-1', { kind: 'pod', namespace: undefined, name: 'web-1' }],
    ['pod/shop/web-1', { kind: 'pod', namespace: 'shop', name: 'web-1' }],
  ])('%s', (text, value) => expect(readFrom(text)).toEqual({ value }));

  test.each(['web', '10.0.0.256', '010.0.0.1', 'pod/', 'pod/a/b/c', 'fe80::1%eth0', ''])(
    '"%s" is not understood, and the forms are told',
    (text) =>
      expect(readFrom(text)).toMatchObject({ mistake: expect.stringContaining('pod/NAME') as unknown }),
  );
});

describe('what is asked for', () => {
  test.each<[string, To]>([
    [
      '10.96.0.10:80',
      { kind: 'address', address: '10.96.0.10', family: 'IPv4', port: 80, protocol: undefined },
    ],
    [
      '10.96.0.10:53/udp',
      { kind: 'address', address: '10.96.0.10', family: 'IPv4', port: 53, protocol: 'UDP' },
    ],
    ['[fd00::1]:80/TCP', { kind: 'address', address: 'fd00::1', family: 'IPv6', port: 80, protocol: 'TCP' }],
    ['node:30080', { kind: 'node', port: 30_080, protocol: undefined }],
    ['svc/web', { kind: 'service', namespace: undefined, name: 'web', port: undefined, protocol: undefined }],
    ['svc/web:80/sctp', { kind: 'service', namespace: undefined, name: 'web', port: 80, protocol: 'SCTP' }],
    [
      'service/shop/web:http',
      { kind: 'service', namespace: 'shop', name: 'web', port: 'http', protocol: undefined },
    ],
  ])('%s', (text, value) => expect(readTo(text)).toEqual({ value }));

  test.each<[string, string]>([
    ['10.96.0.10', 'the port is missing'],
    ['fd00::1', 'the port is missing'],
    ['10.96.0.10:0', '"0" is not a port from 1 to 65535'],
    ['10.96.0.10:65536', '"65536" is not a port'],
    ['10.96.0.10:80/icmp', '"icmp" is not a protocol of Services'],
    ['web:80', '"web" is not an address'],
    ['svc/web:80/http', '"http" is not a protocol'],
    ['svc/Web:80', '"Web" is not the name of a Service'],
    ['svc/web:', '"" is not a port'],
    ['fd00::1:80', 'the port is missing'],
    ['hello', 'not understood'],
  ])('"%s": %s', (text, part) => {
    expect(readTo(text)).toMatchObject({ mistake: expect.stringContaining(part) as unknown });
  });
});
