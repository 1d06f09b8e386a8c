/**
 * A node changes over from the real kube-proxy to the agent and back, as the overlay `instead-of-kube-proxy` tells
 * people to do it, while thousands of connections a second come in: none of them fails.
 */
import { describe, expect, test } from 'vitest';
import { findBinaries } from '../../src/sandbox/binaries.ts';
import { apply, type Manifest } from '../../src/sandbox/objects.ts';
import { AgentGround, at, nodePortOf, service, told, wroteAll } from './agent-ground.ts';
import { cleanUp } from './agent-process.ts';
import type { Load } from '../../src/sandbox/bed/ongoing.ts';
import { clusterRange } from '../../src/sandbox/bed/topology.ts';
import { until } from './check.ts';
import { startKubeProxy } from './kube-proxy.ts';

const ground = new AgentGround();

/** Its servers greet and hang up, for loads. */
const fastPort = 9100;
const host = 11;

function fast(pods: readonly string[]): Manifest {
  return { ...ground.slice(pods, 'load'), ports: [{ name: 'web', port: fastPort, protocol: 'TCP' }] };
}

const load = service({
  name: 'load',
  host,
  labels: {},
  spec: { ports: [{ name: 'web', port: 80, targetPort: fastPort, nodePort: nodePortOf(host) }] },
});

describe.each([
  ['nftables', ['--backend=nftables']],
  ['iptables', ['--backend=iptables', '--iptables-variant=nft']],
  ['iptables', ['--backend=nftables']],
] as const)('kube-proxy in %s mode and the agent with %s', (mode, backend) => {
  test('take turns on a live node, and no connection fails', async () => {
    const { bed, cluster } = ground;
    const { 'kube-proxy': program } = await findBinaries(['kube-proxy']);
    const outside = { address: bed.node('n1').address.IPv4, port: nodePortOf(host) };
    const servers = await Promise.all(
      ['n1-a', 'n2-a'].map((pod) => bed.serveApart(pod, { port: fastPort, fast: true })),
    );
    await cluster.become([load, fast(['n1-a', 'n2-a']), service({ labels: {} }), ground.slice(['n1-a'])]);
    const proxyOptions = { mode, kubeconfig: cluster.kubeconfig };
    let proxy = await startKubeProxy(bed, 'n1', proxyOptions);
    const loads: Load[] = [];
    try {
      await told(
        proxy,
        until('kube-proxy serves', async () => (await ground.who()) === 'n1-a'),
      );
      await until('it serves the load', async () => {
        const { kind } = await bed.dial('x1', outside, { timeoutMs: 300 });
        return kind === 'answered';
      });
      // Slow enough to leave the processor to those who change over.
      loads.push(
        await bed.load('x1', outside, { threads: 1, perSecond: 800 }),
        await bed.load('n1-b', at(host), { threads: 1, perSecond: 800 }),
      );
      await proxy.stop(5_000);
      const agent = await ground.start([
        ...backend,
        '--scope=all',
        `--api-server=${cluster.controlPlane.url}`,
        `--cluster-cidr=${Object.values(clusterRange).join()}`,
        '--mark-bit=13',
      ]);
      await told(
        agent,
        wroteAll(agent).then(() => undefined),
      );
      await bed.succeed('n1', program, ['--cleanup']);
      expect(await bed.succeed('n1', 'iptables-nft-save', [])).not.toContain('KUBE-SVC');
      await apply(cluster.api, ground.slice(['n2-a']));
      await ground.serves(agent, 'n2-a');

      await agent.stop(5_000);
      proxy = await startKubeProxy(bed, 'n1', proxyOptions);
      await told(
        proxy,
        until('kube-proxy is ready', async () => {
          const { stdout } = await bed.run('n1', 'nft', ['list', 'ruleset']);
          return stdout.includes('KUBE-SVC') || stdout.includes('table ip kube-proxy');
        }),
      );
      await until('and says so', async () => {
        const health = await bed.run('n1', process.execPath, ['-e', ask]);
        return health.stdout === '200';
      });
      await cleanUp(bed, 'n1');
      await apply(cluster.api, ground.slice(['n1-a']));
      await told(
        proxy,
        until('kube-proxy follows', async () => (await ground.who()) === 'n1-a'),
      );
      const results = await Promise.all(loads.splice(0).map((one) => one.close()));
      for (const { connections, lost } of results) {
        expect(connections).toBeGreaterThan(1_000);
        expect(lost).toEqual({});
      }
    } finally {
      for (const one of loads) await one.close();
      await proxy.stop(5_000);
      await bed.run('n1', program, ['--cleanup']);
      for (const server of servers) await server.close();
    }
  });
});

const ask = `fetch('http://127.0.0.1:10256/healthz').then(({ status }) => process.stdout.write(String(status)), () => {})`;
