/**
 * The table of cases and the stories held against the real kube-proxy in iptables mode: what they say is what a cluster
 * does today, but for the rows that say otherwise.
 */
import { afterAll, beforeAll } from 'vitest';
import { PacketCluster } from './cluster.ts';
import { kubeProxyReference } from './reference.ts';
import { packetSuite } from './suite.ts';

let cluster: PacketCluster;

beforeAll(async () => {
  cluster = await PacketCluster.start();
});
afterAll(() => cluster.stop());

packetSuite({
  name: 'kube-proxy iptables',
  reference: 'kube-proxy iptables',
  iptables: 'nft',
  make: (bed, settings) => kubeProxyReference(cluster, 'iptables')(bed, settings),
  prepare: (bed) => cluster.join(bed),
});
