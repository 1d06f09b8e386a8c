/** Proposals of pools, from what is known of a network. */
import { describe, expect, test } from 'vitest';
import { parseAddress, parseCidr, type Cidr } from '../core/cidr.ts';
import { aNode } from '../core/fixtures.ts';
import {
  networksOf,
  propose,
  questionsOf,
  spansOf,
  type Answers,
  type KnownUse,
  type MachineAddress,
} from './pool-proposal.ts';

function cidr(text: string): Cidr {
  const read = parseCidr(text);
  if (read.kind === 'malformed') throw new Error(read.message);
  return read.cidr;
}

function use(first: string, last: string, what: string): KnownUse {
  const [a, b] = [parseAddress(first), parseAddress(last)];
  if (a === undefined || b === undefined) throw new Error(first);
  return { family: a.family, first: a.value, last: b.value, what };
}

const home = [aNode('a', { internalIPs: ['192.168.1.11'] }), aNode('b', { internalIPs: ['192.168.1.12'] })];
const eth0: MachineAddress = { link: 'eth0', address: '192.168.1.33', prefix: 24, dynamic: false };

function made({
  nodes = home,
  here = [eth0],
  named = [],
  uses = [],
  answers,
  size = 16,
}: {
  readonly nodes?: typeof home;
  readonly here?: readonly MachineAddress[];
  readonly named?: readonly Cidr[];
  readonly uses?: readonly KnownUse[];
  readonly answers?: Answers;
  readonly size?: number;
}) {
  const [network] = networksOf(nodes, here, named);
  if (network === undefined) throw new Error('no network');
  const proposal = propose(network, uses, answers, size);
  if ('lack' in proposal) throw new Error(proposal.lack);
  return proposal;
}

describe('the network', () => {
  test('its length is that of the machine’s own address where the machine is in it', () => {
    const here = { ...eth0, prefix: 22 };
    expect(networksOf(home, [here], [])).toMatchObject([
      {
        cidr: { text: '192.168.0.0/22' },
        known: 'this machine is in it',
        nodes: [{ name: 'a' }, { name: 'b' }],
      },
    ]);
  });

  test('what was named goes before that, and where nothing is known /24 and /64 are assumed, and said', () => {
    expect(networksOf(home, [eth0], [cidr('192.168.0.0/16')])).toMatchObject([
      { cidr: { text: '192.168.0.0/16' }, known: 'you named it' },
    ]);
    const nodes = [aNode('a', { internalIPs: ['10.1.2.3', 'fd00::5'] })];
    expect(networksOf(nodes, [], [])).toMatchObject([
      { cidr: { text: '10.1.2.0/24' }, known: 'assumed' },
      { cidr: { text: 'fd00::/64' }, known: 'assumed' },
    ]);
    expect(made({ here: [] }).checks.join('\n')).toContain('--network');
  });

  test('of a large network its end and the parts with nodes are looked at, of a /64 a part that DHCPv6 leaves alone', () => {
    const [large] = networksOf([aNode('a', { internalIPs: ['172.18.0.2'] })], [], [cidr('172.18.0.0/16')]);
    expect(large && questionsOf(large, [])).toContain('172.18.255.250');
    expect(large && questionsOf(large, []).length).toBe(2 * 254);
    const [six] = networksOf([aNode('a', { internalIPs: ['fd00::5'] })], [], []);
    expect(six && spansOf(six)).toHaveLength(1);
    expect(six && questionsOf(six, [])[0]).toBe('fd00::b000:0');
  });
});

describe('the proposal', () => {
  test('lies at the end of a small network, and says which routers may hand it out', () => {
    const { range, reasons, checks } = made({});
    expect(range).toBe('192.168.1.239-192.168.1.254');
    expect(reasons.join('\n')).toContain('outside of what these hand out by DHCP as they come: Linksys');
    expect(reasons.join('\n')).toContain('within what these hand out by DHCP as they come: OpenWrt');
    expect(checks.join('\n')).toContain('DHCP range of your router');
  });

  test('leaves out whoever answered, by name and MAC', () => {
    const answers = new Map([['192.168.1.245', '02:00:00:00:00:45']]);
    const { range, reasons } = made({ answers });
    expect(range).toBe('192.168.1.229-192.168.1.244');
    expect(reasons.join('\n')).toContain('192.168.1.245 (02:00:00:00:00:45)');
  });

  test('leaves out nodes, gateways and other pools, and names them', () => {
    const uses = [
      use('192.168.1.240', '192.168.1.254', 'pool old'),
      use('192.168.1.11', '192.168.1.11', 'node a'),
    ];
    const { range, reasons } = made({ uses });
    expect(range).toBe('192.168.1.224-192.168.1.239');
    expect(reasons.join('\n')).toContain('left out: pool old, node a');
  });

  test('keeps away from the machine’s own lease, which shows where DHCP hands out', () => {
    const here = { ...eth0, address: '192.168.1.230', dynamic: true };
    const { range, reasons } = made({ here: [here] });
    expect(parseAddress(range.split('-')[1] ?? '')?.value).toBeLessThan(
      parseAddress('192.168.1.181')?.value ?? 0n,
    );
    expect(reasons.join('\n')).toContain('a DHCP server is at work');
  });

  test('is smaller where there is no room, and none where there is none', () => {
    const nodes = [aNode('a', { internalIPs: ['10.0.0.1'] })];
    const named = [cidr('10.0.0.0/28')];
    const uses = [use('10.0.0.1', '10.0.0.8', 'pool old')];
    const small = made({ nodes, here: [], named, uses });
    expect(small.range).toBe('10.0.0.11-10.0.0.14');
    expect(small.checks[0]).toBe('there was room for 4 in a row, not for 16');
    const [network] = networksOf(nodes, [], named);
    const full = [use('10.0.0.0', '10.0.0.15', 'pool old')];
    expect(network && propose(network, full, undefined, 16)).toMatchObject({ lack: expect.any(String) });
  });

  test('says where nobody was asked, and that networks of clouds may not pass it', () => {
    const nodes = [aNode('a', { internalIPs: ['10.0.0.1'], providerID: 'aws:///eu/i-1' })];
    const checks = made({ nodes, here: [] }).checks.join('\n');
    expect(checks).toContain('this machine is not in the network');
    expect(checks).toContain('the nodes run at aws');
    expect(made({ answers: new Map() }).checks.join('\n')).toContain('devices that are off now');
  });

  test.each([16, 7, 1])('never reaches .0, .255, the network’s own or its broadcast address (%i)', (size) => {
    for (const text of ['10.0.0.0/24', '10.0.0.0/22', '10.0.0.128/25', '10.0.0.0/30']) {
      const range = made({
        nodes: [aNode('a', { internalIPs: ['10.0.0.129', '10.0.0.1'] })],
        here: [],
        named: [cidr(text)],
        size,
      }).range;
      for (const end of range.split('-')) {
        expect(end).not.toMatch(/\.(0|255)$/u);
        expect([cidr(text).base]).not.toContain(parseAddress(end)?.value);
      }
    }
  });
});
