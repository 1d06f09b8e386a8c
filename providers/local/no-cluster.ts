/** Where there is no cluster to look at: for commands that need the provider's pure parts only. */
import { SluiceError } from '../../src/core/errors.ts';
import type { LocalCluster } from './cluster.ts';

function refuse(): Promise<never> {
  return Promise.reject(
    new SluiceError('invalid', 'there is no cluster to look at', {
      code: 'NoCluster',
      action: 'get serviceaddresses',
    }),
  );
}

export const noCluster: LocalCluster = {
  complete: () => false,
  pools: () => [],
  addresses: () => [],
  address: () => undefined,
  services: () => [],
  service: () => undefined,
  namespaceLabels: () => ({}),
  nodes: () => [],
  connect: () => () => undefined,
  readAddress: refuse,
  listAddresses: refuse,
  createAddress: refuse,
  changeAddress: refuse,
  deleteAddress: refuse,
  writePoolStatus: refuse,
};
