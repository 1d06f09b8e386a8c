/**
 * Stories of pods of another node that reach themselves: their node has no rules for a cluster IP and routes it to n1,
 * over the overlay, so that packets go and come by one way.
 */
import { checkRow } from './check.ts';
import { reaches, V } from './cases/row.ts';
import type { Scene, Story } from './stories.ts';

/** Runs while n2 routes the cluster IP of `web` to n1. */
async function throughN1({ bed, atlas, family }: Scene, run: () => Promise<string[]>): Promise<string[]> {
  const [to, device] = family === 'IPv4' ? ['/32', 'flannel.1'] : ['/128', 'flannel-v6.1'];
  const { address } = bed.node('n1').vtep;
  const route = `${atlas.address('web', 'V', family)}${to} via ${address[family]} dev ${device} onlink`;
  await bed.ip('n2', `route add ${route}`);
  try {
    return await run();
  } finally {
    await bed.ip('n2', `route del ${route}`);
  }
}

export const hairpinStories: readonly Story[] = [
  {
    rule: 'M3',
    says: 'a pod of another node that comes through this one and draws itself is answered: it sees this node',
    world: [{ name: 'web', endpoints: [{ at: 'n1-a' }, { at: 'n2-a' }] }],
    fails: {
      'kube-proxy nftables': 'kube-proxy in nftables mode knows endpoints of its own node only',
    },
    run: (scene) =>
      throughN1(scene, () => {
        const expected = reaches('kept', 'n1-a', 'n2-a');
        const row = { rule: 'M3', says: '', from: 'n2-a', to: V('web'), expect: expected };
        return checkRow(scene.bed, scene.atlas, row, expected, scene.family);
      }),
  },
];
