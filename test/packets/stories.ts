/**
 * What Services mean where one look is not enough: connections that outlive a change, clients that are remembered,
 * errors on the way, rules of others. Told as in cases.ts, one family at a time.
 *
 * A story returns what was wrong, a sentence each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { IpFamily } from '../../src/core/objects.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Attempt, Destination } from '../../src/sandbox/bed/traffic.ts';
import type { Reference, Settings } from './cases/row.ts';
import type { Atlas, World } from './world.ts';

export interface Scene {
  readonly bed: Bed;
  readonly atlas: Atlas;
  readonly family: IpFamily;
  /** The next world of the story; resolves once it is in force. */
  readonly become: (world: World) => Promise<void>;
  /** The variant of iptables that writes the rules; undefined where nft does. */
  readonly iptables: 'nft' | 'legacy' | undefined;
}

export interface Story {
  readonly rule: string;
  readonly says: string;
  readonly settings?: Settings;
  readonly families?: readonly IpFamily[];
  /** It takes somebody who cleans the connection tracking table after the rules have changed. */
  readonly tracked?: true;
  readonly world: World;
  readonly run: (scene: Scene) => Promise<readonly string[]>;
  /** Where a reference fails the story, and why that is known. */
  readonly fails?: Readonly<Partial<Record<Reference, string>>>;
  /** It is about the reference only, or not about it. */
  readonly only?: readonly Reference[];
}

const udp = [{ name: 'dns', port: 53, protocol: 'UDP' as const }];
const three = ['n1-a', 'n2-a', 'n3-a'].map((at) => ({ at }));

/** What a flow comes to is looked at for so long at a time, and waited for so long at most, on a busy machine too. */
const lookMs = 300;
const patienceMs = 10_000;

function clusterIP({ atlas, family }: Scene, name: string, port = 80): Destination {
  return { address: atlas.address(name, 'V', family), port };
}

function nodePort({ atlas, family }: Scene, name: string): Destination {
  return { address: atlas.place('n1', family), port: atlas.nodePort(name) };
}

/** Every destination of the first port of a Service from outside and inside. */
function everywhere(scene: Scene, name: string): readonly Destination[] {
  const { atlas, family } = scene;
  const at = (spot: 'E' | 'L'): Destination => ({ address: atlas.address(name, spot, family), port: 80 });
  return [clusterIP(scene, name), nodePort(scene, name), at('E'), at('L')];
}

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

const without = (before: string): { readonly at: string }[] => three.filter(({ at }) => at !== before);

/** How far counts are from equal shares; above 20 is less likely than 1 in 20,000 for three. */
export function chiSquare(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
}

export const stories: readonly Story[] = [
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
  {
    rule: 'A1',
    says: 'a client is forgotten when it has been away for longer than the time-out, and not before',
    world: [{ name: 'sticky', affinitySeconds: 1, endpoints: three }],
    run: async (scene) => {
      const to = clusterIP(scene, 'sticky');
      const visit = async (): Promise<string> => (await scene.bed.dial('n1-b', to)).self ?? '';
      // Each visit begins the time anew: six of them take longer than the time-out.
      const steady = new Set<string>();
      for (let count = 0; count < 6; count += 1) {
        steady.add(await visit());
        await sleep(250);
      }
      const seen = new Set<string>();
      // All alike by chance: 3 to the power of -7.
      for (let count = 0; count < 8 && seen.size < 2; count += 1) {
        seen.add(await visit());
        await sleep(1_600);
      }
      return [
        ...(steady.size === 1 ? [] : [`within the time-out it met ${[...steady].join(' ')}`]),
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
  ...(['IPv4', 'IPv6'] as const).map((only): Story => ({
    rule: 'P path MTU',
    says: `a large datagram that may not be taken apart is answered with the size that fits, over ${only}`,
    families: [only],
    world: [{ name: 'dns', type: 'NodePort', ports: udp, endpoints: three }],
    run: async (scene) => {
      const wrong: string[] = [];
      const size = only === 'IPv4' ? 1472 : 1452;
      for (const to of [clusterIP(scene, 'dns', 53), nodePort(scene, 'dns')]) {
        await scene.bed.succeed('x1', 'ip', [only === 'IPv4' ? '-4' : '-6', 'route', 'flush', 'cache']);
        const outcome = await scene.bed.dial(
          'x1',
          { ...to, protocol: 'UDP' },
          { size, df: true, timeoutMs: 300 },
        );
        // The overlay or the pod's bridge, whichever is met first.
        const fits = [1430, 1450].includes(outcome.mtu ?? 0);
        if (outcome.kind !== 'too-big' || !fits) wrong.push(`${to.port}: ${JSON.stringify(outcome)}`);
      }
      return wrong;
    },
  })),
  {
    rule: 'P path MTU',
    says: 'a large transfer finds its way through the smaller MTU of the overlay',
    world: [{ name: 'web', type: 'NodePort', endpoints: [{ at: 'n2-a' }] }],
    run: async (scene) => {
      const outcome = await scene.bed.dial('x1', nodePort(scene, 'web'), {
        size: 1_000_000,
        timeoutMs: 5_000,
      });
      return outcome.received === 1_000_000 ? [] : [JSON.stringify(outcome)];
    },
  },
  {
    rule: 'M4',
    says: 'under a FORWARD policy of DROP masqueraded connections work where iptables writes the rules, and none in nftables',
    world: [{ name: 'web', type: 'NodePort', endpoints: [{ at: 'n2-a' }] }],
    run: async (scene) => {
      const { bed, family } = scene;
      const tool = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${scene.iptables ?? 'nft'}`;
      await bed.succeed('n1', tool, ['-w', '5', '-P', 'FORWARD', 'DROP']);
      const masqueraded = await bed.dial('x1', nodePort(scene, 'web'), { timeoutMs: 300 });
      const kept = await bed.dial('n1-b', clusterIP(scene, 'web'), { timeoutMs: 300 });
      await bed.succeed('n1', tool, ['-w', '5', '-P', 'FORWARD', 'ACCEPT']);
      const wanted = scene.iptables === undefined ? 'silence silence' : 'answered silence';
      const found = `${masqueraded.kind} ${kept.kind}`;
      return found === wanted ? [] : [`${found} and not ${wanted}`];
    },
  },
  {
    rule: 'P host port',
    says: 'where a host port of the CNI has the number of a node port, the node port wins',
    families: ['IPv4'],
    world: [{ name: 'web', type: 'NodePort', endpoints: [{ at: 'n1-a' }] }],
    fails: {
      'kube-proxy nftables':
        'kube-proxy in nftables mode has the same priority as iptables: who was there first wins',
    },
    run: async (scene) => {
      const { bed, iptables } = scene;
      const to = nodePort(scene, 'web');
      // As the portmap plugin writes it, behind what is there.
      const rule = `PREROUTING -p tcp --dport ${to.port} -m addrtype --dst-type LOCAL -j DNAT --to-destination ${bed.pod('n1-b').address.IPv4}:8080`;
      const write = (verb: string): Promise<string> =>
        bed.succeed('n1', `iptables-${iptables ?? 'nft'}`, [
          '-w',
          '5',
          '-t',
          'nat',
          verb,
          ...rule.split(' '),
        ]);
      await write('-A');
      const { self, kinds } = await bed.many('x1', to, 30);
      await write('-D');
      const right = kinds.answered === 30 && Object.keys(self).join() === 'n1-a';
      return right ? [] : [`it reached ${JSON.stringify({ kinds, self })}`];
    },
  },
  {
    rule: 'N4',
    says: 'what listens at 127.0.0.1 of a node cannot be reached from outside, although node ports answer there',
    families: ['IPv4'],
    world: [{ name: 'web', type: 'NodePort', endpoints: three }],
    only: ['kube-proxy iptables'],
    run: async ({ bed }) => {
      const to = { address: '127.0.0.1', port: 7777, protocol: 'UDP' } as const;
      // The client's own kernel would take no answer from 127.0.0.1: what arrives is counted where it arrives.
      const arrived = async (node: string): Promise<number> => {
        const listener = await bed.serve(node, to);
        const via = `via ${bed.node(node).address.IPv4} dev eth0 src ${bed.client('x2').address.IPv4}`;
        await bed.ip('x2', `route replace 127.0.0.1/32 ${via}`);
        await bed.dial('x2', to, { timeoutMs: 200 });
        return (await listener.close()).served;
      };
      for (const place of ['n3', 'x2']) await bed.sysctl(place, { 'net/ipv4/conf/all/route_localnet': '1' });
      for (const own of ['127.0.0.1', '127.0.0.0/8']) {
        await bed.run('x2', 'ip', ['route', 'del', 'table', 'local', 'local', own]);
      }
      // n3 has no rules: it shows that the packets come through as long as nobody stops them.
      const unguarded = await arrived('n3');
      const guarded = await arrived('n1');
      await bed.ip('x2', 'route del 127.0.0.1/32', 'route add table local local 127.0.0.0/8 dev lo');
      await bed.sysctl('n3', { 'net/ipv4/conf/all/route_localnet': '0' });
      return unguarded === 1 && guarded === 0 ? [] : [`${unguarded} arrived unguarded, ${guarded} guarded`];
    },
  },
];
