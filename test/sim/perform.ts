/** Makes the events of a history happen in a world. */
import { unreachable } from '../../src/core/errors.ts';
import type { SimEvent } from './events.ts';
import { performCloud, performHand } from './perform-cloud.ts';
import { performApi, performProcess } from './perform-faults.ts';
import { performEndpoints, performNode, performService } from './perform-objects.ts';
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
