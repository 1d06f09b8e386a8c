/** Events of the API objects: what users, the cluster's controllers and its nodes do. */
import { unreachable } from '../../src/core/errors.ts';
import type { EndpointEvent, NodeEvent, ServiceEvent } from './events.ts';
import { performApi } from './perform-faults.ts';
import type { World } from './world.ts';

export function performService(world: World, event: ServiceEvent): void {
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

export function performNode(world: World, event: NodeEvent): void {
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

export function performEndpoints(world: World, event: EndpointEvent): void {
  const { people } = world;
  const on = event.on.flatMap(({ node, state }) => {
    const name = people.pickNode(node);
    return name === undefined ? [] : [{ node: name, state }];
  });
  people.setEndpoints(people.pick(event.pick), on);
}
