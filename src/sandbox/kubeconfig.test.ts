import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { kubeconfigOf, writeKubeconfig } from './kubeconfig.ts';

const cluster = { url: 'https://127.0.0.1:20001', ca: 'CA PEM' };
const decoded = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString();

test('a user with a certificate has it and its key inside the file', () => {
  const config = kubeconfigOf(cluster, 'jane', { kind: 'certificate', certificate: 'CERT', key: 'KEY' });
  const user = config.users[0]?.user;
  expect(decoded(user?.['client-certificate-data'])).toBe('CERT');
  expect(decoded(user?.['client-key-data'])).toBe('KEY');
  expect(config.clusters[0]?.cluster.server).toBe(cluster.url);
  expect(decoded(config.clusters[0]?.cluster['certificate-authority-data'])).toBe('CA PEM');
  expect(config.contexts).toEqual([
    { name: config['current-context'], context: { cluster: config.clusters[0]?.name, user: 'jane' } },
  ]);
});

test('a user with a token has just the token', () => {
  const config = kubeconfigOf(cluster, 'robot', { kind: 'token', token: 'abc' });
  expect(config.users).toEqual([{ name: 'robot', user: { token: 'abc' } }]);
});

test('the file is YAML that only its owner can read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'config');
  const config = kubeconfigOf(cluster, 'robot', { kind: 'token', token: 'abc' });
  await writeKubeconfig(path, config);
  expect(parse(await readFile(path, 'utf8'))).toEqual(config);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});
