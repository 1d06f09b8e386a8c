/** What a running controller shows of itself, from plain values. */
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../core/errors.ts';
import { aService } from '../core/fixtures.ts';
import type { QueueState } from '../core/queue.ts';
import type { ReaderState } from '../kube/reader-report.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { controllerView, type ControllerViewParts } from './controller-view.ts';

const synced: ReaderState = {
  synced: true,
  lastProgressAt: 0,
  objects: 3,
  lists: 1,
  failures: 0,
  problem: undefined,
};
const unsynced: ReaderState = { ...synced, synced: false, lastProgressAt: undefined, objects: 0 };

function view(
  states: Partial<Record<'services' | 'nodes', ReaderState>> = {},
  change: Partial<ControllerViewParts> = {},
) {
  const clock = new VirtualClock();
  const parts: ControllerViewParts = {
    clock,
    door: {
      states: () => ({ services: synced, nodes: synced, endpointslices: synced, ...states }),
      services: () => [],
    },
    elector: { held: () => true },
    controller: () => undefined,
    ...change,
  };
  return { clock, ...controllerView(parts) };
}

describe('readiness', () => {
  test('is given when every list is complete, with or without the lease', () => {
    const { server } = view({}, { elector: { held: () => false } });
    expect(server.ready().map(({ ok }) => ok)).toEqual([true, true, true]);
  });

  test('waits for the lists, and says which one and why', () => {
    const problem = new SluiceError('denied', 'nodes is forbidden', { code: 'Forbidden' });
    const { server } = view({ services: unsynced, nodes: { ...unsynced, problem } });
    expect(server.ready()).toEqual([
      { name: 'services', ok: false, message: 'no complete list of services yet' },
      { name: 'nodes', ok: false, message: 'no complete list of nodes yet: nodes is forbidden' },
      { name: 'endpointslices', ok: true, message: '' },
    ]);
  });

  test('goes when the API server has been silent for five minutes, bookmarks included', async () => {
    const { clock, server } = view();
    await clock.advance(300_000);
    expect(server.ready().every(({ ok }) => ok)).toBe(true);
    await clock.advance(1_000);
    expect(server.ready()[0]).toEqual({
      name: 'services',
      ok: false,
      message: 'the API server has been silent on services for 301 s',
    });
  });

  test('is no matter of health: a process that waits is not to be killed', () => {
    expect(
      view({ services: unsynced })
        .server.health()
        .every(({ ok }) => ok),
    ).toBe(true);
  });
});

describe('a replica that does not lead', () => {
  test('has an empty queue and knows nothing of any Service', () => {
    const { metrics, server } = view();
    expect(metrics.queue()).toEqual({ depth: 0, oldestMs: 0, working: 0 });
    expect(server.queue()).toEqual({ leading: false });
    expect(server.service('default', 'web')).toBe(undefined);
  });
});

test('a leader shows its queue and the last pass of a Service', () => {
  const state = { ready: 2, blocked: 1, inFlight: 4, oldestMs: 70 } as QueueState;
  const lastPass = {
    at: 1,
    plan: undefined,
    problems: [],
    excluded: [],
    waits: [],
    targets: undefined,
    error: 'busy',
  };
  const { metrics, server } = view(
    {},
    {
      controller: () => ({
        queue: { state },
        memory: (key) => (key === 'shop/web' ? { lastPass } : undefined),
      }),
    },
  );
  expect(metrics.queue()).toEqual({ depth: 3, oldestMs: 70, working: 4 });
  expect(server.service('shop', 'web')).toBe(lastPass);
  expect(server.service('shop', 'other')).toBe(undefined);
});

test('conditions are counted as far as they are ours', () => {
  const condition = { status: 'True', reason: 'InSync', message: '', lastTransitionTime: '' } as const;
  const conditions = [
    { ...condition, type: 'InSync' },
    { ...condition, type: 'example.com/Audited' },
  ];
  const { metrics } = view(
    {},
    {
      door: {
        states: () => ({ services: synced, nodes: synced, endpointslices: synced }),
        services: () => [aService({ conditions })],
      },
    },
  );
  expect([...metrics.conditions()]).toEqual([{ type: 'InSync', status: 'True', reason: 'InSync' }]);
});

test('readers show how long they have heard nothing; never is not zero', async () => {
  const { clock, metrics } = view({ nodes: unsynced });
  await clock.advance(5_000);
  expect(metrics.readers().map(({ kind, silenceMs }) => [kind, silenceMs])).toEqual([
    ['services', 5_000],
    ['nodes', undefined],
    ['endpointslices', 5_000],
  ]);
});
