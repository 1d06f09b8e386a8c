/** Random Services, one after another in one account: what always holds. */
import {
  array,
  assert,
  asyncProperty,
  boolean,
  constantFrom,
  option,
  record,
  subarray,
  uniqueArray,
} from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { expect, test } from 'vitest';
import { aNode, anEndpoint, aPort, aService, aSlice, aUid } from '../../src/core/fixtures.ts';
import { hasErrors } from '../../src/core/problems.ts';
import { Bench, withoutHealth } from '../../test/support/aws-bench.ts';
import type { ClusterState } from '../../test/support/aws-bench.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const arn = (name: string): string => `arn:aws:acm:eu-west-1:123456789012:certificate/${name}`;

/** One value in three is absent, so that annotations come and go. */
const maybe = (...values: readonly string[]): Arbitrary<string | undefined> =>
  option(constantFrom(...values), { nil: undefined });

const annotations = record({
  attributes: maybe(
    'load_balancing.cross_zone.enabled=true',
    'deletion_protection.enabled=false,zonal_shift.config.enabled=true',
  ),
  'target-group-attributes': maybe(
    'deregistration_delay.timeout_seconds=30',
    'deregistration_delay.timeout_seconds=300,proxy_protocol_v2.enabled=true',
  ),
  'additional-resource-tags': maybe('team=blue', 'team=red,cost=1', 'stage=test'),
  'healthcheck-interval': maybe('10', '30'),
  'healthcheck-protocol': maybe('tcp', 'http'),
  'ssl-cert': maybe(arn('a'), `${arn('a')},${arn('b')}`, `${arn('b')},${arn('c')},${arn('a')}`),
  'ssl-ports': maybe('443', '*'),
  'backend-protocol': maybe('ssl', 'tcp'),
  subnets: maybe('subnet-c', 'subnet-c,subnet-d'),
}).map((given) =>
  Object.fromEntries(
    Object.entries(given)
      .filter((entry): entry is [string, string] => entry[1] !== undefined)
      .map(([key, value]) => [`${prefix}${key}`, value]),
  ),
);

const ports = uniqueArray(
  record({
    port: constantFrom(53, 80, 443, 8080),
    protocol: constantFrom('TCP' as const, 'UDP' as const),
  }),
  { minLength: 1, maxLength: 4, selector: ({ port, protocol }) => `${port}${protocol}` },
).chain((list) =>
  constantFrom(30_000, 31_000).map((base) =>
    list.map(({ port, protocol }) =>
      aPort({
        name: `p${port}${protocol.toLowerCase()}`,
        port,
        protocol,
        nodePort: base + (port % 1000),
      }),
    ),
  ),
);

const nodeNames = subarray(['n1', 'n2', 'n3', 'n4'], { minLength: 1 });

const state: Arbitrary<ClusterState> = record({
  annotations,
  ports,
  nodes: nodeNames,
  local: boolean(),
  holders: nodeNames,
}).map(({ annotations: given, ports: list, nodes, local, holders }) => ({
  service: aService({
    uid: aUid('uid-1'),
    annotations: given,
    ports: list,
    externalTrafficPolicy: local ? 'Local' : 'Cluster',
    healthCheckNodePort: local ? 32_000 : 0,
  }),
  nodes: nodes.map((name) => aNode(name)),
  slices: [
    aSlice(
      's1',
      holders.map((name, i) => anEndpoint(`10.1.0.${i + 1}`, name)),
    ),
  ],
}));

/** Long enough for any hand-over to be over. */
const handOverMs = 400_000;

test('whatever a Service becomes, one pass gets there: the picture is exact and nothing is left to do', async () => {
  await assert(
    asyncProperty(array(state, { minLength: 1, maxLength: 4 }), async (states) => {
      const bench = new Bench();
      for (const next of states) {
        const { problems } = bench.provider.parse(next.service);
        if (hasErrors(problems)) continue;
        for (let pass = 0; pass < 3; pass++) {
          const { after, failed, plan } = await bench.ensure(next);
          expect(failed).toEqual([]);
          expect(plan.problems).toEqual([]);
          expect(withoutHealth(after)).toEqual(withoutHealth(await bench.look(next)));
          await bench.clock.advance(handOverMs);
        }
        expect((await bench.ensure(next)).plan.steps).toEqual([]);
        bench.forget();
        expect((await bench.ensure(next)).plan.steps).toEqual([]);
      }
      const last = states.at(-1);
      if (last === undefined) return;
      await bench.remove(last);
      expect(bench.provider.isGone(await bench.look(last, 'removal'))).toBe(true);
      expect(bench.account.dump()).toMatchObject({ loadBalancers: [], targetGroups: [] });
    }),
    { numRuns: 60, seed: 7 },
  );
});
