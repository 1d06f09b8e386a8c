/** The policy for Alibaba Cloud: exactly the actions that the provider's calls need, as they are recorded. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { aPort, aService, anEndpoint, aSlice } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import { isSlbOperation, ramAction } from './operations.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

/** One life with everything in it. */
async function everyCall(): Promise<ReadonlySet<string>> {
  const vswitches = [
    { id: 'vsw-a', vpcId: 'vpc-1', zone: 'h', freeAddresses: 0 },
    { id: 'vsw-b', vpcId: 'vpc-1', zone: 'i' },
  ];
  const bench = new AlibabaBench({ settings: { vswitches } });
  const ports = [
    aPort({ name: 'a', port: 80, nodePort: 30_001 }),
    aPort({ name: 'b', port: 443, nodePort: 30_002 }),
    aPort({ name: 'c', port: 22, nodePort: 30_003 }),
    aPort({ name: 'd', port: 53, protocol: 'UDP', nodePort: 30_004 }),
  ];
  const nodes = [anEcsNode('n1'), anEcsNode('n2')];
  const slices = [
    aSlice('s', [anEndpoint('10.1.0.1', 'n1'), anEndpoint('10.1.0.2', 'n1'), anEndpoint('10.1.0.3', 'n2')]),
  ];
  const base = { 'protocol-port': 'http:80,https:443', 'cert-id': 'c', 'instance-charge-type': 'PayBySpec' };
  const given = (
    words: Readonly<Record<string, string>>,
    change: Partial<Omit<ServiceObject, 'key'>> = {},
  ) => ({
    service: aService({
      ports,
      ...change,
      annotations: Object.fromEntries(
        Object.entries({ ...base, ...words }).map(([word, value]) => [`${prefix}${word}`, value]),
      ),
    }),
    nodes,
    slices,
  });
  await bench.ensure(given({ 'additional-resource-tags': 'a=b', 'domain-extensions': 'a.b:c,b.b:c' }));
  await bench.ensure(given({ 'domain-extensions': 'a.b:d' }));
  const later = {
    name: 'x',
    spec: 'slb.s2.small',
    'charge-type': 'paybybandwidth',
    bandwidth: '9',
    'healthy-threshold': '5',
  };
  await bench.ensure(
    given({ ...later, 'delete-protection': 'off', 'modification-protection': 'NonProtection' }),
  );
  await bench.ensure(given({ 'charge-type': 'paybytraffic', 'additional-resource-tags': 'a=c' }));
  await bench.ensure(
    given(
      { 'instance-charge-type': 'PayByCLCU' },
      { externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 },
    ),
  );
  await bench.ensure({ ...given({}), nodes: [...nodes, anEcsNode('n3')] });
  await bench.ensure({ ...given({}, { ports: ports.slice(0, 3) }), nodes: nodes.slice(0, 1) });
  await bench.ensure({ ...given({}, { ports: ports.slice(0, 3) }), nodes: nodes.slice(0, 1) });
  await bench.remove(given({}));
  await bench.ensure(given({ 'address-type': 'intranet' }, { name: 'inside' }));
  return new Set(
    bench.account
      .calls()
      .map(({ operation }) => (isSlbOperation(operation) ? ramAction(operation) : operation)),
  );
}

test('it allows what a life with everything in it calls, all of it and no more', async () => {
  const policy = JSON.parse(
    readFileSync(new URL('../../manifests/alibaba/ram-policy.json', import.meta.url), 'utf8'),
  ) as {
    readonly Statement: readonly { readonly Effect: string; readonly Action: readonly string[] }[];
  };
  const allowed = policy.Statement.flatMap(({ Action }) => Action);
  expect(allowed.toSorted()).toEqual([...(await everyCall())].toSorted());
});
