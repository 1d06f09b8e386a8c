import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { credentialsFor } from './credentials.ts';
import { loadAccess } from './kubeconfig.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-kubeconfig-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

function config(changes: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    'current-context': 'prod',
    contexts: [{ name: 'prod', context: { cluster: 'c', user: 'u', namespace: 'shop' } }],
    clusters: [
      { name: 'c', cluster: { server: 'https://127.0.0.1:6443/', 'certificate-authority': 'ca.crt' } },
    ],
    users: [{ name: 'u', user: { token: 'secret' } }],
    ...changes,
  });
}

describe('where it looks', () => {
  test('a path that is given is the only one', async () => {
    const path = await file('config', config());
    const access = await loadAccess({ path, env: { KUBECONFIG: '/does/not/exist' } });

    expect(access).toMatchObject({ server: 'https://127.0.0.1:6443', namespace: 'shop' });
    expect(access.ca).toEqual({ kind: 'file', path: join(folder, 'ca.crt') });
    expect(access.source).toBe(`kubeconfig ${path}, context "prod"`);
  });

  test('several files of KUBECONFIG merge: the first word counts, a missing file is passed over', async () => {
    const one = await file('one', JSON.stringify({ 'current-context': 'prod' }));
    const two = await file('two', config({ 'current-context': 'other' }));
    const access = await loadAccess({ env: { KUBECONFIG: `${one}:${join(folder, 'missing')}:${two}` } });

    expect(access.source).toContain('context "prod"');
  });

  test('inside a Pod the service account counts, and IPv6 addresses get their brackets', async () => {
    await file('token', 'from the Pod\n');
    await file('namespace', 'sluice-system');
    const access = await loadAccess({
      env: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' },
      serviceAccountFolder: folder,
    });

    expect(access).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'sluice-system' });
    expect(access.user.tokenFile).toBe(join(folder, 'token'));
  });

  test('with nothing to be found there is no silent fallback', async () => {
    await expect(loadAccess({ env: {}, home: folder })).rejects.toMatchObject({
      kind: 'invalid',
      code: 'BadKubeconfig',
      message: expect.stringContaining('--kubeconfig FILE'),
    });
  });
});

describe('what is wrong with it', () => {
  test.each<[string, string, string, string | undefined]>([
    ['not YAML', 'a: [', 'is not valid YAML', undefined],
    ['empty', '', 'is empty or not a mapping', undefined],
    [
      'no current context',
      config({ 'current-context': '' }),
      'sets no current-context; choose one of: prod',
      undefined,
    ],
    ['no such context', config(), 'has no context "stage"; choose one of: prod', 'stage'],
    ['an unknown cluster', config({ clusters: [] }), 'context "prod": cluster "c" is not defined', undefined],
    ['an unknown user', config({ users: [] }), 'context "prod": user "u" is not defined', undefined],
    ['no server', config({ clusters: [{ name: 'c', cluster: {} }] }), 'cluster "c" has no server', undefined],
    [
      'a server that is no URL',
      config({ clusters: [{ name: 'c', cluster: { server: 'localhost' } }] }),
      'server "localhost" is not an http or https URL',
      undefined,
    ],
    [
      'a certificate without its key',
      config({ users: [{ name: 'u', user: { 'client-certificate': 'a.crt' } }] }),
      'only one of client-certificate and client-key',
      undefined,
    ],
    [
      'data that is not PEM',
      config({
        clusters: [{ name: 'c', cluster: { server: 'https://x', 'certificate-authority-data': 'AAAA' } }],
      }),
      'certificate-authority-data is not a PEM file in base64',
      undefined,
    ],
    ['users that are no list', config({ users: {} }), 'users must be a list', undefined],
  ])('%s', async (_what, text, message, context) => {
    const path = await file('config', text);
    const failure = loadAccess({ path, context });

    await expect(failure).rejects.toMatchObject({ kind: 'invalid', code: 'BadKubeconfig' });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toThrow(path);
  });

  test('a file that is not there', async () => {
    const path = join(folder, 'missing');

    await expect(loadAccess({ path })).rejects.toThrow(`--kubeconfig names ${path}, which cannot be read`);
  });
});

describe('credentials', () => {
  test('a token file is read again after a minute, or at once when it was refused', async () => {
    const clock = new VirtualClock();
    const path = await file('config', config({ users: [{ name: 'u', user: { tokenFile: 'token' } }] }));
    await file('ca.crt', pem);
    await file('token', 'first\n');
    const credentials = credentialsFor(await loadAccess({ path }), clock);
    const header = async (): Promise<string | undefined> =>
      (await credentials.current()).headers['authorization'];

    expect(await header()).toBe('Bearer first');
    await file('token', 'second');
    expect(await header()).toBe('Bearer first');
    await clock.advance(60_000);
    expect(await header()).toBe('Bearer second');
    await file('token', 'third');
    credentials.refused();
    expect(await header()).toBe('Bearer third');
  });

  test('a file that is away for a moment does not take what was known with it', async () => {
    const clock = new VirtualClock();
    const path = await file('config', config());
    const ca = await file('ca.crt', pem);
    const credentials = credentialsFor(await loadAccess({ path }), clock);
    await credentials.current();
    await rm(ca);
    await clock.advance(60_000);

    expect((await credentials.current()).tls.ca?.toString()).toBe(pem);
  });

  test('a file that was never there is named', async () => {
    const path = await file('config', config());
    const credentials = credentialsFor(await loadAccess({ path }), new VirtualClock());

    await expect(credentials.current()).rejects.toMatchObject({
      kind: 'denied',
      message: expect.stringContaining(join(folder, 'ca.crt')),
    });
  });

  test.each<[string, Record<string, unknown>, Record<string, string>]>([
    ['a name and password', { username: 'a', password: 'b' }, { authorization: 'Basic YTpi' }],
    ['a token', { token: 't' }, { authorization: 'Bearer t' }],
    ['impersonation', { token: 't', as: 'jane' }, { authorization: 'Bearer t', 'impersonate-user': 'jane' }],
    ['nothing', {}, {}],
  ])('%s', async (_what, user, headers) => {
    await file('ca.crt', pem);
    const path = await file('config', config({ users: [{ name: 'u', user }] }));
    const credentials = credentialsFor(await loadAccess({ path }), new VirtualClock());

    expect((await credentials.current()).headers).toEqual(headers);
  });

  test('an exec plugin is run, and its token sent', async () => {
    await file('ca.crt', pem);
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from the plugin' },
    };
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', `process.stdout.write(${JSON.stringify(JSON.stringify(credential))})`],
    };
    const path = await file('config', config({ users: [{ name: 'u', user: { exec } }] }));
    const credentials = credentialsFor(await loadAccess({ path }), new VirtualClock());

    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer from the plugin' });
  });

  test('an exec plugin that fails is named with what it said', async () => {
    await file('ca.crt', pem);
    const exec = {
      command: process.execPath,
      args: ['-e', 'console.error("please log in"); process.exit(1)'],
    };
    const path = await file('config', config({ users: [{ name: 'u', user: { exec } }] }));
    const credentials = credentialsFor(await loadAccess({ path }), new VirtualClock());

    await expect(credentials.current()).rejects.toMatchObject({
      kind: 'denied',
      message: expect.stringMatching(/user "u" failed: please log in/),
    });
  });
});
