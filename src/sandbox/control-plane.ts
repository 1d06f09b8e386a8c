/**
 * A throw-away control plane: a real etcd and a real kube-apiserver in a temporary folder, gone with it.
 *
 * Nothing of the machine is used or changed besides that folder and one loopback port for each API server. It is
 * the ground under `sluice sandbox`, `sluice demo` and the cluster tests. It ends when it is stopped and also
 * when this process dies (processes.ts).
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock, type Clock, type Random } from '../core/clock.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';
import { ApiServer, sharedFiles, type ApiServerContext, type ApiServerOptions } from './api-server.ts';
import { findBinaries, type BinaryName } from './binaries.ts';
import { newAuthority, newTokenKey, type Authority } from './certificates.ts';
import { startControllerManager, type ControllerManagerOptions } from './controller-manager.ts';
import { Etcd } from './etcd.ts';
import { kubeconfigOf, writeKubeconfig, type Kubeconfig, type UserCredentials } from './kubeconfig.ts';
import { freePort } from './ports.ts';
import { Supervisor } from './processes.ts';
import type { ServerProcess, StopManner } from './server-process.ts';

export interface ControlPlaneOptions {
  /** Paths of the programs; by default `findBinaries` looks for them. */
  readonly binaries?: Readonly<Partial<Record<BinaryName, string>>>;
  /** Is told, in one line each, what is going on while programs are being built. */
  readonly progress?: (line: string) => void;
  /** Where the API servers listen; by default 127.0.0.1. */
  readonly address?: string;
  /** Further names and addresses for their certificates. */
  readonly extraNames?: readonly string[];
  /** By default 10.96.0.0/16; two ranges with a comma make a dual-stack cluster. */
  readonly serviceCidr?: string;
  /** By default 30000-32767. */
  readonly nodePortRange?: string;
  readonly apiServer?: ApiServerOptions;
  /** Further flags of etcd, without the leading dashes. */
  readonly etcdFlags?: Readonly<Record<string, string>>;
  /** Start kube-controller-manager too: endpoint slices, service accounts, garbage collection, node life cycle. */
  readonly controllerManager?: ControllerManagerOptions;
  /** Milliseconds that each server has to become ready; by default 60,000. */
  readonly readyWithinMs?: number;
  readonly signal?: AbortSignal;
  /** Is told when a server ends that nobody stopped: out of memory, say. */
  readonly onUnexpectedEnd?: (message: string) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Someone who may talk to the control plane. */
export interface Access {
  /** Path of a kubeconfig in the sandbox's folder. */
  readonly path: string;
  readonly config: Kubeconfig;
  readonly credentials: UserCredentials;
}

/** A running control plane. */
export class ControlPlane implements AsyncDisposable {
  readonly etcd: Etcd;
  readonly apiServer: ApiServer;
  /** Member of `system:masters`: may do everything. */
  readonly admin: Access;
  readonly controllerManager: ServerProcess | undefined;
  readonly #parts: Parts;
  #count = 0;
  #servers = 1;

  constructor(parts: Parts, admin: Access, controllerManager: ServerProcess | undefined) {
    this.#parts = parts;
    this.etcd = parts.etcd;
    this.apiServer = parts.apiServer;
    this.admin = admin;
    this.controllerManager = controllerManager;
  }

  /** For example `https://127.0.0.1:23456`. */
  get url(): string {
    return this.apiServer.address.url;
  }

  /** The certificate of the authority that signed everything, PEM. */
  get ca(): string {
    return this.apiServer.address.ca;
  }

  /** Path of the administrator's kubeconfig. */
  get kubeconfig(): string {
    return this.admin.path;
  }

  /** Removed by `stop`. Other programs of a sandbox may keep their files in it. */
  get folder(): string {
    return this.#parts.supervisor.folder;
  }

  /** Further programs that are to end with the control plane are started through this. */
  get supervisor(): Supervisor {
    return this.#parts.supervisor;
  }

  /** A user with a client certificate. What the user may do is up to the RBAC objects in the cluster. */
  addUser(
    who: { readonly user: string; readonly groups?: readonly string[] },
    server: ApiServer = this.apiServer,
  ): Promise<Access> {
    const made = this.#parts.authority.client(who.user, who.groups ?? []);
    return this.#access(who.user, { kind: 'certificate', ...made }, server);
  }

  /**
   * A service account with a token of its own, as a pod that runs under it would have. The account must exist.
   * The token is good for `lifetimeSeconds` (at least 600; by default an hour).
   */
  async addServiceAccount(
    who: { readonly namespace: string; readonly name: string; readonly lifetimeSeconds?: number },
    server: ApiServer = this.apiServer,
  ): Promise<Access> {
    const answer = await server.call({
      method: 'POST',
      path: `/api/v1/namespaces/${who.namespace}/serviceaccounts/${who.name}/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: who.lifetimeSeconds ?? 3600 },
      },
    });
    const token = (answer.json as { readonly status?: { readonly token?: string } } | undefined)?.status
      ?.token;
    if (token === undefined) {
      const why = answer.status === 404 ? 'it does not exist: create it first' : answer.text;
      const message = `no token for service account ${who.namespace}/${who.name} (${answer.status}): ${why}`;
      throw new SluiceError(answer.status === 404 ? 'gone' : 'transient', message, { code: 'NoToken' });
    }
    return this.#access(
      `system:serviceaccount:${who.namespace}:${who.name}`,
      { kind: 'token', token },
      server,
    );
  }

  /** One more API server on the same etcd, with its own port and flags. Resolves when it is ready. */
  async addApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
    this.#servers += 1;
    return startApiServer(this.#parts.context, `kube-apiserver-${this.#servers}`, options);
  }

  restartApiServer(manner?: StopManner): Promise<void> {
    return this.apiServer.restart(manner);
  }

  restartEtcd(manner?: StopManner): Promise<void> {
    return this.etcd.restart(manner);
  }

  /**
   * Compacts etcd to the present revision. A running API server still serves recent changes from its cache;
   * after `restartApiServer` every resource version from before is answered with 410.
   */
  compact(): Promise<void> {
    return this.etcd.compact();
  }

  /** Copies the logs of all programs to a folder that outlives the sandbox; its path. */
  keepLogs(): Promise<string> {
    return this.#parts.supervisor.keepLogs();
  }

  /** Ends every program and removes the folder. May be called more than once. */
  stop(): Promise<void> {
    return this.#parts.supervisor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #access(user: string, credentials: UserCredentials, server: ApiServer): Promise<Access> {
    this.#count += 1;
    return grant(this.folder, `${this.#count}`, user, credentials, server);
  }
}

interface Parts {
  readonly supervisor: Supervisor;
  readonly authority: Authority;
  readonly etcd: Etcd;
  readonly apiServer: ApiServer;
  readonly context: SharedContext;
}

/** What all API servers of one sandbox have in common. */
type SharedContext = Omit<ApiServerContext, 'name' | 'port'> & { readonly random: Random };

const portTries = 3;

/**
 * Starts a control plane and resolves when its API server serves, about three seconds later. The first start on
 * a machine may build the programs (minutes; see binaries.ts).
 *
 * On failure everything is stopped, the logs are kept, and a SluiceError names where.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const needed: BinaryName[] = ['etcd', 'kube-apiserver'];
  if (options.controllerManager !== undefined) needed.push('kube-controller-manager');
  const missing = needed.filter((name) => options.binaries?.[name] === undefined);
  const found =
    missing.length === 0
      ? {}
      : await findBinaries(missing, { progress: options.progress, signal: options.signal });
  const programs = { ...found, ...options.binaries };

  const supervisor = await Supervisor.open('sluice-sandbox-', { clock: options.clock });
  try {
    return await startIn(supervisor, programs, options);
  } catch (cause) {
    if (options.signal?.aborted) {
      await supervisor.close();
      throw cause;
    }
    const logs = await supervisor.keepLogs();
    await supervisor.close();
    const error = asSluiceError(cause);
    const message = `the sandbox's control plane did not start: ${error.message}\nAll logs: ${logs}`;
    throw new SluiceError(error.kind, message, { code: error.code, cause });
  }
}

async function startIn(
  supervisor: Supervisor,
  programs: Readonly<Partial<Record<BinaryName, string>>>,
  options: ControlPlaneOptions,
): Promise<ControlPlane> {
  const { clock = systemClock, random = Math.random, readyWithinMs = 60_000, signal } = options;
  const authority = newAuthority(clock.wall());
  const admin: UserCredentials = {
    kind: 'certificate',
    ...authority.client('sluice-admin', ['system:masters']),
  };
  const tokenKey = newTokenKey();
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(supervisor.folder, name), text, { mode: 0o600 });
  await write(sharedFiles.ca, authority.certificate);
  await write(sharedFiles.tokenPublicKey, tokenKey.publicKey);
  await write(sharedFiles.tokenPrivateKey, tokenKey.privateKey);

  const etcd = new Etcd({
    supervisor,
    clock,
    readyWithinMs,
    program: programs.etcd ?? 'etcd',
    flags: options.etcdFlags,
    signal,
    onUnexpectedEnd: options.onUnexpectedEnd,
  });
  const context: SharedContext = {
    supervisor,
    clock,
    random,
    readyWithinMs,
    signal,
    onUnexpectedEnd: options.onUnexpectedEnd,
    program: programs['kube-apiserver'] ?? 'kube-apiserver',
    authority,
    admin,
    etcd: etcd.endpoint,
    address: options.address ?? '127.0.0.1',
    extraNames: options.extraNames ?? [],
    serviceCidr: options.serviceCidr ?? '10.96.0.0/16',
    nodePortRange: options.nodePortRange ?? '30000-32767',
    serviceAccountAdmission: options.controllerManager !== undefined,
  };
  // The API server waits for etcd by itself.
  const [, apiServer] = await Promise.all([
    etcd.start(),
    startApiServer(context, 'kube-apiserver', options.apiServer ?? {}),
  ]);
  const access = await grant(supervisor.folder, 'admin', 'sluice-admin', admin, apiServer);
  const parts: Parts = { supervisor, authority, etcd, apiServer, context };
  if (options.controllerManager === undefined) return new ControlPlane(parts, access, undefined);
  const controllerManager = await startControllerManager({
    ...context,
    program: programs['kube-controller-manager'] ?? 'kube-controller-manager',
    apiServer,
    options: options.controllerManager,
  });
  return new ControlPlane(parts, access, controllerManager);
}

/** Tries another port when somebody took the one that was free a moment ago. */
async function startApiServer(
  context: SharedContext,
  name: string,
  options: ApiServerOptions,
): Promise<ApiServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(context.address, context.random);
    const server = await ApiServer.prepare({ ...context, name, port }, options);
    try {
      await server.start();
      return server;
    } catch (error) {
      const taken = asSluiceError(error).message.includes('address already in use');
      if (!taken || attempt === portTries) throw error;
    }
  }
}

async function grant(
  folder: string,
  fileName: string,
  user: string,
  credentials: UserCredentials,
  server: ApiServer,
): Promise<Access> {
  const path = join(folder, `${fileName}.kubeconfig`);
  const config = kubeconfigOf(server.address, user, credentials);
  await writeKubeconfig(path, config);
  return { path, config, credentials };
}
