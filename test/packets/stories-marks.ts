/** The story of packet marks: other programs mark packets too, and ours is nobody's business outside of the node's rules. */
import type { Destination } from '../../src/sandbox/bed/traffic.ts';
import type { Scene, Story } from './stories.ts';

const three = ['n1-a', 'n2-a', 'n3-a'].map((at) => ({ at }));

function nodePort({ atlas, family }: Scene, name: string): Destination {
  return { address: atlas.place('n1', family), port: atlas.nodePort(name) };
}

export const markStories: readonly Story[] = [
  {
    rule: 'M1 M2',
    says: 'marks of others survive, and ours does not leave the node',
    world: [{ name: 'web', type: 'NodePort', ports: [{ port: 80 }], endpoints: three }],
    run: async (scene) => {
      const { bed } = scene;
      // Counts what goes to endpoints: with our bit before it is masqueraded; without the foreign bit, and with ours, after.
      await bed.succeed('n1', 'nft', ['-f', '-'], { input: markRules });
      const { kinds } = await bed.many('x1', nodePort(scene, 'web'), 60);
      const counted = await bed.succeed('n1', 'nft', ['list', 'table', 'inet', 'marks']);
      await bed.succeed('n1', 'nft', ['delete', 'table', 'inet', 'marks']);
      const [set = '', lost = '', ours = '', right = ''] = [
        ...counted.matchAll(/counter packets (\d+)/g),
      ].map(([, packets]) => packets);
      return [
        ...(kinds.answered === 60 ? [] : [`came to ${JSON.stringify(kinds)}`]),
        // Else the bit is another one, and that it does not leave would mean nothing.
        ...(Number(set) >= 60 ? [] : [`only ${set} packets had the mark for masquerading on their way`]),
        ...(lost === '0' ? [] : [`${lost} packets lost the mark of others`]),
        ...(ours === '0' ? [] : [`${ours} packets left with the mark for masquerading`]),
        ...(Number(right) >= 60 ? [] : [`only ${right} packets were seen`]),
      ];
    },
  },
];

/**
 * A foreign program marks everything with bit 0 and looks at what leaves for port 8080. Bit 14 is kube-proxy's mark for
 * masquerading, bit 13 the agent's.
 */
const markRules = `table inet marks {
  chain prerouting {
    type filter hook prerouting priority -150
    meta mark set meta mark or 0x1
  }
  chain forward {
    type filter hook forward priority 0
    tcp dport 8080 meta mark and 0x6000 != 0 counter
  }
  chain postrouting {
    type filter hook postrouting priority 300
    tcp dport 8080 meta mark and 0x1 != 0x1 counter
    tcp dport 8080 meta mark and 0x6000 != 0 counter
    tcp dport 8080 meta mark and 0x1 == 0x1 counter
  }
}
`;
