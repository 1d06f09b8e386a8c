/** What can be said about the manifests of the node agent without any cluster. */
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { agentFlags, healthPorts } from '../src/commands/agent-flags.ts';
import { parseFlags } from '../src/commands/flags.ts';
import { root } from './run.ts';
import { documents, files, one, text } from './tree.ts';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly rules?: readonly {
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
    readonly apiGroups: readonly string[];
  }[];
  readonly roleRef?: object;
  readonly subjects?: readonly object[];
  readonly spec?: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: {
        readonly hostNetwork: boolean;
        readonly priorityClassName: string;
        readonly tolerations: readonly object[];
        readonly serviceAccountName: string;
        readonly containers: readonly Container[];
      };
    };
  };
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
  readonly ports: readonly {
    readonly name: string;
    readonly containerPort: number;
    readonly hostPort: number;
  }[];
}

interface Patch {
  readonly path: string;
  readonly value: unknown;
}

const folder = 'manifests/overlays/agent';
const beside = files(`${folder}/*.yaml`).filter((path) => !path.endsWith('kustomization.yaml'));
const objects = beside.flatMap((path) => documents(path)) as readonly Manifest[];
const ofKind = (kind: string): Manifest => one(objects.filter((object) => object.kind === kind));
const pod = ofKind('DaemonSet').spec?.template.spec;
const container = one(pod?.containers ?? []);
const instead = one(documents('manifests/overlays/instead-of-kube-proxy/kustomization.yaml')) as {
  readonly patches: readonly { readonly patch: string }[];
};
const patches = parse(one(instead.patches).patch) as readonly Patch[];
const patched = (path: string): unknown => patches.find((patch) => patch.path.endsWith(path))?.value;

describe('the DaemonSet', () => {
  test('is on the network of every node, before everything else', () => {
    expect(pod).toMatchObject({
      hostNetwork: true,
      priorityClassName: 'system-node-critical',
      tolerations: [{ operator: 'Exists' }],
    });
  });

  test('has the capabilities that it needs and nothing more, on a read-only file system', () => {
    expect(container.securityContext).toEqual({
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
    });
  });

  test('asks for memory and CPU and limits memory only', () => {
    expect(Object.keys(container.resources.requests)).toEqual(['cpu', 'memory']);
    expect(Object.keys(container.resources.limits)).toEqual(['memory']);
  });

  test('finds its own Pods, and its image is of this version', () => {
    const { version } = JSON.parse(text('package.json')) as { readonly version: string };
    expect(ofKind('DaemonSet').spec?.template.metadata.labels).toMatchObject(
      ofKind('DaemonSet').spec?.selector.matchLabels ?? { missing: '' },
    );
    expect(container.image).toBe(`sluice-agent:${version}`);
  });

  test('its arguments are understood, beside kube-proxy and instead of it', () => {
    for (const args of [container.args, patched('/args') as readonly string[]]) {
      expect(args[0]).toBe('agent');
      expect(parseFlags(agentFlags, args.slice(1), {}).mistakes).toEqual([]);
    }
  });

  test('its probes ask at the port of its scope', () => {
    expect(one(container.ports)).toMatchObject({ name: 'health', hostPort: healthPorts.labelled });
    expect(patched('/ports/0')).toEqual({
      name: 'health',
      containerPort: healthPorts.all,
      hostPort: healthPorts.all,
    });
  });
});

describe('the rights of the agent', () => {
  test('are to read what it programs and to write events', () => {
    const rights = (ofKind('ClusterRole').rules ?? []).flatMap(({ apiGroups, resources, verbs }) =>
      verbs.map((verb) => `${verb} ${resources.join(',')} ${apiGroups.join(',')}`.trim()),
    );
    expect(rights).toEqual([
      'list services',
      'watch services',
      'list nodes',
      'watch nodes',
      'list endpointslices discovery.k8s.io',
      'watch endpointslices discovery.k8s.io',
      'create events events.k8s.io',
      'patch events events.k8s.io',
    ]);
  });

  test('belong to the account of its Pods', () => {
    const { roleRef, subjects } = ofKind('ClusterRoleBinding');
    expect(roleRef).toMatchObject({ kind: 'ClusterRole', name: ofKind('ClusterRole').metadata.name });
    expect(one(subjects ?? [])).toEqual({
      kind: 'ServiceAccount',
      name: pod?.serviceAccountName,
      namespace: ofKind('Namespace').metadata.name,
    });
    expect(ofKind('ServiceAccount').metadata.name).toBe(pod?.serviceAccountName);
  });

  test('every rule names the file of the sources that needs it', () => {
    const named = text(`${folder}/cluster-role.yaml`).match(/src\/[a-z/-]+\.ts/gu) ?? [];
    expect(named).toHaveLength(ofKind('ClusterRole').rules?.length ?? -1);
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});

test('the overlay names every file beside it', () => {
  const { resources } = one(documents(`${folder}/kustomization.yaml`)) as {
    readonly resources: readonly string[];
  };
  expect(resources.toSorted()).toEqual(beside.map((path) => relative(folder, path)));
});
