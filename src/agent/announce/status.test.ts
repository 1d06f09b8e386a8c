import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import type { ServiceAddressObject } from '../../core/address-objects.ts';
import { sleep } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { Condition, NodeName, Uid } from '../../core/objects.ts';
import { factsOf, type AddressFacts } from './facts.ts';
import type { LinkChoice } from './links.ts';
import { memberId, type MemberId } from './rank.ts';
import { draftStatus, StatusKeeper, type Heard, type StatusInput } from './status.ts';

const node = 'n1' as NodeName;
const me = memberId(node);
const links = [
  {
    name: 'eth0',
    mac: '02:00:00:00:00:01',
    up: true,
    usable: true,
    networks: [],
    defaultRoute: { ipv4: true, ipv6: false },
  },
];
const quiet: Heard = { contested: undefined, asked: 0 };

function object(over: Partial<ServiceAddressObject> = {}): ServiceAddressObject {
  return {
    name: 'v4-192-0-2-10',
    uid: 'uid' as Uid,
    resourceVersion: '1',
    address: '192.0.2.10',
    pool: 'office',
    services: [],
    rememberedFor: undefined,
    probeAfter: undefined,
    probe: undefined,
    holder: undefined,
    conditions: [],
    ...over,
  };
}

function facts(over: Partial<AddressFacts> = {}): AddressFacts {
  const nothing = { service: () => undefined, slices: () => [], pool: () => undefined };
  const none = factsOf(object(), nothing, { nodes: [], excluded: [] });
  return { ...none, wanted: true, nodes: [node], eligible: [me], poolNodes: [node], ...over };
}

interface Scene {
  readonly holds?: boolean;
  readonly leads?: boolean;
  readonly unable?: readonly MemberId[];
  readonly live?: readonly MemberId[];
  readonly refused?: boolean;
  readonly withoutRightMs?: number;
  readonly links?: LinkChoice;
}

function ownership(scene: Scene): StatusInput['ownership'] {
  const { holds = false, leads = true, unable = [], live = [me], refused = false } = scene;
  const held = {
    address: '192.0.2.10',
    interfaces: ['eth0'],
    state: 'up',
    sinceWall: 0,
    reason: 'elected',
  } as const;
  return {
    holds: () => (holds ? held : undefined),
    owner: () => undefined,
    leads,
    linksFor: () => scene.links ?? { kind: 'links', names: ['eth0'] },
    view: () => ({
      live: new Set(live),
      ready: new Set(live),
      paused: new Set<MemberId>(),
      arbiter: false,
    }),
    unable: (_address, member) => unable.includes(member),
    refusal: () => refused,
    standing: { right: { kind: 'none' }, contend: false, seen: 1, known: 3 },
    withoutRightMs: scene.withoutRightMs ?? 0,
  };
}

function drafted(
  scene: Scene,
  about = facts(),
  heard = quiet,
  of = object(),
): ReturnType<typeof draftStatus> {
  return draftStatus({
    node,
    object: of,
    facts: about,
    ownership: ownership(scene),
    links,
    heard,
    wallMs: 60_000,
  });
}

const missing: LinkChoice = {
  kind: 'none',
  reason: 'InterfaceMissing',
  message: 'the pool names interface eth9; the node has eth0',
};

describe('why nobody holds an address', () => {
  test.each<[string, Scene, AddressFacts, string, RegExp]>([
    [
      'no node may',
      {},
      facts({
        nodes: [],
        excluded: [{ node, reason: 'NodeNotSelected', message: 'no selector chooses n1' }],
      }),
      'NoEligibleNode',
      /no selector chooses n1/u,
    ],
    ['the cluster is empty', {}, facts({ nodes: [] }), 'NoEligibleNode', /no nodes/u],
    ['no agent runs there', { live: [] }, facts(), 'NoAgentThere', /no agent is heard on n1/u],
    [
      'the interface is not there',
      { unable: [me], links: missing },
      facts(),
      'InterfaceMissing',
      /eth9.*seen on n1/u,
    ],
    [
      'the kernel refuses',
      { unable: [me], refused: true },
      facts(),
      'AnnounceRefused',
      /log of the agents on n1/u,
    ],
  ])('%s', (_name, scene, about, reason, message) => {
    const [condition] = drafted(scene, about)?.conditions ?? [];
    expect(condition).toMatchObject({ type: 'Announced', status: 'False', reason });
    expect(condition?.message).toMatch(message);
  });

  test('nothing is said while somebody can take it, nor by one who does not speak for all', () => {
    expect(drafted({})).toBeUndefined();
    expect(drafted({ leads: false }, facts({ nodes: [] }))).toBeUndefined();
  });

  test('an address that is not wanted any more has no holder and no such condition', () => {
    const before: Condition = {
      type: 'Announced',
      status: 'True',
      reason: 'Announced',
      message: '',
      lastTransitionTime: '',
    };
    expect(drafted({}, facts({ wanted: false }), quiet, object({ conditions: [before] }))).toEqual({
      holder: undefined,
      conditions: [],
    });
  });
});

describe('an agent that hears no majority', () => {
  const powerless: Scene = { leads: false, withoutRightMs: 31_000 };
  const holder = { node, interface: 'eth0', mac: '', since: '', reason: 'elected' };

  test('says after a while what is missing, in words that all of them would use', () => {
    const draft = drafted(powerless);
    expect(draft).toMatchObject({ holder: undefined, cautious: true });
    expect(draft?.conditions[0]).toMatchObject({ status: 'False', reason: 'NoMajority' });
    expect(draft?.conditions[0]?.message).toMatch(/majority of the 3 .*UDP.*10272/u);
    expect(draft?.conditions[0]?.message).not.toContain(node);
    expect(drafted({ ...powerless, withoutRightMs: 29_000 })).toBeUndefined();
  });

  test('takes its own name out, and nobody else’s: the others may have a majority', () => {
    expect(drafted(powerless, facts(), quiet, object({ holder }))?.holder).toBeUndefined();
    const other = { ...holder, node: 'n2' as NodeName };
    expect(drafted(powerless, facts(), quiet, object({ holder: other }))).toBeUndefined();
    expect(drafted(powerless, facts({ wanted: false }))).toBeUndefined();
  });
});

describe('what the holder says', () => {
  test.each([
    [1, /asked once /u],
    [2, /asked more than once/u],
    [9, /asked more than once/u],
    [10, /at least 10 times/u],
    [99, /at least 10 times/u],
    [12_345, /at least 10000 times/u],
  ])('%i questions', (asked, message) => {
    const draft = drafted({ holds: true }, facts(), { ...quiet, asked });
    expect(draft?.conditions.find(({ type }) => type === 'Asked')?.message).toMatch(message);
  });

  test('a stranger on the link is named', () => {
    const heard = { contested: { mac: '02:99', wallMs: 1_000 }, asked: 0 };
    const draft = drafted({ holds: true }, facts(), heard);
    expect(draft?.conditions.find(({ type }) => type === 'Contested')).toMatchObject({
      reason: 'AddressContested',
      message: expect.stringContaining('02:99') as string,
    });
  });

  test('since when does not move while nothing else does', () => {
    const holder = { node, interface: 'eth0', mac: links[0]?.mac ?? '', since: 'then', reason: 'elected' };
    expect(drafted({ holds: true }, facts(), quiet, object({ holder }))?.holder).toBe(holder);
  });
});

describe('writing under load', () => {
  /** A keeper over so many addresses; every write becomes what is read after a moment. */
  function setUp(count: number) {
    const clock = new VirtualClock();
    const store = new Map<string, ServiceAddressObject>();
    for (let index = 0; index < count; index += 1) {
      const name = `v4-${index}`;
      store.set(name, object({ name, address: `10.0.${index >> 8}.${index & 255}` }));
    }
    const state = { holds: true, asked: 0, fails: undefined as SluiceError | undefined };
    const writes: { readonly at: number; readonly name: string; readonly text: string }[] = [];
    const troubles: string[] = [];
    let inFlight = 0;
    let most = 0;
    const started = clock.now();
    const keeper = new StatusKeeper({
      node,
      object: (name) => store.get(name),
      facts: () => facts(),
      get ownership() {
        return ownership({ holds: state.holds });
      },
      links: () => links,
      heard: () => ({ ...quiet, asked: state.asked }),
      writer: {
        patch: async (path: string, body: object) => {
          const name = path.split('/').at(-2) ?? '';
          inFlight += 1;
          most = Math.max(most, inFlight);
          await sleep(clock, 20);
          inFlight -= 1;
          if (state.fails !== undefined) throw state.fails;
          writes.push({ at: clock.now() - started, name, text: JSON.stringify(body) });
          const { status } = body as { status: Pick<ServiceAddressObject, 'holder' | 'conditions'> };
          const before = store.get(name);
          if (before !== undefined) clock.schedule(10, () => store.set(name, { ...before, ...status }));
          return {};
        },
      },
      clock,
      random: () => 0.5,
      failed: (_name, error) => troubles.push(error.message),
    });
    return { clock, keeper, store, state, writes, troubles, most: () => most };
  }

  test('a thousand addresses are told in twenty seconds, four writes at a time, fifty in a second', async () => {
    const { clock, keeper, store, writes, most } = setUp(1_000);
    for (const name of store.keys()) keeper.touch(name);
    await clock.advance(21_000);
    expect(new Set(writes.map(({ name }) => name)).size).toBe(1_000);
    expect(most()).toBeLessThanOrEqual(4);
    for (let from = 0; from < 21_000; from += 1_000) {
      const within = writes.filter(({ at }) => at >= from && at < from + 1_000).length;
      expect(within, `second ${from}`).toBeLessThanOrEqual(from === 0 ? 100 : 52);
    }
  });

  test('what changes again while it waits is written once, as it is then', async () => {
    const { clock, keeper, state, store, writes } = setUp(400);
    for (const name of store.keys()) keeper.touch(name);
    await clock.advance(1_500);
    const soFar = writes.length;
    // Every one of them changes ten times while the rest waits for its turn.
    for (const asked of [1, 2, 10, 100, 1_000]) {
      state.asked = asked;
      for (const name of store.keys()) keeper.touch(name);
      await clock.advance(10);
    }
    await clock.advance(30_000);
    expect(writes.length).toBeLessThan(400 + soFar + 20);
    for (const name of store.keys()) {
      const last = writes.findLast((write) => write.name === name);
      expect(last?.text).toContain('at least 1000 times');
    }
  });

  test('touching without a change writes nothing', async () => {
    const { clock, keeper, store, writes } = setUp(10);
    for (const name of store.keys()) keeper.touch(name);
    await clock.advance(2_000);
    const before = writes.length;
    for (let round = 0; round < 10; round += 1) {
      for (const name of store.keys()) keeper.touch(name);
      await clock.advance(500);
    }
    expect(writes.length).toBe(before);
  });

  test('an API server that is away is one line, and everything is told when it is back', async () => {
    const { clock, keeper, store, state, writes, troubles } = setUp(50);
    state.fails = new SluiceError('transient', 'connection refused', { code: 'ECONNREFUSED' });
    for (const name of store.keys()) keeper.touch(name);
    await clock.advance(180_000);
    expect(writes).toEqual([]);
    expect(troubles).toEqual(['connection refused']);
    state.fails = undefined;
    await clock.advance(10_000);
    expect(new Set(writes.map(({ name }) => name)).size).toBe(50);
  });
});
