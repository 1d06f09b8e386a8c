/**
 * One kube-apiserver of the sandbox. Several may share an etcd.
 *
 * It serves HTTPS only, RBAC decides, service account tokens are issued and accepted, and it keeps its port
 * across restarts. Flags given by the caller win over ours.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Authority } from './certificates.ts';
import type { ClusterAddress, UserCredentials } from './kubeconfig.ts';
import type { Supervisor } from './processes.ts';
import { callApiServer, type Answer, type Call } from './requests.ts';
import { flagArguments, ServerProcess } from './server-process.ts';

/** What a caller may choose about one API server. */
export interface ApiServerOptions {
  /** Watches are ended after a random time between this and twice this, in seconds. */
  readonly minRequestTimeoutSeconds?: number;
  /** The chance, 0 to 0.02, that an answer tells an HTTP/2 client to connect anew. */
  readonly goawayChance?: number;
  /**
   * Requests served at once; with either limit set, one more gets 429 at once instead of waiting in a queue.
   * The group `system:masters` is exempt.
   */
  readonly maxRequestsInFlight?: number;
  readonly maxMutatingRequestsInFlight?: number;
  /** Record every request for `audit()`. */
  readonly audit?: boolean;
  /** Any other flag of kube-apiserver, without the leading dashes. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** One request as the API server saw it, from its audit log. */
export interface AuditEntry {
  readonly user: string;
  readonly userAgent: string;
  /** Kubernetes's word: get, list, watch, create, update, patch, delete … */
  readonly verb: string;
  /** Empty for requests that are about no resource. */
  readonly apiGroup: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly uri: string;
  readonly status: number;
}

export interface ApiServerContext {
  readonly name: string;
  readonly supervisor: Supervisor;
  readonly clock: Clock;
  readonly program: string;
  readonly authority: Authority;
  readonly admin: UserCredentials;
  readonly etcd: string;
  readonly address: string;
  readonly port: number;
  /** Further names and addresses under which clients reach it. */
  readonly extraNames: readonly string[];
  readonly serviceCidr: string;
  readonly nodePortRange: string;
  /** Without a controller manager nobody makes the service accounts that admission would ask for. */
  readonly serviceAccountAdmission: boolean;
  readonly readyWithinMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onUnexpectedEnd?: ((message: string) => void) | undefined;
}

/** Files that all API servers of one sandbox share, by name in its folder. */
export const sharedFiles = {
  ca: 'ca.crt',
  tokenPublicKey: 'token.pub',
  tokenPrivateKey: 'token.key',
} as const;

export class ApiServer extends ServerProcess {
  readonly address: ClusterAddress;
  readonly #admin: UserCredentials;
  readonly #auditLog: string;

  private constructor(context: ApiServerContext, args: readonly string[], auditLog: string) {
    const host = context.address.includes(':') ? `[${context.address}]` : context.address;
    const address = { url: `https://${host}:${context.port}`, ca: context.authority.certificate };
    const get = (path: string): Promise<Answer> =>
      callApiServer(address, context.admin, { method: 'GET', path, timeoutMs: 2_000 });
    super({
      ...context,
      spec: { name: context.name, program: context.program, args },
      // The namespace is made by the server itself, a moment after it says that it is ready.
      isReady: async () =>
        (await get('/readyz')).status === 200 && (await get('/api/v1/namespaces/default')).status === 200,
    });
    this.address = address;
    this.#admin = context.admin;
    this.#auditLog = auditLog;
  }

  /** Writes its files into the sandbox's folder; `start` starts it. */
  static async prepare(context: ApiServerContext, options: ApiServerOptions = {}): Promise<ApiServer> {
    const file = (name: string): string => join(context.supervisor.folder, name);
    const own = (suffix: string): string => file(`${context.name}${suffix}`);
    const serving = context.authority.server([
      context.address,
      'localhost',
      'kubernetes.default.svc',
      ...context.extraNames,
    ]);
    await writeFile(own('.crt'), serving.certificate);
    await writeFile(own('.key'), serving.key, { mode: 0o600 });
    if (options.audit === true) {
      await writeFile(own('-audit-policy.json'), JSON.stringify(auditPolicy));
    }
    const args = flagArguments({
      'bind-address': context.address,
      'advertise-address': context.address,
      'secure-port': context.port,
      'tls-cert-file': own('.crt'),
      'tls-private-key-file': own('.key'),
      'client-ca-file': file(sharedFiles.ca),
      'etcd-servers': context.etcd,
      'authorization-mode': 'RBAC',
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': file(sharedFiles.tokenPublicKey),
      'service-account-signing-key-file': file(sharedFiles.tokenPrivateKey),
      'service-cluster-ip-range': context.serviceCidr,
      'service-node-port-range': context.nodePortRange,
      // A loopback address is not allowed in the endpoints of Service `kubernetes`.
      'endpoint-reconciler-type': 'none',
      'allow-privileged': true,
      profiling: false,
      ...(context.serviceAccountAdmission ? {} : { 'disable-admission-plugins': 'ServiceAccount' }),
      ...chosenFlags(options),
      ...(options.audit === true
        ? { 'audit-policy-file': own('-audit-policy.json'), 'audit-log-path': own('-audit.log') }
        : {}),
      ...options.flags,
    });
    return new ApiServer(context, args, own('-audit.log'));
  }

  /** A request as the administrator. */
  call(call: Call): Promise<Answer> {
    return callApiServer(this.address, this.#admin, call);
  }

  /** Every request answered so far, oldest first. Empty unless started with `audit`. */
  async audit(): Promise<readonly AuditEntry[]> {
    let text: string;
    try {
      text = await readFile(this.#auditLog, 'utf8');
    } catch {
      return [];
    }
    // The last line may still be on its way.
    return text.split('\n').slice(0, -1).map(auditEntry);
  }
}

function chosenFlags(options: ApiServerOptions): Record<string, number | boolean> {
  const chosen: readonly (readonly [string, number | undefined])[] = [
    ['min-request-timeout', options.minRequestTimeoutSeconds],
    ['goaway-chance', options.goawayChance],
    ['max-requests-inflight', options.maxRequestsInFlight],
    ['max-mutating-requests-inflight', options.maxMutatingRequestsInFlight],
  ];
  const limited = options.maxRequestsInFlight ?? options.maxMutatingRequestsInFlight;
  return {
    ...Object.fromEntries(
      chosen.filter((entry): entry is readonly [string, number] => entry[1] !== undefined),
    ),
    ...(limited === undefined ? {} : { 'enable-priority-and-fairness': false }),
  };
}

const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
};

/** One line of the audit log (audit.k8s.io/v1, Event). */
function auditEntry(line: string): AuditEntry {
  const event = JSON.parse(line) as {
    readonly verb: string;
    readonly requestURI: string;
    readonly userAgent?: string;
    readonly user?: { readonly username?: string };
    readonly objectRef?: Readonly<
      Partial<Record<'apiGroup' | 'resource' | 'subresource' | 'namespace' | 'name', string>>
    >;
    readonly responseStatus?: { readonly code?: number };
  };
  return {
    user: event.user?.username ?? '',
    userAgent: event.userAgent ?? '',
    verb: event.verb,
    apiGroup: event.objectRef?.apiGroup ?? '',
    resource: event.objectRef?.resource ?? '',
    subresource: event.objectRef?.subresource ?? '',
    namespace: event.objectRef?.namespace ?? '',
    name: event.objectRef?.name ?? '',
    uri: event.requestURI,
    status: event.responseStatus?.code ?? 0,
  };
}
