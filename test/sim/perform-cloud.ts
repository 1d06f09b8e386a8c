/** Faults of the cloud, and what somebody does in its console: in the words of whichever cloud it is. */
import { unreachable } from '../../src/core/errors.ts';
import type { FaultMatch } from '../../src/core/simulated/faults.ts';
import type { CloudEffect, CloudResource } from './cloud.ts';
import type { CloudEvent, HandEvent } from './events.ts';
import { clusterId, clusterTag, uidTag } from './marks.ts';
import { instanceOf, takenName } from './people.ts';
import type { World } from './world.ts';

const ofProcesses: FaultMatch = { where: ({ by }) => by !== 'hand' };
const reads: FaultMatch = { ...ofProcesses, mutating: false };
const writes: FaultMatch = { ...ofProcesses, mutating: true };

export function performCloud(world: World, event: CloudEvent): void {
  const { account } = world;
  const { calls, codes, failures } = world.cloud.words;
  const order = (match: FaultMatch, effect: CloudEffect, times: number): void => {
    world.slow(30_000);
    account.faults.order({ match, effect, times });
  };
  const stand = (match: FaultMatch, effect: CloudEffect, ms: number): void => {
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
    case 'cloud-error': {
      const failure = failures[event.times % failures.length];
      if (failure !== undefined) order(ofProcesses, failure, event.times);
      return;
    }
    case 'cloud-hang':
      return order(ofProcesses, { kind: 'hang' }, event.times);
    case 'cloud-denied':
      return stand(
        { ...ofProcesses, operation: event.operation },
        { kind: 'error', code: codes.denied },
        event.ms,
      );
    case 'cloud-quota':
      stand({ operation: calls.createBalancer }, { kind: 'error', code: codes.quotaOfBalancers }, event.ms);
      return stand(
        { operation: calls.createListener },
        { kind: 'error', code: codes.quotaOfListeners },
        event.ms,
      );
    case 'cloud-read-lag':
      account.readLag(event.lagMs);
      world.lie(event.ms + event.lagMs);
      return world.during(event.ms, () => account.readLag(0));
    case 'cloud-reference-lag':
      account.referenceLag(event.lagMs);
      return world.during(event.ms, () => account.referenceLag(0));
    case 'cloud-hidden':
      world.lie(event.hiddenMs + 60_000);
      return order(
        { operation: [...calls.createBalancer, ...calls.createGroup, ...calls.createListener] },
        { kind: 'hide-created', ms: event.hiddenMs },
        event.times,
      );
    case 'cloud-in-use':
      account.release(event.releaseMs);
      return world.during(event.ms, () => account.release(0));
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
      const id = pickInstance(world, event.pick);
      if (id !== undefined) account.setInstance(id, event.kind === 'instance-back');
      return;
    }
    default:
      unreachable(event);
  }
}

export function performHand(world: World, event: HandEvent): void {
  const { account } = world;
  const { hand } = account;
  if (event.kind === 'stranger') return hand.makeStranger(takenName);
  if (event.kind === 'health') {
    const id = pickInstance(world, event.pick);
    if (id === undefined) return;
    world.monitor.facts.healthChanged(id, event.healthy);
    return account.setHealth(id, event.healthy);
  }
  const marked = account.resources().filter(({ tags }) => tags[clusterTag] === clusterId);
  const pick = (kinds: readonly CloudResource['kind'][]): CloudResource | undefined => {
    const found = marked.filter(({ kind }) => kinds.includes(kind));
    return found[event.pick % (found.length || 1)];
  };
  const kind =
    event.kind === 'hand-delete-listener'
      ? 'listener'
      : event.kind === 'hand-deregister' || event.kind === 'hand-register-extra'
        ? 'group'
        : 'balancer';
  const chosen = pick(event.kind === 'hand-remove-tag' ? hand.taggable : [kind]);
  if (chosen === undefined) return;
  switch (event.kind) {
    case 'hand-delete-balancer':
      return hand.deleteBalancer(chosen.id);
    case 'hand-delete-listener':
      return hand.deleteListener(chosen.id);
    case 'hand-deregister': {
      const [target] = account.targetsOf(chosen.id);
      if (target !== undefined) hand.deregister(chosen.id, target);
      return;
    }
    case 'hand-register-extra':
      return hand.registerExtra(chosen.id);
    case 'hand-remove-tag': {
      const keys = Object.keys(chosen.tags);
      // The mark itself stays: without it a resource is not ours, which rows of the sweep are about.
      const key = keys.filter((one) => one !== clusterTag && one !== uidTag)[event.pick % 3];
      if (key !== undefined) hand.removeTag(chosen.id, key);
      return;
    }
    case 'hand-protect':
      return hand.protect(chosen.id, true);
    case 'hand-attribute':
      return hand.change(chosen.id);
    default:
      unreachable(event);
  }
}

function pickInstance(world: World, pick: number): string | undefined {
  const nodes = [...world.server.all('nodes')];
  return instanceOf(nodes[pick % (nodes.length || 1)]);
}
