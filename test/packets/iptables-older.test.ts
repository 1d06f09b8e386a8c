/**
 * An agent that starts over the fixed rules of an earlier layout, which asked DST, NODE and CIP one after the other and
 * had no set of all addresses: it moves over while connections are made, loses none, and leaves nothing of the old.
 */
import { expect, test } from 'vitest';
import { openIptables } from '../../src/agent/iptables/open.ts';
import { program } from '../../src/agent/iptables/programs.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { aDecision, aNodeDecision, variants } from './iptables-bench.ts';

const node = 'n1';
const port = 8080;

const reject = '-j REJECT --reject-with icmp-port-unreachable';
const set = (name: string, fields: string): string => `-m set --match-set SLUICE-4-${name} ${fields}`;
const translated = '-m conntrack --ctstate DNAT -j RETURN';
const destination = `${set('DST', 'dst,dst')} -g SLUICE-REFUSE`;
const nodePorts = [
  `${set('NODE', 'dst')} ${set('NPD', 'dst,dst')} -g SLUICE-DROP-NP`,
  `${set('NODE', 'dst')} ${set('NPR', 'dst,dst')} ${reject}`,
];

/** What was written for IPv4 before. */
const older: Readonly<Record<'nat' | 'filter', Readonly<Record<string, readonly string[]>>>> = {
  filter: {
    'SLUICE-UNKNOWN': [
      translated,
      destination,
      ...nodePorts,
      `${set('CIP', 'dst')} ${reject}`,
      '-d 10.96.0.0/12 -j DROP',
    ],
    'SLUICE-FILTER': [translated, destination, ...nodePorts],
    'SLUICE-INPUT': [`${set('HC', 'dst,dst')} -j ACCEPT`, '-m conntrack --ctstate NEW -g SLUICE-FILTER'],
    'SLUICE-FORWARD': [
      '-m conntrack --ctstate INVALID -j DROP',
      '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-m conntrack --ctstate NEW -j SLUICE-UNKNOWN',
      '-m mark --mark 0x4000/0x4000 -j ACCEPT',
    ],
    'SLUICE-OUTPUT': ['-m conntrack --ctstate NEW -g SLUICE-UNKNOWN'],
  },
  nat: {
    'SLUICE-SERVICES': [
      `${set('DST', 'dst,dst')} -g SLUICE-DISPATCH`,
      `${set('NODE', 'dst')} ${set('NP', 'dst,dst')} -g SLUICE-NODEPORTS`,
    ],
  },
};

function restoreText(): string {
  return Object.entries(older)
    .map(([table, chains]) =>
      [
        `*${table}`,
        ...Object.keys(chains).map((name) => `:${name} - [0:0]`),
        ...Object.entries(chains).flatMap(([name, rules]) => rules.map((rule) => `-A ${name} ${rule}`)),
        'COMMIT\n',
      ].join('\n'),
    )
    .join('');
}

test.each(variants)(
  'the %s variant: over rules of the older layout it moves to its own, and no connection is lost',
  async (variant) => {
    await using bed = await Bed.make({ nodes: 1, podsPerNode: 2, clients: 1 });
    await bed.serveApart('n1-a', { port, fast: true });
    await bed.serve('n1-a', { port: port + 1 });
    const addresses = bed.node(node).address.IPv4;
    const meaning = aNodeDecision({ nodePortAddresses: [addresses] });
    const endpoint = bed.pod('n1-a').address.IPv4;
    const at = (index: number, to: number) =>
      aDecision(index, {
        endpoints: 1,
        some: {
          nodePort: 30_000 + index,
          cluster: [{ address: endpoint, port: to, local: true, weight: 1 }],
        },
      });
    const decisions = [at(1, port), at(2, port + 1)];
    const open = async () =>
      (
        await openIptables({
          family: 'IPv4',
          spawn: (name, args) => bed.spawn(node, name, args),
          variant,
          pollMs: 200,
        })
      ).backend;
    const before = await open();
    await before.replace(meaning, decisions);
    await before.close();
    await bed.succeed(node, program(variant, 'IPv4', '-restore'), ['--noflush'], { input: restoreText() });
    await bed.succeed(node, 'ipset', ['destroy', 'SLUICE-4-OUR']);

    const held = await bed.hold('n1-b', { address: '10.96.0.2', port: 80 });
    const loads = await Promise.all([
      bed.load('n1-b', { address: '10.96.0.1', port: 80 }, { threads: 1, perSecond: 500 }),
      bed.load('x1', { address: addresses, port: 30_001 }, { threads: 1, perSecond: 500 }),
    ]);
    const after = await open();
    const written = await after.replace(meaning, decisions);
    expect(written.operations).toBeGreaterThan(0);
    expect(written.quarantined).toEqual([]);
    for (const load of loads) {
      const { connections, lost, failures } = await load.close();
      expect(lost, JSON.stringify(failures)).toEqual({});
      expect(connections).toBeGreaterThan(0);
    }
    expect((await held.check()).kind).toBe('answered');
    expect(await after.verify()).toEqual([]);
    expect((await after.replace(meaning, decisions)).operations).toBe(0);
    await after.close();
  },
);
