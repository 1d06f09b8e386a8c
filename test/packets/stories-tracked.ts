/** Stories of what outlives a change: flows of datagrams that have to leave, TCP connections that have to stay. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt, Destination } from '../../src/sandbox/bed/traffic.ts';
import { clusterIP, nodePort, three, udp, without, type Scene, type Story } from './stories.ts';

/** What a flow comes to is looked at for so long at a time, and waited for so long at most, on a busy machine too. */
const lookMs = 300;
const patienceMs = 30_000;

/** What the last half of a list says, as one word where all say the same. */
function settled(attempts: readonly Attempt[]): string {
  const last = attempts.slice(Math.floor(attempts.length / 2));
  return [...new Set(last.map(({ kind, self }) => (kind === 'answered' ? self : kind)))].toSorted().join(' ');
}

/**
 * A flow of datagrams is followed through a change: what it came to before, and what after, once that is right or the
 * patience is over.
 */
async function across(
  scene: Scene,
  from: string,
  to: Destination,
  sourcePort: number,
  change: (before: string) => Promise<void>,
  right: (before: string, after: string) => boolean,
): Promise<readonly string[]> {
  const flow = await scene.bed.flow(from, { ...to, protocol: 'UDP' }, { everyMs: 20, sourcePort });
  const settles = async (holds: (word: string) => boolean): Promise<string> => {
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      await flow.peek();
      await sleep(lookMs);
      const word = settled(await flow.peek());
      if (holds(word) || performance.now() > giveUpAt) return word;
    }
  };
  const before = await settles((word) => word !== '' && !word.includes(' '));
  await change(before);
  const after = await settles((word) => right(before, word));
  await flow.close();
  return right(before, after) ? [] : [`from ${before} to ${after}`];
}

/** From one of three endpoints to another one of them. */
function moved(before: string, after: string): boolean {
  const left = without(before);
  return left.length < three.length && left.some(({ at }) => at === after);
}

export const trackedStories: readonly Story[] = [
  {
    rule: 'K6',
    says: 'datagrams from one source port leave a removed endpoint of a cluster IP',
    tracked: true,
    world: [{ name: 'dns', ports: udp, endpoints: three }],
    run: async (scene) => {
      const change = (gone: string): Promise<void> =>
        scene.become([{ name: 'dns', ports: udp, endpoints: without(gone) }]);
      return await across(scene, 'n1-b', clusterIP(scene, 'dns', 53), 5301, change, moved);
    },
  },
  {
    rule: 'K6',
    says: 'and of a node port',
    tracked: true,
    world: [{ name: 'dns', type: 'NodePort', ports: udp, endpoints: three }],
    run: async (scene) => {
      const change = (gone: string): Promise<void> =>
        scene.become([{ name: 'dns', type: 'NodePort', ports: udp, endpoints: without(gone) }]);
      return await across(scene, 'x1', nodePort(scene, 'dns'), 5302, change, moved);
    },
  },
  {
    rule: 'K5',
    says: 'datagrams are refused when the last endpoint is gone',
    tracked: true,
    world: [{ name: 'dns', ports: udp, endpoints: [{ at: 'n1-a' }] }],
    run: async (scene) => {
      const change = (): Promise<void> => scene.become([{ name: 'dns', ports: udp, endpoints: [] }]);
      const right = (before: string, after: string): boolean => before === 'n1-a' && after === 'refused';
      return await across(scene, 'n1-b', clusterIP(scene, 'dns', 53), 5303, change, right);
    },
    fails: {
      'kube-proxy nftables': 'a Service without endpoints is not cleaned up (kubernetes/kubernetes#139628)',
      'kube-proxy iptables': 'a Service without endpoints is not cleaned up (kubernetes/kubernetes#139628)',
    },
  },
  {
    rule: 'K2',
    says: 'datagrams that were refused reach the first endpoint that comes',
    tracked: true,
    world: [{ name: 'dns', type: 'NodePort', ports: udp, endpoints: [] }],
    run: async (scene) => {
      const become = (): Promise<void> =>
        scene.become([{ name: 'dns', type: 'NodePort', ports: udp, endpoints: [{ at: 'n2-a' }] }]);
      const right = (before: string, after: string): boolean => before === 'refused' && after === 'n2-a';
      return await across(scene, 'x1', nodePort(scene, 'dns'), 5304, become, right);
    },
  },
  {
    rule: 'K1',
    says: 'an open TCP connection outlives the removal of its endpoint',
    world: [{ name: 'web', type: 'NodePort', endpoints: three }],
    run: async (scene) => {
      const held = await scene.bed.hold('x1', nodePort(scene, 'web'));
      const first = await held.check();
      await scene.become([{ name: 'web', type: 'NodePort', endpoints: without(first.self ?? '') }]);
      const second = await held.check();
      await held.close();
      const both = [first.kind, second.kind].join(' ');
      return both === 'answered answered' ? [] : [`the connection was ${both}`];
    },
  },
];
