/** What `sluice agent --dry-run` shows of a world in files: the rules of each backend, and the counters where they are asked for. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { counterTable } from '../agent/counters/layout.ts';
import { readCounterRules } from '../agent/counters/tracer.ts';
import { runProgram } from './cli.ts';
import { sluice } from './program.ts';

const world = `
apiVersion: v1
kind: Node
metadata: { name: n1 }
status: { addresses: [{ type: InternalIP, address: 10.0.0.1 }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default, labels: { service.kubernetes.io/service-proxy-name: sluice } }
spec:
  type: NodePort
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  ipFamilies: [IPv4]
  ports: [{ port: 80, targetPort: 8080, nodePort: 30080, protocol: TCP }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: default, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: '', port: 8080, protocol: TCP }]
endpoints: [{ addresses: [10.244.1.2], nodeName: n1, conditions: { ready: true } }]
`;

let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-dry-'));
  file = join(folder, 'world.yaml');
  writeFileSync(file, world);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function dryRun(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const shell = {
    out: (text: string) => void (said.out += text),
    err: (text: string) => void (said.err += text),
    env: {},
    columns: 80,
    interactive: false,
    colour: false,
  };
  const argv = ['agent', '--dry-run', '-f', file, '--ip-families', 'ipv4', ...args];
  return { code: await runProgram(sluice, argv, shell), ...said };
}

test.each([
  [
    'nftables',
    /add element ip sluice endpoints-cluster \{ 10\.96\.0\.10 \. 6 \. 80 \. none : 10\.244\.1\.2 \. 8080 \}/u,
  ],
  ['iptables', /-j DNAT --to-destination 10\.244\.1\.2:8080/u],
] as const)('%s: the rules, and no counters that nobody asked for', async (backend, rule) => {
  const { code, out, err } = await dryRun('--backend', backend);
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(rule);
  expect(out).not.toContain(counterTable);
});

test.each(['nftables', 'iptables'] as const)(
  '%s: the counters as they would be written, behind the rules',
  async (backend) => {
    for (const mode of ['connections', 'bytes'] as const) {
      const { code, out, err } = await dryRun('--backend', backend, '--counters', mode);
      expect([code, err]).toEqual([0, '']);
      const [rules = '', counters = ''] = out.split(`# counters, IPv4: ${mode}\n`);
      expect(rules).not.toContain(counterTable);
      expect(counters).toContain('# nft -f -');
      const text = counters.replaceAll(/^#.*$/gmu, '');
      expect([...readCounterRules(text).sets.keys()].some((name) => name.includes('bytes'))).toBe(
        mode === 'bytes',
      );
      expect(text).toContain('10.96.0.10 . 6 . 80');
      expect(text).toContain('6 . 30080');
    }
  },
);

test('it complains as an agent would: of Services that it leaves alone, of what they say wrongly, of its own flags', async () => {
  const more = join(folder, 'more.yaml');
  writeFileSync(
    more,
    `
apiVersion: v1
kind: Service
metadata: { name: plain, namespace: default }
spec: { clusterIP: 10.96.0.11, clusterIPs: [10.96.0.11], ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: new, namespace: default, labels: { service.kubernetes.io/service-proxy-name: sluice } }
spec: { ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: none, namespace: default, labels: { service.kubernetes.io/service-proxy-name: sluice } }
spec: { clusterIP: None, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata:
  name: odd
  namespace: default
  labels: { service.kubernetes.io/service-proxy-name: sluice }
  annotations: { sluice.dev/balancing: hsah }
spec:
  clusterIP: 10.96.0.12
  clusterIPs: [10.96.0.12]
  externalIPs: ['2001:db8::1', 010.0.0.1]
  ports: [{ port: 80 }]
`,
  );
  const { code, out, err } = await dryRun('-f', more);
  expect([code, out.split('\n')[0]]).toEqual([0, '# nftables, IPv4, node n1: 2 Service ports']);
  expect(err.trim().split('\n')).toEqual([
    'note: 1 of 5 Services do not carry the label service.kubernetes.io/service-proxy-name=sluice and are left to kube-proxy; --scope all serves them too',
    'note: default/new has no cluster IP yet, so there is nothing to serve; the API server gives it one',
    expect.stringMatching(/^note: default\/odd: .*"hsah" is not one of random, hash; correct/u),
    expect.stringMatching(/^note: default\/odd: spec\.externalIPs\[0\]: "2001:db8::1" is of IPv6/u),
    expect.stringMatching(/^note: default\/odd: spec\.externalIPs\[1\]: "010\.0\.0\.1" is not an address/u),
  ]);
  const everywhere = await dryRun(
    '--scope',
    'all',
    '--cluster-cidr',
    '10.244.0.0/16',
    '--service-cidr',
    '10.244.0.0/24',
  );
  expect([everywhere.code, everywhere.out]).toEqual([64, '']);
  expect(everywhere.err).toMatch(
    /^sluice: --service-cidr: 10\.244\.0\.0\/24 shares addresses with the pod range/u,
  );
});

test('an annotation that nobody knows is noted with the one that was meant', async () => {
  const misspelt = join(folder, 'misspelt.yaml');
  const text = world.replace(
    'namespace: default, labels',
    "namespace: default, annotations: { sluice.dev/wieghts: 'default=2' }, labels",
  );
  writeFileSync(misspelt, text);
  const { code, out, err } = await dryRun('-f', misspelt);
  expect([code, out]).toEqual([0, expect.stringContaining('table ip sluice')]);
  expect(err).toContain(
    'default/web: metadata.annotations["sluice.dev/wieghts"]: this annotation is not known and has no effect; did you mean "sluice.dev/weights"?',
  );
});

test('a node that the files lack is noted with where to get it', async () => {
  const { code, err } = await dryRun('--node-name', 'n9');
  expect(code).toBe(0);
  expect(err).toContain('there is no Node n9 in the files');
  expect(err).toContain('`kubectl get node n9 -o yaml` prints it for them');
});
