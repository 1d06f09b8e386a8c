/** Stories of which endpoint a client gets: the one that it had before, or any by equal shares. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Destination } from '../../src/sandbox/bed/traffic.ts';
import { clusterIP, nodePort, three, without, type Scene, type Story } from './stories.ts';

/** Every destination of the first port of a Service from outside and inside. */
function everywhere(scene: Scene, name: string): readonly Destination[] {
  const { atlas, family } = scene;
  const at = (spot: 'E' | 'L'): Destination => ({ address: atlas.address(name, spot, family), port: 80 });
  return [clusterIP(scene, name), nodePort(scene, name), at('E'), at('L')];
}

/** How far counts are from equal shares; above 20 is less likely than 1 in 20,000 for three. */
function chiSquare(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
}

export const choiceStories: readonly Story[] = [
  {
    rule: 'A1',
    says: 'a client is forgotten when it has been away for longer than the time-out, and not before',
    world: [{ name: 'sticky', affinitySeconds: 1, endpoints: three }],
    run: async (scene) => {
      const to = clusterIP(scene, 'sticky');
      const visit = async (): Promise<string> => (await scene.bed.dial('n1-b', to)).self ?? '';
      // Each visit begins the time anew: six of them take longer than the time-out. One that came too late on a busy
      // machine is a first one.
      let steady: readonly string[] = [];
      let before = performance.now();
      for (let count = 0; count < 60 && steady.length < 6; count += 1) {
        const begun = performance.now();
        const self = await visit();
        steady = performance.now() - before > 900 ? [self] : [...steady, self];
        before = begun;
        await sleep(250);
      }
      const seen = new Set<string>();
      // All alike by chance: 3 to the power of -7.
      for (let count = 0; count < 8 && seen.size < 2; count += 1) {
        seen.add(await visit());
        await sleep(1_600);
      }
      return [
        ...(steady.length === 6 && new Set(steady).size === 1
          ? []
          : [`within the time-out it met ${steady.join(' ')}`]),
        ...(seen.size > 1 ? [] : [`it was remembered: ${[...seen].join(' ')}`]),
      ];
    },
  },
  {
    rule: 'A1',
    says: 'a client stays with one endpoint of a port, whether it asks the cluster IP, the node port or a balancer IP',
    world: [{ name: 'sticky', balancerIPs: 1, externalIPs: 1, affinitySeconds: 60, endpoints: three }],
    run: async (scene) => {
      const wrong: string[] = [];
      for (const from of ['x1', 'x2', 'n1']) {
        const met = new Set<string>();
        for (let turn = 0; turn < 4; turn += 1) {
          for (const to of everywhere(scene, 'sticky')) met.add((await scene.bed.dial(from, to)).self ?? '');
        }
        // As many endpoints as destinations would be met by chance but once in 3 to the power of 9.
        if (met.size !== 1 || met.has('')) wrong.push(`${from} met ${[...met].join(' ')}`);
      }
      return wrong;
    },
  },
  {
    rule: 'A1 A3 T c',
    says: 'under policy Local a client that was elsewhere before stays with the local endpoint that it got',
    world: [
      {
        name: 'sticky',
        balancerIPs: 1,
        externalTrafficPolicy: 'Local',
        affinitySeconds: 60,
        endpoints: three,
      },
    ],
    run: async (scene) => {
      const to = clusterIP(scene, 'sticky');
      await scene.bed.many('x1', to, 3, { parallel: 1 });
      const outside = await scene.bed.many('x1', nodePort(scene, 'sticky'), 10, { parallel: 1 });
      const back = await scene.bed.many('x1', to, 10, { parallel: 1 });
      const met = [outside, back].map(({ self }) => Object.keys(self).join(' '));
      // Which of two remembered endpoints a client of the cluster IP gets is no promise; that it is one of them is.
      return met[0] === 'n1-a' && ['n1-a', 'n2-a', 'n3-a'].includes(met[1] ?? '')
        ? []
        : [`it met ${met.join(', then ')}`];
    },
  },
  {
    rule: 'A3',
    says: 'a client of a removed endpoint gets another one and stays there',
    world: [{ name: 'sticky', affinitySeconds: 60, endpoints: three }],
    run: async (scene) => {
      const to = clusterIP(scene, 'sticky');
      const first = (await scene.bed.dial('n1-b', to)).self ?? '';
      await scene.become([{ name: 'sticky', affinitySeconds: 60, endpoints: without(first) }]);
      const { self, kinds } = await scene.bed.many('n1-b', to, 60, { parallel: 1 });
      const met = Object.keys(self);
      const right = met.length === 1 && met[0] !== first && kinds.answered === 60;
      return right ? [] : [`after ${first} it met ${JSON.stringify({ ...kinds, self })}`];
    },
  },
  {
    rule: 'C1',
    says: 'endpoints get equal shares',
    world: [{ name: 'web', type: 'NodePort', endpoints: three }],
    run: async (scene) => {
      const wrong: string[] = [];
      for (const to of [clusterIP(scene, 'web'), nodePort(scene, 'web')]) {
        const { self } = await scene.bed.many('x1', to, 600);
        const counts = three.map(({ at }) => self[at] ?? 0);
        if (chiSquare(counts) > 20) wrong.push(`shares of ${counts.join(', ')}`);
      }
      return wrong;
    },
  },
  {
    rule: 'M3',
    says: 'a third of the connections of a pod to its own Service of three comes back to itself',
    world: [{ name: 'web', endpoints: three }],
    run: async (scene) => {
      const { self, kinds } = await scene.bed.many('n1-a', clusterIP(scene, 'web'), 600);
      const counts = three.map(({ at }) => self[at] ?? 0);
      return kinds.answered === 600 && chiSquare(counts) < 20 ? [] : [`shares of ${counts.join(', ')}`];
    },
  },
];
