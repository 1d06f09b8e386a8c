import { describe, expect, test } from 'vitest';
import { parseAddresses } from './addresses.ts';
import {
  allowRouteLocalnet,
  checkEphemeralPorts,
  checkForwarding,
  conntrackIsLiberal,
  overlapping,
  parseRanges,
  type Sysctls,
} from './preflight.ts';
import { testDecision } from './fixtures.ts';
import { NodeChecks } from './node-checks.ts';
import { parseSocket, shadows } from './sockets.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';

function sysctls(
  values: Record<string, string>,
  readOnly = false,
): Sysctls & { readonly values: typeof values } {
  return {
    values,
    read: async (path) => values[path],
    write: async (path, value) => {
      if (readOnly) throw new Error('EROFS: read-only file system');
      values[path] = value;
    },
  };
}

describe('the addresses of the interfaces', () => {
  test('are canonical, with those of the loopback, without link-local ones of IPv6', () => {
    const json = JSON.stringify([
      { ifname: 'lo', addr_info: [{ local: '127.0.0.1' }, { local: '::1', scope: 'host' }] },
      {
        ifname: 'eth0',
        addr_info: [
          { local: '10.0.0.5', scope: 'global' },
          { local: '10.0.0.6', scope: 'global' },
          { local: '169.254.3.1', scope: 'link' },
          { local: 'fd00:0:0::5', scope: 'global' },
          { local: 'fe80::1', scope: 'link' },
        ],
      },
      { ifname: 'down0' },
    ]);
    expect([...parseAddresses(json)]).toEqual([
      '127.0.0.1',
      '::1',
      '10.0.0.5',
      '10.0.0.6',
      '169.254.3.1',
      'fd00::5',
    ]);
  });

  test('an answer that is none is an error and not an empty list', () => {
    expect(() => parseAddresses('Device "x" does not exist.')).toThrow();
  });
});

describe('forwarding', () => {
  test('that is off is found for each family, with the cure', async () => {
    const found = await checkForwarding(
      sysctls({ 'net/ipv4/ip_forward': '0', 'net/ipv6/conf/all/forwarding': '0' }),
      ['IPv4', 'IPv6'],
    );
    expect(found.map(({ code }) => code)).toEqual(['ForwardingOff', 'ForwardingOff']);
    expect(found[0]?.message).toContain('sysctl -w net.ipv4.ip_forward=1');
  });

  test('is no finding where it is on, or where it cannot be read', async () => {
    expect(await checkForwarding(sysctls({ 'net/ipv4/ip_forward': '1' }), ['IPv4', 'IPv6'])).toEqual([]);
  });
});

test.each([
  ['1', true],
  ['0', false],
  [undefined, false],
])('nf_conntrack_tcp_be_liberal %s', async (value, liberal) => {
  const values = value === undefined ? {} : { 'net/netfilter/nf_conntrack_tcp_be_liberal': value };
  expect(await conntrackIsLiberal(sysctls(values))).toBe(liberal);
});

describe('route_localnet', () => {
  const path = 'net/ipv4/conf/all/route_localnet';
  test('is set', async () => {
    const on = sysctls({ [path]: '0' });
    await allowRouteLocalnet(on);
    expect(on.values[path]).toBe('1');
  });

  test('is left alone where it is set already, read-only or not', async () => {
    await expect(allowRouteLocalnet(sysctls({ [path]: '1' }, true))).resolves.toBeUndefined();
  });

  test('that cannot be set is refused with the cure', async () => {
    await expect(allowRouteLocalnet(sysctls({ [path]: '0' }, true))).rejects.toThrow(
      /route_localnet=1.*set it on the node/u,
    );
  });
});

const usualRange = { from: 30_000, to: 32_767 };

describe('ephemeral ports', () => {
  test('ranges are read as the kernel writes them', () => {
    expect(parseRanges('')).toEqual([]);
    expect(parseRanges('4000,30000-32767')).toEqual([
      { from: 4000, to: 4000 },
      { from: 30000, to: 32767 },
    ]);
  });

  test('node ports in their range are found unless they are reserved', () => {
    const ephemeral = [{ from: 30_000, to: 60_999 }];
    expect(overlapping([29_999, 30_000, 30_001], ephemeral, [{ from: 30_001, to: 30_001 }])).toEqual([
      30_000,
    ]);
  });

  test('the finding names a port, the range and both cures', async () => {
    const [found] = await checkEphemeralPorts(
      sysctls({ 'net/ipv4/ip_local_port_range': '30000\t60999', 'net/ipv4/ip_local_reserved_ports': '' }),
      [30_080, 30_443],
      usualRange,
    );
    expect(found?.message).toMatch(
      /30080 and 1 more .*30000-60999.*ip_local_reserved_ports=30000-32767.*ip_local_port_range/u,
    );
  });

  test('the usual ranges do not overlap', async () => {
    const usual = sysctls({ 'net/ipv4/ip_local_port_range': '32768\t60999' });
    expect(await checkEphemeralPorts(usual, [30_080, 32_767], usualRange)).toEqual([]);
  });

  test('a range that overlaps is found before a Service has a port of it, and what is reserved is kept in the cure', async () => {
    const values = {
      'net/ipv4/ip_local_port_range': '15000\t60999',
      'net/ipv4/ip_local_reserved_ports': '8080,30000-31000',
    };
    const [found, ...more] = await checkEphemeralPorts(sysctls(values), [30_080], usualRange);
    expect(more).toEqual([]);
    expect(found?.message).toMatch(
      /^node ports 31001-32767 of the cluster's range 30000-32767 .*ip_local_reserved_ports=8080,30000-31000,31001-32767/u,
    );
  });

  test('a port in use outside the range is named, with the port in the cure', async () => {
    const usual = sysctls({ 'net/ipv4/ip_local_port_range': '32768\t60999' });
    const [found] = await checkEphemeralPorts(usual, [40_000], usualRange);
    expect(found?.message).toMatch(/^node port 40000 .*ip_local_reserved_ports=40000,/u);
  });

  test('all of it reserved is no finding', async () => {
    const values = {
      'net/ipv4/ip_local_port_range': '1024\t65535',
      'net/ipv4/ip_local_reserved_ports': '30000-32767',
    };
    expect(await checkEphemeralPorts(sysctls(values), [30_080], usualRange)).toEqual([]);
  });
});

describe('bound sockets', () => {
  test.each([
    [
      'tcp   LISTEN 0      4096         0.0.0.0:30080      0.0.0.0:*   ',
      { protocol: 'TCP', address: '0.0.0.0', port: 30080 },
    ],
    [
      'udp   UNCONN 0      0               [::]:30053         [::]:*   ',
      { protocol: 'UDP', address: '[::]', port: 30053 },
    ],
    [
      'tcp   LISTEN 0      511                *:30443            *:*',
      { protocol: 'TCP', address: '*', port: 30443 },
    ],
    [
      'udp   UNCONN 0      0      127.0.0.53%lo:53         0.0.0.0:*',
      { protocol: 'UDP', address: '127.0.0.53', port: 53 },
    ],
    ['nl    UNCONN 0      0              rtnl:kernel            *', undefined],
    ['', undefined],
  ])('%s', (line, expected) => {
    expect(parseSocket(line)).toEqual(expected);
  });

  test.each([
    ['0.0.0.0', true],
    ['*', true],
    ['[::]', true],
    ['192.168.0.1', true],
    ['127.0.0.1', false],
    ['[::1]', false],
  ])('on %s', (address, shadowed) => {
    expect(shadows({ address })).toBe(shadowed);
  });
});

test.each([
  ['0.0.0.0', ['10.0.0.1'], true],
  ['10.0.0.1', ['10.0.0.1'], true],
  ['192.168.0.1', ['10.0.0.1'], false],
  ['[fd00::1]', ['fd00::1'], true],
  ['*', [], false],
])('a program on %s where node ports answer at %j', (address, at, shadowed) => {
  expect(shadows({ address }, [at])).toBe(shadowed);
});

describe('a look at the sockets of the node', () => {
  const look = async (
    over: Partial<ConstructorParameters<typeof NodeChecks>[0]>,
  ): Promise<readonly (readonly [string, string | undefined])[]> => {
    const found: [string, string | undefined][] = [];
    const lines = [
      'tcp LISTEN 0 128 0.0.0.0:30080 0.0.0.0:*',
      'tcp LISTEN 0 128 *:31000 *:*',
      'udp UNCONN 0 0 0.0.0.0:31001 0.0.0.0:*',
      'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*',
    ];
    const checks = new NodeChecks({
      sysctls: sysctls({}),
      run: async (_program, _args, options) => {
        for (const line of lines) options?.onLine?.(line);
        return { code: 0, out: '', error: '' };
      },
      families: ['IPv4'],
      nodePorts: () => [testDecision('web', { nodePort: 30_080 })],
      range: usualRange,
      answersAt: () => ['all'],
      healthPorts: () => undefined,
      clock: new VirtualClock(),
      found: ({ message, service }) => found.push([message, service]),
      ...over,
    });
    await checks.look();
    await checks.look();
    return found;
  };

  test('tells the Service whose node port a program listens on, once, with the cure', async () => {
    const found = await look({});
    expect(found.map(([, service]) => service)).toEqual(['default/web']);
    expect(found[0]?.[0]).toMatch(
      /0\.0\.0\.0 TCP port 30080, a node port of default\/web.*outside 30000-32767/u,
    );
  });

  test('instead of kube-proxy it tells of the rest of the range too, but for health checks', async () => {
    const found = await look({ healthPorts: () => new Set([31_000]) });
    expect(found.map(([, service]) => service)).toEqual(['default/web', undefined]);
    expect(found[1]?.[0]).toMatch(/0\.0\.0\.0 UDP port 31001, in the cluster's range/u);
  });
});
