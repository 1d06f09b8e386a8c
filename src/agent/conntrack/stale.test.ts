import { describe, expect, test } from 'vitest';
import { fc, test as property } from '@fast-check/vitest';
import { parseEntry, type ConntrackEntry } from './entries.ts';
import { socketKey, staleFlows, type ConntrackFacts, type Served } from './stale.ts';

const dns: Served = {
  addresses: ['10.96.0.10', '203.0.113.7'],
  port: 53,
  nodePort: 30053,
  answering: new Set([socketKey('10.244.0.5', 5353)]),
  untranslated: true,
};

function facts(over: Partial<ConntrackFacts> = {}): ConntrackFacts {
  return {
    served: [dns],
    retired: [],
    isNodePortAddress: (address) => address === '192.168.0.1',
    ...over,
  };
}

function entry(over: Partial<ConntrackEntry> = {}): ConntrackEntry {
  return {
    source: '10.244.1.9',
    destination: '10.96.0.10',
    sourcePort: 40_000,
    port: 53,
    replySource: '10.244.0.5',
    replyPort: 5353,
    zone: undefined,
    ...over,
  };
}

describe('reading the table', () => {
  test.each([
    [
      'a translated flow',
      'udp      17 117 src=10.244.1.9 dst=10.96.0.10 sport=40000 dport=53 src=10.244.0.5 dst=10.244.1.9 sport=5353 dport=40000 [ASSURED] mark=0 use=1',
      entry(),
    ],
    [
      'a flow without an answer',
      'udp      17 29 src=10.244.1.9 dst=10.96.0.10 sport=40000 dport=53 [UNREPLIED] src=10.96.0.10 dst=10.244.1.9 sport=53 dport=40000 mark=0 use=1',
      entry({ replySource: '10.96.0.10', replyPort: 53 }),
    ],
    [
      'IPv6, a zone, counters',
      'udp      17 29 src=fd00::9 dst=fd00:1::a sport=1 dport=53 packets=1 bytes=29 src=fd00::5 dst=fd00::9 sport=5353 dport=1 packets=0 bytes=0 mark=0 zone=7 use=1',
      {
        source: 'fd00::9',
        destination: 'fd00:1::a',
        sourcePort: 1,
        port: 53,
        replySource: 'fd00::5',
        replyPort: 5353,
        zone: 7,
      },
    ],
    [
      'TCP with its state',
      'tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.96.0.1 sport=3 dport=443 src=10.0.0.2 dst=10.0.0.1 sport=6443 dport=3 [ASSURED] mark=0 use=1',
      {
        source: '10.0.0.1',
        destination: '10.96.0.1',
        sourcePort: 3,
        port: 443,
        replySource: '10.0.0.2',
        replyPort: 6443,
        state: 'ESTABLISHED',
        zone: undefined,
      },
    ],
    [
      'no ports',
      'icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=1 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=1 mark=0 use=1',
      undefined,
    ],
    ['the closing line', 'conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.', undefined],
  ])('%s', (_, line, expected) => {
    expect(parseEntry(line)).toEqual(expected);
  });
});

describe('a UDP flow', () => {
  test.each<[string, ConntrackEntry, boolean]>([
    ['to the cluster IP whose endpoint serves is kept', entry(), false],
    ['to the cluster IP whose endpoint is gone is forgotten', entry({ replySource: '10.244.0.6' }), true],
    ['whose endpoint now serves at another port is forgotten', entry({ replyPort: 53 }), true],
    [
      'that began while there was no endpoint is forgotten',
      entry({ replySource: '10.96.0.10', replyPort: 53 }),
      true,
    ],
    [
      'to a balancer IP is judged alike',
      entry({ destination: '203.0.113.7', replySource: '10.244.0.6' }),
      true,
    ],
    [
      'to the node port is judged alike',
      entry({ destination: '192.168.0.1', port: 30053, replySource: '10.244.0.6' }),
      true,
    ],
    [
      'to the node port with a serving endpoint is kept',
      entry({ destination: '192.168.0.1', port: 30053 }),
      false,
    ],
    [
      'to the same number on an address that is not the node is none of ours',
      entry({ destination: '192.168.0.2', port: 30053, replySource: '1.1.1.1' }),
      false,
    ],
    ['to another port of the cluster IP is none of ours', entry({ port: 54, replySource: '1.1.1.1' }), false],
    [
      'to the same port of another address is none of ours',
      entry({ destination: '10.96.0.11', replySource: '1.1.1.1' }),
      false,
    ],
  ])('%s', (_, one, stale) => {
    expect(staleFlows(facts(), [one])).toHaveLength(stale ? 1 : 0);
  });

  test('to a Service scaled to zero is forgotten, also through its node port', () => {
    const none = facts({ served: [{ ...dns, answering: new Set() }] });
    expect(staleFlows(none, [entry(), entry({ destination: '192.168.0.1', port: 30053 })])).toHaveLength(2);
  });

  test('to a deleted Service is forgotten; what was never translated there is a local process of the node', () => {
    const deleted = facts({ served: [], retired: [dns] });
    const local = entry({
      destination: '192.168.0.1',
      port: 30053,
      replySource: '192.168.0.1',
      replyPort: 30053,
    });
    expect(staleFlows(deleted, [entry(), local])).toMatchObject([{ replySource: '10.244.0.5' }]);
  });

  test('to an address that another Service has taken over is judged by the new one', () => {
    const taken: Served = { ...dns, answering: new Set([socketKey('10.244.0.9', 53)]) };
    const both = facts({ served: [taken], retired: [dns] });
    const to = entry({ replySource: '10.244.0.9', replyPort: 53 });
    expect(staleFlows(both, [entry(), to])).toMatchObject([{ replySource: '10.244.0.5' }]);
  });

  test('flows alike are one deletion; zones are apart', () => {
    const flows = [1, 2, 3].map((sourcePort) => entry({ sourcePort, replySource: '10.244.0.6' }));
    const zoned = entry({ zone: 4, replySource: '10.244.0.6' });
    expect(staleFlows(facts(), [...flows, zoned])).toMatchObject([{ entries: 3 }, { entries: 1, zone: 4 }]);
  });
});

const address = fc.constantFrom('10.96.0.10', '10.96.0.11', '192.168.0.1', '10.244.0.5', '10.244.0.6');
const port = fc.constantFrom(53, 54, 5353, 30053);
const anyEntry: fc.Arbitrary<ConntrackEntry> = fc.record({
  source: address,
  destination: address,
  sourcePort: fc.constantFrom(40_000, 40_001),
  port,
  replySource: address,
  replyPort: port,
  zone: fc.constantFrom(undefined, 1),
});

describe('any table', () => {
  property.prop([fc.array(anyEntry, { maxLength: 30 })])(
    'is clean after its stale flows are deleted, and loses no flow that a serving endpoint answers',
    (entries) => {
      const stale = staleFlows(facts(), entries);
      const left = entries.filter(
        (one) =>
          !stale.some(
            (flows) =>
              flows.destination === one.destination &&
              flows.port === one.port &&
              flows.replySource === one.replySource &&
              flows.replyPort === one.replyPort &&
              flows.zone === one.zone,
          ),
      );
      expect(staleFlows(facts(), left)).toEqual([]);
      const serving = entries.filter((one) => dns.answering.has(socketKey(one.replySource, one.replyPort)));
      for (const one of serving) expect(left).toContain(one);
      const elsewhere = entries.filter(({ port: to }) => to !== 53 && to !== 30053);
      for (const one of elsewhere) expect(left).toContain(one);
    },
  );
});
