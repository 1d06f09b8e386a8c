import { describe, expect, test } from 'vitest';
import type { Link } from './announcer.ts';
import { chooseLinks } from './links.ts';

function link(name: string, over: Partial<Link> = {}): Link {
  return {
    name,
    mac: '02:00:00:00:00:01',
    up: true,
    usable: true,
    networks: [],
    defaultRoute: { ipv4: false, ipv6: false },
    ...over,
  };
}

const lan = link('eth1', { networks: ['192.0.2.7/24', '2001:db8::7/64'] });
const uplink = link('eth0', { networks: ['10.0.0.7/8'], defaultRoute: { ipv4: true, ipv6: false } });

describe('the links of an address', () => {
  test.each<[string, string, readonly string[], readonly Link[], readonly string[] | string]>([
    ['where its network is', '192.0.2.99', [], [uplink, lan], ['eth1']],
    ['of IPv6 likewise', '2001:db8::99', [], [uplink, lan], ['eth1']],
    ['else by the default route of its family', '198.51.100.1', [], [uplink, lan], ['eth0']],
    ['no default route of IPv6', '2001:db8:1::1', [], [uplink, lan], 'NoLink'],
    ['named ones, wherever the network is', '192.0.2.99', ['eth0'], [uplink, lan], ['eth0']],
    ['all that are named and there', '192.0.2.99', ['eth1', 'eth0', 'eth9'], [uplink, lan], ['eth0', 'eth1']],
    ['named and not there', '192.0.2.99', ['eth9'], [uplink, lan], 'InterfaceMissing'],
    ['named and down', '192.0.2.99', ['eth1'], [{ ...lan, up: false }], 'LinkDown'],
    [
      'down where its network is: not another one',
      '192.0.2.99',
      [],
      [uplink, { ...lan, up: false }],
      'LinkDown',
    ],
    ['a port of a bridge is not chosen by itself', '192.0.2.99', [], [{ ...lan, usable: false }], 'NoLink'],
    ['but by name', '192.0.2.99', ['eth1'], [{ ...lan, usable: false }], ['eth1']],
    ['none at all', '192.0.2.99', [], [], 'NoLink'],
  ])('%s', (_name, address, asked, links, expected) => {
    const choice = chooseLinks(address, asked, links);
    if (typeof expected === 'string') expect(choice).toMatchObject({ kind: 'none', reason: expected });
    else expect(choice).toEqual({ kind: 'links', names: expected });
  });
});
