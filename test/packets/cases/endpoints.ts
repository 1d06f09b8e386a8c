/** Which endpoints a packet may come to: eligibility, slices, topology, affinity, the network of nodes. */
import { type Case, np, on, type PacketRow, reaches, refused, silence, sticks, twoPorts, V } from './row.ts';

export const endpointCases: readonly Case[] = [
  {
    name: 'affinity by client',
    world: [
      {
        name: 'sticky',
        type: 'NodePort',
        affinitySeconds: 60,
        ports: [...twoPorts, { name: 'alt', port: 81, targetPort: 8081 }],
        endpoints: on('n1-a', 'n2-a', 'n3-a'),
      },
    ],
    rows: [
      ...['n1-b', 'n1-a', 'n1', 'x1', 'x2'].map((from): PacketRow => ({
        rule: 'A1',
        says: `${from} stays with one endpoint of the cluster IP`,
        from,
        to: V('sticky'),
        expect: sticks('n1-a', 'n2-a', 'n3-a'),
      })),
      {
        rule: 'A1',
        says: 'and of the node port',
        from: 'x1',
        to: np('sticky'),
        expect: sticks('n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'A1',
        says: 'and over UDP',
        from: 'x1',
        to: V('sticky', 1),
        protocol: 'UDP',
        expect: sticks('n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'A1',
        says: 'and of another port',
        from: 'x2',
        to: V('sticky', 2),
        expect: sticks('n1-a:8081', 'n2-a:8081', 'n3-a:8081'),
      },
    ],
  },
  {
    name: 'which endpoints are usable',
    world: [
      { name: 'ready', endpoints: [...on('n1-a'), { at: 'n2-a', ready: false }] },
      {
        name: 'leaving',
        endpoints: [
          { at: 'n1-a', ready: false, serving: false, terminating: true },
          { at: 'n2-a', ready: false, serving: true, terminating: true },
        ],
      },
      {
        name: 'mixed',
        endpoints: [...on('n1-a'), { at: 'n2-a', ready: false, serving: true, terminating: true }],
      },
      {
        name: 'rolling',
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        endpoints: [{ at: 'n1-a', ready: false, serving: true, terminating: true }, ...on('n2-a')],
      },
      { name: 'unready', endpoints: [{ at: 'n1-a', ready: false, serving: false }] },
      { name: 'kept', endpoints: [{ at: 'n1-a', terminating: true }] },
    ],
    rows: [
      { rule: 'R1', says: 'ready ones', from: 'n1-b', to: V('ready'), expect: reaches('kept', 'n1-a') },
      {
        rule: 'R1',
        says: 'where none is ready, those that still serve while they leave',
        from: 'n1-b',
        to: V('leaving'),
        expect: reaches('kept', 'n2-a'),
      },
      { rule: 'R3', says: 'never both', from: 'n1-b', to: V('mixed'), expect: reaches('kept', 'n1-a') },
      {
        rule: 'R2',
        says: 'the local list by itself',
        from: 'x1',
        to: np('rolling'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'R2',
        says: 'the cluster list by itself',
        from: 'n1-b',
        to: V('rolling'),
        expect: reaches('kept', 'n2-a'),
      },
      { rule: 'R1 Z', says: 'unready ones do not count', from: 'n1-b', to: V('unready'), expect: refused },
      {
        rule: 'R4',
        says: 'ready wins over leaving',
        from: 'n1-b',
        to: V('kept'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  },
  {
    name: 'slices',
    world: [
      {
        name: 'numbers',
        endpoints: [{ at: 'n1-a' }, { at: 'n2-a', slice: '2', port: 9090 }],
      },
      { name: 'twice', endpoints: [{ at: 'n1-a' }, { at: 'n2-a' }, { at: 'n2-a', slice: '2' }] },
    ],
    rows: [
      {
        rule: 'O6',
        says: 'each slice has its own number for the same port name',
        from: 'n1-b',
        to: V('numbers'),
        expect: reaches('kept', 'n1-a', 'n2-a:9090'),
      },
      {
        rule: 'O9',
        says: 'a pod in two slices',
        from: 'n1-b',
        to: V('twice'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'an endpoint whose node nobody knows',
    world: [
      {
        name: 'web',
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        endpoints: [{ at: 'n1-a', nodeless: true }],
      },
    ],
    rows: [
      { rule: 'O10', says: 'it is not local', from: 'x1', to: np('web'), expect: silence },
      { rule: 'O10', says: 'but it serves', from: 'n1-b', to: V('web'), expect: reaches('kept', 'n1-a') },
      {
        rule: 'O10 M3',
        says: 'itself too, since it is here all the same',
        from: 'n1-a',
        to: V('web'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  },
  {
    name: 'topology hints',
    world: [
      {
        name: 'zones',
        type: 'NodePort',
        endpoints: [
          { at: 'n1-a', hintZones: ['zone-n1'] },
          { at: 'n2-a', hintZones: ['zone-n2'] },
        ],
      },
      { name: 'partly', endpoints: [{ at: 'n1-a', hintZones: ['zone-n1'] }, { at: 'n2-a' }] },
      {
        name: 'elsewhere',
        endpoints: [
          { at: 'n2-a', hintZones: ['zone-n2'] },
          { at: 'n3-a', hintZones: ['zone-n3'] },
        ],
      },
      {
        name: 'nodes',
        endpoints: [
          { at: 'n1-a', hintZones: ['zone-n1'], hintNodes: ['n1'] },
          { at: 'n2-a', hintZones: ['zone-n1'], hintNodes: ['n2'] },
        ],
      },
    ],
    rows: [
      {
        rule: 'R zones',
        says: 'those of the own zone',
        from: 'n1-b',
        to: V('zones'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'R zones',
        says: 'at the node port too',
        from: 'x1',
        to: np('zones'),
        expect: reaches('node', 'n1-a'),
      },
      {
        rule: 'R zones',
        says: 'one missing hint, and all of them',
        from: 'n1-b',
        to: V('partly'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
      {
        rule: 'R zones',
        says: 'none for the own zone, and all of them',
        from: 'n1-b',
        to: V('elsewhere'),
        expect: reaches('kept', 'n2-a', 'n3-a'),
      },
      {
        rule: 'R nodes',
        says: 'the own node first',
        from: 'n1-b',
        to: V('nodes'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  },
  {
    name: 'endpoints in the network of nodes',
    world: [
      { name: 'host', type: 'NodePort', endpoints: on('n1', 'n2') },
      { name: 'near', type: 'NodePort', externalTrafficPolicy: 'Local', endpoints: on('n1', 'n2') },
    ],
    rows: [
      {
        rule: 'P host',
        says: 'from outside',
        from: 'x1',
        to: np('host'),
        expect: reaches('node', 'n1', 'n2'),
      },
      {
        rule: 'P host',
        says: 'from a pod',
        from: 'n1-b',
        to: V('host'),
        expect: reaches('kept', 'n1', 'n2'),
      },
      {
        rule: 'P host',
        says: 'from the node',
        from: 'n1',
        to: V('host'),
        expect: reaches('node', 'n1', 'n2'),
      },
      { rule: 'P host T c', says: 'policy Local', from: 'x1', to: np('near'), expect: reaches('kept', 'n1') },
    ],
  },
];
