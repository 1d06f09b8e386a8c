import { expect, test } from 'vitest';
import { aDecision } from '../../../test/packets/iptables-bench.ts';
import { limitFindings } from './limits.ts';
import { endpointChain } from './names.ts';
import { target } from './service.ts';

const able = { bpf: true, randomFully: true };
const hashed = aDecision(1, { endpoints: 2, some: { balancing: 'hash' } });
const sticky = aDecision(2, { endpoints: 2, some: { affinitySeconds: 30 } });
const plain = aDecision(3, { endpoints: 2 });
const nothing = (): Promise<undefined> => Promise.resolve(undefined);

test('balancing by a hash without the bpf match is told of the Service, and with it nothing is', async () => {
  const found = await limitFindings({
    abilities: { ...able, bpf: false },
    decisions: [hashed, plain],
    read: nothing,
  });
  expect(found).toMatchObject([{ code: 'HashNotPossible', service: hashed.service }]);
  expect(await limitFindings({ abilities: able, decisions: [hashed, plain], read: nothing })).toEqual([]);
});

test.each([
  [89, undefined, 0],
  [90, undefined, 1],
  [100, '100\n', 1],
  [100, '10000\n', 0],
])('%i clients of an endpoint with %s places: %i findings (A2)', async (clients, places, count) => {
  const [, endpoint = { address: '', port: 0 }] = sticky.cluster;
  const list = `/proc/net/xt_recent/${endpointChain(sticky, target(endpoint))}`;
  const files = new Map([[list, 'src=10.0.0.1 ttl: 64 last_seen: 1 oldest_pkt: 1 1\n'.repeat(clients)]]);
  if (places !== undefined) files.set('/sys/module/xt_recent/parameters/ip_list_tot', places);
  const read = (path: string): Promise<string | undefined> => Promise.resolve(files.get(path));
  const found = await limitFindings({ abilities: able, decisions: [sticky, plain], read });
  expect(found.map(({ code, service }) => [code, service])).toEqual(
    Array.from({ length: count }, () => ['AffinityMemoryFull', sticky.service]),
  );
});
