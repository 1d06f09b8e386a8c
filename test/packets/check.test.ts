/** What the rows of the table notice: rules written by hand, right and with one fault each. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { cases } from './cases.ts';
import type { Expectation, PacketRow } from './cases/row.ts';
import { checkRow, prepareBed } from './check.ts';
import { Atlas, type World } from './world.ts';

let bed: Bed;

beforeAll(async () => {
  bed = await Bed.make();
  await prepareBed(bed);
});
afterAll(() => bed.remove());

const world: World = [{ name: 'web', endpoints: [{ at: 'n1-a' }, { at: 'n2-a' }] }];
const everybody: Expectation = { kind: 'reaches', who: ['n1-a', 'n2-a'], source: 'kept' };
const row: PacketRow = { rule: 'C1', says: '', from: 'n1-b', to: { at: 'V', of: 'web' }, expect: everybody };

const first = '10.244.1.10 . 8080';
const second = '10.244.2.10 . 8080';

interface Fault {
  readonly fault: string;
  readonly endpoints: readonly string[];
  readonly masquerade: string;
  readonly before?: string;
  readonly from?: string;
  readonly expect?: Expectation;
  readonly found: readonly (string | RegExp)[];
}

const hairpin = 'ip saddr 10.244.1.10 ip daddr 10.244.1.10 masquerade';

const faults: readonly Fault[] = [
  { fault: 'none', endpoints: [first, second], masquerade: hairpin, found: [] },
  {
    fault: 'none, seen by an endpoint',
    endpoints: [first, second],
    masquerade: hairpin,
    from: 'n1-a',
    found: [],
  },
  {
    fault: 'an endpoint left out',
    endpoints: [second],
    masquerade: hairpin,
    found: ['reached {"answered":60,"by":{"n2-a":60}}'],
  },
  {
    fault: 'another port',
    endpoints: [first, second.replace('8080', '8081')],
    masquerade: hairpin,
    found: [/^reached .*"n2-a:8081"/],
  },
  {
    fault: 'a stranger among the endpoints',
    endpoints: [first, second, '10.244.3.10 . 8080'],
    masquerade: hairpin,
    found: [/^reached .*"n3-a"/],
  },
  {
    fault: 'an endpoint where nobody is',
    endpoints: [first, second, second, first, '10.244.3.10 . 8089'],
    masquerade: hairpin,
    found: [/^came to .*"refused"/],
  },
  {
    fault: 'pods are masqueraded',
    endpoints: [first, second],
    masquerade: 'ip saddr 10.244.1.11 masquerade',
    found: ['n1-a saw 10.244.1.1', 'n2-a saw 10.244.1.0'],
  },
  {
    fault: 'clients are not masqueraded',
    endpoints: [first, second],
    masquerade: hairpin,
    from: 'x1',
    expect: { ...everybody, source: 'node' },
    // The other endpoint answers the client by a way of its own, which nobody translates back.
    found: ['n1-a saw 172.31.0.201', /^reached .*"silence"/],
  },
  {
    fault: 'hairpin is forgotten',
    endpoints: [first, second],
    masquerade: '',
    from: 'n1-a',
    found: [/^reached .*"silence"/],
  },
  {
    fault: 'rejected instead of dropped',
    endpoints: [first],
    masquerade: '',
    before: 'reject',
    expect: { kind: 'silence' },
    found: [/^came to \{"refused":8/],
  },
  {
    fault: 'dropped instead of rejected',
    endpoints: [first],
    masquerade: '',
    before: 'drop',
    expect: { kind: 'refused' },
    found: [/^came to \{"silence":8/],
  },
  {
    fault: 'answered where nobody should',
    endpoints: [first],
    masquerade: hairpin,
    expect: { kind: 'untouched' },
    found: [/^came to \{"answered":8/],
  },
  {
    fault: 'no affinity',
    endpoints: [first, second],
    masquerade: hairpin,
    expect: { kind: 'sticks', who: ['n1-a', 'n2-a'] },
    found: [/^reached/],
  },
];

test.each(faults)('$fault', async ({ endpoints, masquerade, before = 'accept', from, found, ...rest }) => {
  const atlas = new Atlas(bed.topology, world, 0);
  const map = endpoints.map((endpoint, index) => `${index} : ${endpoint}`).join(', ');
  const address = atlas.address('web', 'V', 'IPv4');
  await bed.succeed('n1', 'nft', ['-f', '-'], {
    input: `table ip by-hand
delete table ip by-hand
table ip by-hand {
  chain before {
    type filter hook prerouting priority -110
    ip daddr ${address} ${before}
  }
  chain pre {
    type nat hook prerouting priority -100
    ip daddr ${address} tcp dport 80 dnat to numgen random mod ${endpoints.length} map { ${map} }
  }
  chain post {
    type nat hook postrouting priority 100
    ${masquerade}
  }
}
`,
  });
  const wrong = await checkRow(
    bed,
    atlas,
    { ...row, from: from ?? row.from },
    rest.expect ?? everybody,
    'IPv4',
  );
  expect(wrong.toSorted()).toEqual(
    found.map((text) => (typeof text === 'string' ? text : (expect.stringMatching(text) as unknown))),
  );
});

test('on a node without rules every row fails that expects any', async () => {
  await bed.run('n1', 'nft', ['flush', 'ruleset']);
  for (const given of cases) {
    const atlas = new Atlas(bed.topology, given.world, 1);
    const rows = given.rows.filter(({ expect: { kind } }) => ['reaches', 'sticks', 'silence'].includes(kind));
    const found = await Promise.all(
      rows.map((each) => checkRow(bed, atlas, each, each.expect, each.families?.[0] ?? 'IPv4')),
    );
    expect(found.filter((wrong) => wrong.length === 0)).toEqual([]);
  }
});
