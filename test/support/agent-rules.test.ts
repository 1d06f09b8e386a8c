/**
 * Which test proves which rule of the node's data plane. The rules are those of the cases (test/packets/cases/row.ts) and
 * of the decision layer, by the same letters; the edge cases are those that data planes are known to get wrong. A row
 * names a test by words that stand in its file, so a test that is renamed or removed is missed here.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const decide = 'src/agent/decide/endpoints.test.ts';
const service = 'src/agent/decide/service.test.ts';
const tracker = 'src/agent/decide/tracker.test.ts';
const nodeTest = 'src/agent/decide/node.test.ts';
const stale = 'src/agent/conntrack/stale.test.ts';
const reconcile = 'src/agent/conntrack/reconcile.test.ts';
const tracked = 'test/packets/stories-tracked.ts';
const choice = 'test/packets/stories-choice.ts';
const path = 'test/packets/stories-path.ts';
const raw = 'test/packets/stories-raw.ts';
const mine = 'test/packets/stories-more.ts';
const marks = 'test/packets/stories-marks.ts';
const sctp = 'test/packets/stories-sctp.ts';
const localhost = 'test/packets/localhost.test.ts';
const hairpin = 'test/packets/stories-hairpin.ts';
const clusterIPs = 'test/packets/cases/cluster-ips.ts';
const nodePorts = 'test/packets/cases/node-ports.ts';
const addresses = 'test/packets/cases/addresses.ts';
const policies = 'test/packets/cases/policies.ts';
const endpoints = 'test/packets/cases/endpoints.ts';
const limits = 'test/packets/iptables-limits.test.ts';
const refusals = 'test/packets/agent-refusals.test.ts';
const faults = 'test/packets/agent-faults.test.ts';
const agent = 'test/packets/agent-process.test.ts';
const nftables = 'test/packets/nftables.test.ts';
const traffic = 'test/packets/nftables-traffic.test.ts';
const iptables = 'test/packets/iptables.test.ts';

type Row = readonly [rule: string, ...proofs: readonly (readonly [file: string, words: string])[]];

const rules: readonly Row[] = [
  ['O1', [service, 'O1: an ExternalName does not, though it has a stale cluster IP']],
  [
    'O2',
    [tracker, 'O2: a label that takes the Service away, and its going, at run time'],
    [refusals, 'given to another proxy'],
  ],
  ['O3', [decide, 'O3: a hidden slice does not count']],
  ['O4', [decide, 'O4: all slices of the Service count']],
  ['O5', [decide, 'O5: slices of another family or of names do not count']],
  [
    'O6',
    [decide, 'O6: each slice has its own number for a port name'],
    [endpoints, 'each slice has its own number for the same port name'],
  ],
  ['O7', [decide, 'O7: only the first address counts']],
  ['O8', ['src/kube/slim.test.ts', 'is not ready, and does not say whether it serves: it does']],
  ['O9', [decide, 'O9: of copies that disagree, local wins'], [endpoints, 'a pod in two slices']],
  [
    'O10',
    [decide, 'O10: the node name is compared exactly'],
    [endpoints, 'an endpoint whose node nobody knows'],
  ],
  [
    'O11',
    [service, 'O11: balancer addresses are those'],
    [addresses, 'an address of a proxy is left alone, by pods'],
  ],
  [
    'O12',
    [service, 'O12, case 9: ranges of the other family only leave this one open'],
    [addresses, 'the other family is open'],
  ],
  [
    'O13',
    [service, 'O13: one port number in three protocols makes three decisions'],
    [nodePorts, 'TCP at the node port of UDP is nobody'],
  ],
  [
    'O14',
    [decide, 'O14: sorted by address and port'],
    [iptables, 'a history of changes ends in the rules of a cold start'],
  ],
  [
    'O15',
    [tracker, 'O15: nothing before both lists are complete'],
    [refusals, 'nothing is written while slices are not listed yet'],
  ],
  [
    'C1',
    [clusterIPs, 'a pod reaches every endpoint and keeps its source'],
    [choice, 'endpoints get equal shares'],
  ],
  [
    'C2',
    [clusterIPs, 'a process of the node is masqueraded'],
    [policies, 'nobody is masqueraded at a cluster IP'],
  ],
  [
    'C3',
    [clusterIPs, 'is refused at a port that the Service does not have'],
    [clusterIPs, 'an address of the service range that no Service has is dropped'],
  ],
  ['C4', [raw, 'an echo request to a cluster IP is not translated']],
  ['C5', [clusterIPs, 'internal traffic policy Local without an endpoint here']],
  ['N1', [nodePorts, 'node ports at a chosen range'], [agent, 'follows an address that the node is given']],
  ['N2', [nodePorts, 'the external IP wins']],
  [
    'N3',
    [nodePorts, 'not at the loopback address'],
    [localhost, 'a process reaches a node port at 127.0.0.1'],
  ],
  ['N4', [localhost, 'and nobody outside reaches what listens there']],
  ['N5', ['src/agent/node-facts.test.ts', 'node ports in their range are found unless they are reserved']],
  ['N6', [nodePorts, 'a pod at another node is ordinary traffic']],
  ['N7', [addresses, 'not at external IPs']],
  ['E1', [addresses, 'external and balancer IPs that the node owns']],
  ['E2', [addresses, 'is masqueraded'], [policies, 'external traffic policy Local with an endpoint here']],
  ['L1', [addresses, 'external and balancer IPs under policy Cluster']],
  [
    'L2',
    [addresses, 'the node may use the address as its own source'],
    [addresses, 'without endpoints who is inside is refused'],
  ],
  ['L3', [addresses, 'the range guards the balancer IP that was asked']],
  ['L4', [addresses, 'another Service at another port of the same address']],
  ['M1', [marks, 'marks of others survive, and ours does not leave the node']],
  ['M2', [traffic, 'the mark of somebody else survives, and ours leaves with nobody']],
  [
    'M3',
    [choice, 'a third of the connections of a pod to its own Service of three comes back to itself'],
    [endpoints, 'itself too, since it is here all the same'],
    [hairpin, 'a pod of another node that comes through this one and draws itself is answered'],
  ],
  ['M4', [path, 'under a FORWARD policy of DROP']],
  [
    'M5',
    [raw, 'what connection tracking calls invalid'],
    [nodeTest, 'M5: INVALID packets are dropped by default, with the iptables backend'],
  ],
  [
    'M6',
    ['test/packets/nftables-older.test.ts', 'an nft that does not know fully-random'],
    ['src/agent/nftables/probes.test.ts', 'ports drawn fully at random are asked for by themselves'],
  ],
  ['T a', [policies, 'a local pod gets all of them']],
  ['T b', [policies, 'a process of the node gets all of them']],
  ['T c', [policies, 'a client gets the local one']],
  ['T d', [policies, 'a client is dropped at the']],
  ['T1', [policies, 'T1 a'], [policies, 'T1 b']],
  ['T2', [policies, 'a pod is a client like others']],
  ['T3', [clusterIPs, 'the node port has all of them'], [service, 'T3: both policies Local']],
  ['T5', [service, 'T(d), T5: none local but some elsewhere is a drop']],
  ['Z', [clusterIPs, 'no endpoints anywhere']],
  [
    'A1',
    [choice, 'whether it asks the cluster IP, the node port or a balancer IP'],
    [choice, 'a client is forgotten when it has been away'],
    [endpoints, 'and of another port'],
  ],
  [
    'A2',
    [limits, 'the hundred-and-first client pushes out the first'],
    ['src/agent/iptables/limits.test.ts', 'clients of an endpoint with %s places'],
  ],
  [
    'A3',
    [choice, 'a client of a removed endpoint gets another one and stays there'],
    [choice, 'under policy Local a client that was elsewhere before'],
  ],
  ['A5', [endpoints, 'stays with one endpoint of the cluster IP']],
  [
    'A6',
    [traffic, "a sticky client stays, survives other endpoints' changes"],
    [traffic, 'a full table of sticky clients falls back to plain balancing'],
  ],
  ['R1', [endpoints, 'where none is ready, those that still serve while they leave']],
  [
    'R2',
    [endpoints, 'the local list by itself'],
    ['test/packets/rolling-update.test.ts', 'no connection to a node that is called healthy fails'],
  ],
  ['R3', [endpoints, 'never both']],
  ['R4', [endpoints, 'ready wins over leaving']],
  ['R5', [policies, 'external traffic policy Local with an endpoint here']],
  [
    'topology',
    [endpoints, 'one missing hint, and all of them'],
    [decide, 'a node without a zone heeds no zone hints'],
  ],
  ['P path MTU', [path, 'a large transfer finds its way through the smaller MTU of the overlay']],
  ['P fragments', [nodePorts, 'a datagram of 3,000 bytes']],
  ['P host', [endpoints, 'endpoints in the network of nodes']],
  ['P host port', [path, 'where a host port of the CNI has the number of a node port, the node port wins']],
  [
    'P SCTP',
    [sctp, 'an INIT comes to an endpoint of its Service, which has TCP and UDP at the same number'],
    ['src/agent/sctp.test.ts', 'goes to its own endpoints, is refused or dropped'],
    [
      'test/packets/bed/load.test.ts',
      'SCTP works where the kernel has sockets for it, and is refused by name where not',
    ],
  ],
  ['K1', [tracked, 'an open TCP connection outlives the removal of its endpoint']],
  ['K2', [tracked, 'datagrams that were refused reach the first endpoint that comes']],
  ['K3', [stale, 'to the cluster IP whose endpoint is gone is forgotten']],
  ['K4', [reconcile, 'waits for the rules, then looks once']],
  [
    'K5',
    [tracked, 'datagrams are refused when the last endpoint is gone'],
    [refusals, 'flows of a Service that was deleted while nobody looked'],
  ],
  ['K6', [tracked, 'datagrams from one source port leave a removed endpoint of a cluster IP']],
  [
    'H1',
    [
      'src/agent/health/answer.test.ts',
      'answers 200 with the body, the indents and the weight of kube-proxy',
    ],
    [agent, 'answers at the health-check node port'],
  ],
  ['H2', [tracker, 'local ready endpoints count once, however many ports they have']],
  [
    'H3',
    [limits, 'the port of a health check is let in under an INPUT policy of DROP'],
    ['src/agent/health/listeners.test.ts', 'a taken port is told once'],
  ],
  [
    'H4',
    ['src/agent/health/answer.test.ts', 'a node that is about to be removed is drained and not restarted'],
  ],
];

/** What kube-proxy does not have: each off or harmless by default. */
const more: readonly Row[] = [
  ['ranges on node ports', [mine, 'source ranges guard node ports and external IPs too']],
  ['ranges of one family only that close the other', [service, 'case 9, strict: they close it']],
  ['weights', [mine, 'weights are shares of new connections']],
  ['stable hashing', [mine, 'by a hash a client and its port come to one endpoint each time']],
  [
    'ports: ephemeral ones, bound sockets',
    ['src/agent/node-facts.test.ts', 'node ports in their range are found unless they are reserved'],
  ],
  ['addresses of the node', [agent, 'follows an address that the node is given']],
  [
    'drain',
    [
      'test/packets/drain.test.ts',
      'an endpoint gets nothing new, keeps what is open, and is drained when that has ended',
    ],
  ],
  ['connections to endpoints that are gone', [agent, 'cuts an open connection to an endpoint that is gone']],
  ['a foreign flush', [nftables, 'a foreign flush is noticed at once, told with the name of its process']],
];

const edgeCases: readonly Row[] = [
  ['1 policy Local without pods here', [policies, 'external traffic policy Local without an endpoint here']],
  ['2 a process of the node under policy Local', [policies, 'a process of the node gets all of them']],
  [
    '3 drop or reject',
    [clusterIPs, 'with no endpoint anywhere it is refused'],
    [service, 'T(d), T5: none local but some elsewhere is a drop'],
  ],
  [
    '4 each list falls back by itself',
    [endpoints, 'the cluster list by itself'],
    [tracker, 'the last one that begins to terminate makes it 0'],
  ],
  ['5 hints are all or nothing', [endpoints, 'one missing hint, and all of them']],
  ['6 target ports differ', [endpoints, 'each slice has its own number for the same port name']],
  ['7 a pod in two slices', [endpoints, 'a pod in two slices']],
  [
    '8 ranges and the node itself',
    [addresses, 'source ranges that hold the node, which owns the balancer IP'],
  ],
  ['9 ranges of one family', [addresses, 'source ranges of one family only, with blanks']],
  ['10 node-port ranges of one family', [nodeTest, 'ranges of the other family only mean all']],
  ['11 an external IP at a node port', [nodePorts, 'the external IP wins']],
  [
    '12 ipMode changes at run time',
    [tracker, 'case 12: a balancer that hands its address to us at run time'],
  ],
  [
    '13 flows after the rules, by port',
    [reconcile, 'what is asked while a write is under way waits for the next one'],
    [tracked, 'and of a node port'],
    [stale, 'to another port of the cluster IP is none of ours'],
  ],
  [
    '14 flows from nobody to somebody',
    [tracked, 'datagrams that were refused reach the first endpoint that comes'],
  ],
  [
    '15 three protocols at one number',
    [service, 'O13: one port number in three protocols makes three decisions'],
    ['src/agent/sctp.test.ts', 'beside the others at the same number'],
  ],
  ['16 marks', [marks, 'marks of others survive, and ours does not leave the node']],
  [
    '17 order of chains',
    [iptables, 'after two hundred changes of size the kernel holds the last one'],
    [iptables, 'a history of changes ends in the rules of a cold start'],
  ],
  ['18 a failed write', ['src/agent/sync.test.ts', 'after a failed partial write it writes everything']],
  ['19 a foreign flush of rules', [faults, 'chains and jumps that another program takes away come back']],
  ['20 the source of masquerading', [clusterIPs, 'a client from outside is masqueraded']],
  [
    '21 affinity and its endpoint',
    [choice, 'a client of a removed endpoint gets another one and stays there'],
    [traffic, 'a full table of sticky clients falls back to plain balancing'],
  ],
  [
    '22 a shrinking map',
    ['test/packets/churn.test.ts', 'no connection is lost while endpoints come and go'],
    ['src/agent/nftables/tracer.test.ts', 'a lost row sends the packet to bucket 0 or drops it'],
  ],
  [
    '23 kube-proxy on the same node',
    ['test/packets/neighbours.test.ts', 'both serve, follow, and outlive a restart of the other'],
  ],
  ['24 given to another proxy', [refusals, 'loses its rules, its tracked flows and its health port']],
  ['25 FORWARD policy DROP', [path, 'under a FORWARD policy of DROP']],
  ['26 addresses of the node change', [agent, 'follows an address that the node is given']],
  ['27 becomes an ExternalName', [tracker, 'case 27: a Service that becomes an ExternalName goes']],
  [
    '28 rules compared by what they say',
    [nftables, 'decisions of every kind are written, compared equal, and written only once'],
    [iptables, 'after a restart with the kernel right, nothing is written'],
  ],
  [
    '29 a question while the port closes',
    ['src/agent/health/listeners.test.ts', 'and by 503 once the Service is gone'],
  ],
  [
    '30 a cluster IP that passes on at once',
    [tracker, 'case 30: a cluster IP that passes to a new Service in one take goes before it comes'],
    [stale, 'that another Service has taken over is judged by the new one'],
  ],
];

/** Every text of a file in quotes: names of tests and of rows are among them, what is merely a comment is not. */
const files = new Map<string, readonly string[]>();
function titles(file: string): readonly string[] {
  const known = files.get(file);
  if (known !== undefined) return known;
  const code = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8').replaceAll(
    /^\s*(?:\/\/|\/\*|\*).*$/gmu,
    '',
  );
  const found = [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|"([^"\n]*)"|`([^`]*)`/gu)].map(
    ([, single, double, template]) => single ?? double ?? template ?? '',
  );
  files.set(file, found);
  return found;
}

test.each([...rules, ...edgeCases, ...more].map(([rule, ...proofs]) => ({ rule, proofs })))(
  '$rule has its proof',
  ({ proofs }) => {
    expect(proofs.length).toBeGreaterThan(0);
    const missing = proofs.filter(([file, words]) => !titles(file).some((title) => title.includes(words)));
    expect(missing).toEqual([]);
    // A word or two would be found anywhere.
    expect(proofs.filter(([, words]) => words.split(' ').length < 2)).toEqual([]);
  },
);

/** What this machine cannot show, or this build does not have; each is said where users read of it. */
const unproven = [
  'A4 and T4: IPVS comes later',
  'SCTP by packets after the first of an association: the kernel has no sockets for it',
  'a full connection tracking table: its size belongs to the machine',
];

test('every rule has a row, or a reason why not', () => {
  const named = [...rules.map(([rule]) => rule), ...unproven].join(' ');
  const counts = { O: 15, C: 5, N: 7, E: 2, L: 4, M: 6, T: 5, A: 6, R: 5, K: 6, H: 4 };
  const all = Object.entries(counts).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
  );
  expect(all.filter((rule) => !new RegExp(`\\b${rule}\\b`, 'u').test(named))).toEqual([]);
  expect(edgeCases).toHaveLength(30);
});
