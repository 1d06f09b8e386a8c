/** The AWS provider through the real SDK, against the simulated account on the wire. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSdkClient } from '../../providers/aws/client.ts';
import { createAwsProvider, type AwsProvider } from '../../providers/aws/provider.ts';
import { ownerOf } from '../../providers/aws/wanted.ts';
import { seededRandom, systemClock } from '../../src/core/clock.ts';
import { execute, type Execution } from '../../src/core/execute.ts';
import { aPort, aService } from '../../src/core/fixtures.ts';
import { cluster, testConfig, withoutHealth, worldOf } from '../support/aws-bench.ts';
import { credentials, serve, type Served } from './elbv2-support.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const state = cluster({
  service: aService({
    annotations: {
      [`${prefix}ssl-cert`]: [1, 2]
        .map((n) => `arn:aws:acm:eu-west-1:123456789012:certificate/${n}`)
        .join(','),
      [`${prefix}ssl-ports`]: '443',
      [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled=true',
      [`${prefix}target-group-attributes`]: 'deregistration_delay.timeout_seconds=30',
      [`${prefix}additional-resource-tags`]: 'team=a/b c',
    },
    ports: [
      aPort({ name: 'https', port: 443 }),
      aPort({ name: 'dns', port: 53, nodePort: 30053 }),
      aPort({ name: 'dns-udp', port: 53, nodePort: 30053, protocol: 'UDP' }),
    ],
  }),
});
const owner = ownerOf(worldOf(state));
const { signal } = new AbortController();

/** The account's calendar: a balancer that is much older than its creation would be somebody else's. */
const clock = { ...systemClock, wall: () => Date.UTC(2026, 0, 1) };

let served: Served;
let client: ReturnType<typeof createSdkClient>;
let provider: AwsProvider;

beforeEach(async () => {
  served = await serve();
  client = createSdkClient({ region: 'eu-west-1', endpoint: served.server.url, credentials });
  provider = createAwsProvider({ client, config: testConfig(), clock, random: seededRandom(1) });
});

afterEach(async () => {
  client.close();
  await served.close();
});

const wanted = (): ReturnType<AwsProvider['want']>['wanted'] =>
  provider.want(provider.parse(state.service).settings, worldOf(state)).wanted;
const look = (depth: 'full' | 'removal'): ReturnType<AwsProvider['observe']> =>
  provider.observe({
    owner,
    depth,
    wanted: depth === 'full' ? wanted() : undefined,
    previous: undefined,
    signal,
  });

async function pass(goal: Parameters<AwsProvider['plan']>[0]): Promise<Execution> {
  const observed = await look(goal.kind === 'present' ? 'full' : 'removal');
  const { steps } = provider.plan(goal, observed, { owner, now: 0, memory: {} });
  return await execute({ provider, observed, steps, signal, clock: systemClock });
}

test('a Service comes, is as the folded picture says, and goes without a trace', async () => {
  const made = await pass({ kind: 'present', wanted: wanted() });
  expect(made.failed).toEqual([]);

  const fresh = await look('full');
  expect(withoutHealth(made.observed as typeof fresh)).toEqual(withoutHealth(fresh));
  expect(
    provider.plan({ kind: 'present', wanted: wanted() }, fresh, { owner, now: 0, memory: {} }).steps,
  ).toEqual([]);
  expect(provider.addresses(wanted(), fresh)).toMatchObject({ kind: 'ready' });

  expect((await pass({ kind: 'absent', settings: undefined })).failed).toEqual([]);
  expect(served.account.dump()).toMatchObject({ loadBalancers: [], targetGroups: [] });
});

test.each([
  ['Throttling', 'throttled'],
  ['AccessDenied', 'denied'],
  ['LoadBalancerNotFound', 'gone'],
  ['TooManyTags', 'quota'],
  ['ALPNPolicyNotFound', 'invalid'],
  ['ServiceUnavailable', 'transient'],
])('what the wire calls %s arrives as %s', async (code, kind) => {
  served.account.faults.order({
    match: { operation: 'DescribeTags' },
    times: 'until-cleared',
    effect: { kind: 'error', code },
  });
  served.account.byHand('CreateTargetGroup', { Name: 'x', Protocol: 'TCP', Port: 1, VpcId: 'vpc-1' });

  const asked = provider.survey({ name: 'c', id: 'c' }, new Map(), signal);

  if (kind === 'gone') expect(await asked).toEqual({ disturbed: [], strays: [] });
  else await expect(asked).rejects.toMatchObject({ kind });
});

test('a connection that is cut is no failure', async () => {
  served.account.faults.order({ match: { mutating: true }, times: 3, effect: { kind: 'lost-answer' } });

  const made = await pass({ kind: 'present', wanted: wanted() });

  expect(served.account.dump().loadBalancers.length).toBeLessThanOrEqual(1);
  expect(made.failed.every(({ error }) => error.kind === 'ambiguous')).toBe(true);
});
