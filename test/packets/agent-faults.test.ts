/**
 * The agent among faults, as its own process on a node: killed, frozen, without an API server, with rules changed by
 * others, a lock that somebody holds, a rule that the tool refuses, another backend or variant taking over. What is
 * asked all the time is whether connections still come through.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { apply, create, remove, type Manifest } from '../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { cleanUp, logOf, startAgent } from './agent-process.ts';
import { Bed, type Prober } from '../../src/sandbox/bed/bed.ts';
import type { Attempt, Destination } from '../../src/sandbox/bed/traffic.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';
import { holdLock } from './iptables-bench.ts';

let bed: Bed;
let cluster: PacketCluster;
const running: ManagedProcess[] = [];

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
  for (const pod of ['n1-a', 'n1-b', 'n2-a']) {
    for (const protocol of ['TCP', 'UDP'] as const) await bed.serve(pod, { port: 8080, protocol });
  }
  await bed.route('x1', 'n1');
});
afterEach(async () => {
  for (const agent of running.splice(0)) {
    agent.signal('SIGCONT');
    await agent.stop(5_000);
  }
  await cluster.become([]);
  await cleanUp(bed, 'n1');
  // What was refused at a node port a moment ago is tracked, untranslated, for ten seconds: the kernel's own way.
  await bed.run('n1', 'conntrack', ['-F']);
});
afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

const proxyName = 'service.kubernetes.io/service-proxy-name';
const nodePort = 30_501;

interface Made {
  readonly name?: string;
  /** Last number of the cluster IP. */
  readonly host?: number;
  readonly spec?: object;
  readonly labels?: Readonly<Record<string, string>>;
}

function service({
  name = 'web',
  host = 7,
  spec = {},
  labels = { [proxyName]: 'sluice' },
}: Made = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, labels },
    spec: {
      type: 'NodePort',
      clusterIP: `10.96.5.${host}`,
      ports: [
        { name: 'web', port: 80, targetPort: 8080, nodePort: nodePort + host * 2 },
        { name: 'dns', port: 53, targetPort: 8080, protocol: 'UDP', nodePort: nodePort + host * 2 + 1 },
      ],
      ...spec,
    },
  };
}

function slice(pods: readonly string[], name = 'web'): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [
      { name: 'web', port: 8080, protocol: 'TCP' },
      { name: 'dns', port: 8080, protocol: 'UDP' },
    ],
    endpoints: pods.map((pod) => ({
      addresses: [bed.pod(pod).address.IPv4],
      nodeName: bed.pod(pod).node,
      conditions: { ready: true },
    })),
  };
}

const at = (host = 7): Destination => ({ address: `10.96.5.${host}`, port: 80 });
const web = at();

async function start(args: readonly string[] = [], more: object = {}): Promise<ManagedProcess> {
  const agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args, ...more });
  running.push(agent);
  return agent;
}

async function who(to: Destination = web, from = 'n1-b'): Promise<string | undefined> {
  return (await bed.dial(from, to, { timeoutMs: 300 })).self;
}

async function serves(agent: ManagedProcess, self: string, to: Destination = web): Promise<void> {
  await until(`${to.address} is answered by ${self}`, async () => (await who(to)) === self).catch(
    async (error: unknown) => {
      throw new Error(`${String(error)}\n${await agent.tail(30)}`, { cause: error });
    },
  );
}

async function says(agent: ManagedProcess, text: string): Promise<void> {
  await until(`the agent says "${text}"`, async () =>
    (await logOf(agent)).some(({ msg, error }) => `${msg} ${JSON.stringify(error ?? '')}`.includes(text)),
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${await agent.tail(30)}`, { cause: error });
  });
}

async function wroteAll(agent: ManagedProcess, times = 2): Promise<readonly unknown[]> {
  let operations: readonly unknown[] = [];
  await until(`${times} whole writes`, async () => {
    const lines = (await logOf(agent)).filter(({ msg }) => msg === 'wrote everything');
    operations = lines.map((line) => line['operations']);
    return lines.length >= times;
  });
  return operations;
}

/** Everything in n1's kernel, with handles: a rule that is written anew has another one. */
async function kernel(): Promise<string> {
  const parts = await Promise.all([
    bed.succeed('n1', 'nft', ['-a', 'list', 'ruleset']),
    bed.succeed('n1', 'iptables-legacy-save', []),
    bed.succeed('n1', 'ipset', ['save', '-sorted']),
  ]);
  // Counters, times and generated numbers change by themselves.
  return parts
    .join('')
    .replaceAll(/\[\d+:\d+\]|counter packets \d+ bytes \d+|initval \S+|^# .*$| expires \S+/gmu, '')
    .trim();
}

type Lost = Pick<Attempt, 'atUs' | 'kind' | 'us'> & { readonly from: string };

/** Connections every few milliseconds, from a pod to the cluster IP and from outside to the node port. */
async function watching(host = 7): Promise<{ lost(): Promise<readonly Lost[]> }> {
  const outside = { address: bed.node('n1').address.IPv4, port: nodePort + host * 2 };
  const probers: Prober[] = [
    await bed.probe('n1-b', at(host), { everyMs: 5 }),
    await bed.probe('x1', outside, { everyMs: 5 }),
  ];
  onTestFinished(async () => {
    if (!closed) await Promise.all(probers.map((prober) => prober.close()));
  });
  let closed = false;
  return {
    lost: async () => {
      closed = true;
      const [pod = [], client = []] = await Promise.all(probers.map((prober) => prober.close()));
      const from = (name: string, list: readonly Attempt[]): readonly Lost[] =>
        list.map(({ atUs, kind, us }) => ({ from: name, atUs, kind, us }));
      const attempts = [...from('n1-b', pod), ...from('x1', client)];
      expect(attempts.length).toBeGreaterThan(50);
      return attempts.filter(({ kind }) => kind !== 'answered');
    },
  };
}

const kinds = [
  ['nftables', ['--backend=nftables']],
  ['iptables-nft', ['--backend=iptables', '--iptables-variant=nft']],
  ['iptables-legacy', ['--backend=iptables', '--iptables-variant=legacy']],
] as const;

describe.each(kinds)('with %s', (name, args) => {
  test('killed, restarted, frozen, or without its API server, no connection is lost', async () => {
    await cluster.become([service(), slice(['n1-a'])]);
    const first = await start(args);
    await serves(first, 'n1-a');
    await wroteAll(first);
    const before = await kernel();
    const probers = await watching();

    await first.stop(0);
    await sleep(300);
    const second = await start(args);
    expect(await wroteAll(second)).toEqual([0, 0]);
    expect(await kernel()).toBe(before);

    second.signal('SIGSTOP');
    await apply(cluster.api, slice(['n1-a', 'n2-a']));
    await sleep(500);
    expect(await kernel()).toBe(before);
    second.signal('SIGCONT');
    await until('it has caught up', async () => (await who()) === 'n2-a');

    // Its connections to the API server are cut when it next says something, and no new one is let through.
    onTestFinished(async () => {
      await bed.run('n1', 'nft', ['delete', 'table', 'ip', 'away']);
    });
    const port = new URL(cluster.controlPlane.url).port;
    await bed.succeed('n1', 'nft', ['-f', '-'], {
      input: `table ip away {
        chain output {
          type filter hook output priority 0
          tcp dport ${port} reject with tcp reset
        }
      }\n`,
    });
    const touched = (object: Manifest): Manifest => ({
      ...object,
      metadata: { ...object.metadata, annotations: { touched: 'yes' } },
    });
    await apply(cluster.api, touched(service()));
    await apply(cluster.api, touched(slice(['n1-a', 'n2-a'])));
    await says(second, 'reading services failed');
    await says(second, 'reading endpointslices failed');
    await apply(cluster.api, slice(['n2-a']));
    await sleep(1_000);
    expect((await kernel()).includes(bed.pod('n1-a').address.IPv4)).toBe(true);
    await bed.succeed('n1', 'nft', ['delete', 'table', 'ip', 'away']);
    const gone = bed.pod('n1-a').address.IPv4;
    await until('it follows again', async () => !(await kernel()).includes(gone));
    expect(await probers.lost()).toEqual([]);
  });

  test('chains and jumps that another program takes away come back, and its own stay', async () => {
    await cluster.become([service(), slice(['n1-a'])]);
    const agent = await start(args);
    await serves(agent, 'n1-a');
    await wroteAll(agent);
    const right = await kernel();
    const tool = name === 'nftables' ? 'nft' : name;
    // A foreign chain before ours, and ours without its jump or its rules.
    const foreign =
      name === 'nftables'
        ? [
            'add table ip foreign { chain first { type nat hook prerouting priority -150; ip daddr 192.0.2.99 dnat to 192.0.2.98; }; }',
            'flush chain ip sluice services; delete chain ip sluice prerouting',
          ]
        : [
            '-t nat -N FOREIGN',
            '-t nat -A FOREIGN -d 192.0.2.99 -j RETURN',
            '-t nat -I PREROUTING -j FOREIGN',
            '-t nat -D PREROUTING -j SLUICE-SERVICES',
            '-t nat -F SLUICE-SERVICES',
          ];
    for (const command of foreign) {
      const words = name === 'nftables' ? [command] : ['-w', '5', ...command.split(' ')];
      await bed.succeed('n1', tool, words);
    }
    await serves(agent, 'n1-a');
    const outside = { address: bed.node('n1').address.IPv4, port: nodePort + 14 };
    await until('the node port answers', async () => (await who(outside, 'x1')) === 'n1-a');
    const foreignRules = async (): Promise<string> =>
      name === 'nftables'
        ? await bed.succeed('n1', 'nft', ['list', 'table', 'ip', 'foreign'])
        : await bed.succeed('n1', tool, ['-t', 'nat', '-S']);
    expect(await foreignRules()).toMatch(
      name === 'nftables'
        ? /dnat to 192\.0\.2\.98/u
        : /-A PREROUTING -j FOREIGN[^]*-A FOREIGN -d 192\.0\.2\.99/u,
    );
    await until('the agent is done', async () => {
      if (name === 'nftables') await bed.run('n1', 'nft', ['delete', 'table', 'ip', 'foreign']);
      else {
        await bed.run('n1', tool, ['-w', '5', '-t', 'nat', '-D', 'PREROUTING', '-j', 'FOREIGN']);
        await bed.run('n1', tool, ['-w', '5', '-t', 'nat', '-F', 'FOREIGN']);
        await bed.run('n1', tool, ['-w', '5', '-t', 'nat', '-X', 'FOREIGN']);
      }
      return plainRules(await kernel()) === plainRules(right);
    });
    // nftables and the nft variant of iptables tell whose change it was.
    if (name === 'iptables-legacy') return;
    await until('an event names the process', async () => {
      const answer = await cluster.api.request('GET', '/apis/events.k8s.io/v1/events');
      return /xtables-nft|iptables|nft/u.test(notesOf(answer).join('\n'));
    });
  });

  test('another takes its place under live connections: nothing is lost, nothing translated twice', async () => {
    const [other, otherArgs] =
      kinds[(kinds.findIndex(([one]) => one === name) + 1) % kinds.length] ?? kinds[0];
    await cluster.become([service(), slice(['n1-a'])]);
    const first = await start(args);
    await serves(first, 'n1-a');
    await wroteAll(first);
    const held = await bed.hold('x1', { address: bed.node('n1').address.IPv4, port: nodePort + 14 });
    expect((await held.check()).self).toBe('n1-a');
    const probers = await watching();
    await first.stop(0);
    const second = await start(otherArgs);
    await until(`${other} is alone`, async () => {
      const [nft, nftVariant, legacy] = await Promise.all([
        bed.succeed('n1', 'nft', ['list', 'tables']),
        bed.succeed('n1', 'iptables-nft-save', []),
        bed.succeed('n1', 'iptables-legacy-save', []),
      ]);
      const has = [nft.includes('table ip sluice'), nftVariant.includes('SLUICE'), legacy.includes('SLUICE')];
      return has.join() === kinds.map(([one]) => one === other).join();
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await second.tail(30)}`, { cause: error });
    });
    expect((await held.check()).kind).toBe('answered');
    await held.close();
    await apply(cluster.api, slice(['n2-a']));
    await serves(second, 'n2-a');
    expect(await probers.lost()).toEqual([]);
  });
});

describe('the lock of xtables and a refused rule', () => {
  test('a lock that somebody holds for longer than the tool waits delays a change, and leaves no half of it', async () => {
    await cluster.become([service(), slice(['n1-a'])]);
    const agent = await start(kinds[2][1]);
    await serves(agent, 'n1-a');
    await wroteAll(agent);
    const before = await bed.succeed('n1', 'iptables-legacy-save', ['-t', 'nat']);
    const probers = await watching();
    {
      // Thirty seconds in the field. The tool waits for five, so that from then on all is the same: refused, repeated.
      await using _ = await holdLock(bed.lockFile('n1'));
      await apply(cluster.api, slice(['n2-a']));
      await says(agent, 'lock');
      expect(rulesOf(await bed.succeed('n1', 'iptables-legacy-save', ['-t', 'nat']))).toBe(rulesOf(before));
      expect(await who()).toBe('n1-a');
    }
    await serves(agent, 'n2-a');
    expect(await probers.lost()).toEqual([]);
  });

  test('one port that the tool refuses is left out with an event, and the others are written', async () => {
    await cluster.become([service(), slice(['n1-a'])]);
    // A tool that does not like one endpoint: what an old or broken iptables does with a rule that it does not know.
    const folder = join(await bed.folder(), 'picky');
    await mkdir(folder, { recursive: true });
    const file = join(folder, 'iptables-nft-restore');
    await writeFile(file, pickyRestore);
    await chmod(file, 0o755);
    const through = ['env', `PATH=${folder}:${process.env['PATH'] ?? ''}`];
    const agent = await start(kinds[1][1], { through });
    await serves(agent, 'n1-a');
    const bad = service({ name: 'bad', host: 8 });
    await create(cluster.api, bad);
    onTestFinished(async () => {
      for (const object of [
        bad,
        slice(['n2-b'], 'bad'),
        service({ name: 'good', host: 9 }),
        slice(['n2-a'], 'good'),
      ])
        await remove(cluster.api, object);
    });
    await create(cluster.api, slice(['n2-b'], 'bad'));
    await create(cluster.api, service({ name: 'good', host: 9 }));
    await create(cluster.api, slice(['n2-a'], 'good'));
    await serves(agent, 'n2-a', at(9));
    expect(await who()).toBe('n1-a');
    await says(agent, 'the kernel refuses a port');
    await until('an event is there', async () => {
      const answer = await cluster.api.request('GET', '/apis/events.k8s.io/v1/namespaces/default/events');
      return notesOf(answer).some((note) => note.includes('is left out'));
    });
    // Once it can be written, it is: the endpoint is another one.
    await apply(cluster.api, slice(['n2-a'], 'bad'));
    await serves(agent, 'n2-a', at(8));
  });
});

describe('what comes late, and what goes', () => {
  test('nothing is written while slices are not listed yet; the rules of before stay', async () => {
    await cluster.become([service(), slice(['n1-a'])]);
    const first = await start();
    await serves(first, 'n1-a');
    await wroteAll(first);
    await first.stop(0);
    const before = await kernel();
    // A user who may read Services and nodes, but not slices yet.
    const access = await cluster.controlPlane.addUser({ user: 'late' });
    const may = (...resources: readonly (readonly [string, string])[]): readonly Manifest[] => [
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'late' },
        rules: resources.map(([group, resource]) => ({
          apiGroups: [group],
          resources: [resource],
          verbs: ['get', 'list', 'watch'],
        })),
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'late' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'late' },
        subjects: [{ kind: 'User', name: 'late', apiGroup: 'rbac.authorization.k8s.io' }],
      },
    ];
    for (const object of may(['', 'services'], ['', 'nodes'])) await apply(cluster.api, object);
    await apply(cluster.api, slice(['n2-a']));
    const late = await startAgent(bed, 'n1', { kubeconfig: access.path });
    running.push(late);
    await says(late, 'reading endpointslices failed');
    await sleep(1_000);
    expect(await kernel()).toBe(before);
    expect((await logOf(late)).filter(({ msg }) => msg.startsWith('wrote'))).toEqual([]);
    for (const object of may(['', 'services'], ['', 'nodes'], ['discovery.k8s.io', 'endpointslices']))
      await apply(cluster.api, object);
    await serves(late, 'n2-a');
  });

  test('a Service that is given to another proxy loses its rules, its tracked flows and its health port', async () => {
    const mine = service({
      spec: {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 30_599,
        loadBalancerClass: 'example.com/none',
      },
    });
    await cluster.become([mine, slice(['n1-a'])]);
    const agent = await start();
    await serves(agent, 'n1-a');
    const health = { address: bed.node('n1').address.IPv4, port: 30_599 };
    await until('the health port is open', async () => (await bed.dial('x1', health)).kind !== 'refused');
    const dns: Destination = { ...web, port: 53, protocol: 'UDP' };
    const flow = await bed.flow('n1-b', dns, { everyMs: 20, sourcePort: 41_777 });
    await until('the flow is answered', async () => (await flow.peek()).at(-1)?.self === 'n1-a');
    const tracked = async (): Promise<boolean> => {
      const list = await bed.run('n1', 'conntrack', ['-L', '-p', 'udp', '--orig-dst', web.address]);
      return list.stdout.includes(`src=${bed.pod('n1-a').address.IPv4}`);
    };
    expect(await tracked()).toBe(true);

    await apply(cluster.api, { ...mine, metadata: { ...mine.metadata, labels: { [proxyName]: 'another' } } });
    await until('the rules are gone', async () => (await who()) === undefined);
    await until('the flow is not answered', async () => (await flow.peek()).at(-1)?.self === '');
    await until('nothing of it is tracked', async () => !(await tracked()));
    await until('nobody listens', async () => (await bed.dial('x1', health)).kind === 'refused');
    await flow.close();
    await apply(cluster.api, mine);
    await serves(agent, 'n1-a');
  });
});

/** Only what rules say: handles may be others. */
/** Rules without what two equal kernels may differ in: handles, order, and the mark of the last write. */
function plainRules(text: string): string {
  return text
    .replaceAll(/(set last-write \{[^{}]*elements = )\{[^{}]*\}/gu, '$1{}')
    .split('\n')
    .map((line) => line.replace(/ # handle \d+$/u, '').trim())
    .filter((line) => line !== '')
    .toSorted()
    .join('\n');
}

function rulesOf(text: string): string {
  return text.replaceAll(/^#.*$|\[\d+:\d+\]/gmu, '').trim();
}

function notesOf(list: unknown): readonly string[] {
  return ((list as { items?: readonly { note?: string }[] }).items ?? []).map(({ note = '' }) => note);
}

const pickyRestore = `#!/bin/bash
text=$(cat)
number=$(grep -n -m1 -- '--to-destination 10.244.2.11:' <<<"$text" | cut -d: -f1)
if [ -n "$number" ]; then echo "iptables-restore: line $number failed" >&2; exit 1; fi
exec /usr/sbin/iptables-nft-restore "$@" <<<"$text"
`;
