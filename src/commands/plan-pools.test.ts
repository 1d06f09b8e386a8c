/** `sluice plan -f` with pools among the files. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { runProgram } from './cli.ts';
import { sluice } from './program.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plan-pools-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const settings = { apiVersion: 'sluice.dev/v1alpha1', kind: 'Config', providers: { local: {} } };

function pool(name: string, spec: object): object {
  return { apiVersion: 'sluice.dev/v1alpha1', kind: 'AddressPool', metadata: { name }, spec };
}

function service(namespace: string, name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/local', ports: [{ port: 80 }] },
  };
}

async function planned(...objects: readonly object[]): Promise<{ code: number; out: string; err: string }> {
  const file = join(folder, 'all.yaml');
  await writeFile(file, [settings, ...objects].map((one) => stringify(one)).join('---\n'));
  let [out, err] = ['', ''];
  const code = await runProgram(sluice, ['plan', '-f', file], {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    env: {},
    columns: 100,
    interactive: false,
    colour: false,
  });
  return { code, out, err };
}

test('Services get the addresses that the pools in the files would give them', async () => {
  const { code, out } = await planned(
    pool('office', { addresses: ['192.0.2.10-192.0.2.19'] }),
    service('a', 'one'),
    service('a', 'two'),
  );
  expect(code).toBe(2);
  expect(out).toMatch(/a\/one .*1 call[^]*address 192\.0\.2\.10[^]*a\/two[^]*address 192\.0\.2\.11/u);
});

test('one that no pool serves is told so, and pools choose by the labels of namespaces in the files', async () => {
  const { code, out } = await planned(
    pool('shop', { addresses: ['192.0.2.10/32'], namespaceSelectors: [{ matchLabels: { team: 'shop' } }] }),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { team: 'shop' } } },
    service('shop', 'web'),
    service('bare', 'web'),
  );
  expect(code).toBe(1);
  expect(out).toMatch(/shop\/web .*1 call/u);
  expect(out).toMatch(/bare\/web .*no changes[^]*\[NoPool\]/u);
});

test('pools that overlap are refused with the names of both, before anything is planned', async () => {
  const { code, out, err } = await planned(
    pool('one', { addresses: ['192.0.2.0/28'] }),
    pool('two', { addresses: ['192.0.2.8-192.0.2.20'] }),
    service('a', 'web'),
  );
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toContain('error: AddressPool two: spec.addresses');
  expect(err).toContain('pool one');
});

test('without pools among the files the plan says that the address is chosen later', async () => {
  const { code, out } = await planned(service('a', 'web'));
  expect(code).toBe(2);
  expect(out).toContain('chosen from the pools');
});
