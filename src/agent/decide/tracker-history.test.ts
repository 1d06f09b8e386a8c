import { fc, test as property } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { agentWorld, changed, worldChange } from '../../../test/support/agent-worlds.ts';
import type { AgentWorld, WorldChange } from '../../../test/support/agent-worlds.ts';
import type { ObjectKey } from '../../core/objects.ts';
import type { Decision, DecisionChange, DecisionKey } from '../decision.ts';
import { byText } from './addresses.ts';
import { sameDecision } from './changes.ts';
import { localReady, udpFact } from './facts.ts';
import { decideNode } from './node.ts';
import { frameOf } from './service.ts';
import { DecisionTracker } from './tracker.ts';
import { viewNode } from './view.ts';
import { decideWorld } from './world.ts';

function take(tracker: DecisionTracker, change: WorldChange): void {
  switch (change.kind) {
    case 'service':
      tracker.setService(change.object);
      break;
    case 'service-gone':
      tracker.deleteService(change.key);
      break;
    case 'slice':
      tracker.setSlice(change.object);
      break;
    case 'slice-gone':
      tracker.deleteSlice(change.key);
      break;
    case 'node':
      tracker.setNode(change.object);
      break;
    case 'addresses':
      tracker.setAddresses(change.addresses);
      break;
  }
}

/** What somebody who only sees changes believes the decisions to be; fails where a change does not fit. */
class Believer {
  readonly held = new Map<DecisionKey, Decision>();

  hear(changes: readonly DecisionChange[]): void {
    for (const { key, before, after } of changes) {
      expect(this.held.get(key)).toStrictEqual(before);
      expect(before !== undefined && after !== undefined && sameDecision(before, after)).toBe(false);
      if (after === undefined) this.held.delete(key);
      else this.held.set(key, after);
    }
  }

  get sorted(): readonly Decision[] {
    return [...this.held.values()].toSorted((a, b) => byText(a.key, b.key));
  }
}

function loaded(world: AgentWorld): DecisionTracker {
  const tracker = new DecisionTracker(world.settings);
  tracker.setNode(world.node);
  tracker.setAddresses(world.addresses);
  for (const service of world.services) tracker.setService(service);
  for (const slice of world.slices) tracker.setSlice(slice);
  tracker.setListed('services');
  tracker.setListed('slices');
  return tracker;
}

describe('any history', () => {
  property.prop(
    [
      agentWorld,
      fc.array(fc.tuple(worldChange, fc.constantFrom('wait', 'settle', 'look')), { maxLength: 15 }),
    ],
    {
      numRuns: 400,
    },
  )('ends in the decisions, conflicts and facts of a cold start', (start, history) => {
    const tracker = loaded(start);
    const believer = new Believer();
    const health = new Map<string, number>();
    const udp = new Map<DecisionKey, unknown>();
    let world = start;
    const look = (): void => {
      believer.hear(tracker.changes());
      for (const { before, after } of tracker.healthChanges()) {
        const { service, family } = after ?? before ?? { service: '', family: '' };
        expect(health.get(`${service} ${family}`)).toBe(before?.ready);
        if (after === undefined) health.delete(`${service} ${family}`);
        else health.set(`${service} ${family}`, after.ready);
      }
      for (const { before, after } of tracker.udpChanges()) {
        const key = (after ?? before)?.key;
        if (key === undefined) continue;
        expect(udp.get(key)).toStrictEqual(before);
        if (after !== undefined) udp.set(key, after);
        else udp.delete(key);
      }
    };
    look();
    for (const [change, then] of history) {
      world = changed(world, change);
      take(tracker, change);
      // Asking for anything does the work, and must not swallow what has not been given.
      if (then === 'settle') tracker.conflicts();
      if (then === 'look') look();
    }
    look();
    const view = viewNode(world.node, world.settings);
    const cold = decideWorld(world.services, world.slices, view);

    expect(believer.sorted).toStrictEqual(cold.decisions);
    expect([...tracker.decisions()].toSorted((a, b) => byText(a.key, b.key))).toStrictEqual(cold.decisions);
    expect(tracker.conflicts()).toStrictEqual(cold.conflicts);
    expect(tracker.node).toStrictEqual(decideNode(world.node, world.addresses, world.settings));

    const slicesOf = (key: ObjectKey) => world.slices.filter(({ service }) => service === key);
    const facts = cold.decisions
      .filter(({ protocol }) => protocol === 'UDP')
      .map((one) => udpFact(one, slicesOf(one.service), view));
    expect(udp).toStrictEqual(new Map(facts.map((fact) => [fact.key, fact])));
    const counts = new Map<string, number>();
    for (const { service, family, healthCheckNodePort } of cold.decisions) {
      const found = world.services.find(({ key }) => key === service);
      const frame = found && frameOf(found, view);
      if (healthCheckNodePort === 0 || frame === undefined) continue;
      counts.set(`${service} ${family}`, localReady(frame, slicesOf(service), family, view));
    }
    expect(health).toStrictEqual(counts);
  });

  property.prop([agentWorld])('O14: decisions do not depend on the order of slices or Services', (world) => {
    const view = viewNode(world.node, world.settings);

    expect(decideWorld(world.services.toReversed(), world.slices.toReversed(), view)).toStrictEqual(
      decideWorld(world.services, world.slices, view),
    );
  });

  property.prop([agentWorld])('a second take gives nothing, nor does hearing the same again', (world) => {
    const tracker = loaded(world);
    tracker.changes();
    tracker.healthChanges();
    tracker.udpChanges();

    expect(tracker.changes()).toStrictEqual([]);
    tracker.setNode({ ...world.node, resourceVersion: '99' });
    tracker.setAddresses(world.addresses);
    for (const service of world.services) tracker.setService({ ...service, resourceVersion: '99' });
    for (const slice of world.slices) tracker.setSlice({ ...slice, resourceVersion: '99' });
    expect([tracker.changes(), tracker.healthChanges(), tracker.udpChanges()]).toStrictEqual([[], [], []]);
  });

  property.prop([agentWorld, fc.array(worldChange, { maxLength: 8 })])(
    'emptied again, nothing is left',
    (start, history) => {
      const tracker = loaded(start);
      const believer = new Believer();
      believer.hear(tracker.changes());
      let world = start;
      for (const change of history) {
        world = changed(world, change);
        take(tracker, change);
      }
      for (const { key } of world.services) tracker.deleteService(key);
      for (const { key } of world.slices) tracker.deleteSlice(key);
      believer.hear(tracker.changes());

      expect(believer.sorted).toStrictEqual([]);
      expect([...tracker.decisions(), ...tracker.udpFacts(), ...tracker.healthChecks()]).toStrictEqual([]);
      expect(tracker.conflicts()).toStrictEqual([]);
    },
  );

  property.prop([agentWorld])('no destination is held by two decisions', (world) => {
    const held = new Set<string>();
    for (const one of loaded(world).decisions()) {
      const addresses = [one.clusterIP, ...one.balancerIPs, ...one.externalIPs].filter(
        (a) => a !== undefined,
      );
      const keys = addresses.map((address) => `${address} ${one.protocol} ${one.port}`);
      if (one.nodePort !== 0) keys.push(`${one.family} ${one.protocol} ${one.nodePort}`);
      for (const key of keys) {
        expect(held.has(key), key).toBe(false);
        held.add(key);
      }
    }
  });
});
