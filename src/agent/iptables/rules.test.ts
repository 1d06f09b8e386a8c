import { expect, test } from 'vitest';
import { objectKey } from '../../core/objects.ts';
import { aDecision, aNodeDecision } from '../../../test/packets/iptables-bench.ts';
import type { Decision } from '../decision.ts';
import { chainHash, serviceChains } from './names.ts';
import { render } from './render.ts';
import { readTables } from './saved.ts';
import { canonical } from './text.ts';
import { EventReader } from './watch.ts';

const fate = { kind: 'balance', to: 'cluster' } as const;

function rulesOf(decision: Decision, chain: RegExp): readonly string[] {
  return render(aNodeDecision(), [decision])
    .rules.split('\n')
    .filter((line) => line.startsWith('-A ') && chain.test(line.split(' ')[1] ?? ''))
    .map((line) => line.replace(/^-A \S+ /, ''));
}

test.each([
  ['ns1/svc1:p80tcp', 'XPGD46QRK7WJZT7O'],
  ['ns2/svc2:p80tcp', 'GNZBNJ2PO5MGZ6GT'],
  ['ns4/svc4:p80tcp', '4SW47YFZTEDKD3PK'],
  ['ns1/svc1:p80tcp10.180.0.1:80', 'SXIVWICOYRO3J4NJ'],
])('the hash of %s is the one that people know from kube-proxy', (text, hash) => {
  expect(chainHash(text)).toBe(hash);
});

test('an unnamed port has no colon in what is hashed', () => {
  const names = serviceChains({ service: objectKey('ns', 'web'), portName: '', protocol: 'UDP' });
  expect(names.cluster).toBe(`SLUICE-SVC-${chainHash('ns/webudp')}`);
  expect(names.firewall.length).toBeLessThanOrEqual(28);
});

test('each rule takes its part of what is left, as the kernel counts it, and the last one takes the rest, with spares', () => {
  expect(rulesOf(aDecision(1, { endpoints: 3, from: 1 }), /SVC/)).toEqual([
    '-p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.244.0.1:8080',
    '-p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.244.0.2:8080',
    '-p tcp -j DNAT --to-destination 10.244.0.3:8080',
    '-p tcp -j DNAT --to-destination 10.244.0.1:8080',
    '-p tcp -j DNAT --to-destination 10.244.0.2:8080',
  ]);
});

test('a lone endpoint has one rule', () => {
  expect(rulesOf(aDecision(1, { endpoints: 1, from: 1 }), /SVC/)).toEqual([
    '-p tcp -j DNAT --to-destination 10.244.0.1:8080',
  ]);
});

test('endpoints have chains of their own only where clients are remembered', () => {
  const sticky = aDecision(1, { endpoints: 2, some: { affinitySeconds: 30 } });
  expect(rulesOf(aDecision(1, { endpoints: 2 }), /SEP/)).toEqual([]);
  expect(rulesOf(sticky, /SEP/)).toHaveLength(2);
  const [first = '', , third = ''] = rulesOf(sticky, /SVC/);
  expect(first).toMatch(
    /^-m recent --rcheck --seconds 30 --reap --name (SLUICE-SEP-\w{16}) --rsource -j \1$/,
  );
  expect(third).toMatch(/^-m statistic --mode random --probability 0\.50000000000 -j SLUICE-SEP-/);
});

test('under policy Local pods go first, then the node itself, then everybody else', () => {
  const decision = aDecision(1, {
    endpoints: 2,
    some: {
      nodePort: 30080,
      local: [{ address: '10.244.0.10', port: 8080, local: true, weight: 1 }],
      external: { kind: 'balance', to: 'local' },
      shortcut: fate,
    },
  });
  const { cluster, local } = serviceChains(decision);
  expect(rulesOf(decision, /EXT/)).toEqual([
    `-s 10.244.0.0/16 -g ${cluster}`,
    '-m addrtype --src-type LOCAL -j MARK --or-mark 0x4000',
    `-m addrtype --src-type LOCAL -g ${cluster}`,
    `-g ${local}`,
  ]);
});

test('the mark is set by OR and cleared by XOR, in the bit that was asked for', () => {
  const { rules } = render(aNodeDecision({ markBit: 9 }), []);
  expect(rules).toContain('-j MARK --or-mark 0x200\n');
  expect(rules).toContain('-A SLUICE-POSTROUTING -j MARK --xor-mark 0x200\n');
  expect(rules).toContain('-A SLUICE-POSTROUTING -j MASQUERADE --random-fully\n');
});

test('the node port is asked for last, behind every address', () => {
  const [first = '', second = ''] = rulesOf(
    aDecision(1, { endpoints: 1, some: { nodePort: 30080 } }),
    /SERVICES$/,
  );
  expect(first).toContain('-g SLUICE-DISPATCH');
  expect(second).toContain('-g SLUICE-NODEPORTS');
});

test('a packet passes few rules however many Services there are', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => aDecision(i, { endpoints: 1 }));
  const perChain = new Map<string, number>();
  for (const line of render(aNodeDecision(), many).rules.split('\n')) {
    const name = line.startsWith('-A ') ? (line.split(' ')[1] ?? '') : '';
    perChain.set(name, (perChain.get(name) ?? 0) + 1);
  }
  perChain.delete('');
  // 16 branches (and the rule for masquerading) of 16 leaves of some 40 Services.
  expect(Math.max(...perChain.values())).toBeLessThanOrEqual(48);
});

test.each([
  ['a port name', { portName: 'a" -j ACCEPT' }],
  ['an address', { clusterIP: '10.0.0.1\n-A INPUT -j ACCEPT' }],
  ['a source range', { sourceRanges: ['10.0.0.0/8 -j ACCEPT'] }],
  ['a port', { port: 80.5 }],
  ['a balance of nothing', { cluster: [] }],
])('%s that would break out of its rule is refused by name', (_, some) => {
  expect(() => render(aNodeDecision(), [aDecision(1, { endpoints: 1, some })])).toThrow(
    'default/svc-1:http/tcp/ipv4',
  );
});

test('our text and what iptables-save makes of it are one rule', () => {
  for (const [ours, saved] of [
    [
      '-m statistic --mode random --probability 0.3333333333 -j X',
      '-m statistic --mode random --probability 0.33333333349 -j X',
    ],
    ['-j MARK --or-mark 0x4000', '-j MARK --set-xmark 0x4000/0x4000'],
    ['-j MARK --xor-mark 0x4000', '-j MARK --set-xmark 0x4000/0x0'],
    [
      '-m recent --set --name A --rsource -j X',
      '-m recent --set --name A --mask 255.255.255.255 --rsource -j X',
    ],
  ] as const) {
    expect(canonical(ours)).toBe(canonical(saved));
  }
  expect(canonical('-m statistic --mode random --probability 0.3333333333 -j X')).not.toBe(
    canonical('-m statistic --mode random --probability 0.3333333343 -j X'),
  );
});

test('only our chains and the jumps into them are read from what the kernel holds', () => {
  const saved = readTables(
    [
      '*mangle',
      ':SLUICE-ELSEWHERE - [0:0]',
      '*nat',
      ':PREROUTING ACCEPT [0:0]',
      ':KUBE-SERVICES - [0:0]',
      ':SLUICE-SERVICES - [0:0]',
      '-A PREROUTING -j SLUICE-SERVICES',
      '-A PREROUTING -j KUBE-SERVICES',
      '-A KUBE-SERVICES -j RETURN',
      '-A SLUICE-SERVICES -j RETURN',
      'COMMIT',
    ].join('\n'),
  );
  expect([...saved.chains].map(([id, held]) => [id, held.rules()])).toEqual([
    ['nat SLUICE-SERVICES', ['-j RETURN']],
  ]);
  expect(saved.jumps).toEqual([{ table: 'nat', from: 'PREROUTING', rule: '-j SLUICE-SERVICES' }]);
});

test('a change is told with its process, unless it is ours or not about us', () => {
  const told: (string | undefined)[] = [];
  const reader = new EventReader(
    'IPv4',
    (pid) => pid === 7,
    ({ process }) => told.push(process),
  );
  const say = (...lines: readonly string[]): void => lines.forEach((line) => reader.line(line));
  say('delete rule ip nat SLUICE-SERVICES handle 4', '# new generation 5 by process 7 (iptables-nft-re)');
  say('delete rule ip nat KUBE-SERVICES handle 5', '# new generation 6 by process 8 (iptables)');
  say('delete rule ip6 nat SLUICE-SERVICES handle 5', '# new generation 7 by process 8 (iptables)');
  expect(told).toEqual([]);
  say('delete rule ip nat PREROUTING handle 4', 'delete rule ip nat SLUICE-SERVICES handle 5');
  say('# new generation 8 by process 9 (iptables)');
  expect(told).toEqual(['iptables (9)']);
});
