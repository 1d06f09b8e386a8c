/**
 * Which API server to talk to, and as whom: from a kubeconfig, or from inside a cluster.
 *
 * Looked for in the order that kubectl users know: the path given, `KUBECONFIG` (several files merge, the
 * first to say something wins), the Pod's own service account, `~/.kube/config`. There is no silent
 * fallback to localhost. Every refusal names the file, the context and what to do.
 *
 * client-node has a loader too; it costs 80 MB of memory and 0.4 s at start, so it is only loaded for the
 * credentials that run programs or speak to identity providers (see credentials.ts).
 */
import { parse } from 'yaml';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';

import { SluiceError } from '../core/errors.ts';

/** Bytes that a kubeconfig holds itself or names a file for. Files are read again now and then. */
export type Material =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'data'; readonly bytes: Buffer };

export interface Access {
  /** For messages: file and context, or the Pod's service account. */
  readonly source: string;
  /** Without a slash at the end. */
  readonly server: string;
  /** The context's namespace, where it names one. */
  readonly namespace: string | undefined;
  readonly ca: Material | undefined;
  readonly tlsServerName: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly proxyUrl: string | undefined;
  readonly user: UserAccess;
}

export interface UserAccess {
  readonly name: string;
  readonly cert: Material | undefined;
  readonly key: Material | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly basic: { readonly username: string; readonly password: string } | undefined;
  readonly impersonate: string | undefined;
  /** The raw user entry, where it names an exec plugin or an auth provider. */
  readonly plugin: Readonly<Record<string, unknown>> | undefined;
}

export interface AccessOptions {
  /** A kubeconfig file; nothing else is looked at when it is given. */
  readonly path?: string | undefined;
  /** Default: the file's current context. */
  readonly context?: string | undefined;
  /** Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the user's home folder. */
  readonly home?: string;
  /** Default: where Kubernetes mounts it. */
  readonly serviceAccountFolder?: string;
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Errors: `invalid`, code `BadKubeconfig`. */
export async function loadAccess(options: AccessOptions = {}): Promise<Access> {
  const env = options.env ?? process.env;
  if (options.path !== undefined) return fromFiles([resolve(options.path)], options.context, '--kubeconfig');

  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((part) => part !== '');
  if (listed.length > 0) {
    return fromFiles(
      listed.map((part) => resolve(part)),
      options.context,
      'KUBECONFIG',
    );
  }

  const folder = options.serviceAccountFolder ?? serviceAccount;
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined && options.context === undefined) {
    return inCluster(env, folder);
  }

  const home = join(options.home ?? homedir(), '.kube', 'config');
  const text = await readIfThere(home);
  if (text !== undefined) return fromFiles([home], options.context, 'the default kubeconfig');
  throw refused(
    `no cluster to talk to: there is no --kubeconfig, KUBECONFIG is not set, this is not a Pod, and ${home} does not exist; name a kubeconfig with --kubeconfig FILE`,
  );
}

async function inCluster(env: Readonly<Record<string, string | undefined>>, folder: string): Promise<Access> {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  const tokenFile = join(folder, 'token');
  if ((await readIfThere(tokenFile)) === undefined) {
    throw refused(
      `this is a Pod without a service account token (${tokenFile} cannot be read); set automountServiceAccountToken: true on the Pod or its service account`,
    );
  }
  const namespace = (await readIfThere(join(folder, 'namespace')))?.trim();
  return {
    source: 'the service account of this Pod',
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace,
    ca: { kind: 'file', path: join(folder, 'ca.crt') },
    tlsServerName: undefined,
    insecureSkipTlsVerify: false,
    proxyUrl: undefined,
    user: {
      name: 'service account',
      cert: undefined,
      key: undefined,
      token: undefined,
      tokenFile,
      basic: undefined,
      impersonate: undefined,
      plugin: undefined,
    },
  };
}

type Entry = Readonly<Record<string, unknown>>;

interface Named {
  readonly file: string;
  readonly body: Entry;
}

interface Merged {
  current: string | undefined;
  readonly clusters: Map<string, Named>;
  readonly users: Map<string, Named>;
  readonly contexts: Map<string, Named>;
}

async function fromFiles(
  files: readonly string[],
  wanted: string | undefined,
  origin: string,
): Promise<Access> {
  const merged: Merged = { current: undefined, clusters: new Map(), users: new Map(), contexts: new Map() };
  let read = 0;
  for (const file of files) {
    const text = await readIfThere(file);
    // As with kubectl, a missing file of several is passed over.
    if (text === undefined) continue;
    read += 1;
    addFile(merged, file, text);
  }
  const named = files.join(', ');
  if (read === 0) throw refused(`${origin} names ${named}, which cannot be read; check the path`);
  return choose(merged, wanted, named);
}

function addFile(merged: Merged, file: string, text: string): void {
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    const line = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : '';
    throw refused(`kubeconfig ${file} is not valid YAML: ${line.replace(/:$/, '')}`, cause);
  }
  const root = asEntry(document);
  if (root === undefined) throw refused(`kubeconfig ${file} is empty or not a mapping`);
  const current = nonEmpty(root['current-context']);
  if (merged.current === undefined && current !== undefined) merged.current = current;
  const lists = [
    ['clusters', 'cluster', merged.clusters],
    ['users', 'user', merged.users],
    ['contexts', 'context', merged.contexts],
  ] as const;
  for (const [plural, singular, into] of lists) {
    const list = root[plural] ?? [];
    if (!Array.isArray(list)) throw refused(`kubeconfig ${file}: ${plural} must be a list`);
    for (const item of list as readonly unknown[]) {
      const entry = asEntry(item);
      const name = nonEmpty(entry?.['name']);
      if (name === undefined || into.has(name)) continue;
      into.set(name, { file, body: asEntry(entry?.[singular]) ?? {} });
    }
  }
}

function choose(merged: Merged, wanted: string | undefined, files: string): Access {
  const contextName = wanted ?? merged.current;
  const known = [...merged.contexts.keys()];
  const cure =
    known.length === 0
      ? 'the file has no contexts'
      : `choose one of: ${known.join(', ')} (--context NAME or "kubectl config use-context NAME")`;
  if (contextName === undefined) throw refused(`kubeconfig ${files} sets no current-context; ${cure}`);
  const context = merged.contexts.get(contextName);
  if (context === undefined) throw refused(`kubeconfig ${files} has no context "${contextName}"; ${cure}`);

  const at = `kubeconfig ${context.file}, context "${contextName}"`;
  const clusterName = nonEmpty(context.body['cluster']);
  const cluster = clusterName === undefined ? undefined : merged.clusters.get(clusterName);
  if (cluster === undefined) {
    throw refused(`${at}: cluster "${clusterName ?? ''}" is not defined; add it under clusters`);
  }
  const userName = nonEmpty(context.body['user']);
  const user = userName === undefined ? undefined : merged.users.get(userName);
  if (userName !== undefined && user === undefined) {
    throw refused(`${at}: user "${userName}" is not defined; add it under users`);
  }

  const server = nonEmpty(cluster.body['server']);
  if (server === undefined) throw refused(`${at}: cluster "${clusterName ?? ''}" has no server; add its URL`);
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw refused(`${at}: server "${server}" is not an http or https URL`);
  }
  return {
    source: at,
    server: server.replace(/\/+$/, ''),
    namespace: nonEmpty(context.body['namespace']),
    ca: material(cluster, 'certificate-authority', at),
    tlsServerName: nonEmpty(cluster.body['tls-server-name']),
    insecureSkipTlsVerify: cluster.body['insecure-skip-tls-verify'] === true,
    proxyUrl: nonEmpty(cluster.body['proxy-url']),
    user: userAccess(userName ?? 'anonymous', user, at),
  };
}

function userAccess(name: string, user: Named | undefined, at: string): UserAccess {
  const body = user?.body ?? {};
  const tokenFile = nonEmpty(body['tokenFile']);
  const username = nonEmpty(body['username']);
  const cert = user === undefined ? undefined : material(user, 'client-certificate', at);
  const key = user === undefined ? undefined : material(user, 'client-key', at);
  if ((cert === undefined) !== (key === undefined)) {
    throw refused(`${at}: user "${name}" has only one of client-certificate and client-key; it needs both`);
  }
  return {
    name,
    cert,
    key,
    token: nonEmpty(body['token']),
    tokenFile:
      tokenFile === undefined || user === undefined ? undefined : resolve(dirname(user.file), tokenFile),
    basic: username === undefined ? undefined : { username, password: nonEmpty(body['password']) ?? '' },
    impersonate: nonEmpty(body['as']),
    plugin: body['exec'] !== undefined || body['auth-provider'] !== undefined ? body : undefined,
  };
}

function material(from: Named, field: string, at: string): Material | undefined {
  // As in client-go, inlined data takes precedence over a file.
  const data = nonEmpty(from.body[`${field}-data`]);
  if (data !== undefined) {
    const bytes = Buffer.from(data, 'base64');
    if (!bytes.toString('latin1').includes('-----BEGIN')) {
      throw refused(`${at}: ${field}-data is not a PEM file in base64`);
    }
    return { kind: 'data', bytes };
  }
  const path = nonEmpty(from.body[field]);
  return path === undefined ? undefined : { kind: 'file', path: resolve(dirname(from.file), path) };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

function asEntry(value: unknown): Entry | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entry) : undefined;
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function refused(message: string, cause?: unknown): SluiceError {
  return new SluiceError('invalid', message, { code: 'BadKubeconfig', cause });
}
