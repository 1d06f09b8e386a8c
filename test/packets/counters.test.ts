/**
 * What is counted is what was connected: the agent as its own process, for each backend, with real connections. Counts
 * are read as people read them, by `sluice top` and from `/metrics`.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import type { Manifest } from '../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { freeze } from '../cluster/freeze.ts';
import { cleanUp, debugUrl, logOf, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Destination } from '../../src/sandbox/bed/traffic.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';

let bed: Bed;
let cluster: PacketCluster;

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
  for (const pod of ['n1-a', 'n2-a']) {
    await bed.serve(pod, { port: 8080 });
    if (pod === 'n1-a') await bed.serve(pod, { port: 8080, address: '::' });
    await bed.serve(pod, { port: 8080, protocol: 'UDP' });
  }
  await bed.route('x1', 'n1');
});

afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

const main = fileURLToPath(new URL('src/main.ts', packageRoot));
const balancerIP = '203.0.113.77';

function service(name: string, index: number, spec: object = {}, ingress?: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'default',
      name,
      labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' },
    },
    spec: {
      type: 'NodePort',
      clusterIP: `10.96.8.${index}`,
      ports: [
        { name: 'web', port: 80, targetPort: 8080, nodePort: 30_800 + index },
        { name: 'dns', port: 53, targetPort: 8080, protocol: 'UDP', nodePort: 30_900 + index },
      ],
      ...spec,
    },
    ...(ingress === undefined ? {} : { status: { loadBalancer: { ingress: [{ ip: ingress }] } } }),
  };
}

function slice(name: string, ...pods: readonly string[]): Manifest {
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

interface Row {
  readonly connections: number;
  readonly dropped: Readonly<Record<'NoEndpoints' | 'NoLocalEndpoints' | 'OutsideSourceRanges', number>>;
  readonly bytes: { readonly in: number; readonly out: number } | null;
}

/** A Service over IPv6 alone. */
const six = 'fd00:10:96::807';
function overIPv6(): readonly Manifest[] {
  const ipv6 = { clusterIP: six, ipFamilies: ['IPv6'], ipFamilyPolicy: 'SingleStack' };
  const endpoints = [
    { addresses: [bed.pod('n1-a').address.IPv6], nodeName: 'n1', conditions: { ready: true } },
  ];
  return [service('six', 5, ipv6), { ...slice('six'), addressType: 'IPv6', endpoints }];
}

/** The rows, by `service port`; a Service of these tests has one family. The agent gives its last answer again for half a second. */
async function top(): Promise<ReadonlyMap<string, Row>> {
  await new Promise((resolve) => setTimeout(resolve, 600));
  const text = await bed.succeed('n1', process.execPath, [main, 'top', '-o', 'json']);
  const { services } = JSON.parse(text) as {
    services: readonly (Row & { service: string; port: { name: string } })[];
  };
  return new Map(services.map((row) => [`${row.service.replace('default/', '')} ${row.port.name}`, row]));
}

/**
 * So many connections, one after the other: what became of them. An answer is waited for as long as the client's kernel
 * does not ask again.
 */
async function dial(
  from: string,
  to: Destination,
  times: number,
  timeoutMs = 900,
): Promise<readonly string[]> {
  const kinds: string[] = [];
  for (let time = 0; time < times; time += 1)
    kinds.push((await bed.dial(from, to, { timeoutMs, size: 100 })).kind);
  return [...new Set(kinds)];
}

/** Silence is believed after so many milliseconds. */
const silenceMs = 200;

const kinds = [
  ['nftables', ['--backend=nftables']],
  ['iptables-nft', ['--backend=iptables', '--iptables-variant=nft']],
  ['iptables-legacy', ['--backend=iptables', '--iptables-variant=legacy']],
] as const;

describe.each(kinds)('with %s', (_name, backend) => {
  let agent: ManagedProcess | undefined;
  /** `adopts`: an earlier run has left the table that counts. */
  const start = async (counters: 'off' | 'connections' | 'bytes', adopts = false): Promise<void> => {
    const { kubeconfig } = cluster;
    agent = await startAgent(bed, 'n1', { kubeconfig, args: [...backend, `--counters=${counters}`] });
    const started = agent;
    await until('the agent is ready', async () => {
      const done = await bed.run('n1', 'curl', ['-sf', `${debugUrl}/readyz`]);
      return done.code === 0;
    });
    if (adopts || counters === 'off') return;
    // What is new is counted a moment after it is served.
    await until('it counts in both families', async () => {
      const wrote = (await logOf(started)).filter(({ msg }) => msg === 'wrote counters');
      return new Set(wrote.map((line) => line['family'])).size === 2;
    });
  };

  test('the counts are those of the connections made, by reason, through churn, restart and deletion', async () => {
    const { address } = bed.node('n1');
    const guard = { type: 'LoadBalancer', loadBalancerClass: 'example.com/none' };
    const world = [
      service('web', 1),
      slice('web', 'n1-a', 'n2-a'),
      service('empty', 2),
      service('local', 3, { externalTrafficPolicy: 'Local' }),
      slice('local', 'n2-a'),
      service('guarded', 4, { ...guard, loadBalancerSourceRanges: ['10.0.0.0/8'] }, balancerIP),
      slice('guarded', 'n1-a'),
      ...overIPv6(),
    ];
    await cluster.become(world);
    await start('bytes');
    try {
      const web: Destination = { address: '10.96.8.1', port: 80 };
      // A pod, a process of the node, a client outside at the node port; TCP and UDP are rows of their own.
      expect(await dial('n1-b', web, 20)).toEqual(['answered']);
      expect(await dial('n1', web, 5)).toEqual(['answered']);
      expect(await dial('x1', { address: address.IPv4, port: 30_801 }, 7)).toEqual(['answered']);
      const dns: Destination = { address: '10.96.8.1', port: 53, protocol: 'UDP' };
      expect(await dial('n1-b', dns, 3)).toEqual(['answered']);
      expect(await dial('n1-b', { address: six, port: 80 }, 6)).toEqual(['answered']);
      const { IPv6 } = address;
      expect(await dial('x1', { address: IPv6, port: 30_805 }, 2)).toEqual(['answered']);
      // No endpoint anywhere: refused.
      expect(await dial('n1-b', { address: '10.96.8.2', port: 80 }, 4)).toEqual(['refused']);
      expect(await dial('x1', { address: address.IPv4, port: 30_802 }, 2)).toEqual(['refused']);
      // None on this node: silence for who is outside, and the way around for the node itself.
      expect(await dial('x1', { address: address.IPv4, port: 30_803 }, 6, silenceMs)).toEqual(['silence']);
      expect(await dial('n1', { address: address.IPv4, port: 30_803 }, 2)).toEqual(['answered']);
      // Outside the ranges; the same Service answers at its cluster IP.
      expect(await dial('x1', { address: balancerIP, port: 80 }, 3, silenceMs)).toEqual(['silence']);
      expect(await dial('n1-b', { address: balancerIP, port: 80 }, 2)).toEqual(['answered']);
      expect(await dial('n1-b', { address: '10.96.8.4', port: 80 }, 1)).toEqual(['answered']);
      const none = { NoEndpoints: 0, NoLocalEndpoints: 0, OutsideSourceRanges: 0 };
      let rows = await top();
      expect(rows.get('web web')).toMatchObject({ connections: 32, dropped: none });
      expect(rows.get('web dns')).toMatchObject({ connections: 3, dropped: none });
      expect(rows.get('six web')).toMatchObject({ connections: 8, dropped: none });
      expect(rows.get('empty web')).toMatchObject({ connections: 0, dropped: { ...none, NoEndpoints: 6 } });
      expect(rows.get('local web')).toMatchObject({
        connections: 2,
        dropped: { ...none, NoLocalEndpoints: 6 },
      });
      expect(rows.get('guarded web')).toMatchObject({
        connections: 3,
        dropped: { ...none, OutsideSourceRanges: 3 },
      });
      expect(rows.get('guarded dns')).toMatchObject({ connections: 0, dropped: none });
      // A datagram of 100 bytes there and its answer back, with their headers of 28 bytes.
      expect(rows.get('web dns')?.bytes?.in).toBe(3 * 128);
      expect(rows.get('web dns')?.bytes?.out).toBeGreaterThan(3 * 28);

      // Endpoints come and go, down to none and back: nothing is lost and nothing is doubled.
      const load = await bed.load('n1-b', web, { threads: 1, perSecond: 200 });
      for (const pods of [['n1-a'], ['n2-a'], ['n1-a', 'n2-a'], ['n1-a'], ['n1-a', 'n2-a']]) {
        await cluster.become([...world.filter((one) => one !== world[1]), slice('web', ...pods)]);
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      const { connections, lost } = await load.close();
      expect(lost).toEqual({});
      await cluster.become([...world.filter((one) => one !== world[1]), slice('web')]);
      let tries = 0;
      const once = async (): Promise<string | undefined> => {
        tries += 1;
        return (await dial('n1-b', web, 1))[0];
      };
      await until('nobody serves', async () => (await once()) === 'refused');
      let refused = 0;
      await until('refusals are counted as such', async () => {
        expect(await once()).toBe('refused');
        refused = (await top()).get('web web')?.dropped.NoEndpoints ?? 0;
        return refused >= 3;
      });
      await cluster.become(world);
      await until('it is served again', async () => (await once()) === 'answered');
      rows = await top();
      const served = rows.get('web web')?.connections ?? 0;
      const dropped = rows.get('web web')?.dropped.NoEndpoints ?? 0;
      // Which of both a try next to a change counts as is open for a moment; each counts once.
      expect(served + dropped).toBe(32 + connections + tries);
      expect(served - 32 - connections).toBeGreaterThanOrEqual(1);
      expect(dropped).toBeGreaterThanOrEqual(refused);

      // In the metrics, and unchanged by a restart; the kernel is as it should be.
      const metrics = await bed.succeed('n1', 'curl', ['-s', `${debugUrl}/metrics`]);
      expect(metrics).toContain(
        `sluice_service_connections_total{service="default/web",port="web/TCP",ip_family="IPv4"} ${served}`,
      );
      expect(metrics).toContain(
        'sluice_service_dropped_connections_total{service="default/local",port="web/TCP",ip_family="IPv4",reason="NoLocalEndpoints"} 6',
      );
      await agent?.stop(5_000);
      expect(await dial('n1-b', web, 3)).toEqual(['answered']);
      await start('bytes', true);
      expect((await top()).get('web web')?.connections).toBe(served + 3);
      const verify = ['verify', '--node-name=n1', `--kubeconfig=${cluster.kubeconfig}`, '--settle=300ms'];
      expect((await bed.run('n1', process.execPath, [main, ...verify])).code).toBe(0);
      // Or it would mend that while the other one still looks.
      if (agent !== undefined) await freeze(agent);
      await bed.succeed('n1', 'nft', ['add', 'rule', 'ip', 'sluice-counters', 'count', 'counter']);
      const found = await bed.run('n1', process.execPath, [main, ...verify]);
      agent?.signal('SIGCONT');
      expect(found.code).toBe(2);
      expect(found.stdout).toContain('counters: chain count');

      // A Service that is deleted leaves no row.
      await cluster.become(world.slice(2));
      await until('its row is gone', async () => !(await top()).has('web web'));
      expect((await top()).has('local web')).toBe(true);

      // Not asked for any more: not there any more.
      await agent?.stop(5_000);
      await start('off');
      await until('nothing counts any more', async () => {
        const tables = await bed.succeed('n1', 'nft', ['list', 'tables']);
        return !tables.includes('sluice-counters');
      });
      const off = await bed.run('n1', process.execPath, [main, 'top']);
      expect([off.code, off.stderr]).toEqual([1, expect.stringContaining('--counters=connections')]);
    } catch (error) {
      throw new Error(`${String(error)}\n${await agent?.tail(20)}`, { cause: error });
    } finally {
      agent?.signal('SIGCONT');
      await agent?.stop(5_000);
      await cluster.become([]);
      await cleanUp(bed, 'n1');
    }
  });

  test('the table goes with all the rest by --cleanup', async () => {
    await cluster.become([service('web', 1), slice('web', 'n1-a')]);
    try {
      await start('connections');
      expect(await bed.succeed('n1', 'nft', ['list', 'tables'])).toContain('ip6 sluice-counters');
      await agent?.stop(5_000);
      expect(await cleanUp(bed, 'n1')).toContain('removed nftables table ip sluice-counters');
      expect(await bed.succeed('n1', 'nft', ['list', 'tables'])).not.toContain('sluice');
    } finally {
      await agent?.stop(5_000);
      await cluster.become([]);
      await cleanUp(bed, 'n1');
    }
  });
});
