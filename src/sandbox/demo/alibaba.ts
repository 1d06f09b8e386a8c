/**
 * The story on Alibaba Cloud: Services get their addresses from a simulated account, a bandwidth tells the truth,
 * a node joins, and in the end nothing is left. Each chapter checks what it shows.
 */
import type { ControlClient } from '../../../providers/alibaba/simulator/control-client.ts';
import type { Api } from '../../kube/api.ts';
import { alibabaNode, apply, read, remove, type Manifest } from '../objects.ts';
import type { Connections } from './connections.ts';
import { merge } from './patch.ts';
import { condition, statusOf, until, untilService, type Narrator } from './stage.ts';

export interface AlibabaStage {
  readonly api: Api;
  readonly cloud: ControlClient;
  readonly connections: Connections;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
}

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
/** As tutorials have it. */
const bandwidth = 'service.beta.kubernetes.io/alicloud-load-balancer-bandwidth';

function service(
  name: string,
  ports: readonly object[],
  annotations: Readonly<Record<string, string>> = {},
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, annotations },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/alibaba', ports },
  };
}

const web = service('web', [{ port: 80 }], { [bandwidth]: '10' });
const paid = service('paid', [{ port: 80 }], {
  [bandwidth]: '10',
  [`${prefix}charge-type`]: 'paybybandwidth',
  [`${prefix}instance-charge-type`]: 'PayBySpec',
});
const dns = service('dns', [
  { name: 'tcp', port: 53, protocol: 'TCP' },
  { name: 'udp', port: 53, protocol: 'UDP' },
]);

export async function tellAlibabaStory({
  api,
  cloud,
  connections,
  narrator,
  signal,
}: AlibabaStage): Promise<void> {
  narrator.chapter('A cluster with three nodes, and three Services of type LoadBalancer');
  for (const index of [1, 2, 3]) await apply(api, alibabaNode(index));
  const rows = [['SERVICE', 'EXTERNAL-IP', 'SECONDS']];
  for (const one of [web, paid, dns]) {
    await apply(api, one);
    const { value, ms } = await untilService(
      api,
      one,
      'gets an address',
      (live) => statusOf(live).address !== '',
      { signal },
    );
    rows.push([one.metadata?.name ?? '', statusOf(value).address, (ms / 1000).toFixed(2)]);
  }
  narrator.table(rows);

  narrator.chapter('A bandwidth tells the truth');
  const { value } = await untilService(
    api,
    web,
    'says what the bandwidth does',
    (live) => condition(live, 'Accepted')?.reason === 'BandwidthNotEffective',
    { signal },
  );
  narrator.line(`  ${condition(value, 'Accepted')?.message ?? ''}`);
  await until(
    'balancer paid to have 10 Mbit/s',
    async () => (await balancerOf(cloud, 'paid'))?.Bandwidth === 10 || undefined,
    { signal },
  );
  await merge(api, paid, { metadata: { annotations: { [bandwidth]: '25' } } });
  const changed = await until(
    'balancer paid to have 25 Mbit/s',
    async () => (await balancerOf(cloud, 'paid'))?.Bandwidth === 25 || undefined,
    { signal },
  );
  narrator.good(
    `web has its address all the same; paid pays by bandwidth and follows from 10 to 25 Mbit/s in ${(changed.ms / 1000).toFixed(2)} s.`,
  );

  narrator.chapter('Connections through a balancer');
  const url = await connections.show(web, 3);

  narrator.chapter('A node joins');
  await connections.throughout(url, { joined: 'node-4' }, async () => {
    await apply(api, alibabaNode(4));
    const joined = await until(
      'node-4 to be a member of every group',
      async () => {
        const { loadBalancers } = await cloud.dump();
        const groups = loadBalancers.flatMap(({ VServerGroups }) => VServerGroups);
        return (
          (groups.length === 4 && groups.every(({ BackendServers }) => BackendServers.length === 4)) ||
          undefined
        );
      },
      { signal },
    );
    narrator.good(`node-4 is a member of all 4 groups after ${(joined.ms / 1000).toFixed(2)} s.`);
  });

  narrator.chapter('Everything is deleted');
  for (const one of [web, paid, dns]) await remove(api, one);
  await until(
    'every Service to be gone',
    async () => {
      for (const one of [web, paid, dns]) if ((await read(api, one)) !== undefined) return undefined;
      return true;
    },
    { signal },
  );
  const { loadBalancers } = await cloud.dump();
  if (loadBalancers.length > 0)
    throw new Error(`nothing is left in the account, not ${loadBalancers.length} balancers`);
  narrator.good('Nothing is left in the account.');
}

async function balancerOf(cloud: ControlClient, name: string) {
  const { loadBalancers } = await cloud.dump();
  return loadBalancers.find(({ TagsByKey }) => TagsByKey['sluice.dev/service'] === `default/${name}`);
}
