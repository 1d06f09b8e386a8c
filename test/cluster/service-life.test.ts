/**
 * The life of a Service on a real API server, with the controller as its own process under its own Role and
 * the simulated account over the wire: what a user does, and what they see.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { merge } from '../../src/sandbox/demo/patch.ts';
import { condition, statusOf, until, untilService } from '../../src/sandbox/demo/stage.ts';
import {
  apply,
  nodeManifest,
  read,
  remove,
  sliceManifest,
  type Manifest,
} from '../../src/sandbox/objects.ts';
import { leaseTimings } from '../../src/kube/lease.ts';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts';
import { knowNodes } from './metrics.ts';

let sandbox: Sandbox;
let count = 0;
/** What the running test put there, for `afterEach` to take away where the test failed before it could. */
const applied: Manifest[] = [];

beforeAll(async () => {
  sandbox = await startSandbox({ awsSettings: { rates: { read: 1_000, register: 1_000, modify: 1_000 } } });
  for (const index of [1, 2, 3]) await apply(sandbox.api, node(index));
  await knowNodes(sandbox, 3);
}, 600_000);

afterAll(async () => {
  await sandbox?.stop();
});

afterEach(async () => {
  if (sandbox.controllers.every(({ process }) => process.ended() !== undefined))
    await sandbox.startController();
  for (const object of applied.splice(0).toReversed()) {
    await remove(sandbox.api, object);
    await until(`${object.kind} ${object.metadata?.name} to go`, async () =>
      (await read(sandbox.api, object)) === undefined ? true : undefined,
    );
  }
  await knowNodes(sandbox, 3);
  // Every test leaves the account as it found it: I1.
  const { loadBalancers, targetGroups } = await sandbox.aws.control.dump();
  expect({ loadBalancers, targetGroups }).toEqual({ loadBalancers: [], targetGroups: [] });
});

function node(index: number): Manifest {
  return nodeManifest({
    name: `node-${index}`,
    instance: `i-${String(index).padStart(17, '0')}`,
    zone: 'eu-west-1a',
  });
}

interface Shape {
  readonly spec?: object;
  readonly annotations?: Readonly<Record<string, string>>;
}

function serviceManifest({ spec, annotations }: Shape = {}): Manifest {
  count += 1;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name: `web-${count}`, ...(annotations ? { annotations } : {}) },
    spec: {
      type: 'LoadBalancer',
      loadBalancerClass: 'sluice.dev/aws',
      selector: { app: 'web' },
      ports: [{ name: 'http', port: 80 }],
      ...spec,
    },
  };
}

async function put(object: Manifest): Promise<void> {
  applied.push(object);
  await apply(sandbox.api, object);
}

/** Applies and waits until all of it is in force. */
async function served(shape: Shape = {}): Promise<Manifest> {
  const service = serviceManifest(shape);
  await put(service);
  await untilService(
    sandbox.api,
    service,
    'is served',
    (live) => statusOf(live).address !== '' && condition(live, 'InSync')?.status === 'True',
  );
  return service;
}

async function gone(service: Manifest): Promise<void> {
  await remove(sandbox.api, service);
  await untilService(sandbox.api, service, 'goes', (live) => live === undefined);
}

interface TargetView {
  readonly Id: string;
  readonly Port: number;
  readonly State: string;
}

async function targets(): Promise<readonly TargetView[]> {
  const { targetGroups } = await sandbox.aws.control.dump();
  return targetGroups.flatMap((group) => group['Targets'] as readonly TargetView[]);
}

function finalizersOf(live: Manifest | undefined): readonly string[] {
  return live?.metadata?.finalizers ?? [];
}

describe('the life of a Service', () => {
  test('it gets a hostname, conditions and a finalizer, and all of it goes with it', async () => {
    const service = await served();
    const { value: live } = await untilService(
      sandbox.api,
      service,
      'is in sync',
      (one) => condition(one, 'InSync')?.status === 'True',
    );
    const [balancer] = (await sandbox.aws.control.dump()).loadBalancers;
    expect(statusOf(live).address).toBe(String(balancer?.['DNSName']).toLowerCase());
    expect(finalizersOf(live)).toEqual(['sluice.dev/balancer']);
    expect(condition(live, 'Accepted')).toMatchObject({ status: 'True', reason: 'Accepted' });
    expect(condition(live, 'Provisioned')).toMatchObject({ status: 'True', reason: 'Active' });
    expect((await targets()).length).toBe(3);
    await gone(service);
  });

  test('a type change away releases the balancer, clears the address and leaves the Service', async () => {
    const service = await served();
    await merge(sandbox.api, service, { spec: { type: 'ClusterIP', loadBalancerClass: null } });
    const { value: live } = await untilService(
      sandbox.api,
      service,
      'is released',
      (one) => one !== undefined && finalizersOf(one).length === 0,
    );
    expect(statusOf(live).address).toBe('');
    expect(statusOf(live).conditions).toEqual([]);
    await remove(sandbox.api, service);
  });

  test('a Service of another class is never touched', async () => {
    const service = serviceManifest({ spec: { loadBalancerClass: 'example.com/other' } });
    await put(service);
    const mine = await served();
    const live = await read(sandbox.api, service);
    expect(finalizersOf(live)).toEqual([]);
    expect(live?.['status']).toEqual({ loadBalancer: {} });
    await remove(sandbox.api, service);
    await gone(mine);
  });

  test('a port that is added gets a listener, one that is taken away loses it', async () => {
    const service = await served();
    await merge(sandbox.api, service, {
      spec: {
        ports: [
          { name: 'http', port: 80 },
          { name: 'alt', port: 8080 },
        ],
      },
    });
    const listeners = async (): Promise<number> =>
      (await sandbox.aws.control.dump()).loadBalancers.flatMap(({ Listeners }) => Listeners).length;
    await until('a second listener', async () => ((await listeners()) === 2 ? true : undefined));
    await merge(sandbox.api, service, { spec: { ports: [{ name: 'http', port: 80 }] } });
    await until('one listener', async () => ((await listeners()) === 1 ? true : undefined));
    await gone(service);
  });

  test('a node that joins becomes a target; one whose label excludes it leaves', async () => {
    const service = await served();
    await put(node(4));
    await until('four targets', async () => ((await targets()).length === 4 ? true : undefined));
    await merge(sandbox.api, node(4), {
      metadata: { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' } },
    });
    await until('the excluded node to drain', async () =>
      (await targets()).filter(({ State }) => State !== 'draining').length === 3 ? true : undefined,
    );
    await remove(sandbox.api, node(4));
    await gone(service);
  });

  test('under policy Local only nodes with an endpoint are targets, checked on the health-check node port', async () => {
    const service = serviceManifest({ spec: { externalTrafficPolicy: 'Local' } });
    const name = service.metadata?.name ?? '';
    const slice = sliceManifest('default', name, { name: 'http', port: 80 }, ['node-1']);
    await put(slice);
    await put(service);
    await untilService(sandbox.api, service, 'gets an address', (live) => statusOf(live).address !== '');
    // Slices are watched on a connection of their own: the address may be told before the endpoint is heard of.
    await until('the one node with an endpoint to be the target', async () =>
      isDeepStrictEqual(
        (await targets()).map(({ Id }) => Id),
        ['i-00000000000000001'],
      )
        ? true
        : undefined,
    );
    const [group] = (await sandbox.aws.control.dump()).targetGroups;
    const live = (await read(sandbox.api, service))?.['spec'] as { healthCheckNodePort: number };
    expect(group).toMatchObject({
      HealthCheckProtocol: 'HTTP',
      HealthCheckPath: '/healthz',
      HealthCheckPort: String(live.healthCheckNodePort),
    });
    await gone(service);
    await remove(sandbox.api, slice);
  });

  test('every mistake is told at once, and nothing is provisioned', async () => {
    const service = serviceManifest({
      annotations: {
        'service.beta.kubernetes.io/aws-load-balancer-scheme': 'internl',
        'service.beta.kubernetes.io/aws-load-balancer-healthcheck-intervall': '10',
        'service.beta.kubernetes.io/aws-load-balancer-healthcheck-timeout': 'soon',
      },
    });
    await put(service);
    const { value: live } = await untilService(
      sandbox.api,
      service,
      'is refused',
      (one) => condition(one, 'Accepted')?.status === 'False',
    );
    const message = condition(live, 'Accepted')?.message ?? '';
    expect(message).toContain('internl');
    expect(message).toContain('aws-load-balancer-healthcheck-interval');
    expect(message).toContain('soon');
    expect(finalizersOf(live)).toEqual([]);
    await gone(service);
  });

  test('paused, it is left as it is; afterwards it catches up', async () => {
    const service = await served({ annotations: { 'sluice.dev/paused': 'false' } });
    await merge(sandbox.api, service, { metadata: { annotations: { 'sluice.dev/paused': 'true' } } });
    await untilService(
      sandbox.api,
      service,
      'says that it is paused',
      (one) => condition(one, 'InSync')?.reason === 'Paused',
    );
    const before = (await sandbox.aws.control.calls()).calls.length;
    await put(node(5));
    await merge(sandbox.api, service, { spec: { ports: [{ name: 'http', port: 81 }] } });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const made = (await sandbox.aws.control.calls()).calls.slice(before).filter(({ mutating }) => mutating);
    expect(made).toEqual([]);
    await merge(sandbox.api, service, { metadata: { annotations: { 'sluice.dev/paused': null } } });
    await until('the listener to follow', async () =>
      (await sandbox.aws.control.dump()).loadBalancers[0]?.Listeners[0]?.['Port'] === 81 ? true : undefined,
    );
    await remove(sandbox.api, node(5));
    await gone(service);
  });

  test('in plan-only mode the plan is shown and nothing is made', async () => {
    const service = serviceManifest({ annotations: { 'sluice.dev/plan-only': 'true' } });
    await put(service);
    const { value: live } = await untilService(
      sandbox.api,
      service,
      'shows its plan',
      (one) => condition(one, 'InSync')?.reason === 'PlanOnly',
    );
    expect(condition(live, 'InSync')?.message).toContain('CreateLoadBalancer');
    expect(finalizersOf(live)).toEqual([]);
    await gone(service);
  });

  test('a target taken away behind our back comes back with the next full comparison', async () => {
    const service = await served();
    const [group] = (await sandbox.aws.control.dump()).targetGroups;
    const [target] = await targets();
    await sandbox.aws.control.call('DeregisterTargets', {
      TargetGroupArn: group?.['TargetGroupArn'],
      Targets: [{ Id: target?.Id, Port: target?.Port }],
    });
    // A change of ours makes the next pass look; the drift pass itself is proven in the simulation.
    await merge(sandbox.api, service, {
      metadata: {
        annotations: { 'service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval': '15' },
      },
    });
    await until('three targets again', async () =>
      (await targets()).filter(({ State }) => State !== 'draining').length === 3 ? true : undefined,
    );
    await gone(service);
  });
});

describe('while the controller is down', () => {
  test('a Service deleted meanwhile is cleaned up when it comes back', async () => {
    const service = await served();
    await sandbox.controllers.at(-1)?.process.stop(60_000);
    await remove(sandbox.api, service);
    expect(finalizersOf(await read(sandbox.api, service))).toEqual(['sluice.dev/balancer']);
    await sandbox.startController();
    await untilService(sandbox.api, service, 'goes', (live) => live === undefined);
  });

  test('a restart changes nothing in the account', async () => {
    const service = await served();
    await sandbox.controllers.at(-1)?.process.stop(60_000);
    const before = (await sandbox.aws.control.calls()).calls.length;
    await sandbox.startController();
    await until('the restarted controller to look', async () =>
      (await sandbox.aws.control.calls()).calls.length > before ? true : undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const made = (await sandbox.aws.control.calls()).calls.slice(before);
    expect(made.filter(({ mutating }) => mutating)).toEqual([]);
    await gone(service);
  });

  test('the next leader starts with a clean stop of the first, and does not wait for the end of its lease', async () => {
    const first = sandbox.controllers.at(-1);
    const second = await sandbox.startController();
    const service = await served();
    await first?.process.stop(60_000);
    const stopped = performance.now();
    await until('the next to lead', async () =>
      /sluice_lease_held\S* 1/u.test(await (await fetch(`${second.url}/metrics`)).text()) ? true : undefined,
    );
    // How soon that is on a machine of one's own stands beside the lease (src/kube/lease.test.ts): two seconds.
    expect(performance.now() - stopped).toBeLessThan(leaseTimings.durationMs / 2);
    const other = await served();
    await gone(service);
    await gone(other);
  });
});
