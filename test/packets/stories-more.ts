/** Stories of what the agent has beyond kube-proxy, each asked for by an annotation on the Service. */
import { agentAnnotation } from '../../src/core/agent-annotations.ts';
import { x1Only } from './cases/row.ts';
import type { Story } from './stories.ts';

const { guardEverything, weights, balancing } = agentAnnotation;
const three = ['n1-a', 'n2-a', 'n3-a'].map((at) => ({ at }));

export const moreStories: readonly Story[] = [
  {
    rule: 'N7 more',
    says: 'source ranges guard node ports and external IPs too, where the Service asks for it',
    ours: true,
    world: [
      {
        name: 'web',
        balancerIPs: 1,
        externalIPs: 1,
        sourceRanges: x1Only,
        annotations: { [guardEverything.key]: 'true' },
        endpoints: three,
      },
    ],
    run: async ({ bed, atlas, family }) => {
      const wrong: string[] = [];
      for (const [what, to] of [
        ['node port', { address: atlas.place('n1', family), port: atlas.nodePort('web') }],
        ['external IP', { address: atlas.address('web', 'E', family), port: 80 }],
        ['balancer IP', { address: atlas.address('web', 'L', family), port: 80 }],
      ] as const) {
        const inside = await bed.dial('x1', to);
        const outside = await bed.dial('x2', to, { timeoutMs: 300 });
        const found = `${inside.kind} ${outside.kind}`;
        if (found !== 'answered silence') wrong.push(`${what}: ${found}`);
      }
      // A cluster IP is not a way in from outside that ranges speak of.
      const pod = await bed.dial('n1-b', { address: atlas.address('web', 'V', family), port: 80 });
      return pod.kind === 'answered' ? wrong : [...wrong, `a pod at the cluster IP: ${pod.kind}`];
    },
  },
  {
    rule: 'more',
    says: 'weights are shares of new connections',
    ours: true,
    world: [
      {
        name: 'web',
        type: 'NodePort',
        annotations: { [weights.key]: 'node:n2=3,default=1' },
        endpoints: three,
      },
    ],
    run: async ({ bed, atlas, family }) => {
      const wrong: string[] = [];
      for (const to of [
        { address: atlas.address('web', 'V', family), port: 80 },
        { address: atlas.place('n1', family), port: atlas.nodePort('web') },
      ]) {
        const { self } = await bed.many('x1', to, 600);
        const counts = three.map(({ at }) => self[at] ?? 0);
        const expected = [120, 360, 120];
        // As for equal shares: above 20 is less likely than 1 in 20,000.
        const far = counts.reduce((sum, count, at) => {
          const wanted = expected[at] ?? 0;
          return sum + (count - wanted) ** 2 / wanted;
        }, 0);
        if (far > 20) wrong.push(`${to.port}: shares of ${counts.join(', ')}`);
      }
      return wrong;
    },
  },
  {
    rule: 'more',
    says: 'by a hash a client and its port come to one endpoint each time, and others elsewhere',
    ours: true,
    world: [
      {
        name: 'dns',
        type: 'NodePort',
        ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
        annotations: { [balancing.key]: 'hash' },
        endpoints: three,
      },
    ],
    run: async ({ bed, atlas, family }) => {
      const to = { address: atlas.address('dns', 'V', family), port: 53, protocol: 'UDP' } as const;
      const sourcePorts = Array.from({ length: 24 }, (_, at) => 42_001 + at);
      const rounds: string[][] = [];
      for (let round = 0; round < 3; round += 1) {
        // Otherwise the tracked flows would answer, and not the rules.
        await bed.succeed('n1', 'conntrack', ['-F']);
        const met: string[] = [];
        for (const sourcePort of sourcePorts) met.push((await bed.dial('x1', to, { sourcePort })).self ?? '');
        rounds.push(met);
      }
      const [first = []] = rounds;
      const alike = rounds.every((met) => met.join() === first.join()) && !first.includes('');
      // All 24 at one by chance: 3 to the power of -23.
      return alike && new Set(first).size > 1 ? [] : rounds.map((met) => met.join(' '));
    },
  },
];
