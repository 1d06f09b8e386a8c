/** The nftables backend with real connections: a client, a node and pods, each a network namespace. */
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import type { Decision, Endpoint, NodeDecision } from '../../src/agent/decision.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import { decision, endpoint, makeNamespace, plainNode, type Namespace } from './nftables-world.ts';

const peer = new URL('./nftables-peer.ts', import.meta.url).pathname;

interface Family {
  readonly family: IpFamily;
  readonly client: string;
  readonly node: string;
  /** The gateway of the pods. */
  readonly gate: string;
  readonly pods: readonly string[];
  readonly podRange: string;
  readonly virtual: (number: number) => string;
  readonly outside: (number: number) => string;
  readonly serviceRange: string;
}

const v4: Family = {
  family: 'IPv4',
  client: '172.20.0.2',
  node: '172.20.0.1',
  gate: '10.244.0.1',
  pods: Array.from({ length: 10 }, (_, pod) => `10.244.0.${pod + 10}`),
  podRange: '10.244.0.0/24',
  virtual: (number) => `10.96.0.${number}`,
  outside: (number) => `192.0.2.${number}`,
  serviceRange: '10.96.0.0/16',
};

const v6: Family = {
  family: 'IPv6',
  client: 'fd20::2',
  node: 'fd20::1',
  gate: 'fd44::1',
  pods: Array.from({ length: 10 }, (_, pod) => `fd44::${pod + 10}`),
  podRange: 'fd44::/64',
  virtual: (number) => `fd96::${number}`,
  outside: (number) => `2001:db8::${number}`,
  serviceRange: 'fd96::/112',
};

let client: Namespace;
let node: Namespace;
let pods: Namespace;
let server: ReturnType<Namespace['start']>;

beforeAll(async () => {
  [client, node, pods] = [makeNamespace(), makeNamespace(), makeNamespace()];
  const ip = (ns: Namespace, ...args: string[]): string => ns.run('ip', args);
  const join = (a: Namespace, b: Namespace, nameA: string, nameB: string): void => {
    ip(a, 'link', 'add', nameA, 'type', 'veth', 'peer', 'name', nameB, 'netns', b.name);
    ip(a, 'link', 'set', nameA, 'up');
    ip(b, 'link', 'set', nameB, 'up');
  };
  join(node, client, 'out0', 'eth0');
  join(node, pods, 'pods0', 'eth0');
  for (const { family, client: from, node: at, gate, pods: addresses } of [v4, v6]) {
    const length = family === 'IPv4' ? '24' : '64';
    const more = family === 'IPv4' ? [] : ['nodad'];
    ip(client, 'addr', 'add', `${from}/${length}`, 'dev', 'eth0', ...more);
    ip(node, 'addr', 'add', `${at}/${length}`, 'dev', 'out0', ...more);
    ip(node, 'addr', 'add', `${gate}/${length}`, 'dev', 'pods0', ...more);
    for (const address of addresses) ip(pods, 'addr', 'add', `${address}/${length}`, 'dev', 'eth0', ...more);
    const version = family === 'IPv4' ? '-4' : '-6';
    ip(client, version, 'route', 'add', 'default', 'via', at);
    ip(pods, version, 'route', 'add', 'default', 'via', gate);
    // A process of the node needs some route to a virtual address.
    ip(node, version, 'route', 'add', 'default', 'via', from);
  }
  node.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  for (const ns of [client, node]) ns.run('sysctl', ['-qw', 'net.ipv4.ip_local_port_range=1024 65535']);
  server = pods.start(process.execPath, [peer, 'serve', '8080']);
  if (server.stdout !== null) await once(server.stdout, 'data');
});

afterAll(async () => {
  server.kill('SIGKILL');
  for (const ns of [client, node, pods]) await ns[Symbol.asyncDispose]();
});

function settings({ family, podRange, serviceRange, node: at }: Family): NodeDecision {
  return {
    ...plainNode,
    family,
    nodePortAddresses: [at],
    localSource: { kind: 'cidrs', cidrs: [podRange] },
    serviceRanges: [serviceRange],
  };
}

function serve(
  { family, virtual, pods: addresses }: Family,
  number: number,
  which: readonly number[],
  change: Partial<Decision> = {},
): Decision {
  const cluster = which.map((pod): Endpoint =>
    endpoint(0, { address: addresses[pod] ?? '', local: pod < 5 }),
  );
  return decision(number, {
    family,
    clusterIP: virtual(number),
    cluster,
    local: cluster.filter(({ local }) => local),
    ...change,
  });
}

/** Connects from a namespace; gives who answered and whom the server saw. */
function ask(
  from: Namespace,
  host: string,
  port: number,
  times = 1,
  source: readonly string[] = [],
): { self: string; peer: string }[] {
  return from
    .run(process.execPath, [peer, 'ask', host, String(port), String(times), ...source])
    .trim()
    .split('\n')
    .map((line) => {
      const [self = '', seen = ''] = line.replaceAll('::ffff:', '').split(' ');
      return { self, peer: seen };
    });
}

function selves(answers: readonly { self: string }[]): string[] {
  return [...new Set(answers.map(({ self }) => self))].toSorted();
}

async function withRules<T>(
  world: Family,
  decisions: readonly Decision[],
  run: (backend: NftablesBackend) => Promise<T> | T,
): Promise<T> {
  const backend = new NftablesBackend({ family: world.family, start: node.start });
  const { quarantined } = await backend.replace(settings(world), decisions);
  expect(quarantined).toEqual([]);
  try {
    return await run(backend);
  } finally {
    await backend.cleanup();
    await backend.close();
  }
}

for (const world of [v4, v6]) {
  const [a = '', b = '', c = ''] = world.pods;

  test(`${world.family}: destinations, sources and refusals are what the decisions say`, async () => {
    const decisions = [
      serve(world, 1, [0, 1, 2], { nodePort: 30_001, externalIPs: [world.outside(1)] }),
      serve(world, 2, [0, 8], {
        nodePort: 30_002,
        external: { kind: 'balance', to: 'local' },
        shortcut: { kind: 'balance', to: 'cluster' },
      }),
      serve(world, 3, [], { internal: { kind: 'reject' }, external: { kind: 'reject' }, nodePort: 30_003 }),
      serve(world, 4, [8], {
        nodePort: 30_004,
        external: { kind: 'drop' },
        shortcut: { kind: 'balance', to: 'cluster' },
      }),
      serve(world, 5, [0], { balancerIPs: [world.outside(5)], sourceRanges: [world.podRange] }),
      serve(world, 6, [0, 1, 2], { balancing: 'hash' }),
      serve(world, 7, [0]),
    ];
    await withRules(world, decisions, () => {
      // C1, C2: the cluster IP, from outside, from a process, from a pod.
      const outside = ask(client, world.virtual(1), 80, 60);
      expect(selves(outside)).toEqual([a, b, c]);
      expect(new Set(outside.map((one) => one.peer))).toEqual(new Set([world.gate]));
      expect(selves(ask(node, world.virtual(1), 80, 60))).toEqual([a, b, c]);
      // M3: a pod that reaches itself sees the gateway's address; with its own the answer would never come back.
      expect(ask(pods, world.virtual(7), 80, 5, [a])).toEqual(
        Array.from({ length: 5 }, () => ({ self: a, peer: world.gate })),
      );
      // N1, E1: masqueraded under policy Cluster.
      for (const [host, port] of [
        [world.node, 30_001],
        [world.outside(1), 80],
      ] as const) {
        const answers = ask(client, host, port, 60);
        expect(selves(answers)).toEqual([a, b, c]);
        expect(new Set(answers.map((one) => one.peer))).toEqual(new Set([world.gate]));
      }
      // T: policy Local keeps the client's address; a process of the node gets all endpoints, masqueraded.
      expect(ask(client, world.node, 30_002, 10)).toEqual(
        Array.from({ length: 10 }, () => ({ self: a, peer: world.client })),
      );
      expect(selves(ask(node, world.node, 30_002, 40))).toEqual([a, world.pods[8] ?? '']);
      // No endpoint at all; none of the policy.
      expect(selves(ask(client, world.virtual(3), 80))).toEqual(['ECONNREFUSED']);
      expect(selves(ask(node, world.virtual(3), 80))).toEqual(['ECONNREFUSED']);
      expect(selves(ask(client, world.node, 30_003))).toEqual(['ECONNREFUSED']);
      expect(selves(ask(client, world.node, 30_004))).toEqual(['LOST']);
      expect(selves(ask(node, world.node, 30_004))).toEqual([world.pods[8]]);
      // C3: a port that the Service lacks; an address that no Service has.
      expect(selves(ask(client, world.virtual(1), 81))).toEqual(['ECONNREFUSED']);
      expect(selves(ask(node, world.virtual(1), 81))).toEqual(['ECONNREFUSED']);
      expect(selves(ask(client, world.virtual(99), 80))).toEqual(['LOST']);
      // L2: ranges.
      expect(selves(ask(client, world.outside(5), 80))).toEqual(['LOST']);
      // Hashing by address and port spreads too.
      expect(selves(ask(client, world.virtual(6), 80, 90))).toEqual([a, b, c]);
    });
  });

  test(`${world.family}: a sticky client stays, survives other endpoints' changes, and is drawn again when its own goes`, async () => {
    const all = [0, 1, 2, 3, 4, 5, 6, 7];
    // Longer than a busy machine takes for all of it.
    const sticky = { affinitySeconds: 600 };
    const before = serve(world, 7, all, sticky);
    await withRules(world, [before], async (backend) => {
      const [first = ''] = selves(ask(client, world.virtual(7), 80, 20));
      expect(selves(ask(client, world.virtual(7), 80, 20))).toEqual([first]);
      const gone = world.pods.indexOf(first);
      // Half of the others go: the buckets move, the client does not.
      const fewer = serve(
        world,
        7,
        all.filter((pod) => pod === gone || pod % 2 === 1),
        sticky,
      );
      await backend.apply([{ key: before.key, before, after: fewer }]);
      expect(selves(ask(client, world.virtual(7), 80, 20))).toEqual([first]);
      await backend.apply([{ key: before.key, before: fewer, after: before }]);
      expect(selves(ask(client, world.virtual(7), 80, 20))).toEqual([first]);
      const without = serve(
        world,
        7,
        all.filter((pod) => pod !== gone),
        sticky,
      );
      await backend.apply([{ key: before.key, before, after: without }]);
      const [second = ''] = selves(ask(client, world.virtual(7), 80, 20));
      expect(second).not.toBe(first);
      expect(selves(ask(client, world.virtual(7), 80, 20))).toEqual([second]);
      const short = serve(
        world,
        7,
        all.filter((pod) => pod !== gone),
        { affinitySeconds: 2 },
      );
      await backend.apply([{ key: before.key, before: without, after: short }]);
      for (const self of selves(ask(client, world.virtual(7), 80))) expect(self).toBe(second);
      // Forgotten after two seconds without a new connection: seldom the same one of seven every time.
      const drawn = new Set<string>();
      for (let turn = 0; turn < 3; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 2600));
        for (const self of selves(ask(client, world.virtual(7), 80))) drawn.add(self);
      }
      expect(drawn.size + (drawn.has(second) ? 0 : 1)).toBeGreaterThan(1);
    });
  });
}

test('a full table of sticky clients falls back to plain balancing', async () => {
  await withRules(v4, [serve(v4, 7, [0, 1, 2], { affinitySeconds: 600 })], () => {
    const elements = Array.from(
      { length: 131_072 },
      (_, number) => `20.${number >> 16}.${(number >> 8) & 255}.${number & 255} . 7:0 timeout 1h : 7:1`,
    );
    node.run('nft', ['-f', '-'], `add element ip sluice sticky-clients { ${elements.join(', ')} }\n`);
    const answers = ask(client, '10.96.0.7', 80, 60);
    expect(selves(answers)).toEqual(v4.pods.slice(0, 3));
  });
});

test('the mark of somebody else survives, and ours leaves with nobody', async () => {
  await withRules(v4, [serve(v4, 1, [0])], () => {
    node.run(
      'nft',
      ['-f', '-'],
      `table ip other {
        counter both { }
        counter ours { }
        chain before { type filter hook prerouting priority -150; iifname "out0" meta mark set meta mark | 0x1; }
        chain after { type filter hook postrouting priority 200;
          oifname "pods0" meta mark & 0x1 == 0x1 counter name both
          meta mark & 0x4000 == 0x4000 counter name ours
        }
      }\n`,
    );
    expect(selves(ask(client, '10.96.0.1', 80, 5))).toEqual([v4.pods[0]]);
    const counters = node.run('nft', ['list', 'counters', 'table', 'ip', 'other']);
    node.run('nft', ['delete', 'table', 'ip', 'other']);
    expect(counters).toMatch(/counter both \{\s+packets [1-9]/);
    expect(counters).toMatch(/counter ours \{\s+packets 0 /);
  });
});

test('no connection is lost while endpoints churn', async () => {
  const counts = [10, 2, 1, 10];
  const versions = counts.map((count) =>
    serve(
      v4,
      1,
      Array.from({ length: count }, (_, pod) => pod),
    ),
  );
  const others = Array.from({ length: 200 }, (_, number) => serve(v4, 2 + (number % 250), [number % 10]));
  const decisions = new Map(
    [...versions.slice(0, 1), ...others.filter(({ key }) => key !== versions[0]?.key)].map((one) => [
      one.key,
      one,
    ]),
  );
  await withRules(v4, [...decisions.values()], async (backend) => {
    const storm = client.start(process.execPath, [peer, 'storm', v4.virtual(1), '80']);
    let heard = '';
    storm.stdout?.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    let updates = 0;
    let before = versions[0];
    const end = performance.now() + 8000;
    while (performance.now() < end) {
      const after = versions[(updates + 1) % 4];
      if (after === undefined) break;
      await backend.apply([{ key: after.key, before, after }]);
      before = after;
      updates += 1;
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    storm.stdin?.end();
    await once(storm, 'close');
    console.log(`churn: ${updates} updates, ${heard.trim()}`);
    const [, all, lost] = heard.trim().split(' ').map(Number);
    expect(all).toBeGreaterThan(3000);
    expect(updates).toBeGreaterThan(300);
    expect(lost).toBe(0);
  });
});
