import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { SluiceError } from '../core/errors.ts';
export type BinaryName = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-proxy' | 'kubectl';
export interface FindOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly progress?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}
export async function findBinaries<const Name extends BinaryName>(
  names: readonly Name[],
  options: FindOptions = {},
): Promise<Readonly<Record<Name, string>>> {
  const { env = process.env } = options;
  const found: [Name, string][] = [];
  for (const name of names) {
    const path = join(env['KUBEBUILDER_ASSETS'] ?? '', name);
    await access(path, constants.X_OK).catch((cause: unknown) => {
      throw new SluiceError('invalid', `no ${name}`, { code: 'NoBinaries', cause });
    });
    found.push([name, path]);
  }
  return Object.fromEntries(found) as Record<Name, string>;
}
