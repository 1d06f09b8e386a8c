/** Stories of the way: marks, sizes of packets, rules of others, and what must not be reached by it. */
import { clusterIP, nodePort, three, udp, type Story } from './stories.ts';

export const pathStories: readonly Story[] = [
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
