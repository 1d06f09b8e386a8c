/** What can be said about the manifests of local mode without any cluster. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { arbiterLease } from '../src/agent/announce/arbiter.ts';
import { agentFlags } from '../src/commands/agent-flags.ts';
import { parseFlags } from '../src/commands/flags.ts';
import { heartbeatSecret } from '../src/kube/heartbeat-secret.ts';
import { root } from './run.ts';
import { documents, files, one, text } from './tree.ts';

interface Rule {
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly object[];
}

const folder = 'manifests/overlays/local';
const kustomization = one(documents(`${folder}/kustomization.yaml`)) as {
  readonly resources: readonly string[];
  readonly patches: readonly { readonly patch: string }[];
};
const patches = parse(one(kustomization.patches).patch) as readonly {
  readonly path: string;
  readonly value: unknown;
}[];
const patched = (end: string): unknown => patches.find(({ path }) => path.endsWith(end))?.value;
const roles = ['agent-role', 'controller-role'].map(
  (name) => [name, documents(`${folder}/${name}.yaml`) as readonly Manifest[]] as const,
);

test('the overlay names every file beside it, and the base, the kinds and the agent', () => {
  const beside = files(`${folder}/*.yaml`).map((path) => path.slice(folder.length + 1));
  const objects = beside.filter((name) => name !== 'kustomization.yaml' && name !== 'config.yaml');
  expect(kustomization.resources.toSorted()).toEqual(
    ['../../base', '../../crds', '../agent', ...objects].toSorted(),
  );
});

test('the arguments of the agent are understood, and make it announce with the key of the controller’s namespace', () => {
  const args = patched('/args') as readonly string[];
  const { mistakes, values } = parseFlags(agentFlags, args.slice(1), {});
  expect(mistakes).toEqual([]);
  expect(values).toMatchObject({
    announce: true,
    namespace: 'sluice-system',
    'lease-namespace': 'sluice-agent',
    scope: 'labelled',
  });
});

test('the port of the heartbeats is the one that agents bind', () => {
  const port = Number(agentFlags['heartbeat-bind'].default.slice(1));
  expect(patched('/ports/-')).toEqual({
    name: 'heartbeats',
    protocol: 'UDP',
    containerPort: port,
    hostPort: port,
  });
  expect(text(`${folder}/network-policy.yaml`)).toContain(`UDP ${port}`);
});

describe.each(roles)('%s', (name, objects) => {
  const rules = objects.flatMap((object) => object.rules ?? []);

  test('has no wildcard, and each rule names the file of the sources that needs it', () => {
    const words = rules.flatMap((rule) => [...rule.resources, ...rule.verbs]);
    expect(words.filter((word) => word.includes('*'))).toEqual([]);
    const named = text(`${folder}/${name}.yaml`).match(/(?:src|providers)\/[a-z/-]+\.ts/gu) ?? [];
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test('reads one Secret by name and no other', () => {
    const secrets = rules.filter(
      ({ resources, verbs }) => resources.includes('secrets') && verbs.join() !== 'create',
    );
    expect(secrets.map(({ resourceNames }) => resourceNames)).toEqual([[heartbeatSecret]]);
  });

  test('its bindings join roles that are there', () => {
    const there = new Set(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
    const bindings = objects.filter(({ roleRef }) => roleRef !== undefined);
    expect(bindings).toHaveLength(objects.filter(({ rules: some }) => some !== undefined).length);
    for (const { roleRef } of bindings) expect(there).toContain(`${roleRef?.kind} ${roleRef?.name}`);
  });
});

test('agents write the status of addresses only, and get no Lease but the one that breaks ties', () => {
  const rules = roles.flatMap(([name, objects]) =>
    name === 'agent-role' ? objects.flatMap((object) => object.rules ?? []) : [],
  );
  const writes = rules.flatMap(({ resources, verbs }) =>
    verbs
      .filter((verb) => !['get', 'list', 'watch'].includes(verb))
      .flatMap((verb) => resources.map((resource) => `${verb} ${resource}`)),
  );
  expect(writes).toEqual(['patch serviceaddresses/status', 'create leases', 'patch leases']);
  const gets = rules.filter(({ verbs }) => verbs.includes('get'));
  expect(gets.map(({ resourceNames }) => resourceNames)).toEqual([[arbiterLease]]);
});

test('no agent has a right to a Lease where the controller has its own', () => {
  const placed = roles.flatMap(([name, objects]) => (name === 'agent-role' ? objects : []));
  const withLeases = placed.filter(({ rules = [] }) =>
    rules.some(({ resources }) => resources.includes('leases')),
  );
  expect(withLeases.map(({ kind, metadata }) => `${kind} in ${metadata.namespace}`)).toEqual([
    `Role in ${agentFlags['lease-namespace'].default}`,
  ]);
  expect(agentFlags['lease-namespace'].default).not.toBe(agentFlags.namespace.default);
});
