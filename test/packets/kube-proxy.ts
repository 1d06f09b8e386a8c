/**
 * The real kube-proxy in a node of a bed: the reference for what Services mean, and a neighbour to live beside.
 *
 * It is the program that findBinaries gives for the sandbox's Kubernetes version. It is ready when its rules answer,
 * which callers find out with packets.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findBinaries } from '../../src/sandbox/binaries.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import { clusterRange } from '../../src/sandbox/bed/topology.ts';

export interface KubeProxyOptions {
  readonly mode: 'nftables' | 'iptables';
  readonly kubeconfig: string;
  /** Which sources count as pods; by default all pods of the cluster. */
  readonly local?:
    | { readonly kind: 'cluster' }
    | { readonly kind: 'none' }
    | { readonly kind: 'bridge'; readonly name: string }
    | { readonly kind: 'prefix'; readonly prefix: string };
  readonly masqueradeAll?: boolean;
  /** As `--nodeport-addresses`. */
  readonly nodePortAddresses?: readonly string[];
  /** Milliseconds between two writes of rules, at least 1; by default 1. kube-proxy's own default is 1,000. */
  readonly minSyncMs?: number;
  /** As `--v`; by default 0. */
  readonly verbosity?: number;
}

let count = 0;

/** Starts it under the node's own name. It ends with the bed. */
export async function startKubeProxy(
  bed: Bed,
  node: string,
  options: KubeProxyOptions,
): Promise<ManagedProcess> {
  const { 'kube-proxy': program } = await findBinaries(['kube-proxy']);
  count += 1;
  const name = `kube-proxy-${node}-${count}`;
  const file = join(await bed.folder(), `${name}.json`);
  await writeFile(file, JSON.stringify(configuration(node, options)));
  return bed.start(node, { name, program, args: [`--config=${file}`] });
}

/** `kubeproxy.config.k8s.io/v1alpha1`, of which every YAML file is one in JSON too. */
function configuration(node: string, options: KubeProxyOptions): object {
  const { mode, kubeconfig, local = { kind: 'cluster' }, masqueradeAll = false, minSyncMs = 1 } = options;
  const { verbosity = 0 } = options;
  const pace = { minSyncPeriod: `${minSyncMs}ms`, syncPeriod: '30s' };
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode,
    hostnameOverride: node,
    logging: { verbosity },
    clientConnection: { kubeconfig },
    ...localDetection(local),
    nodePortAddresses: options.nodePortAddresses ?? [],
    // Limits of the machine's connection tracking are not the business of a namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    iptables: { ...pace, masqueradeAll },
    nftables: { ...pace, masqueradeAll },
  };
}

function localDetection(local: NonNullable<KubeProxyOptions['local']>): object {
  switch (local.kind) {
    case 'cluster':
      return { detectLocalMode: 'ClusterCIDR', clusterCIDR: `${clusterRange.IPv4},${clusterRange.IPv6}` };
    case 'none':
      // Without a range there is nothing to detect by.
      return { detectLocalMode: 'ClusterCIDR', clusterCIDR: '' };
    case 'bridge':
      return { detectLocalMode: 'BridgeInterface', detectLocal: { bridgeInterface: local.name } };
    case 'prefix':
      return { detectLocalMode: 'InterfaceNamePrefix', detectLocal: { interfaceNamePrefix: local.prefix } };
  }
}
