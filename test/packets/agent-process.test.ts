/**
 * The agent as its own process on a node, fed by a real API server: it serves, follows, repairs, forgets, answers health
 * checks, survives its own end, and goes without a trace. Once for each backend and variant.
 */
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { apply, create, remove, type Manifest } from '../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { cleanUp, debugUrl, healthUrl, logOf, startAgent, type LogLine } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Destination } from '../../src/sandbox/bed/traffic.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';

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
  for (const agent of running.splice(0)) await agent.stop(5_000);
  await cluster.become([]);
  await cleanUp(bed, 'n1');
});

afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

const clusterIP = '10.96.3.7';
const nodePort = 30_377;
const healthPort = 30_378;
const web: Destination = { address: clusterIP, port: 80 };
const dns: Destination = { address: clusterIP, port: 53, protocol: 'UDP' };

function service(over: object = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'default',
      name: 'web',
      labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' },
    },
    spec: {
      type: 'NodePort',
      clusterIP,
      ports: [
        { name: 'web', port: 80, targetPort: 8080, nodePort },
        { name: 'dns', port: 53, targetPort: 8080, protocol: 'UDP' },
      ],
      ...over,
    },
  };
}

function slice(...pods: readonly string[]): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
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

async function start(args: readonly string[] = [], more: object = {}): Promise<ManagedProcess> {
  const agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args, ...more });
  running.push(agent);
  return agent;
}

/** Who answers within the second after which TCP would ask again; undefined where nobody does. */
async function who(to: Destination = web, from = 'n1-b'): Promise<string | undefined> {
  return (await bed.dial(from, to, { timeoutMs: 900 })).self;
}

async function serves(agent: ManagedProcess, self: string): Promise<void> {
  await until(`the Service is answered by ${self}`, async () => (await who()) === self).catch(
    async (error: unknown) => {
      throw new Error(`${String(error)}\n${await agent.tail(30)}`, { cause: error });
    },
  );
}

/** The first whole writes, one for each family. */
/** Looks at the live kernel, however they ended. */
async function looks(agent: ManagedProcess): Promise<readonly LogLine[]> {
  return (await logOf(agent)).filter(({ msg }) => /^the kernel is (?:not )?as it was written$/u.test(msg));
}

async function wroteAll(agent: ManagedProcess): Promise<readonly LogLine[]> {
  let lines: readonly LogLine[] = [];
  await until('both families are written', async () => {
    lines = (await logOf(agent)).filter(({ msg }) => msg === 'wrote everything');
    return lines.length >= 2;
  });
  return lines;
}

async function fetchIn(url: string): Promise<string> {
  return bed.succeed('n1', process.execPath, [
    '-e',
    'fetch(process.argv[1]).then(async (a) => console.log(a.status, await a.text()), (e) => console.log(String(e)))',
    url,
  ]);
}

const kinds = [
  ['nftables', ['--backend=nftables']],
  ['iptables-nft', ['--backend=iptables', '--iptables-variant=nft']],
  ['iptables-legacy', ['--backend=iptables', '--iptables-variant=legacy']],
] as const;

describe.each(kinds)('with %s', (name, args) => {
  test('it serves cluster IP and node port, and follows a slice', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const agent = await start(args);
    await serves(agent, 'n1-a');
    const { address } = bed.node('n1');
    expect(await who({ address: address.IPv4, port: nodePort }, 'x1')).toBe('n1-a');
    await apply(cluster.api, slice('n2-a'));
    const acknowledged = performance.now();
    await serves(agent, 'n2-a');
    // By the watch: lists are read anew after minutes only. How fast stands in the benchmark.
    expect(performance.now() - acknowledged).toBeLessThan(30_000);
    // Counted once it is done, and that is a moment after the first connection of it.
    const count = /kubeproxy_sync_partial_proxy_rules_duration_seconds_count\{ip_family="IPv4"\} [1-9]/u;
    await until('it is counted', async () => count.test(await fetchIn(`${debugUrl}/metrics`)));
    await until('it is healthy', async () =>
      /^200 .*"nodeEligible":true/u.test(await fetchIn(`${healthUrl}/healthz`)),
    );
  });

  test('as many rules are exported as the kernel lists', async () => {
    await cluster.become([service(), slice('n1-a', 'n2-a')]);
    const agent = await start(args);
    await wroteAll(agent);
    for (const table of ['nat', 'filter']) {
      await until(`the gauge of ${table} is right`, async () => {
        const gauge = new RegExp(
          `^kubeproxy_sync_proxy_rules_iptables_total\\{table="${table}",ip_family="IPv4"\\} (\\d+)$`,
          'mu',
        );
        const exported = gauge.exec(await fetchIn(`${debugUrl}/metrics`))?.[1];
        if (name === 'nftables') return exported === undefined;
        const saved = await bed.succeed('n1', `${name}-save`, ['-t', table]);
        const rules = saved.split('\n').filter((line) => /^-A SLUICE-|^-A .* -[jg] SLUICE-/u.test(line));
        return rules.length > 5 && exported === String(rules.length);
      });
    }
  });

  test('a flow of datagrams moves on when its pod goes, and through zero endpoints', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const agent = await start(args);
    await serves(agent, 'n1-a');
    const flow = await bed.flow('n1-b', dns, { everyMs: 20, sourcePort: 41_000 });
    const answeredBy = (self: string): Promise<void> =>
      until(`the flow is answered by "${self}"`, async () => (await flow.peek()).at(-1)?.self === self);
    await answeredBy('n1-a');
    await apply(cluster.api, slice('n2-a'));
    await answeredBy('n2-a');
    await apply(cluster.api, slice());
    await answeredBy('');
    await apply(cluster.api, slice('n1-a'));
    await answeredBy('n1-a');
    await flow.close();
  });

  test('it repairs what another program flushes, and tells who it was where the kernel tells', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const agent = await start(args);
    await serves(agent, 'n1-a');
    const flush = async (): Promise<void> => {
      if (name === 'nftables') await bed.succeed('n1', 'nft', ['flush', 'ruleset']);
      else await bed.succeed('n1', name, ['-t', 'nat', '-F']);
    };
    const told = async (): Promise<readonly LogLine[]> =>
      (await logOf(agent)).filter(({ msg }) => msg.startsWith('rules of ours were changed from outside'));
    // At once, when its monitor may not stand yet: a look finds it, if nothing else does.
    await flush();
    await serves(agent, 'n1-a');
    // And once it has looked twice, when nothing escapes it.
    await until('its monitor stands', async () => (await looks(agent)).length >= 2);
    const before = (await told()).length;
    await flush();
    await serves(agent, 'n1-a');
    await until('it tells', async () => (await told()).length > before);
    if (name === 'iptables-legacy') return;
    expect((await told())[before]?.['process']).toMatch(
      name === 'nftables' ? /^nft/u : /^(xtables|iptables)/u,
    );
  });

  test('rules outlive it, and the next one finds them right and writes nothing', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const first = await start(args);
    await serves(first, 'n1-a');
    await wroteAll(first);
    await first.stop(0);
    expect(await who()).toBe('n1-a');
    const second = await start(args);
    const written = await wroteAll(second);
    expect(written.map(({ operations }) => operations)).toEqual([0, 0]);
  });

  test('--cleanup takes everything of ours and nothing else', async () => {
    await cluster.become([service(), slice('n1-a')]);
    await bed.succeed('n1', 'nft', [
      'add table ip other { chain c { type filter hook forward priority 0; }; }',
    ]);
    onTestFinished(async () => {
      await bed.run('n1', 'nft', ['delete', 'table', 'ip', 'other']);
    });
    const agent = await start(args);
    await serves(agent, 'n1-a');
    await agent.stop(5_000);
    expect(await cleanUp(bed, 'n1')).toMatch(/^removed /u);
    expect(await who()).toBeUndefined();
    expect(await cleanUp(bed, 'n1')).toBe('nothing of sluice is in the kernel of this node\n');
    expect(await bed.succeed('n1', 'nft', ['list', 'tables'])).toContain('table ip other');
    const left = await bed.succeed('n1', 'sh', [
      '-c',
      'nft list ruleset; iptables-legacy-save; ip6tables-legacy-save; ipset list -n',
    ]);
    expect(left).not.toMatch(/sluice/iu);
  });
});

describe('the agent', () => {
  test('answers at the health-check node port with the count of the node, as kube-proxy does', async () => {
    const local = service({
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: healthPort,
      loadBalancerClass: 'example.com/none',
    });
    await cluster.become([local, slice('n1-a', 'n2-a')]);
    const agent = await start();
    await serves(agent, 'n1-a').catch(() => undefined);
    const url = `http://${bed.node('n1').address.IPv4}:${healthPort}/`;
    await until('it answers 200', async () => (await fetchIn(url)).startsWith('200'));
    expect(await fetchIn(url)).toBe(
      '200 {\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 1,\n\t"serviceProxyHealthy": true\n}\n',
    );
    await apply(cluster.api, slice('n2-a'));
    await until('it answers 503', async () => (await fetchIn(url)).startsWith('503'));
    await remove(cluster.api, local);
    await until('nobody listens', async () => (await fetchIn(url)).startsWith('TypeError'));
  });

  test('cuts an open connection to an endpoint that is gone where that is asked for, and none to one that is merely not ready', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const agent = await start(['--conntrack-forget=udp+tcp']);
    await serves(agent, 'n1-a');
    const held = await bed.hold('n1-b', web);
    expect((await held.check()).self).toBe('n1-a');
    const [endpoint] = slice('n1-a')['endpoints'] as readonly object[];
    const unready = { ...endpoint, conditions: { ready: false, serving: false } };
    const other = (slice('n2-a')['endpoints'] as readonly object[])[0];
    await apply(cluster.api, { ...slice(), endpoints: [unready, other] });
    await serves(agent, 'n2-a');
    expect((await held.check()).kind).toBe('answered');
    await apply(cluster.api, slice('n2-a'));
    await until('the connection is reset', async () => (await held.check()).kind === 'reset');
    await held.close();
    expect(await who()).toBe('n2-a');
  });

  test('leaves a Service without our label alone, serves it once it has it, and gives it up again', async () => {
    const labelled = service();
    const plain = { ...labelled, metadata: { ...labelled.metadata, labels: {} } };
    await cluster.become([plain, slice('n1-a')]);
    const agent = await start();
    await wroteAll(agent);
    expect(await who()).toBeUndefined();
    await cluster.become([labelled, slice('n1-a')]);
    await serves(agent, 'n1-a');
    const merge = { 'service.kubernetes.io/service-proxy-name': null };
    await cluster.api.request('PATCH', '/api/v1/namespaces/default/services/web', {
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: merge } },
    });
    await until('it gives it up', async () => (await who()) === undefined);
  });

  test('follows an address that the node is given, where node ports answer at ranges', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const agent = await start(['--nodeport-addresses=172.31.7.0/24']);
    await serves(agent, 'n1-a');
    const given: Destination = { address: '172.31.7.7', port: nodePort };
    expect(await who(given, 'n1')).toBeUndefined();
    onTestFinished(async () => {
      await bed.run('n1', 'ip', ['address', 'del', '172.31.7.7/32', 'dev', 'lo']);
    });
    await bed.succeed('n1', 'ip', ['address', 'add', '172.31.7.7/32', 'dev', 'lo']);
    await until('the node port answers there', async () => (await who(given, 'n1')) === 'n1-a');
  });

  test('writes nothing under the name of no node, says so, and leaves the rules of before', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const first = await start();
    await serves(first, 'n1-a');
    await first.stop(5_000);
    const lost = await start([], { nodeName: 'n9' });
    await until('it says so', async () =>
      (await logOf(lost)).some(({ msg }) => msg.includes('the Node object "n9"')),
    );
    expect(await who()).toBe('n1-a');
    expect(await fetchIn(`${healthUrl}/livez`)).toMatch(/^200/u);
    expect(await fetchIn(`${healthUrl}/healthz`)).toMatch(/^503/u);
    expect((await logOf(lost)).filter(({ msg }) => msg.startsWith('wrote'))).toEqual([]);
  });

  test('changing the backend under way leaves one translation', async () => {
    await cluster.become([service(), slice('n1-a')]);
    for (const [name, args] of [...kinds, kinds[0]]) {
      const agent = await start(args);
      await until(`${name} is alone`, async () => {
        const rules = await bed.succeed('n1', 'sh', [
          '-c',
          'nft list tables | grep -c "ip sluice$"; iptables-nft-save 2>/dev/null | grep -c "^:SLUICE-SERVICES"; iptables-legacy-save | grep -c "^:SLUICE-SERVICES"; true',
        ]);
        const counts = rules.trim().split('\n').map(Number);
        return counts.join() === kinds.map(([one]) => (one === name ? 1 : 0)).join();
      });
      expect(await who(), `${name}\n${await agent.tail(20)}`).toBe('n1-a');
      await agent.stop(5_000);
    }
  });

  test('needs no capability but NET_ADMIN with nftables', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const through = ['setpriv', '--bounding-set=-all,+net_admin', '--inh-caps=-all', '--no-new-privs'];
    const agent = await start(['--backend=nftables'], { through });
    await serves(agent, 'n1-a');
  });

  test.each(['nft', 'legacy'])('needs NET_RAW as well with iptables-%s, and says so', async (variant) => {
    await cluster.become([service(), slice('n1-a')]);
    const args = ['--backend=iptables', `--iptables-variant=${variant}`];
    const having = (set: string): readonly string[] => [
      'setpriv',
      `--bounding-set=-all,${set}`,
      '--inh-caps=-all',
      '--no-new-privs',
    ];
    const without = await start(args, { through: having('+net_admin') });
    await until('it says so', async () => (await without.tail(50)).includes('NET_ADMIN and NET_RAW'));
    await without.stop(5_000);
    await serves(await start(args, { through: having('+net_admin,+net_raw') }), 'n1-a');
  });

  test('without the right to write it says which capability is missing, and ends', async () => {
    await create(cluster.api, service()).catch(() => undefined);
    const through = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
    const agent = await start([], { through });
    expect((await agent.exited).code).toBe(1);
    expect(await agent.tail(5)).toMatch(/NET_ADMIN/u);
  });
});
