/**
 * Kubeconfig files: how a person, a tool or a controller is told where an API server is and who it is there.
 *
 * Each file stands alone (certificates and keys are inside it) and is written as JSON, which is YAML too.
 */
import { writeFile } from 'node:fs/promises';
import type { Credentials } from './certificates.ts';

export type UserCredentials =
  | ({ readonly kind: 'certificate' } & Credentials)
  | { readonly kind: 'token'; readonly token: string };

export interface ClusterAddress {
  /** For example `https://127.0.0.1:23456`. */
  readonly url: string;
  /** PEM. */
  readonly ca: string;
}

/** The parts of a kubeconfig that are written here, in the words of the format. */
export interface Kubeconfig {
  readonly apiVersion: 'v1';
  readonly kind: 'Config';
  readonly clusters: readonly {
    readonly name: string;
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
  }[];
  readonly users: readonly { readonly name: string; readonly user: Readonly<Record<string, string>> }[];
  readonly contexts: readonly {
    readonly name: string;
    readonly context: { readonly cluster: string; readonly user: string };
  }[];
  readonly 'current-context': string;
}

const clusterName = 'sluice-sandbox';

export function kubeconfigOf(
  cluster: ClusterAddress,
  user: string,
  credentials: UserCredentials,
): Kubeconfig {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: clusterName,
        cluster: { server: cluster.url, 'certificate-authority-data': base64(cluster.ca) },
      },
    ],
    users: [{ name: user, user: userEntry(credentials) }],
    contexts: [{ name: clusterName, context: { cluster: clusterName, user } }],
    'current-context': clusterName,
  };
}

/** Only its owner may read the file: it holds a key. */
export async function writeKubeconfig(path: string, config: Kubeconfig): Promise<void> {
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}

function userEntry(credentials: UserCredentials): Record<string, string> {
  if (credentials.kind === 'token') return { token: credentials.token };
  return {
    'client-certificate-data': base64(credentials.certificate),
    'client-key-data': base64(credentials.key),
  };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
