/** What `externalTrafficPolicy: Local` and the ways to tell a pod make of packets. */
import { type Case, np, on, type PacketRow, reaches, silence, twoPorts, V } from './row.ts';

export const policyCases: readonly Case[] = [
  {
    name: 'external traffic policy Local with an endpoint here',
    world: [
      {
        name: 'web',
        balancerIPs: 1,
        externalIPs: 1,
        externalTrafficPolicy: 'Local',
        ports: twoPorts,
        endpoints: on('n1-a', 'n2-a'),
      },
    ],
    rows: [
      ...(['node port', 'E', 'L'] as const).flatMap((at): PacketRow[] => [
        {
          rule: 'T c',
          says: `a client gets the local one at the ${at} and is seen as itself`,
          from: 'x1',
          to: { at, of: 'web' },
          expect: reaches('kept', 'n1-a'),
        },
        {
          rule: 'T a',
          says: `a local pod gets all of them at the ${at} and is seen as itself`,
          from: 'n1-b',
          to: { at, of: 'web' },
          expect: reaches('kept', 'n1-a', 'n2-a'),
        },
        {
          rule: 'T b',
          says: `a process of the node gets all of them at the ${at}, masqueraded`,
          from: 'n1',
          to: { at, of: 'web' },
          expect: reaches('node', 'n1-a', 'n2-a'),
        },
      ]),
      {
        rule: 'T c O13',
        says: 'UDP',
        from: 'x1',
        to: np('web', 'n1', 1),
        protocol: 'UDP',
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'T3',
        says: 'the cluster IP has all of them',
        from: 'n1-b',
        to: V('web'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'external traffic policy Local without an endpoint here',
    world: [
      {
        name: 'web',
        balancerIPs: 1,
        externalIPs: 1,
        externalTrafficPolicy: 'Local',
        ports: twoPorts,
        endpoints: on('n2-a', 'n3-a'),
      },
    ],
    rows: [
      ...(['node port', 'E', 'L'] as const).flatMap((at): PacketRow[] => [
        {
          rule: 'T d',
          says: `a client is dropped at the ${at}`,
          from: 'x1',
          to: { at, of: 'web' },
          expect: silence,
        },
        {
          rule: 'T1 a',
          says: `a local pod gets all of them at the ${at}`,
          from: 'n1-b',
          to: { at, of: 'web' },
          expect: reaches('kept', 'n2-a', 'n3-a'),
        },
        {
          rule: 'T1 b',
          says: `a process of the node gets all of them at the ${at}`,
          from: 'n1',
          to: { at, of: 'web' },
          expect: reaches('node', 'n2-a', 'n3-a'),
        },
      ]),
      {
        rule: 'T d O13',
        says: 'UDP is dropped',
        from: 'x1',
        to: np('web', 'n1', 1),
        protocol: 'UDP',
        expect: silence,
      },
      {
        rule: 'T3',
        says: 'the cluster IP serves',
        from: 'n1-b',
        to: V('web'),
        expect: reaches('kept', 'n2-a', 'n3-a'),
      },
    ],
  },
  {
    name: 'where nobody is known to be a pod',
    settings: { local: { kind: 'none' } },
    world: [
      { name: 'web', type: 'NodePort', externalTrafficPolicy: 'Local', endpoints: on('n1-a', 'n2-a') },
      { name: 'one', endpoints: on('n1-a') },
    ],
    rows: [
      {
        rule: 'T2',
        says: 'a pod is a client like others',
        from: 'n1-b',
        to: np('web'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'T2 b',
        says: 'a process of the node is not',
        from: 'n1',
        to: np('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'C2',
        says: 'nobody is masqueraded at a cluster IP',
        from: 'x1',
        to: V('one'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'M3',
        says: 'but who reaches itself',
        from: 'n1-a',
        to: V('one'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  },
  ...(
    [
      { kind: 'bridge', name: 'cni0' },
      { kind: 'prefix', prefix: 'cni' },
    ] as const
  ).map((local): Case => ({
    name: `where pods are known by ${local.kind === 'bridge' ? 'their bridge' : 'the name of an interface'}`,
    settings: { local },
    world: [{ name: 'web', type: 'NodePort', externalTrafficPolicy: 'Local', endpoints: on('n1-a', 'n2-a') }],
    rows: [
      {
        rule: 'C2',
        says: 'a pod keeps its source',
        from: 'n1-b',
        to: V('web'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
      {
        rule: 'C2',
        says: 'a client is masqueraded',
        from: 'x1',
        to: V('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'C2',
        says: 'a process of the node too',
        from: 'n1',
        to: V('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'T a',
        says: 'a pod gets all',
        from: 'n1-b',
        to: np('web'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
      {
        rule: 'T c',
        says: 'a client the local one',
        from: 'x1',
        to: np('web'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  })),
];
