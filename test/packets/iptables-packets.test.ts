/**
 * What no tracer can see of the iptables rules, with real packets: hairpin without a set, balancing by a hash, affinity,
 * the source that servers see, refusals, localhost. One node, two pods with routed interfaces, one client outside.
 */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision, NodeDecision } from '../../src/agent/decision.ts';
import { openIptables } from '../../src/agent/iptables/open.ts';
import type { IptablesBackend } from '../../src/agent/iptables/backend.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import { aDecision, aNodeDecision, must, Namespace, variants } from './iptables-bench.ts';

/** Says its own name and the address that it sees. */
const server = `
  require('net').createServer((s) => { s.on('error', () => {}); s.end(process.argv[1] + ' ' + s.remoteAddress.replace('::ffff:', '')); })
    .listen(8080, '::', () => console.log('ready'));`;

/**
 * Connects so many times, one after the other; prints what each time was answered, or the error. Silence is what
 * outlasts a second SYN (1 s): on one machine a refusal may be there before the first has left the system call, and
 * the kernel then minds only the next.
 */
const client = `
  const [host, port, times, local] = process.argv.slice(1);
  const once = () => new Promise((done) => {
    const s = require('net').connect({ host, port: Number(port), ...(Number(local) ? { localPort: Number(local) } : {}) });
    let text = '';
    const end = (answer) => { clearTimeout(timer); if (Number(local)) s.resetAndDestroy(); else s.destroy(); done(answer); };
    const timer = setTimeout(() => end('timeout'), 1600);
    s.on('data', (d) => { text += d; if (Number(local)) end(text); }).on('end', () => end(text)).on('error', (e) => end(e.code));
  });
  (async () => { for (let i = 0; i < Number(times); i += 1) console.log(await once()); })();`;

const families = {
  IPv4: {
    gateway: '10.244.1.1',
    pods: ['10.244.1.2', '10.244.1.3'],
    node: '192.0.2.1',
    client: '192.0.2.2',
    length: 32,
    clusterIP: '10.96.0.1',
    unallocated: '10.96.99.99',
    balancer: '198.51.100.7',
    cidr: '10.244.0.0/16',
    service: '10.96.0.0/16',
    open: '192.0.2.0/24',
    closed: '172.16.0.0/12',
  },
  IPv6: {
    gateway: 'fd00:244:1::1',
    pods: ['fd00:244:1::2', 'fd00:244:1::3'],
    node: '2001:db8:2::1',
    client: '2001:db8:2::2',
    length: 128,
    clusterIP: 'fd00:96::1',
    unallocated: 'fd00:96::99',
    balancer: '2001:db8:7::7',
    cidr: 'fd00:244::/32',
    service: 'fd00:96::/112',
    open: '2001:db8:2::/64',
    closed: '2001:db8:9::/64',
  },
} as const;

let node: Namespace;
let outside: Namespace;
const pods: Namespace[] = [];
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  node = await Namespace.open();
  outside = await Namespace.open();
  for (const key of ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
    await node.must('sysctl', '-qw', key);
  await must(
    'ip',
    'link',
    'add',
    'c0',
    'netns',
    node.name,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    outside.name,
  );
  await node.must('ip', 'link', 'set', 'c0', 'up');
  await outside.must('ip', 'link', 'set', 'eth0', 'up');
  // What has no route is not forwarded, and then not refused either. Not back to the client: redirects use up what a
  // node may answer to one neighbour in a second.
  await must(
    'ip',
    'link',
    'add',
    'up0',
    'netns',
    node.name,
    'type',
    'veth',
    'peer',
    'name',
    'up1',
    'netns',
    outside.name,
  );
  await node.must('ip', 'link', 'set', 'up0', 'up');
  await outside.must('ip', 'link', 'set', 'up1', 'up');
  for (const { node: own, client: other, length } of Object.values(families)) {
    const prefix = length === 32 ? 24 : 64;
    await node.must('ip', 'address', 'add', `${own}/${prefix}`, 'dev', 'c0', ...noDad(length));
    await outside.must('ip', 'address', 'add', `${other}/${prefix}`, 'dev', 'eth0', ...noDad(length));
    await outside.must('ip', 'route', 'add', 'default', 'via', own);
    await node.must('ip', length === 32 ? '-4' : '-6', 'route', 'add', 'default', 'dev', 'up0');
  }
  for (const [index, veth] of ['pod0', 'pod1'].entries()) {
    const pod = await Namespace.open();
    pods.push(pod);
    await must(
      'ip',
      'link',
      'add',
      veth,
      'netns',
      node.name,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      pod.name,
    );
    await node.must('ip', 'link', 'set', veth, 'up');
    await pod.must('ip', 'link', 'set', 'eth0', 'up');
    for (const { gateway, pods: addresses, length } of Object.values(families)) {
      const address = addresses[index] ?? '';
      await node.must('ip', 'address', 'add', `${gateway}/${length}`, 'dev', veth, ...noDad(length));
      await pod.must('ip', 'address', 'add', `${address}/${length}`, 'dev', 'eth0', ...noDad(length));
      await pod.must('ip', 'route', 'add', gateway, 'dev', 'eth0');
      await pod.must('ip', 'route', 'add', 'default', 'via', gateway);
      await node.must('ip', 'route', 'add', `${address}/${length}`, 'dev', veth);
    }
    const child = pod.spawn(process.execPath, ['-e', server, veth]);
    stops.push(async () => {
      const gone = once(child, 'close');
      child.kill('SIGKILL');
      await gone;
    });
    if (child.stdout !== null) await once(child.stdout, 'data');
  }
});

function noDad(length: number): readonly string[] {
  return length === 128 ? ['nodad'] : [];
}

afterAll(async () => {
  for (const stop of stops) await stop();
  for (const space of [node, outside, ...pods]) await space[Symbol.asyncDispose]();
});

async function connect(
  from: Namespace,
  host: string,
  port: number,
  times: number,
  local = 0,
): Promise<string[]> {
  const out = await from.must(
    process.execPath,
    '-e',
    client,
    host,
    String(port),
    String(times),
    String(local),
  );
  return out.trimEnd().split('\n');
}

/** Each different answer, in order. */
function kinds(answers: readonly string[]): readonly string[] {
  return [...new Set(answers)].toSorted();
}

describe.each(variants)('the %s variant', (variant) => {
  describe.each(['IPv4', 'IPv6'] as const)('%s', (family) => {
    const place = families[family];
    const [a, b] = place.pods;
    const decided: NodeDecision = aNodeDecision({
      family,
      localSource: { kind: 'cidrs', cidrs: [place.cidr] },
      serviceRanges: [place.service],
      localhostNodePorts: family === 'IPv4',
    });
    const base = (some: Partial<Decision>): Decision =>
      aDecision(1, {
        endpoints: 1,
        some: {
          family: family satisfies IpFamily,
          clusterIP: place.clusterIP,
          nodePort: 30080,
          balancerIPs: [place.balancer],
          cluster: [a, b].map((address) => ({ address, port: 8080, local: true, weight: 1 })),
          ...some,
        },
      });
    let backend: IptablesBackend;
    beforeAll(async () => {
      const opened = await openIptables({
        family,
        variant,
        spawn: node.spawn,
        allowLocalhost: async () => {
          await node.must('sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1');
        },
      });
      backend = opened.backend;
    });
    const write = async (some: Partial<Decision>): Promise<void> => {
      const { quarantined } = await backend.replace(decided, [base(some)]);
      expect(quarantined).toEqual([]);
      await node.run('conntrack', ['-F']);
    };
    afterAll(async () => {
      const { cleanUp } = await import('../../src/agent/iptables/cleanup.ts');
      await cleanUp(node.spawn, variant, family);
    });

    test('a pod reaches the others with its own address, and itself with the node’s', async () => {
      await write({});
      const answers = await connect(pods[0] ?? node, place.clusterIP, 80, 60);
      expect(kinds(answers)).toEqual([`pod0 ${place.gateway}`, `pod1 ${a}`]);
    });

    test('who is no pod reaches the cluster IP, the balancer IP and the node port with the node’s address', async () => {
      await write({});
      for (const [host, port] of [
        [place.clusterIP, 80],
        [place.balancer, 80],
        [place.node, 30080],
      ] as const) {
        const answers = await connect(outside, host, port, 40);
        expect(kinds(answers), host).toEqual([`pod0 ${place.gateway}`, `pod1 ${place.gateway}`]);
      }
    });

    test('under policy Local the client keeps its address and reaches local pods only; a pod reaches all', async () => {
      await write({
        local: [{ address: b, port: 8080, local: true, weight: 1 }],
        external: { kind: 'balance', to: 'local' },
        shortcut: { kind: 'balance', to: 'cluster' },
      });
      expect(kinds(await connect(outside, place.node, 30080, 30))).toEqual([`pod1 ${place.client}`]);
      expect(kinds(await connect(pods[0] ?? node, place.balancer, 80, 40))).toEqual([
        `pod0 ${place.gateway}`,
        `pod1 ${a}`,
      ]);
    });

    test('nothing anywhere is refused at once, nothing for the policy is silence, also to processes', async () => {
      await write({ cluster: [], internal: { kind: 'reject' }, external: { kind: 'reject' } });
      for (const from of [outside, node]) {
        expect(await connect(from, place.clusterIP, 80, 1)).toEqual(['ECONNREFUSED']);
        expect(await connect(from, place.balancer, 80, 1)).toEqual(['ECONNREFUSED']);
        expect(await connect(from, place.node, 30080, 1)).toEqual(['ECONNREFUSED']);
      }
      await write({ internal: { kind: 'drop' }, external: { kind: 'drop' } });
      expect(await connect(outside, place.clusterIP, 80, 1)).toEqual(['timeout']);
      expect(await connect(outside, place.balancer, 80, 1)).toEqual(['timeout']);
      expect(await connect(outside, place.node, 30080, 1)).toEqual(['timeout']);
    });

    test('another port of a cluster IP is refused; an address that no Service has is silent', async () => {
      await write({});
      expect(await connect(outside, place.clusterIP, 81, 1)).toEqual(['ECONNREFUSED']);
      expect(await connect(outside, place.unallocated, 80, 1)).toEqual(['timeout']);
    });

    test('source ranges let in who is in them at the balancer IP, and nobody else', async () => {
      await write({ sourceRanges: [place.open] });
      expect(kinds(await connect(outside, place.balancer, 80, 20))).toHaveLength(2);
      await write({ sourceRanges: [place.closed] });
      expect(await connect(outside, place.balancer, 80, 1)).toEqual(['timeout']);
      expect(kinds(await connect(outside, place.node, 30080, 20))).toHaveLength(2);
    });

    test('a client sticks to its endpoint under session affinity', async () => {
      await write({ affinitySeconds: 60 });
      expect(kinds(await connect(outside, place.node, 30080, 40))).toHaveLength(1);
    });

    test('a hash spreads clients evenly and gives one client the same endpoint every time', async () => {
      await write({ balancing: 'hash' });
      const answers = await connect(outside, place.clusterIP, 80, 200);
      const first = answers.filter((text) => text.startsWith('pod0')).length;
      // 100 expected; seven standard deviations of 7.1.
      expect(first).toBeGreaterThan(50);
      expect(first).toBeLessThan(150);
      for (const local of [41_001, 41_002, 41_003]) {
        const same = new Set<string>();
        for (let i = 0; i < 4; i += 1) {
          // Otherwise the tracked connection would answer, and not the rules.
          await node.run('conntrack', ['-F']);
          for (const text of await connect(outside, place.clusterIP, 80, 1, local)) same.add(text);
        }
        expect([...same]).toHaveLength(1);
      }
    });

    // The kernel has no route from ::1 to anywhere else.
    if (family === 'IPv4') {
      test('a process reaches a node port at localhost', async () => {
        await write({});
        expect(kinds(await connect(node, '127.0.0.1', 30080, 30))).toEqual([
          `pod0 ${place.gateway}`,
          `pod1 ${place.gateway}`,
        ]);
      });
    }
  });
});
