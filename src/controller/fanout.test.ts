/** Which events wake whom, when, and how many of them become how few passes. */
import { describe, expect, test } from 'vitest';
import { PlainCluster } from '../../test/support/controller-stage.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { aNode, anEndpoint, aPort, aService, aSlice, aUid } from '../core/fixtures.ts';
import { objectKey, type NodeObject, type ObjectKey, type ServiceObject } from '../core/objects.ts';
import { WorkQueue } from '../core/queue.ts';
import { Fanout } from './fanout.ts';

const web = aService().key;

/** A fan-out over a cluster, with a note of whom it woke: `<ms> <key> +<delay>`. */
function bench(served: readonly ObjectKey[] = [web]) {
  const clock = new VirtualClock();
  const cluster = new PlainCluster([]);
  const woken: string[] = [];
  const forgiven: ObjectKey[] = [];
  const rounds: number[] = [];
  const fanout = new Fanout({
    clock,
    view: cluster,
    wake: (key, delayMs) => woken.push(`${clock.now()} ${key} +${delayMs}`),
    forgive: (key) => forgiven.push(key),
    servedKeys: () => served,
    onRound: (keys) => rounds.push(keys.length),
  });
  return { clock, cluster, fanout, woken, forgiven, rounds };
}

describe('a change of a Service', () => {
  const before = aService({ finalizers: ['sluice.dev/balancer'] });
  test.each<[string, ServiceObject | undefined, ServiceObject | undefined, boolean]>([
    ['seen for the first time', undefined, before, true],
    ['gone', before, undefined, true],
    ['made anew under its name', before, { ...before, uid: aUid('another') }, true],
    ['its port', before, { ...before, ports: [aPort({ port: 81 })] }, true],
    ['an annotation of ours', before, { ...before, annotations: { 'sluice.dev/paused': 'true' } }, true],
    ['an annotation of somebody else', before, { ...before, annotations: { 'example.com/a': '1' } }, false],
    ['a label', before, { ...before, labels: { a: 'b' } }, false],
    ['our own status', before, { ...before, ingress: [{ hostname: 'a' }] }, false],
  ])('%s', (_, from, to, wakes) => {
    const { fanout, woken, forgiven } = bench();
    fanout.service(from, to);
    expect(woken).toEqual(wakes ? [`0 ${web} +0`] : []);
    // What the user changed is not kept waiting by what failed before.
    expect(forgiven).toEqual(wakes ? [web] : []);
  });
});

describe('a change of a node', () => {
  const before = aNode('n1');
  test.each<[string, NodeObject | undefined, NodeObject | undefined, boolean]>([
    ['it joins', undefined, before, true],
    ['it leaves', before, undefined, true],
    ['it is about to be deleted', before, aNode('n1', { deleting: true }), true],
    ['its provider id came', aNode('n1', { providerID: '' }), before, true],
    ['a label', before, aNode('n1', { labels: { zone: 'b' } }), true],
    ['a heartbeat', before, aNode('n1', { resourceVersion: '2' }), false],
    ['it is not ready', before, aNode('n1', { ready: 'False' }), false],
    ['it is cordoned', before, aNode('n1', { unschedulable: true }), false],
    ['an annotation', before, aNode('n1', { annotations: { a: 'b' } }), false],
  ])('%s', async (_, from, to, wakes) => {
    const { clock, fanout, woken, rounds } = bench();
    fanout.node(from, to);
    await clock.advance(60_000);
    expect(woken).toEqual(wakes ? [`50 ${web} +0`] : []);
    expect(rounds).toEqual(wakes ? [1] : []);
  });

  test('wakes every Service that is served, and no other', async () => {
    const keys = ['a', 'b', 'c'].map((name) => objectKey('shop', name));
    const { clock, fanout, woken } = bench(keys);
    fanout.node(undefined, aNode('n1'));
    await clock.advance(60_000);
    expect(woken).toEqual(keys.map((key) => `50 ${key} +0`));
  });

  test('a thousand of them in ten seconds are a handful of rounds', async () => {
    const { clock, fanout, rounds } = bench();
    for (let index = 0; index < 1_000; index += 1) {
      clock.schedule(index * 10, () => fanout.node(undefined, aNode(`n${index}`)));
    }
    await clock.advance(60_000);
    expect(rounds).toHaveLength(6);
  });

  test('the last one of a burst is followed too', async () => {
    const { clock, fanout, woken } = bench();
    fanout.node(undefined, aNode('n1'));
    await clock.advance(50);
    fanout.node(undefined, aNode('n2'));
    await clock.advance(60_000);
    expect(woken).toEqual([`50 ${web} +0`, `2050 ${web} +0`]);
  });

  test('after the end wakes nobody', async () => {
    const { clock, fanout, woken } = bench();
    fanout.node(undefined, aNode('n1'));
    fanout.stop();
    await clock.advance(60_000);
    expect(woken).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a change of endpoints', () => {
  const local = aService({ externalTrafficPolicy: 'Local' });
  const on = (...nodes: readonly string[]) => [
    aSlice(
      'web-1',
      nodes.map((node, index) => anEndpoint(`10.1.0.${index}`, node)),
    ),
  ];

  test('counts under policy Local only', () => {
    const { cluster, fanout, woken } = bench();
    cluster.sliceLists.set(web, on('n1'));
    for (const service of [aService(), aService({ type: 'ClusterIP', externalTrafficPolicy: 'Local' })]) {
      cluster.put(service);
      fanout.slices(web);
    }
    expect(woken).toEqual([]);
    cluster.put(local);
    fanout.slices(web);
    expect(woken).toEqual([`0 ${web} +1000`]);
  });

  test.each<[string, readonly string[], boolean]>([
    ['another Pod on the same node', ['n1', 'n1'], false],
    ['a node more', ['n1', 'n2'], true],
    ['another node', ['n2'], true],
    ['none left', [], true],
  ])('%s', (_, nodes, wakes) => {
    const { cluster, fanout, woken } = bench();
    cluster.put(local);
    cluster.sliceLists.set(web, on('n1'));
    fanout.slices(web);
    woken.length = 0;
    cluster.sliceLists.set(web, on(...nodes));
    fanout.slices(web);
    expect(woken).toEqual(wakes ? [`0 ${web} +1000`] : []);
  });

  test('of a Service that is not there wakes nobody', () => {
    const { fanout, woken } = bench();
    fanout.slices(web);
    expect(woken).toEqual([]);
  });

  test('that came under another policy is not forgotten when Local comes back', () => {
    const { cluster, fanout, woken } = bench();
    cluster.put(local);
    cluster.sliceLists.set(web, on('n1'));
    fanout.slices(web);
    cluster.put(aService());
    cluster.sliceLists.set(web, on('n2'));
    fanout.slices(web);
    // The pass that follows the policy works with n2; now the Pod moves back.
    cluster.put(local);
    cluster.sliceLists.set(web, on('n1'));
    woken.length = 0;
    fanout.slices(web);
    expect(woken).toEqual([`0 ${web} +1000`]);
  });

  test('a hundred in a second are one pass', async () => {
    const clock = new VirtualClock();
    const cluster = new PlainCluster([]);
    const passes: number[] = [];
    const queue = new WorkQueue<ObjectKey>({
      clock,
      random: () => 0.5,
      work: async () => {
        passes.push(clock.now());
        return { kind: 'done' };
      },
    });
    const fanout = new Fanout({
      clock,
      view: cluster,
      wake: (key, delayMs) => queue.add(key, { delayMs }),
      forgive: () => undefined,
      servedKeys: () => [],
      onRound: () => undefined,
    });
    queue.start();
    cluster.put(local);
    for (let index = 0; index < 100; index += 1) {
      clock.schedule(index * 9, () => {
        cluster.sliceLists.set(web, on(`n${index}`));
        fanout.slices(web);
      });
    }
    await clock.advance(60_000);
    expect(passes).toEqual([1_000]);
    await queue.stop();
  });
});
