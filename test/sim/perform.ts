/** Makes the events of a history happen in a world. */
import type { FaultEffect, FaultMatch } from '../../src/core/simulated/faults.ts';
import { unreachable } from '../../src/core/errors.ts';
import type { ApiFault } from './api-client.ts';
import type {
  ApiEvent,
  CloudEvent,
  EndpointEvent,
  HandEvent,
  NodeEvent,
  ProcessEvent,
  ServiceEvent,
  SimEvent,
} from './events.ts';
import { clusterId, clusterTag } from './monitor.ts';
import { takenName } from './truth.ts';
import type { World } from './world.ts';

export function perform(world: World, event: SimEvent): void {
  world.happened.set(event.kind, (world.happened.get(event.kind) ?? 0) + 1);
  world.blows += 1;
  world.monitor.eventHappened();
  switch (event.kind) {
    case 'create':
    case 'delete':
    case 'force-delete':
    case 'replace':
    case 'type':
    case 'type-flip':
    case 'port-add':
    case 'port-remove':
    case 'node-port':
    case 'policy':
    case 'label':
    case 'protocol':
    case 'annotate':
      return performService(world, event);
    case 'node-join':
    case 'node-leave':
    case 'node-taint':
    case 'node-untaint':
    case 'node-provider-id':
    case 'node-exclude':
    case 'node-heartbeat':
    case 'node-storm':
    case 'nodes-all-excluded':
    case 'nodes-most-excluded':
      return performNode(world, event);
    case 'endpoints':
      return performEndpoints(world, event);
    case 'cloud-throttle':
    case 'cloud-slow':
    case 'cloud-lost-answer':
    case 'cloud-lost-request':
    case 'cloud-error':
    case 'cloud-hang':
    case 'cloud-denied':
    case 'cloud-quota':
    case 'cloud-read-lag':
    case 'cloud-reference-lag':
    case 'cloud-hidden':
    case 'cloud-in-use':
    case 'cloud-empty-read':
    case 'cloud-short-read':
    case 'instance-gone':
    case 'instance-back':
      return performCloud(world, event);
    case 'hand-delete-balancer':
    case 'hand-delete-listener':
    case 'hand-deregister':
    case 'hand-register-extra':
    case 'hand-remove-tag':
    case 'hand-protect':
    case 'hand-attribute':
    case 'stranger':
    case 'health':
      return performHand(world, event);
    case 'api-rival':
    case 'api-lost-answer':
    case 'api-lost-request':
    case 'api-500':
    case 'api-429':
    case 'api-slow':
    case 'api-403':
    case 'api-down':
    case 'watch-cut':
    case 'watch-expire':
    case 'watch-stall':
    case 'watch-miss':
      return performApi(world, event);
    case 'crash':
    case 'crash-at-cloud-write':
    case 'crash-at-api-write':
    case 'freeze':
    case 'restart':
    case 'wall-jump':
      return performProcess(world, event);
    case 'wait':
      return;
    default:
      unreachable(event);
  }
}

function performService(world: World, event: ServiceEvent): void {
  const { people } = world;
  if (event.kind === 'create') return people.createService(event.slot, event.shape);
  const key = people.pick(event.pick);
  switch (event.kind) {
    case 'delete':
      return people.deleteService(key);
    case 'force-delete':
      return people.forceDelete(key);
    case 'replace':
      return people.replace(key);
    case 'type':
      return people.changeService(key, (spec) => {
        const { loadBalancerClass: _old, ...others } = spec;
        if (event.type !== 'LoadBalancer') return { ...others, type: event.type };
        // The class may be set only on the way to this type.
        if (spec.type === 'LoadBalancer') return undefined;
        const { loadBalancerClass } = event;
        return {
          ...others,
          type: event.type,
          ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
        };
      });
    case 'type-flip': {
      const spec = key === undefined ? undefined : world.server.get('services', key)?.spec;
      if (spec?.type !== 'LoadBalancer') return;
      const { loadBalancerClass } = spec;
      if (event.stallMs > 0) performApi(world, { kind: 'watch-stall', ms: event.stallMs });
      people.changeService(key, ({ loadBalancerClass: _class, ...others }) => ({
        ...others,
        type: 'ClusterIP',
      }));
      world.clock.schedule(event.awayMs, () => {
        world.monitor.eventHappened();
        people.changeService(key, (now) => ({
          ...now,
          type: 'LoadBalancer',
          ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
        }));
      });
      return;
    }
    case 'port-add':
      return people.changeService(key, (spec) => {
        const ports = spec.ports ?? [];
        const { port, protocol } = event;
        if (ports.some((one) => one.port === port && one.protocol === protocol)) return undefined;
        return { ...spec, ports: [...ports, { name: `p${port}${protocol.toLowerCase()}`, port, protocol }] };
      });
    case 'port-remove':
      return people.changeService(key, (spec) => {
        const ports = spec.ports ?? [];
        return ports.length < 2
          ? undefined
          : { ...spec, ports: ports.filter((_, i) => i !== event.pick % ports.length) };
      });
    case 'node-port':
      // Of all entries with one port number, as a user must do for TCP and UDP together.
      return people.changeService(key, (spec) => {
        const chosen = spec.ports?.[event.pick % (spec.ports.length || 1)]?.port;
        return {
          ...spec,
          ports: (spec.ports ?? []).map((one) => {
            if (one.port !== chosen) return one;
            const { nodePort: _old, ...rest } = one;
            return rest;
          }),
        };
      });
    case 'protocol':
      return people.changeService(key, (spec) => {
        const ports = spec.ports ?? [];
        const index = event.pick % (ports.length || 1);
        const taken = ports.some(
          (one, i) => i !== index && one.port === ports[index]?.port && one.protocol === event.protocol,
        );
        if (taken) return undefined;
        return {
          ...spec,
          ports: ports.map((one, i) => (i === index ? { ...one, protocol: event.protocol } : one)),
        };
      });
    case 'policy':
      return people.changeService(key, (spec) =>
        spec.type === 'LoadBalancer'
          ? { ...spec, externalTrafficPolicy: spec.externalTrafficPolicy === 'Local' ? 'Cluster' : 'Local' }
          : undefined,
      );
    case 'label':
      return people.label(key, String(world.server.version));
    case 'annotate':
      return people.annotate(key, event.key, event.value);
    default:
      unreachable(event);
  }
}

const mostNodes = 8;

function performNode(world: World, event: NodeEvent): void {
  const { people, clock, monitor } = world;
  switch (event.kind) {
    case 'node-join':
      if (people.nodeCount() < mostNodes) people.joinNode(event.providerID);
      return;
    case 'node-leave':
      return people.leaveNode(people.pickNode(event.pick));
    case 'node-taint':
    case 'node-untaint':
      return people.taintNode(people.pickNode(event.pick), event.kind === 'node-taint');
    case 'node-provider-id':
      return people.fillProviderID(people.pickNode(event.pick));
    case 'node-exclude':
      return people.excludeNode(people.pickNode(event.pick), event.value);
    case 'node-heartbeat':
      return people.heartbeat(people.pickNode(event.pick), event.ready);
    case 'node-storm':
      for (let i = 0; i < event.changes; i += 1) {
        clock.schedule((event.overMs * i) / event.changes, () => {
          monitor.eventHappened();
          const name = people.pickNode(i * 7);
          if (i % 10 === 0) people.taintNode(name, i % 20 === 0);
          else people.heartbeat(name, i % 3 === 0 ? 'False' : 'True');
        });
      }
      return;
    case 'nodes-all-excluded':
    case 'nodes-most-excluded': {
      const spared = event.kind === 'nodes-all-excluded' ? 0 : 1;
      const names = [...world.server.all('nodes')].map(({ metadata }) => metadata?.name).slice(spared);
      for (const name of names) people.excludeNode(name, '');
      return world.during(event.ms, () => {
        for (const name of names) people.excludeNode(name, undefined);
      });
    }
    default:
      unreachable(event);
  }
}

function performEndpoints(world: World, event: EndpointEvent): void {
  const { people } = world;
  const on = event.on.flatMap(({ node, state }) => {
    const name = people.pickNode(node);
    return name === undefined ? [] : [{ node: name, state }];
  });
  people.setEndpoints(people.pick(event.pick), on);
}

const ofProcesses: FaultMatch = { where: ({ by }) => by !== 'hand' };
const reads: FaultMatch = { where: ({ by }) => by !== 'hand', mutating: false };
const writes: FaultMatch = { where: ({ by }) => by !== 'hand', mutating: true };

function performCloud(world: World, event: CloudEvent): void {
  const { account } = world;
  const order = (match: FaultMatch, effect: FaultEffect, times: number): void => {
    world.slow(30_000);
    account.faults.order({ match, effect, times });
  };
  const stand = (match: FaultMatch, effect: FaultEffect, ms: number): void => {
    const id = account.faults.order({ match, effect, times: 'until-cleared' });
    world.during(ms, () => account.faults.clear(id));
  };
  switch (event.kind) {
    case 'cloud-throttle':
      return stand(
        event.operation === undefined ? ofProcesses : { ...ofProcesses, operation: event.operation },
        { kind: 'throttle' },
        event.ms,
      );
    case 'cloud-slow':
      return stand(ofProcesses, { kind: 'latency', ms: event.callMs }, event.ms);
    case 'cloud-lost-answer':
      return order(writes, { kind: 'lost-answer' }, event.times);
    case 'cloud-lost-request':
      return order(ofProcesses, { kind: 'lost-request' }, event.times);
    case 'cloud-error':
      return order(ofProcesses, { kind: 'error', code: 'ServiceUnavailable' }, event.times);
    case 'cloud-hang':
      return order(ofProcesses, { kind: 'hang' }, event.times);
    case 'cloud-denied':
      return stand(
        { ...ofProcesses, operation: event.operation },
        { kind: 'error', code: 'AccessDenied' },
        event.ms,
      );
    case 'cloud-quota': {
      const balancers = { operation: 'CreateLoadBalancer' };
      stand(balancers, { kind: 'error', code: 'TooManyLoadBalancers' }, event.ms);
      return stand({ operation: 'CreateListener' }, { kind: 'error', code: 'TooManyListeners' }, event.ms);
    }
    case 'cloud-read-lag':
      account.configure({ consistency: { readLagMs: event.lagMs, readLagVaries: true } });
      world.lie(event.ms + event.lagMs);
      return world.during(event.ms, () => account.configure({ consistency: { readLagMs: 0 } }));
    case 'cloud-reference-lag':
      account.configure({ consistency: { referenceLagMs: event.lagMs } });
      return world.during(event.ms, () => account.configure({ consistency: { referenceLagMs: 0 } }));
    case 'cloud-hidden':
      world.lie(event.hiddenMs + 60_000);
      return order(
        { operation: ['CreateLoadBalancer', 'CreateTargetGroup', 'CreateListener'] },
        { kind: 'hide-created', ms: event.hiddenMs },
        event.times,
      );
    case 'cloud-in-use':
      account.configure({ delays: { targetGroupReleaseMs: event.releaseMs } });
      return world.during(event.ms, () => account.configure({ delays: { targetGroupReleaseMs: 0 } }));
    case 'cloud-empty-read':
    case 'cloud-short-read': {
      world.lie(60_000);
      const match = event.operation === undefined ? reads : { ...reads, operation: event.operation };
      return order(
        match,
        event.kind === 'cloud-empty-read' ? { kind: 'empty-list' } : { kind: 'truncated-list', keep: 1 },
        event.times,
      );
    }
    case 'instance-gone':
    case 'instance-back': {
      const nodes = [...world.server.all('nodes')];
      const id = /(i-[0-9a-f]+)$/.exec(nodes[event.pick % (nodes.length || 1)]?.spec?.providerID ?? '')?.[1];
      if (id !== undefined)
        account.setInstance(id, event.kind === 'instance-gone' ? { state: 'terminated' } : undefined);
      return;
    }
    default:
      unreachable(event);
  }
}

function performHand(world: World, event: HandEvent): void {
  const { account } = world;
  const marked = account.resources().filter(({ tags }) => tags[clusterTag] === clusterId);
  const pickOf = (kind: string): string | undefined => {
    const found = marked.filter((one) => one.kind === kind);
    const pick = event.kind === 'stranger' ? 0 : event.pick;
    return found[pick % (found.length || 1)]?.arn;
  };
  switch (event.kind) {
    case 'hand-delete-balancer': {
      const LoadBalancerArn = pickOf('load-balancer');
      if (LoadBalancerArn !== undefined)
        tolerate(() => account.byHand('DeleteLoadBalancer', { LoadBalancerArn }));
      return;
    }
    case 'hand-delete-listener': {
      const ListenerArn = pickOf('listener');
      if (ListenerArn !== undefined) tolerate(() => account.byHand('DeleteListener', { ListenerArn }));
      return;
    }
    case 'hand-deregister': {
      const TargetGroupArn = pickOf('target-group');
      if (TargetGroupArn === undefined) return;
      const target = targetsOf(world, TargetGroupArn)[0];
      if (target !== undefined)
        tolerate(() => account.byHand('DeregisterTargets', { TargetGroupArn, Targets: [target] }));
      return;
    }
    case 'hand-register-extra': {
      const TargetGroupArn = pickOf('target-group');
      if (TargetGroupArn === undefined) return;
      const Targets = [{ Id: 'i-0eeeeeeeeeeeeeeee', Port: 31_999 }];
      tolerate(() => account.byHand('RegisterTargets', { TargetGroupArn, Targets }));
      return;
    }
    case 'hand-remove-tag': {
      const resource = marked[event.pick % (marked.length || 1)];
      const keys = Object.keys(resource?.tags ?? {});
      // The mark itself stays: without it a resource is not ours, which rows of the sweep are about.
      const key = keys.filter((one) => one !== clusterTag && one !== 'sluice.dev/uid')[event.pick % 3];
      if (resource !== undefined && key !== undefined)
        tolerate(() => account.byHand('RemoveTags', { ResourceArns: [resource.arn], TagKeys: [key] }));
      return;
    }
    case 'hand-protect':
      return attribute(world, pickOf('load-balancer'), 'deletion_protection.enabled', 'true');
    case 'hand-attribute':
      return attribute(world, pickOf('load-balancer'), 'load_balancing.cross_zone.enabled', 'true');
    case 'stranger':
      tolerate(() =>
        account.byHand('CreateLoadBalancer', {
          Name: takenName,
          Type: 'network',
          Scheme: 'internal',
          Subnets: ['subnet-c', 'subnet-d'],
        }),
      );
      return;
    case 'health': {
      const nodes = [...world.server.all('nodes')];
      const id = /(i-[0-9a-f]+)$/.exec(nodes[event.pick % (nodes.length || 1)]?.spec?.providerID ?? '')?.[1];
      if (id === undefined) return;
      const condition = event.healthy
        ? ({ kind: 'healthy' } as const)
        : ({ kind: 'unhealthy', reason: 'Target.FailedHealthChecks' } as const);
      world.monitor.healthChanged(id, event.healthy);
      return account.setHealth({ id }, condition);
    }
    default:
      unreachable(event);
  }
}

export function attribute(world: World, arn: string | undefined, Key: string, Value: string): void {
  if (arn === undefined) return;
  tolerate(() =>
    world.account.byHand('ModifyLoadBalancerAttributes', {
      LoadBalancerArn: arn,
      Attributes: [{ Key, Value }],
    }),
  );
}

export function targetsOf(world: World, TargetGroupArn: string): readonly { Id?: string; Port?: number }[] {
  let answer: {
    TargetHealthDescriptions?: readonly {
      Target?: { Id?: string; Port?: number };
      TargetHealth?: { State?: string };
    }[];
  } = {};
  tolerate(() => {
    answer = world.account.byHand('DescribeTargetHealth', { TargetGroupArn });
  });
  return (answer.TargetHealthDescriptions ?? [])
    .filter(({ TargetHealth }) => TargetHealth?.State !== 'draining')
    .map(({ Target }) => Target ?? {});
}

/** What a person tries and the cloud refuses, a person lets be. */
export function tolerate(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'CloudError') throw error;
  }
}

type Hits = (call: { readonly write: boolean; readonly resource: string }) => boolean;

const anyCall: Hits = () => true;
const serviceWrites: Hits = ({ write, resource }) => write && resource.startsWith('services');
const objectWrites: Hits = ({ write, resource }) => write && !resource.startsWith('leases');

function performApi(world: World, event: ApiEvent): void {
  const order = (hits: Hits, fault: ApiFault, times: number): void => {
    world.slow(60_000);
    world.apiFaults.push({ hits, fault, left: times, skip: 0 });
  };
  const stand = (hits: Hits, fault: ApiFault, ms: number): void => {
    const standing = { hits, fault, left: Number.POSITIVE_INFINITY, skip: 0 };
    world.apiFaults.push(standing);
    world.during(ms, () => {
      const index = world.apiFaults.indexOf(standing);
      if (index >= 0) world.apiFaults.splice(index, 1);
    });
  };
  switch (event.kind) {
    case 'api-rival':
      return order(serviceWrites, { kind: 'rival' }, event.times);
    case 'api-lost-answer':
      return order(objectWrites, { kind: 'lost-answer' }, event.times);
    case 'api-lost-request':
      return order(anyCall, { kind: 'lost-request' }, event.times);
    case 'api-500':
      return order(anyCall, { kind: 'refuse', code: 500 }, event.times);
    case 'api-429':
      return order(anyCall, { kind: 'refuse', code: 429, retryAfterSeconds: event.seconds }, event.times);
    case 'api-slow':
      return stand(anyCall, { kind: 'slow', ms: 5_000 }, event.ms);
    case 'api-403':
      return stand(objectWrites, { kind: 'refuse', code: 403 }, event.ms);
    case 'api-down':
      for (const { api } of world.processes()) api.cutStreams();
      return stand(anyCall, { kind: 'lost-request' }, event.ms);
    case 'watch-cut':
      for (const { api } of world.processes()) api.cutStreams();
      return;
    case 'watch-expire':
      for (const { api } of world.processes()) api.expireStreams();
      return;
    case 'watch-stall':
      world.disturb(event.ms);
      for (const { api } of world.processes()) api.stallStreams(event.ms);
      return;
    case 'watch-miss':
      // Found at the next list, about an hour later.
      world.disturb(4_000_000);
      world.missed = true;
      world.leader()?.api.missNext(event.of);
      return;
    default:
      unreachable(event);
  }
}

function performProcess(world: World, event: ProcessEvent): void {
  const { clock, monitor } = world;
  world.slow(60_000);
  switch (event.kind) {
    case 'crash':
      world.disturb(event.downMs + (event.lagMs ?? 0));
      if (event.lagMs !== undefined) {
        const version = Math.max(100, world.server.version - 1 - Math.floor(world.random() * 8));
        world.lag = { version, untilMs: clock.now() + event.downMs + event.lagMs };
      }
      world.crash(world.leader(), event.downMs);
      clock.schedule(event.downMs, () => monitor.eventHappened());
      return;
    case 'crash-at-cloud-write':
      world.cloudDeath = { nth: event.nth, when: event.when, downMs: event.downMs };
      return;
    case 'crash-at-api-write':
      world.apiFaults.push({
        hits: ({ write, resource }) => write && !resource.startsWith('leases'),
        fault: { kind: 'crash', when: event.when },
        left: 1,
        skip: event.nth - 1,
      });
      return;
    case 'freeze': {
      const process = world.leader();
      process?.life.freeze();
      return world.during(event.ms, () => process?.life.thaw(clock));
    }
    case 'restart':
      world.disturb(event.downMs);
      return world.restart(world.leader(), event.downMs);
    case 'wall-jump':
      return clock.jumpWall(event.ms);
    default:
      unreachable(event);
  }
}
