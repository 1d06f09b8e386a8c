/**
 * What makes the controller look at a Service, one trigger a test: each changes on a real API server what a
 * user would change, and the account must follow, or the user must be told why not. And what must not make
 * it look at all.
 *
 * The Services of the first part live side by side on one controller.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { condition, statusOf } from '../../src/sandbox/demo/stage.ts';
import { apply, remove, sliceManifest, type Manifest } from '../../src/sandbox/objects.ts';
import {
  finalizer,
  finalizersOf,
  Ground,
  instanceOf,
  nodeOf,
  pause,
  specOf,
  type Balancer,
} from './ground.ts';

let ground: Ground;
/** Node ports that were asked for: each try one of its own. */
let asked = 30_020;

beforeAll(async () => {
  // The shortest survey that the settings allow: strays are seen, and seen again, within the test.
  ground = await Ground.open({ controllerSettings: { drift: { surveyEvery: '10s' } } });
}, 600_000);

afterAll(async () => {
  await ground?.close();
});

const listenersOf = (balancer: Balancer | undefined): readonly string[] =>
  (balancer?.Listeners ?? [])
    .map((listener) => `${String(listener['Port'])}/${String(listener['Protocol'])}`)
    .toSorted();

/** Ports beside the address in the status. */
function portsOf(live: Manifest | undefined): unknown {
  const status = live?.['status'] as
    | { readonly loadBalancer?: { readonly ingress?: readonly { readonly ports?: unknown }[] } }
    | undefined;
  return status?.loadBalancer?.ingress?.[0]?.ports;
}

const withPorts = (...ports: readonly object[]): object => ({ spec: { ports } });

describe.concurrent('a change of the spec', () => {
  test('of ports: one more, one less, and their order', async () => {
    const service = await ground.served();
    await ground.change(service, withPorts({ name: 'http', port: 80 }, { name: 'alt', port: 8080 }));
    const two = await ground.holds(
      service,
      'two listeners',
      ({ balancers }) => balancers[0]?.Listeners.length === 2,
    );
    expect(listenersOf(two.balancers[0])).toEqual(['80/TCP', '8080/TCP']);
    await ground.tells(service, 'InSync', 'True', 'InSync');
    const mark = await ground.mark();
    await ground.change(service, withPorts({ name: 'alt', port: 8080 }, { name: 'http', port: 80 }));
    await pause(1_500);
    expect(await ground.writesFor(service, mark)).toEqual([]);
    await ground.change(service, withPorts({ name: 'alt', port: 8080 }));
    const one = await ground.holds(
      service,
      'one listener and one group',
      ({ balancers, groups }) => balancers[0]?.Listeners.length === 1 && groups.length === 1,
    );
    expect(listenersOf(one.balancers[0])).toEqual(['8080/TCP']);
    await ground.sees(
      service,
      'shows the new port alone',
      (object) => JSON.stringify(portsOf(object)) === '[{"port":8080,"protocol":"TCP"}]',
    );
    await ground.gone(service);
  });

  test('of a protocol: the listener is replaced, on the same balancer', async () => {
    const service = await ground.served();
    const before = await ground.held(service);
    await ground.change(service, withPorts({ name: 'http', port: 80, protocol: 'UDP' }));
    const after = await ground.holds(
      service,
      'a UDP listener',
      ({ balancers, groups }) =>
        listenersOf(balancers[0]).join() === '80/UDP' &&
        groups.length === 1 &&
        groups[0]?.['Protocol'] === 'UDP',
    );
    expect(after.balancers[0]?.['DNSName']).toBe(before.balancers[0]?.['DNSName']);
    const live = await ground.sees(service, 'shows UDP', (object) =>
      JSON.stringify(object?.['status']).includes('"UDP"'),
    );
    expect(statusOf(live).address).toBe(String(before.balancers[0]?.['DNSName']).toLowerCase());
    await ground.gone(service);
  });

  test('of a node port: the new is registered before the old is taken away', async () => {
    const service = await ground.served();
    const before = await ground.held(service);
    const old = before.targets[0]?.Port;
    const nodePort = (asked += 1);
    // The new ones stay unhealthy until both have been seen.
    await ground.cloud.setHealth(
      { port: nodePort },
      { kind: 'unhealthy', reason: 'Target.FailedHealthChecks' },
    );
    const mark = await ground.mark();
    await ground.change(service, withPorts({ name: 'http', port: 80, nodePort }));
    const both = await ground.holds(
      service,
      'the new targets',
      ({ targets }) => targets.filter(({ Port }) => Port === nodePort).length === 3,
    );
    expect(both.targets.filter(({ Port }) => Port === old).length).toBe(3);
    expect(await ground.tells(service, 'InSync', 'False', 'HandingOver')).toContain('stay until');
    await ground.cloud.setHealth({ port: nodePort }, { kind: 'healthy' });
    const after = await ground.holds(service, 'only the new targets', ({ targets }) => targets.length === 3);
    expect(after.targets.every(({ Port }) => Port === nodePort)).toBe(true);
    expect(after.groups.map((group) => group['TargetGroupArn'])).toEqual(
      before.groups.map((group) => group['TargetGroupArn']),
    );
    const order = (await ground.writesFor(service, mark)).map(({ operation }) => operation);
    expect(order.filter((operation) => operation.endsWith('Targets'))).toEqual([
      'RegisterTargets',
      'DeregisterTargets',
    ]);
    await ground.tells(service, 'InSync', 'True', 'InSync');
    await ground.gone(service);
  });

  test('of appProtocol: nothing that a Network Load Balancer knows of', async () => {
    const service = await ground.served();
    const mark = await ground.mark();
    await ground.change(service, withPorts({ name: 'http', port: 80, appProtocol: 'http' }));
    await pause(1_500);
    expect(await ground.writesFor(service, mark)).toEqual([]);
    expect(condition(await ground.live(service), 'InSync')?.status).toBe('True');
    await ground.gone(service);
  });

  test('of session affinity: stickiness of the group comes and goes', async () => {
    const service = await ground.served();
    await ground.change(service, { spec: { sessionAffinity: 'ClientIP' } });
    const sticky = await ground.holds(
      service,
      'a sticky group',
      ({ groups }) => groups[0]?.Attributes['stickiness.enabled'] === 'true',
    );
    expect(sticky.groups[0]?.Attributes['stickiness.type']).toBe('source_ip');
    await ground.change(service, { spec: { sessionAffinity: 'None' } });
    await ground.holds(
      service,
      'a group that is not sticky',
      ({ groups }) => groups[0]?.Attributes['stickiness.enabled'] === 'false',
    );
    await ground.gone(service);
  });

  test('of source ranges: refused with the reason, and the balancer goes on as it was', async () => {
    const service = await ground.served();
    const mark = await ground.mark();
    await ground.change(service, { spec: { loadBalancerSourceRanges: ['10.0.0.0/8'] } });
    const message = await ground.tells(service, 'Accepted', 'False', 'SourceRangesNotEnforced');
    expect(message).toContain('spec.loadBalancerSourceRanges');
    expect(message).toContain('10.0.0.0/8');
    expect(await ground.warned(service, 'SourceRangesNotEnforced')).toContain('security-groups');
    expect(await ground.writesFor(service, mark)).toEqual([]);
    expect(statusOf(await ground.live(service)).address).not.toBe('');
    await ground.change(service, { spec: { loadBalancerSourceRanges: null } });
    await ground.tells(service, 'Accepted', 'True', 'Accepted');
    await ground.gone(service);
  });

  test('of loadBalancerIP: served all the same, with a warning', async () => {
    const service = await ground.served();
    await ground.change(service, { spec: { loadBalancerIP: '192.0.2.7' } });
    const message = await ground.tells(service, 'Accepted', 'True', 'IneffectiveSetting');
    expect(message).toContain('192.0.2.7');
    expect(message).toContain('eip-allocations');
    await ground.gone(service);
  });

  test('of the traffic policy: check and targets follow, register before deregister', async () => {
    const service = await ground.served();
    const slice = sliceManifest('default', service.metadata?.name ?? '', { name: 'http', port: 80 }, [
      'node-1',
    ]);
    await apply(ground.api, slice);
    await ground.change(service, { spec: { externalTrafficPolicy: 'Local' } });
    const local = await ground.holds(
      service,
      'the check of policy Local',
      ({ groups }) => groups[0]?.['HealthCheckProtocol'] === 'HTTP',
    );
    const port = String(specOf(await ground.live(service))['healthCheckNodePort']);
    expect(local.groups[0]).toMatchObject({ HealthCheckPort: port, HealthCheckPath: '/healthz' });
    // Nodes without an endpoint may still serve connections: they stay for the grace period.
    await ground.sees(service, 'says that they stay', (live) => {
      const inSync = condition(live, 'InSync');
      return inSync?.reason === 'HandingOver' && inSync.message.includes('grace period');
    });
    expect(local.targets.length).toBe(3);
    const mark = await ground.mark();
    await ground.change(service, { spec: { externalTrafficPolicy: 'Cluster' } });
    const cluster = await ground.holds(
      service,
      'the check of policy Cluster',
      ({ groups }) => groups[0]?.['HealthCheckProtocol'] === 'TCP',
    );
    expect(cluster.groups[0]?.['HealthCheckPort']).toBe('traffic-port');
    expect(cluster.targets.length).toBe(3);
    expect((await ground.writesFor(service, mark)).map(({ operation }) => operation)).toEqual([
      'ModifyTargetGroup',
    ]);
    await ground.gone(service);
    await remove(ground.api, slice);
  });

  test('of endpoints, under policy Local: a pod on another node brings it in at once', async () => {
    const service = ground.service({ spec: { externalTrafficPolicy: 'Local' } });
    const on = (...nodes: readonly string[]): Manifest =>
      sliceManifest('default', service.metadata?.name ?? '', { name: 'http', port: 80 }, nodes);
    await apply(ground.api, on('node-1'));
    await ground.served(service);
    // The slice may reach the controller after the Service.
    const first = await ground.holds(service, 'one target', ({ targets }) => targets.length === 1);
    expect(first.targets.map(({ Id }) => Id)).toEqual([instanceOf(1)]);
    const mark = await ground.mark();
    await apply(ground.api, on('node-1', 'node-2'));
    await ground.holds(service, 'two targets', ({ targets }) => targets.length === 2);
    expect((await ground.writesFor(service, mark)).map(({ operation }) => operation)).toEqual([
      'RegisterTargets',
    ]);
    await ground.gone(service);
    await remove(ground.api, on());
  });
});

describe.concurrent('a change of annotations', () => {
  test('an attribute is set, changed, and goes back to its default when the annotation goes', async () => {
    const service = await ground.served();
    const before = (await ground.held(service)).balancers[0]?.Attributes ?? {};
    const attribute = async (key: string, value: string): Promise<void> => {
      await ground.holds(
        service,
        `${key}=${value}`,
        ({ balancers, groups }) =>
          // Some keys exist on both.
          (key in before ? balancers[0]?.Attributes[key] : groups[0]?.Attributes[key]) === value,
      );
    };
    await ground.annotate(service, {
      attributes: 'load_balancing.cross_zone.enabled=true',
      'target-group-attributes': 'deregistration_delay.timeout_seconds=30',
    });
    await attribute('load_balancing.cross_zone.enabled', 'true');
    await attribute('deregistration_delay.timeout_seconds', '30');
    await ground.annotate(service, {
      'target-group-attributes': 'deregistration_delay.timeout_seconds=60',
    });
    await attribute('deregistration_delay.timeout_seconds', '60');
    await ground.annotate(service, { attributes: null, 'target-group-attributes': null });
    await attribute('load_balancing.cross_zone.enabled', 'false');
    await attribute('deregistration_delay.timeout_seconds', '300');
    await ground.gone(service);
  });

  test('health checks and tags are changed in place, and what others tagged stays', async () => {
    const service = await ground.served();
    const { balancers } = await ground.held(service);
    const arn = String(balancers[0]?.['LoadBalancerArn']);
    await ground.cloud.call('AddTags', { ResourceArns: [arn], Tags: [{ Key: 'theirs', Value: 'kept' }] });
    await ground.annotate(service, {
      'healthcheck-interval': '15',
      'additional-resource-tags': 'team=shop,cost=7',
    });
    const changed = await ground.holds(
      service,
      'interval and tags',
      ({ balancers: [balancer], groups: [group] }) =>
        group?.['HealthCheckIntervalSeconds'] === 15 &&
        balancer?.Tags['team'] === 'shop' &&
        group.Tags['cost'] === '7',
    );
    expect(changed.balancers[0]?.Tags['theirs']).toBe('kept');
    await ground.annotate(service, { 'healthcheck-interval': null, 'additional-resource-tags': 'team=shop' });
    const back = await ground.holds(
      service,
      'the usual interval and one tag',
      ({ balancers: [balancer], groups: [group] }) =>
        group?.['HealthCheckIntervalSeconds'] === 10 && balancer?.Tags['cost'] === undefined,
    );
    expect(back.balancers[0]?.Tags).toMatchObject({ theirs: 'kept', team: 'shop' });
    await ground.gone(service);
  });

  test('a scheme cannot change on a balancer that is there: refused with the way out', async () => {
    const service = await ground.served();
    const { balancers } = await ground.held(service);
    await ground.annotate(service, { scheme: 'internet-facing' });
    const message = await ground.tells(service, 'Accepted', 'False', 'ReplacementRequired');
    expect(message).toContain('scheme');
    expect((await ground.held(service)).balancers[0]?.['LoadBalancerArn']).toBe(
      balancers[0]?.['LoadBalancerArn'],
    );
    await ground.annotate(service, { scheme: null });
    await ground.tells(service, 'Accepted', 'True', 'Accepted');
    await ground.gone(service);
  });

  test('deletion protection that the user asked for keeps the balancer until it is taken back', async () => {
    const service = await ground.served({
      annotations: {
        'service.beta.kubernetes.io/aws-load-balancer-attributes': 'deletion_protection.enabled=true',
      },
    });
    await remove(ground.api, service);
    const note = await ground.warned(service, 'DeleteLoadBalancerFailed');
    expect(note).toContain('deletion_protection.enabled=false');
    expect(finalizersOf(await ground.live(service))).toEqual([finalizer]);
    expect((await ground.held(service)).balancers.length).toBe(1);
    await ground.annotate(service, { attributes: 'deletion_protection.enabled=false' });
    await ground.gone(service);
  });

  test('deletion protection that somebody set at AWS is not lifted', async () => {
    const service = await ground.served();
    const { balancers } = await ground.held(service);
    const arn = balancers[0]?.['LoadBalancerArn'];
    await ground.cloud.call('ModifyLoadBalancerAttributes', {
      LoadBalancerArn: arn,
      Attributes: [{ Key: 'deletion_protection.enabled', Value: 'true' }],
    });
    await remove(ground.api, service);
    const note = await ground.warned(service, 'DeleteLoadBalancerFailed');
    expect(note).toContain('somebody else');
    expect((await ground.held(service)).balancers.length).toBe(1);
    // The cure that the event names.
    await ground.annotate(service, { attributes: 'deletion_protection.enabled=false' });
    await ground.gone(service);
  });
});

describe('what changes nothing', () => {
  // What ran side by side is through: what failed ones left goes.
  beforeAll(() => ground.tidy());
  afterEach(() => ground.tidy());

  test('labels, selectors, annotations of others, status and heartbeats cost no cloud call', async () => {
    const service = await ground.served();
    const node = nodeOf(1);
    // Until its targets are seen healthy it is looked at now and again.
    await ground.tells(service, 'TargetsReady', 'True', 'TargetsHealthy');
    await ground.quiet();
    const mark = await ground.mark();
    await ground.change(service, { metadata: { labels: { team: 'shop' } } });
    await ground.change(service, { spec: { selector: { app: 'other' } } });
    await ground.change(service, { metadata: { annotations: { 'example.com/deployed-at': 'now' } } });
    await ground.change(node, { metadata: { annotations: { 'example.com/seen': 'now' } } });
    await ground.api.request('PATCH', '/api/v1/nodes/node-1/status', {
      contentType: 'application/merge-patch+json',
      body: { status: { conditions: [{ type: 'Ready', status: 'False', reason: 'KubeletNotReady' }] } },
    });
    await ground.change(node, { spec: { unschedulable: true } });
    await pause(2_000);
    // The survey of the account is not about any Service; it describes balancers and their tags.
    const others = (await ground.callsSince(mark)).filter(
      ({ operation }) =>
        !['DescribeLoadBalancers', 'DescribeTags', 'DescribeTargetGroups'].includes(operation),
    );
    expect(others).toEqual([]);
    expect((await ground.held(service)).targets.length).toBe(3);
    await ground.change(node, { spec: { unschedulable: null } });
    await ground.gone(service);
  });
});

test('in the end nothing is left in the account', async () => {
  // What a failed test left without its finalizer goes with the survey.
  await expect.poll(() => ground.names(), { timeout: 60_000 }).toEqual([]);
});
