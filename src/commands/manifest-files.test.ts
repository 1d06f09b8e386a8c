/** What is read from files and folders, what is passed over, and how mistakes are named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readManifests } from './manifest-files.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-manifests-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function service(spec: object, name = 'web'): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });
}

const node = 'apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n';

describe('what is read', () => {
  test('several documents in one file, other kinds counted and passed over', async () => {
    const path = write(
      'all.yaml',
      `${service({})}\n---\n${node}---\nkind: Deployment\nmetadata: {name: a}\n---\nkind: Deployment\nmetadata: {name: b}\n---\n`,
    );
    const { services, nodes, others, mistakes } = await readManifests([path]);
    expect(mistakes).toEqual([]);
    expect(services.map(({ key }) => key)).toEqual(['default/web']);
    expect(nodes.map(({ name }) => name)).toEqual(['n1']);
    expect([...others]).toEqual([['Deployment', 2]]);
  });

  test('a folder: its YAML and JSON in the order of their names, nothing else in it', async () => {
    write('b.yml', service({}, 'b'));
    write('a.json', service({}, 'a'));
    write('c.yaml', service({}, 'c'));
    write('notes.md', '# not a manifest');
    const { services, mistakes } = await readManifests([folder]);
    expect(mistakes).toEqual([]);
    expect(services.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  test.each<[string, string]>([
    ['List', '{"kind": "List", "items": [{"kind": "Service", "metadata": {"name": "web"}}]}'],
    [
      'ServiceList, whose items name no kind',
      '{"kind": "ServiceList", "items": [{"metadata": {"name": "web"}}]}',
    ],
  ])('a %s', async (_, text) => {
    const { services, mistakes } = await readManifests([write('list.json', text)]);
    expect(mistakes).toEqual([]);
    expect(services.map(({ name }) => name)).toEqual(['web']);
  });

  test('settings among the files, with the name of theirs', async () => {
    const path = write('config.yaml', 'apiVersion: sluice.dev/v1alpha1\nkind: Config\n');
    const { settings } = await readManifests([path]);
    expect(settings).toMatchObject([{ file: path }]);
  });

  test('slices, with the Service they belong to', async () => {
    const path = write(
      'slice.yaml',
      'kind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\nendpoints: []\n',
    );
    const { slices } = await readManifests([path]);
    expect(slices.map(({ service: of }) => of)).toEqual(['default/web']);
  });

  test('a stand-in UID is the same at every run, and differs between objects', async () => {
    const path = write('two.yaml', `${service({}, 'a')}\n---\n${service({}, 'b')}\n`);
    const [first, second] = await Promise.all([readManifests([path]), readManifests([path])]);
    expect(first.services.map(({ uid }) => uid)).toEqual(second.services.map(({ uid }) => uid));
    expect(new Set(first.services.map(({ uid }) => uid)).size).toBe(2);
  });
});

describe('mistakes', () => {
  test.each<[string, string, string]>([
    ['a document that is no object', 'just text', 'a document without "kind" is no Kubernetes object'],
    ['an object without a kind', 'metadata: {name: a}', 'a document without "kind" is no Kubernetes object'],
    ['an object without a name', 'kind: Service', 'a Service without metadata.name'],
    ['broken YAML', 'kind: [Service', 'Flow sequence in block collection must be'],
  ])('%s is named with its file', async (_, text, message) => {
    const path = write('bad.yaml', text);
    const { mistakes } = await readManifests([path]);
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toContain(`${path}: ${message}`);
  });

  test('all are told at once, and what can be read is read', async () => {
    const missing = join(folder, 'missing.yaml');
    const bad = write('bad.yaml', 'kind: Service');
    const good = write('good.yaml', service({}));
    const { services, mistakes } = await readManifests([missing, bad, good]);
    expect(mistakes).toEqual([
      `${missing}: there is no such file or folder`,
      `${bad}: a Service without metadata.name`,
    ]);
    expect(services).toHaveLength(1);
  });

  test('a folder without manifests is one', async () => {
    expect((await readManifests([folder])).mistakes).toEqual([
      `${folder}: no .yaml, .yml or .json file in this folder`,
    ]);
  });
});

describe('node ports that the API server would allocate', () => {
  const balanced = { type: 'LoadBalancer' };
  test.each<[string, object, readonly number[], number]>([
    ['given ones stay', { ...balanced, ports: [{ port: 80, nodePort: 31_000 }] }, [31_000], 0],
    ['missing ones are filled in', { ...balanced, ports: [{ port: 80 }, { port: 81 }] }, [30_000, 30_001], 0],
    [
      'none is filled in twice, nor where one is given',
      { ...balanced, ports: [{ port: 80 }, { port: 81, nodePort: 30_000 }, { port: 82 }] },
      [30_001, 30_000, 30_002],
      0,
    ],
    [
      'TCP and UDP on one port share one',
      {
        ...balanced,
        ports: [
          { port: 53, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
      },
      [30_000, 30_000],
      0,
    ],
    [
      'policy Local has one for the health check',
      { ...balanced, externalTrafficPolicy: 'Local', ports: [{ port: 80 }] },
      [30_000],
      30_001,
    ],
    [
      'none where the Service wants none',
      { ...balanced, allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] },
      [0],
      0,
    ],
    ['none for another type', { type: 'ClusterIP', ports: [{ port: 80 }] }, [0], 0],
  ])('%s', async (_, spec, ports, health) => {
    const { services } = await readManifests([write('web.json', service(spec))]);
    expect(services[0]?.ports.map(({ nodePort }) => nodePort)).toEqual(ports);
    expect(services[0]?.healthCheckNodePort).toBe(health);
  });
});
