/**
 * The Go module in control-plane/, which says exactly which programs make a control plane: their versions, the
 * modules that they are built from and, through go.sum, every byte of those.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '../core/errors.ts';

/** The same relative to the sources and to the bundle. */
const folder = fileURLToPath(new URL('../../src/sandbox/control-plane/', import.meta.url));

/** Import path of each program's main package. */
export const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
} as const;

export type BinaryName = keyof typeof packages;

export interface GoModule {
  /** Where go.mod and go.sum are. */
  readonly folder: string;
  /** The oldest Go that can build it, for example `1.26.0`. */
  readonly go: string;
  /** For example `v1.36.3`. */
  readonly kubernetes: string;
  /** A folder name that is another one whenever the programs would be others. */
  readonly cacheKey: string;
}

export async function readGoModule(): Promise<GoModule> {
  const mod = await readFile(join(folder, 'go.mod'), 'utf8');
  const sum = await readFile(join(folder, 'go.sum'), 'utf8');
  const kubernetes = version(mod, /^\s*k8s\.io\/kubernetes (v\S+)/m);
  const digest = createHash('sha256')
    .update([mod, sum, ...linkerFlags(kubernetes), process.platform, process.arch].join('\n'))
    .digest('hex')
    .slice(0, 12);
  return {
    folder,
    go: version(mod, /^go (\S+)/m),
    kubernetes,
    cacheKey: `control-plane-${kubernetes}-${digest}`,
  };
}

/**
 * Flags of Go's linker: no debugging symbols, and the version that Kubernetes' own builds stamp, without which the
 * programs call themselves v0.0.0.
 */
export function linkerFlags(kubernetes: string): string[] {
  const [major = '', minor = ''] = kubernetes.slice(1).split('.');
  const stamps = { gitVersion: kubernetes, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  return [
    '-s',
    '-w',
    ...['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) =>
      Object.entries(stamps).flatMap(([name, value]) => ['-X', `${path}.${name}=${value}`]),
    ),
  ];
}

/** True when `have` is not older than `need`. Compares the first dotted number in each text; a pre-release counts as the release. */
export function atLeast(have: string, need: string): boolean {
  const left = leadingNumbers(have);
  const right = leadingNumbers(need);
  for (let index = 0; index < right.length; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function leadingNumbers(text: string): number[] {
  return (/\d+(?:\.\d+)*/.exec(text)?.[0] ?? '').split('.').map(Number);
}

function version(mod: string, pattern: RegExp): string {
  const found = pattern.exec(mod)?.[1];
  if (found === undefined) {
    throw new SluiceError('bug', `${folder}go.mod has no line like ${String(pattern)}`, {
      code: 'BadGoModule',
    });
  }
  return found;
}
