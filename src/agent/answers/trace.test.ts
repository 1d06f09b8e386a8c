/** What the kernel says of one packet, read and held against the answer. */
import { describe, expect, test } from 'vitest';
import { aPort } from '../../core/fixtures.ts';
import { ask, testAround, testPicture, testSettings } from './fixtures.ts';
import { answerPacket, type PacketAnswer } from './packet-answer.ts';
import { resolve, type Question } from './resolve.ts';
import { backendMet, isProbe, judgeTrace, readTraceLine, traceRules } from './trace.ts';

/** With a selector of ports that no slice has. */
const noEndpoints = { ports: [aPort({ name: 'other' })] };

function answer(question: Question, over: Parameters<typeof testPicture>[0] = {}): PacketAnswer {
  const picture = testPicture(over);
  return answerPacket(resolve(question, picture, testAround()), picture, testSettings).answer;
}

const question = ask('198.51.100.7', '10.0.0.1:30080');
const packet = (chain: string, text: string, id = 'a1'): string =>
  `trace id ${id} ip t ${chain} packet: ${text}`;
const came = packet(
  'prerouting',
  'iif "eth0" ether saddr 52:d4:e6:5c:5a:cf ether daddr 52:d4:e6:5c:5a:c0 ip saddr 198.51.100.7 ip daddr 10.0.0.1 ip ttl 63 tcp sport 21000 tcp dport 30080 tcp flags == syn',
);
const left = (source: string, to: string, port: number): string =>
  packet(
    'postrouting',
    `iif "eth0" oif "cni0" ip saddr ${source} ip daddr ${to} ip ttl 62 tcp sport 9 tcp dport ${port} tcp flags == syn`,
  );
const ours =
  'trace id a1 ip sluice services rule ip daddr @nodeport-ips vmap @service-nodeports (verdict goto nodeport-to-cluster-2)';

describe('lines', () => {
  test.each<[string, object | undefined]>([
    [
      'trace id a1 ip sluice services rule jump x (verdict jump x)',
      { table: 'ip sluice', chain: 'services', text: 'jump x', verdict: 'jump x' },
    ],
    [
      'trace id a1 ip sluice out unknown rule handle 2 (verdict continue)',
      { text: 'unknown rule handle 2', handle: 2, verdict: 'continue' },
    ],
    [
      'trace id a1 ip6 sluice postrouting policy accept ',
      { table: 'ip6 sluice', text: 'policy', verdict: 'accept' },
    ],
    [
      'trace id a1 ip nat SLUICE-SERVICES rule xt match set  counter packets 0 bytes 0 jump SLUICE-A # handle 18 (verdict jump SLUICE-A)',
      {
        table: 'ip nat',
        chain: 'SLUICE-SERVICES',
        text: 'xt match set  counter packets 0 bytes 0 jump SLUICE-A',
        handle: 18,
        verdict: 'jump SLUICE-A',
      },
    ],
    ['trace id a1 ip sluice services verdict continue ', { text: 'verdict', verdict: 'continue' }],
    ['something else', undefined],
  ])('%s', (line, read) => {
    if (read === undefined) expect(readTraceLine(line)).toBeUndefined();
    else expect(readTraceLine(line)).toMatchObject(read);
  });
});

describe('the verdict', () => {
  test.each<[string, PacketAnswer, readonly string[], boolean, string]>([
    [
      'delivered as decided',
      answer(question),
      [came, ours, left('10.0.0.1', '10.244.2.2', 8080)],
      true,
      'it went to 10.244.2.2 port 8080, which sees 10.0.0.1',
    ],
    [
      'to who was left out',
      answer(question),
      [came, ours, left('10.0.0.1', '10.244.2.3', 8080)],
      false,
      'it went to 10.244.2.3 port 8080, which sees 10.0.0.1',
    ],
    [
      'with its source kept where it should be, it is not',
      answer(question, { externalTrafficPolicy: 'Local' }),
      [came, ours, left('10.0.0.1', '10.244.1.2', 8080)],
      false,
      'it went to 10.244.1.2 port 8080, which sees 10.0.0.1',
    ],
    [
      'source kept as decided',
      answer(question, { externalTrafficPolicy: 'Local' }),
      [came, ours, left('198.51.100.7', '10.244.1.2', 8080)],
      true,
      'it went to 10.244.1.2 port 8080, which sees 198.51.100.7',
    ],
    [
      'not translated',
      answer(question),
      [came, left('198.51.100.7', '10.0.0.1', 30_080)],
      false,
      'it went on to its destination as it was',
    ],
    [
      'dropped, and delivery was decided',
      answer(question),
      [came, 'trace id a1 inet other in rule drop (verdict drop)'],
      false,
      'it was dropped by inet other in, which is not of sluice',
    ],
    [
      'dropped on the way in, after it was seen on the way out',
      answer(question),
      [came, left('10.0.0.1', '10.244.2.2', 8080), 'trace id a1 ip filter INPUT policy drop '],
      false,
      'it was dropped by ip filter INPUT, which is not of sluice',
    ],
    [
      'to the right one, and its source should have become the node’s',
      answer(question),
      [came, ours, left('198.51.100.7', '10.244.2.2', 8080)],
      false,
      'it went to 10.244.2.2 port 8080, which sees 198.51.100.7',
    ],
    [
      'rejected by a rule of iptables as decided',
      answer(question, noEndpoints),
      [came, 'trace id a1 ip filter SLUICE-FILTER rule xt target REJECT # handle 7 (verdict drop)'],
      true,
      'it was rejected by ip filter SLUICE-FILTER',
    ],
    [
      'dropped by a rule whose comment speaks of rejecting',
      answer(question, noEndpoints),
      [came, 'trace id a1 ip filter SLUICE-FILTER rule counter comment "reject" drop (verdict drop)'],
      false,
      'it was dropped by ip filter SLUICE-FILTER',
    ],
    [
      'lost on the way',
      answer(question),
      [came],
      false,
      'it did not come through, and no rule says why (routing, or a table that is not traced)',
    ],
    ['never seen', answer(question), [], false, 'the packet was not seen by this node'],
    [
      'of another packet',
      answer(question),
      [packet('prerouting', 'ip saddr 192.0.2.1 ip daddr 10.0.0.1 tcp dport 30080 ', 'b2')],
      false,
      'the packet was not seen by this node',
    ],
  ])('%s', (_name, said, lines, confirmed, summary) => {
    expect(judgeTrace(lines, said, 't')).toMatchObject({ confirmed, summary });
  });
});

test('a packet that the kernel gives another id after translation is followed, one beside it is not', () => {
  const marked = packet('prerouting', 'ip saddr 198.51.100.7 ip daddr 10.0.0.1 ip id 77 tcp dport 30080 ');
  const again = packet(
    'prerouting',
    'ip saddr 198.51.100.7 ip daddr 10.0.0.1 ip id 79 tcp dport 30080 ',
    'd4',
  );
  const moved = packet('postrouting', 'ip saddr 10.0.0.1 ip daddr 10.244.2.2 ip id 77 tcp dport 8080 ', 'b2');
  const beside = packet(
    'postrouting',
    'ip saddr 10.0.0.9 ip daddr 10.244.2.9 ip id 78 tcp dport 8080 ',
    'c3',
  );
  expect(judgeTrace([marked, ours, moved, beside, again], answer(question), 't')).toMatchObject({
    confirmed: true,
    delivered: { address: '10.244.2.2', port: 8080, source: '10.0.0.1' },
  });
});

test('the marking rules name this packet alone, in a table that goes with its maker', () => {
  const { packet: asked } = resolve(question, testPicture(), testAround());
  expect(traceRules('sluice-trace-7', asked, 21_000, 22_000)).toMatchInlineSnapshot(`
    [
      "add table ip sluice-trace-7 { flags owner; }",
      "add chain ip sluice-trace-7 prerouting { type filter hook prerouting priority -300; policy accept; }",
      "add chain ip sluice-trace-7 output { type filter hook output priority -300; policy accept; }",
      "add chain ip sluice-trace-7 input { type filter hook input priority 300; policy accept; }",
      "add chain ip sluice-trace-7 postrouting { type filter hook postrouting priority 300; policy accept; }",
      "add rule ip sluice-trace-7 prerouting ip saddr 198.51.100.7 ip daddr 10.0.0.1 tcp sport 21000 tcp dport 30080 tcp flags & (fin | syn | rst | ack) == syn meta nftrace set 1",
      "add rule ip sluice-trace-7 output ip saddr 198.51.100.7 ip daddr 10.0.0.1 tcp sport 21000 tcp dport 30080 tcp flags & (fin | syn | rst | ack) == syn meta nftrace set 1",
      "add rule ip sluice-trace-7 output udp sport 22000 udp dport 9 meta nftrace set 1",
      "add rule ip sluice-trace-7 input counter",
      "add rule ip sluice-trace-7 postrouting counter",
    ]
  `);
  expect(isProbe('trace id a ip t output packet: oif "lo" udp sport 22000 udp dport 9 ', 22_000)).toBe(true);
});

test('which backend made the rules is told by their tables and chains', () => {
  const met = (line: string): string | undefined =>
    backendMet(judgeTrace([came, line], answer(question), 't').steps);
  expect(met(ours)).toBe('nftables');
  expect(met('trace id a1 ip nat SLUICE-SERVICES policy accept ')).toBe('iptables');
  expect(met('trace id a1 ip nat OUTPUT policy accept ')).toBeUndefined();
});
