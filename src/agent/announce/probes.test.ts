import { expect, test } from 'vitest';
import type { ServiceAddressObject } from '../../core/address-objects.ts';
import { systemClock } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { NodeName, Uid } from '../../core/objects.ts';
import type { ProbeAnswer } from './announcer.ts';
import { factsOf } from './facts.ts';
import { Probes } from './probes.ts';
import { memberId } from './rank.ts';

const asked: ServiceAddressObject = {
  name: 'v4-192-0-2-10',
  uid: 'uid' as Uid,
  resourceVersion: '7',
  address: '192.0.2.10',
  pool: 'lan',
  services: [],
  rememberedFor: undefined,
  probeAfter: '2026-01-01T00:00:00.000Z',
  probe: undefined,
  holder: undefined,
  conditions: [],
};

const answered: ServiceAddressObject = {
  ...asked,
  resourceVersion: '8',
  probe: {
    node: 'n2' as NodeName,
    interface: 'eth0',
    at: '2026-01-01T00:00:01.000Z',
    outcome: 'free',
  },
};

/** The agent of n1, who is asked; `meanwhile` happens while the link is. */
async function probed(
  answers: ProbeAnswer | readonly ProbeAnswer[],
  meanwhile: ServiceAddressObject | 'gone' = asked,
  writing: () => Promise<void> = () => Promise.resolve(),
) {
  const me = memberId('n1' as NodeName);
  const writes: object[] = [];
  const troubles: string[] = [];
  const done = Promise.withResolvers<void>();
  let left = 'kind' in answers ? [answers] : answers;
  let live: ServiceAddressObject | undefined = asked;
  const nothing = { service: () => undefined, slices: () => [], pool: () => undefined };
  const probes = new Probes({
    node: 'n1' as NodeName,
    object: () => live,
    facts: () => ({
      ...factsOf(asked, nothing, { nodes: [], excluded: [] }),
      poolNodes: ['n1' as NodeName],
    }),
    ownership: {
      me,
      leads: true,
      view: () => ({ live: new Set([me]), ready: new Set([me]) }) as never,
      unable: () => false,
      linksFor: () => ({ kind: 'links', names: ['eth0'] }),
      owner: () => undefined,
    },
    announcer: {
      probe: async () => {
        live = meanwhile === 'gone' ? undefined : meanwhile;
        setImmediate(() => setImmediate(done.resolve));
        const [first, ...others] = left;
        if (others.length > 0) left = others;
        return first ?? { kind: 'free' };
      },
    },
    writer: {
      patch: async (_path: string, body: object) => {
        writes.push(body);
        await writing();
        return {};
      },
    },
    clock: systemClock,
    failed: (_name, error) => troubles.push(error.message),
  });
  probes.touch(asked.name);
  await done.promise;
  probes.stop();
  return { writes, troubles };
}

test('what the link said is written, provided that nobody has written meanwhile', async () => {
  const { writes } = await probed({ kind: 'taken', mac: '02:00:00:00:00:09' });
  expect(writes).toMatchObject([
    {
      metadata: { uid: 'uid', resourceVersion: '7' },
      status: { probe: { node: 'n1', outcome: 'taken', mac: '02:00:00:00:00:09' } },
    },
  ]);
});

test('the first answer counts: what is found once another agent has answered is not written', async () => {
  expect((await probed({ kind: 'taken', mac: '02:00:00:00:00:02' }, answered)).writes).toEqual([]);
});

test('an object that went while the link was asked gets no answer', async () => {
  expect((await probed({ kind: 'free' }, 'gone')).writes).toEqual([]);
});

test('a write that comes too late is no trouble', async () => {
  const late = (): Promise<void> =>
    Promise.reject(new SluiceError('conflict', 'it has changed', { code: 'Conflict' }));
  expect((await probed({ kind: 'free' }, asked, late)).troubles).toEqual([]);
});

test('an answer to an earlier question is none to a later one: the link is asked again', async () => {
  const later = { ...asked, resourceVersion: '8', probeAfter: '2026-01-01T00:00:05.000Z' };
  const taken = { kind: 'taken', mac: '02:00:00:00:00:09' } as const;
  const { writes } = await probed([taken, { kind: 'free' }], later);
  expect(writes).toMatchObject([{ status: { probe: { outcome: 'free' } } }]);
});

test('an object that is gone on the server is looked at again in a moment, not at once', async () => {
  const gone = (): Promise<void> =>
    Promise.reject(new SluiceError('gone', 'not found', { code: 'NotFound' }));
  const { writes, troubles } = await probed({ kind: 'free' }, asked, gone);
  expect(writes).toHaveLength(1);
  expect(troubles).toEqual([]);
});
