/**
 * The sandbox's kube-controller-manager, for what needs the rest of Kubernetes at work: endpoint slices from
 * pods, service accounts in new namespaces, garbage collection, the life cycle of nodes.
 */
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { sharedFiles, type ApiServer } from './api-server.ts';
import type { Authority } from './certificates.ts';
import { kubeconfigOf, writeKubeconfig } from './kubeconfig.ts';
import type { Supervisor } from './processes.ts';
import { flagArguments, ServerProcess } from './server-process.ts';

export interface ControllerManagerOptions {
  /** Which controllers run, in the form of `--controllers`; by default all that are on by default. */
  readonly controllers?: string;
  /** Any other flag, without the leading dashes. */
  readonly flags?: Readonly<Record<string, string>>;
}

export interface ControllerManagerContext {
  readonly supervisor: Supervisor;
  readonly clock: Clock;
  readonly program: string;
  readonly authority: Authority;
  readonly apiServer: ApiServer;
  readonly readyWithinMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onUnexpectedEnd?: ((message: string) => void) | undefined;
  readonly options: ControllerManagerOptions;
}

/** Ready when it has made the service account `default` in namespace `default`. */
export async function startControllerManager(context: ControllerManagerContext): Promise<ServerProcess> {
  const file = (name: string): string => join(context.supervisor.folder, name);
  const user = 'system:kube-controller-manager';
  const kubeconfig = file('kube-controller-manager.kubeconfig');
  await writeKubeconfig(
    kubeconfig,
    kubeconfigOf(context.apiServer.address, user, {
      kind: 'certificate',
      ...context.authority.client(user, []),
    }),
  );
  const server = new ServerProcess({
    ...context,
    spec: {
      name: 'kube-controller-manager',
      program: context.program,
      args: flagArguments({
        kubeconfig,
        'authentication-kubeconfig': kubeconfig,
        'authorization-kubeconfig': kubeconfig,
        'service-account-private-key-file': file(sharedFiles.tokenPrivateKey),
        'root-ca-file': file(sharedFiles.ca),
        'use-service-account-credentials': true,
        'leader-elect': false,
        'bind-address': '127.0.0.1',
        // It serves nothing that the sandbox needs.
        'secure-port': 0,
        profiling: false,
        ...(context.options.controllers === undefined ? {} : { controllers: context.options.controllers }),
        ...context.options.flags,
      }),
    },
    isReady: async () => {
      const path = '/api/v1/namespaces/default/serviceaccounts/default';
      return (await context.apiServer.call({ method: 'GET', path })).status === 200;
    },
  });
  await server.start();
  return server;
}
