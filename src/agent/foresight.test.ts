import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { agentWorld, changed, worldChange } from '../../test/support/agent-worlds.ts';
import type { AgentWorld } from '../../test/support/agent-worlds.ts';
import type { DecisionKey } from './decision.ts';
import { byText } from './decide/addresses.ts';
import { DecisionTracker } from './decide/tracker.ts';
import { viewNode } from './decide/view.ts';
import { decideWorld } from './decide/world.ts';
import type { AgentView } from './door.ts';
import { Foresight } from './foresight.ts';

function viewOf({ services, slices, node }: AgentWorld): AgentView {
  return {
    service: (key) => services.find((one) => one.key === key),
    services: () => services,
    slices: (key) => slices.filter(({ service }) => service === key),
    allSlices: () => slices,
    node: () => node,
    connect: () => () => undefined,
  };
}

property.prop([agentWorld, fc.array(worldChange, { maxLength: 8 }), fc.integer({ min: 1, max: 4 })])(
  'whatever was foretold, what is decided in the end is what the whole lists say',
  (foretold, history, inOneGo) => {
    const real = history.reduce(changed, foretold);
    const tracker = new DecisionTracker(real.settings);
    const told: DecisionKey[] = [];
    const foresight = new Foresight({
      view: viewOf(real),
      tracker,
      addresses: () => new Set(foretold.addresses),
      tell: (node, decisions) => {
        for (const { family, key } of decisions) {
          expect(family).toBe(node.family);
          told.push(key);
        }
      },
      inOneGo,
    });
    for (const slice of foretold.slices) foresight.slice(slice);
    for (const service of foretold.services) foresight.service(service);
    expect([...tracker.decisions()].length).toBeGreaterThanOrEqual(new Set(told).size);

    foresight.end();
    tracker.setAddresses(real.addresses);
    tracker.setNode(real.node);
    for (const service of real.services) tracker.setService(service);
    for (const slice of real.slices) tracker.setSlice(slice);
    tracker.setListed('services');
    tracker.setListed('slices');
    const cold = decideWorld(real.services, real.slices, viewNode(real.node, real.settings));
    expect([...tracker.decisions()].toSorted((a, b) => byText(a.key, b.key))).toStrictEqual(cold.decisions);
    expect(tracker.conflicts()).toStrictEqual(cold.conflicts);
  },
);

test('nothing is foretold before the addresses of the node are known', () => {
  const [world] = fc
    .sample(agentWorld, { numRuns: 200, seed: 4 })
    .filter(({ services, node }) => services.length > 1 && node !== undefined);
  if (world === undefined) throw new Error('no such world');
  let addresses: ReadonlySet<string> = new Set();
  const told: number[] = [];
  const foresight = new Foresight({
    view: viewOf(world),
    tracker: new DecisionTracker(world.settings),
    addresses: () => addresses,
    tell: (_node, decisions) => told.push(decisions.length),
    inOneGo: 1,
  });
  const [first, second] = world.services;
  if (first !== undefined) foresight.service(first);
  expect(told).toEqual([]);
  addresses = new Set(['172.31.0.11']);
  if (second !== undefined) foresight.service(second);
  expect(told.length).toBeGreaterThan(0);
});
