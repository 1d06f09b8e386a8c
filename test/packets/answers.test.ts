/**
 * The commands that answer on a node, against a real API server, real rules and real packets: `verify` sees what is
 * amiss and changes nothing, `explain --trace` finds in the kernel what it decided.
 */
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PacketDocument } from '../../src/commands/packet-report.ts';
import type { Verification } from '../../src/agent/answers/verification.ts';
import type { Manifest } from '../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { cleanUp, logOf, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Finished } from '../../src/sandbox/bed/run.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';

const main = fileURLToPath(new URL('src/main.ts', packageRoot));
let bed: Bed;
let cluster: PacketCluster;
const running: ManagedProcess[] = [];

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
  for (const pod of ['n1-a', 'n2-a']) await bed.serve(pod, { port: 8080 });
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
const clusterIP6 = 'fd00:10:96::37';

function service(over: object = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'default',
      name: 'web',
      labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' },
    },
    spec: { type: 'NodePort', clusterIP, ports: [{ name: 'http', port: 80, nodePort: 30_377 }], ...over },
  };
}

function slice(...pods: readonly string[]): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: pods.map((pod) => ({
      addresses: [bed.pod(pod).address.IPv4],
      nodeName: bed.pod(pod).node,
      conditions: { ready: true },
    })),
  };
}

function slice6(pod: string): Manifest {
  const { address, node } = bed.pod(pod);
  return {
    ...slice(),
    metadata: { namespace: 'default', name: 'web-6', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv6',
    endpoints: [{ addresses: [address.IPv6], nodeName: node, conditions: { ready: true } }],
  };
}

/** Starts an agent on n1, has it write, and returns it. */
async function written(args: readonly string[]): Promise<ManagedProcess> {
  const agent = await startAgent(bed, 'n1', { kubeconfig: cluster.kubeconfig, args });
  running.push(agent);
  await until('both families are written', async () => {
    const lines = (await logOf(agent)).filter(({ msg }) => msg === 'wrote everything');
    return lines.length >= 2;
  });
  return agent;
}

function sluice(...args: readonly string[]): Promise<Finished> {
  return bed.run('n1', process.execPath, [main, ...args]);
}

const kinds = [
  ['nftables', ['--backend=nftables'], [['nft', 'list', 'ruleset']]],
  [
    'iptables-nft',
    ['--backend=iptables', '--iptables-variant=nft'],
    [['iptables-nft-save'], ['ip6tables-nft-save'], ['ipset', 'save']],
  ],
  [
    'iptables-legacy',
    ['--backend=iptables', '--iptables-variant=legacy'],
    [['iptables-legacy-save'], ['ip6tables-legacy-save'], ['ipset', 'save']],
  ],
] as const;

/** One change from outside for each backend: the endpoint of the Service is taken away. */
const harm: Readonly<Record<(typeof kinds)[number][0], readonly string[]>> = {
  nftables: ['nft', 'delete', 'element', 'ip', 'sluice', 'service-ips', `{ ${clusterIP} . tcp . 80 }`],
  'iptables-nft': ['ipset', 'del', 'SLUICE-4-DST', `${clusterIP},tcp:80`],
  'iptables-legacy': ['ipset', 'del', 'SLUICE-4-DST', `${clusterIP},tcp:80`],
};

describe.each(kinds)('verify with %s', (name, args, listings) => {
  const verify = async (...more: readonly string[]): Promise<Finished> =>
    await sluice('verify', '--node-name=n1', `--kubeconfig=${cluster.kubeconfig}`, '--settle=100ms', ...more);
  const kernel = async (): Promise<string> => {
    const texts = await Promise.all(listings.map(([program, ...rest]) => bed.succeed('n1', program, rest)));
    // Counters and time stamps of the listing itself.
    return texts.join('\n').replaceAll(/^#.*$|\[\d+:\d+\]/gmu, '');
  };

  test('is in step beside a running agent, finds what is missing, and changes nothing', async () => {
    await cluster.become([service(), slice('n1-a', 'n2-a')]);
    const agent = await written(args);
    const well = await verify();
    expect([well.code, well.stderr]).toEqual([0, '']);
    expect(well.stdout).toMatch(
      /^in step  (nftables|iptables) on node n1, 1 IPv4 and 0 IPv6 Service ports\n/u,
    );
    await agent.stop(5_000);
    const [program, ...rest] = harm[name];
    await bed.succeed('n1', program ?? '', rest);
    const before = await kernel();
    const harmed = await verify('--output=json');
    const report = JSON.parse(harmed.stdout) as Verification;
    expect([harmed.code, report.inStep]).toEqual([2, false]);
    expect(report.differences).toEqual([
      expect.objectContaining({ kind: 'missing', service: 'default/web', family: 'IPv4' }),
    ]);
    expect(await kernel()).toBe(before);
  });
});

test('verify tells a node without rules, a Node that is not there, and a cluster that does not answer', async () => {
  await cluster.become([service(), slice('n1-a')]);
  const bare = await sluice('verify', '--node-name=n1', `--kubeconfig=${cluster.kubeconfig}`, '--settle=0s');
  expect([bare.code, bare.stdout]).toEqual([
    2,
    expect.stringContaining('nothing of sluice is in the kernel'),
  ]);
  const nobody = await sluice('verify', '--node-name=n9', `--kubeconfig=${cluster.kubeconfig}`);
  expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('there is no Node n9')]);
  const nowhere = await sluice('verify', '--node-name=n1', '--kubeconfig=/nowhere');
  expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining('/nowhere')]);
});

/** The backends whose rules the kernel tells of, and the chain by which each begins. */
const traced = [
  ['nftables', kinds[0][1], 'services'],
  ['iptables-nft', kinds[1][1], 'SLUICE-SERVICES'],
] as const;

describe.each(traced)('explain --trace with %s', (name, backend, begins) => {
  const explain = async (
    ...args: readonly string[]
  ): Promise<PacketDocument & { readonly code: number | undefined }> => {
    const common = [
      '--node=n1',
      `--kubeconfig=${cluster.kubeconfig}`,
      ...backend,
      '--trace',
      '--output=json',
    ];
    const { code, stdout, stderr } = await sluice('explain', ...args, ...common);
    if (stdout === '') throw new Error(stderr);
    return { ...(JSON.parse(stdout) as PacketDocument), code };
  };

  // Other beds on this machine have the same addresses.
  const from = (place: string): string => `--netns=${bed.namespace(place)}`;

  test('a process of the node is delivered to one of the candidates, and nothing is left behind', async () => {
    await cluster.become([service(), slice('n1-a', 'n2-a')]);
    await written(backend);
    const answer = await explain('--from=node', '--to=svc/web:80');
    expect(answer.trace).toMatchObject({ confirmed: true });
    expect(answer.code).toBe(0);
    expect(answer.endpoints.map(({ address }) => address)).toContain(answer.trace?.delivered?.address);
    expect(answer.trace?.steps.map(({ chain }) => chain)).toContain(begins);
    expect(await bed.succeed('n1', 'nft', ['list', 'tables'])).not.toContain('sluice-trace');
  });

  test('a pod is sent as from its own namespace, and keeps its source where it was decided so', async () => {
    await cluster.become([service(), slice('n2-a')]);
    await written([...backend, '--cluster-cidr=10.244.0.0/16']);
    const source = bed.pod('n1-b').address.IPv4;
    const answer = await explain(
      `--from=${source}`,
      '--to=svc/web',
      '--cluster-cidr=10.244.0.0/16',
      from('n1-b'),
    );
    expect(answer.endpoints.map(({ masquerade }) => masquerade)).toEqual([false]);
    expect(answer.trace).toMatchObject({
      confirmed: true,
      delivered: { source },
    });
  });

  test('a client from outside at a node port is masqueraded', async () => {
    await cluster.become([service(), slice('n2-a')]);
    await written(backend);
    const source = bed.client('x1').address.IPv4;
    const answer = await explain(`--from=${source}`, '--to=node:30377', from('x1'));
    expect(answer.trace).toMatchObject({
      confirmed: true,
      delivered: { address: bed.pod('n2-a').address.IPv4 },
    });
    expect(answer.trace?.delivered?.source).not.toBe(source);
    expect(Object.values(answer.sources)).toEqual([answer.trace?.delivered?.source]);
  });

  test.each([
    ['reject', {}, [], 'node'],
    ['drop', { internalTrafficPolicy: 'Local' }, ['n2-a'], 'node'],
  ] as const)('%s is seen', async (outcome, spec, pods, who) => {
    await cluster.become([service(spec), slice(...pods)]);
    await written(backend);
    expect(await explain(`--from=${who}`, '--to=svc/web:80')).toMatchObject({
      outcome,
      code: 0,
      trace: { confirmed: true },
    });
  });

  test('rules that do something else are found out', async () => {
    await cluster.become([service(), slice('n1-a')]);
    const agent = await written(backend);
    await agent.stop(5_000);
    const [program, ...rest] =
      name === 'nftables' ? ['nft', 'flush', 'map', 'ip', 'sluice', 'service-ips'] : harm[name];
    await bed.succeed('n1', program ?? '', rest);
    expect(await explain('--from=node', '--to=svc/web:80')).toMatchObject({
      code: 1,
      outcome: 'deliver',
      trace: { confirmed: false },
    });
  });

  test('a rule of somebody else that drops is named', async () => {
    await cluster.become([service(), slice('n2-a')]);
    await written(backend);
    const rule = ['OUTPUT', '-p', 'tcp', '-m', 'tcp', '--dport', '8080', '-j', 'DROP'];
    await bed.succeed('n1', 'iptables-nft', ['-A', ...rule]);
    try {
      expect(await explain('--from=node', '--to=svc/web:80')).toMatchObject({
        code: 1,
        outcome: 'deliver',
        trace: {
          confirmed: false,
          delivered: null,
          summary: 'it was dropped by ip filter OUTPUT, which is not of sluice',
          steps: expect.arrayContaining([
            expect.objectContaining({ text: `-A ${rule.join(' ')}`, verdict: 'drop' }),
          ]),
        },
      });
    } finally {
      await bed.succeed('n1', 'iptables-nft', ['-D', ...rule]);
    }
  });

  test('a process is followed over IPv6', async () => {
    const families = {
      clusterIPs: [clusterIP, clusterIP6],
      ipFamilyPolicy: 'RequireDualStack',
      ipFamilies: ['IPv4', 'IPv6'],
    };
    await cluster.become([service(families), slice('n1-a'), slice6('n2-a')]);
    await written(backend);
    const answer = await explain('--from=node', `--to=[${clusterIP6}]:80`);
    expect(answer.trace).toMatchObject({
      confirmed: true,
      delivered: { address: bed.pod('n2-a').address.IPv6, port: 8080 },
    });
    const dnat =
      name === 'nftables' ? /^dnat|dnat (ip6 )?to/u : /^-A SLUICE-\S+ .*-j DNAT --to-destination \[/u;
    expect(answer.trace?.steps.map(({ text }) => text)).toContainEqual(expect.stringMatching(dnat));
  });
});

describe('explain --trace where something is amiss', () => {
  const refused = async (args: readonly string[], path?: string): Promise<string> => {
    const line = [main, 'explain', '--from=node', '--to=svc/web', '--trace', ...args];
    const { code, stdout, stderr } = await bed.run('n1', 'env', [
      ...(path === undefined ? [] : [`PATH=${path}`]),
      process.execPath,
      ...line,
      `--kubeconfig=${cluster.kubeconfig}`,
    ]);
    expect([code === 0, stdout]).toEqual([false, '']);
    return stderr;
  };

  beforeEach(async () => {
    await cluster.become([service(), slice('n1-a')]);
  });

  test('on another machine says where to run', async () => {
    expect(await refused(['--node=n2'])).toContain('this machine is not n2');
  });

  test('with iptables-legacy says what shows it, also where the node has chosen that', async () => {
    expect(await refused(['--node=n1', '--backend=iptables', '--iptables-variant=legacy'])).toMatch(
      /--trace reads what nf_tables says.*TRACE.*dmesg/u,
    );
    await written(kinds[2][1]);
    for (const args of [[], ['--backend=iptables']])
      expect(await refused(['--node=n1', ...args])).toMatch(
        /rules of this node are of iptables-legacy.*dmesg/u,
      );
  });

  test('without flags it finds the backend of the node, and with those of another says so', async () => {
    await written(kinds[1][1]);
    const line = [
      'explain',
      '--from=node',
      '--to=svc/web',
      '--node=n1',
      '--trace',
      `--kubeconfig=${cluster.kubeconfig}`,
    ];
    const found = await sluice(...line);
    expect([found.code, found.stdout]).toEqual([0, expect.stringContaining('Served by (iptables)')]);
    expect(found.stdout).not.toContain('note:');
    const wrong = await sluice(...line, '--backend=nftables');
    expect([wrong.code, wrong.stdout]).toEqual([
      0,
      expect.stringContaining('note: the rules of this node are of the backend iptables'),
    ]);
  });

  test('without the program nft says so', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-path-'));
    try {
      const found = (await bed.succeed('n1', 'sh', ['-c', 'command -v ip'])).trim();
      await symlink(found, join(folder, 'ip'));
      expect(await refused(['--node=n1', '--backend=iptables', '--iptables-variant=nft'], folder)).toMatch(
        /needs the program nft.*install nftables.*xtables-monitor --trace/u,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
