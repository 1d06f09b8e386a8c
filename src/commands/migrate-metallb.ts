/**
 * `sluice migrate --from metallb`: reads MetalLB's pools, from the cluster or from files, and prints the AddressPools
 * that mean the same; with consent it applies them. Nothing of MetalLB is changed.
 */
import { readFile } from 'node:fs/promises';
import { parseAllDocuments, stringify } from 'yaml';
import { asSluiceError } from '../core/errors.ts';
import type { Api } from '../kube/api.ts';
import { poolsPath } from '../kube/address-kinds.ts';
import { connectBy } from './access.ts';
import { agreed } from './consent.ts';
import { convertMetallb, type MetallbObject } from './metallb-pools.ts';
import type { MigrationSource } from './migrate-source.ts';
import { paint } from './shell.ts';
import { exit } from './table.ts';

const kinds = {
  ipaddresspools: 'IPAddressPool',
  l2advertisements: 'L2Advertisement',
  bgpadvertisements: 'BGPAdvertisement',
} as const;

export const fromMetallb: MigrationSource = {
  run: async ({ files, apply, yes, output, shell, kubeconfig, context }) => {
    const api = files.length > 0 && !apply ? undefined : await connectBy({ kubeconfig, context });
    try {
      const objects = files.length > 0 ? await fromFiles(files) : await fromCluster(api);
      const { pools, notes } = convertMetallb(objects);
      for (const note of notes) shell.err(`${paint(shell, 'yellow', 'note:')} ${note}\n`);
      if (pools.length === 0) {
        shell.err('There is no IPAddressPool to read.\n');
        return exit.ok;
      }
      shell.out(
        output === 'json'
          ? `${JSON.stringify(pools, undefined, 2)}\n`
          : pools.map((pool) => `---\n${stringify(pool)}`).join(''),
      );
      if (!apply || api === undefined) return exit.changes;
      shell.err(
        `These ${pools.length} AddressPools are about to be applied; nothing of MetalLB is changed.\n`,
      );
      if (!yes && !(await agreed(shell))) return exit.problem;
      for (const pool of pools) {
        await api.request('PATCH', `${poolsPath}/${encodeURIComponent(pool.metadata.name)}`, {
          query: { fieldManager: 'sluice-migrate', force: false },
          contentType: 'application/apply-patch+yaml',
          body: pool,
        });
        shell.err(`  ${paint(shell, 'green', 'applied')}  ${pool.metadata.name}\n`);
      }
      return exit.ok;
    } finally {
      await api?.close();
    }
  },
};

async function fromFiles(files: readonly string[]): Promise<readonly MetallbObject[]> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as unknown))
    .flatMap((object): readonly MetallbObject[] => {
      if (typeof object !== 'object' || object === null) return [];
      return (object as { readonly items?: readonly MetallbObject[] }).items ?? [object];
    });
}

/** MetalLB may be gone already, its kinds with it: then there is nothing to read, and that is said. */
async function fromCluster(api: Api | undefined): Promise<readonly MetallbObject[]> {
  const found: MetallbObject[] = [];
  for (const [plural, kind] of Object.entries(kinds)) {
    try {
      const list = (await api?.request('GET', `/apis/metallb.io/v1beta1/${plural}`)) as {
        readonly items?: readonly MetallbObject[];
      };
      found.push(...(list.items ?? []).map((item) => ({ ...item, kind })));
    } catch (thrown) {
      if (asSluiceError(thrown).kind !== 'gone') throw thrown;
    }
  }
  return found;
}
