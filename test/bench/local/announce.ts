/**
 * Figures of announcing: real agents in network namespaces, an outside client that asks every 10 ms by TCP and UDP, and
 * what it loses when the holder of an address goes in one of many ways.
 *
 * "Lost" are new connections and datagrams that were not answered within 300 ms. A TCP connection that stood before is
 * counted beside it: a move ends it unless the new node knows the flow.
 */
import {
  announcerOf,
  blackout,
  holding,
  lost,
  newHeard,
  pause,
  port,
  serveServices,
  servicePort,
  until,
  vip,
  watchTraffic,
} from '../../packets/announce/lan.ts';
import { Bed } from '../../../src/sandbox/bed/bed.ts';
import type { Attempt } from '../../../src/sandbox/bed/traffic.ts';
import { AnnounceStage, bothAddresses } from '../../packets/announce/stage.ts';
import { logOf } from '../../packets/agent-process.ts';
import { quantile, type Row } from '../bench.ts';

interface Seen {
  /** By `IPv4 TCP` and so on. */
  readonly attempts: ReadonlyMap<string, readonly Attempt[]>;
  /** Connections that stood before and do not any more, of so many. */
  readonly broken: number;
  readonly held: number;
}

export interface Told {
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
}

const families = ['IPv4', 'IPv6'] as const;

/** The client asks while something happens. */
async function during(stage: AnnounceStage, work: () => Promise<void>): Promise<Seen> {
  const standing: Awaited<ReturnType<Bed['hold']>>[] = [];
  for (const family of families) {
    for (let i = 0; i < 5; i += 1) {
      standing.push(await stage.bed.hold('x1', { address: vip[family], port: servicePort }));
    }
  }
  const watching = await Promise.all(
    families.map(async (family) => [family, await watchTraffic(stage.bed, 'x1', vip[family])] as const),
  );
  await pause(300);
  await work();
  const attempts = new Map<string, readonly Attempt[]>();
  for (const [family, end] of watching) {
    for (const [protocol, each] of Object.entries(await end())) attempts.set(`${family} ${protocol}`, each);
  }
  let broken = 0;
  for (const each of standing) {
    if ((await each.check()).kind !== 'answered') broken += 1;
    await each.close();
  }
  return { attempts, broken, held: standing.length };
}

/** One node holds both addresses. */
async function gathered(stage: AnnounceStage): Promise<string> {
  await stage.restore();
  const node = (await stage.holder(vip.IPv4)) ?? '';
  const other = (await stage.holder(vip.IPv6)) ?? '';
  if (other !== node) {
    await stage.label(other, { 'sluice.test/announces': null });
    await until('one node holds both', async () => (await stage.holder(vip.IPv6)) === node);
    await stage.label(other, { 'sluice.test/announces': 'true' });
  }
  await pause(1_500);
  return node;
}

function lostOf(seen: Seen): number {
  return [...seen.attempts.values()].reduce((sum, attempts) => sum + lost(attempts), 0);
}

function madeOf(seen: Seen): number {
  return [...seen.attempts.values()].reduce((sum, attempts) => sum + attempts.length, 0);
}

function lostRows(what: string, seen: readonly Seen[], brokenGoal?: number): readonly Row[] {
  const made = seen.reduce((sum, each) => sum + madeOf(each), 0);
  const held = seen.reduce((sum, each) => sum + each.held, 0);
  return [
    {
      what: `${what}: new connections and datagrams lost, of ${made}`,
      unit: 'lost',
      ours: seen.reduce((sum, each) => sum + lostOf(each), 0),
      goal: { kind: 'at most', value: 0 },
    },
    {
      what: `${what}: established connections broken, of ${held}`,
      unit: 'broken',
      // Where no run counts nothing is known, and the goal is not met.
      ours: seen.length === 0 ? Number.NaN : seen.reduce((sum, each) => sum + each.broken, 0),
      ...(brokenGoal === undefined ? {} : { goal: { kind: 'at most', value: brokenGoal } }),
    },
  ];
}

/** Milliseconds from the first unanswered to the next answered try, median and worst. */
function blackoutRows(
  what: string,
  seen: readonly Seen[],
  goals: { readonly median: number; readonly worst: number },
): readonly Row[] {
  return ['IPv4 TCP', 'IPv4 UDP', 'IPv6 TCP', 'IPv6 UDP'].flatMap((kind): Row[] => {
    const gaps = seen.map(({ attempts }) => blackout(attempts.get(kind) ?? []));
    return [
      {
        what: `${what}, ${kind}: blackout, median of ${gaps.length}`,
        unit: 'ms',
        ours: quantile(gaps, 0.5),
        goal: { kind: 'at most', value: goals.median },
      },
      {
        what: `${what}, ${kind}: blackout, worst`,
        unit: 'ms',
        ours: Math.max(...gaps),
        goal: { kind: 'at most', value: goals.worst },
      },
    ];
  });
}

async function repeated(
  times: number,
  what: string,
  { progress, signal }: Told,
  once: () => Promise<Seen>,
): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (let turn = 1; turn <= times; turn += 1) {
    signal.throwIfAborted();
    const each = await once();
    const gaps = [...each.attempts].map(([kind, attempts]) => `${kind} ${blackout(attempts)} ms`);
    progress(
      `${what} ${turn}/${times}: ${gaps.join(', ')}, lost ${lostOf(each)}, broken ${each.broken}/${each.held}`,
    );
    seen.push(each);
  }
  return seen;
}

/** Three nodes of which two may hold; one more that serves. */
export async function announceRows(crashes: number, others: number, told: Told): Promise<readonly Row[]> {
  told.progress('building, and starting three nodes');
  await using stage = await AnnounceStage.make();
  await stage.startAll();
  const rows: Row[] = [];
  rows.push(
    ...blackoutRows(
      'owner crashes (link down)',
      await repeated(crashes, 'crash', told, async () => {
        const node = await gathered(stage);
        return during(stage, async () => {
          await port(stage.bed, node, 'down');
          await pause(1_500);
        });
      }),
      { median: 300, worst: 450 },
    ),
    ...lostRows(
      'planned move (the node is not chosen any more)',
      await repeated(others, 'planned move', told, async () => {
        const node = await gathered(stage);
        const seen = await during(stage, async () => {
          await stage.label(node, { 'sluice.test/announces': null });
          await until('both have moved', async () => movedFrom(stage, node));
          await pause(500);
        });
        await stage.label(node, { 'sluice.test/announces': 'true' });
        return seen;
      }),
    ),
  );
  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    const back: number[] = [];
    const seen = await repeated(others, how, told, async () => {
      const node = await gathered(stage);
      return during(stage, async () => {
        const begun = performance.now();
        await stage.agent(node).stop(how === 'SIGTERM' ? 10_000 : 0);
        await stage.start(node);
        await until(
          'it answers again, or has left it to another',
          async () =>
            (await logOf(stage.agent(node))).some(({ msg }) => msg === 'answers for an address') ||
            (await movedFrom(stage, node)),
        );
        back.push((await movedFrom(stage, node)) ? Number.POSITIVE_INFINITY : performance.now() - begun);
        told.progress(`back after ${Math.round(back.at(-1) ?? 0)} ms`);
        await pause(2_500);
      });
    });
    const inTime = seen.filter((_, i) => (back[i] ?? Number.POSITIVE_INFINITY) < Number.POSITIVE_INFINITY);
    rows.push(
      ...lostRows(`agent ends by ${how} and is started again at once`, seen).slice(0, 1),
      {
        what: `agent ends by ${how}: runs of ${others} in which it was back within the lifetime`,
        unit: 'runs',
        ours: inTime.length,
        better: 'higher',
      },
      ...lostRows(`agent ends by ${how} and is back within the lifetime`, inTime, 0).slice(1),
    );
  }
  const alone: number[] = [];
  rows.push(
    ...lostRows(
      'agent frozen (SIGSTOP), thawed after 4 s',
      await repeated(others, 'SIGSTOP', told, async () => {
        const node = await gathered(stage);
        return during(stage, async () => {
          stage.agent(node).signal('SIGSTOP');
          alone.push(await until('one other holds both', () => movedFrom(stage, node)));
          await pause(4_000 - (alone.at(-1) ?? 0));
          stage.agent(node).signal('SIGCONT');
          await pause(1_500);
        });
      }),
    ),
    {
      what: 'agent frozen: until one holder is left, worst',
      unit: 'ms',
      ours: Math.max(...alone),
      goal: { kind: 'at most', value: 3_000 },
    },
  );
  const healed: number[] = [];
  for (let turn = 1; turn <= others; turn += 1) {
    const node = await gathered(stage);
    await port(stage.bed, node, 'down');
    await pause(turn % 2 === 0 ? 700 : 4_000);
    await port(stage.bed, node, 'up');
    healed.push(await stage.settled(bothAddresses, 10_000));
    told.progress(`healed ${turn}/${others}: one MAC after ${Math.round(healed.at(-1) ?? 0)} ms`);
  }
  rows.push({
    what: 'cut-off node comes back: until one MAC answers for each address, worst',
    unit: 'ms',
    ours: Math.max(...healed),
    goal: { kind: 'at most', value: 1_000 },
  });
  return rows;
}

/** The bound that the Lease sets where two nodes are all there are, milliseconds: see `leaseBoundMs`. */
export async function twoNodeRows(times: number, told: Told, boundMs: number): Promise<readonly Row[]> {
  told.progress('two nodes that announce, and the Lease between them');
  await using stage = await AnnounceStage.make({ nodes: 3, announcing: ['n1', 'n2'] });
  await stage.startAll(['n1', 'n2']);
  const seen = await repeated(times, 'one of two crashes', told, async () => {
    await stage.restore(['n1', 'n2']);
    const node = (await stage.holder(vip.IPv4)) ?? '';
    await pause(2_000);
    return during(stage, async () => {
      // A machine that is gone neither answers nor holds a Lease.
      await port(stage.bed, node, 'down');
      await stage.kill(node);
      await pause(boundMs + 1_000);
    });
  });
  const gaps = seen.flatMap(({ attempts }) => [...attempts.values()].map(blackout));
  return [
    {
      what: `one of two nodes crashes: blackout, worst of ${gaps.length}`,
      unit: 'ms',
      ours: Math.max(...gaps),
      goal: { kind: 'at most', value: boundMs },
    },
  ];
}

/** A thousand addresses from one node to another: the engine and the wire, without the agents' decision. */
export async function manyRows({ progress }: Told): Promise<readonly Row[]> {
  progress('a thousand addresses');
  await using bed = await Bed.make({ nodes: 2, podsPerNode: 1, clients: 1 });
  await serveServices(bed, ['10.77.0.0/22', vip.IPv6]);
  await bed.ip('x1', 'route add 10.77.0.0/22 dev eth0');
  const addresses = Array.from({ length: 1_000 }, (_, i) => `10.77.${i >> 8}.${i & 255}`);
  const [one, two] = [announcerOf(bed, 'n1'), announcerOf(bed, 'n2')];
  await one.start(newHeard().events);
  await two.start(newHeard().events);
  const all = addresses.map((address) => holding(address));
  await one.hold(all);
  const ask = async (address: string): Promise<string | undefined> =>
    (await bed.dial('x1', { address, port: servicePort, protocol: 'UDP' }, { timeoutMs: 300 })).self;
  await Promise.all(addresses.map(ask));
  await port(bed, 'n1', 'down');
  const begun = performance.now();
  await two.hold(all);
  const up = performance.now() - begun;
  let left = addresses;
  while (left.length > 0 && performance.now() - begun < 10_000) {
    const answers = await Promise.all(left.map(ask));
    left = left.filter((_, i) => answers[i] !== 'n2');
  }
  const answered = performance.now() - begun;
  await one.stop('release');
  await two.stop('release');
  return [
    { what: '1,000 addresses moved at once: until the kernel has all', unit: 'ms', ours: up },
    {
      what: '1,000 addresses moved at once: until the last answers',
      unit: 'ms',
      ours: answered,
      goal: { kind: 'at most', value: 1_500 },
    },
  ];
}

async function movedFrom(stage: AnnounceStage, node: string): Promise<boolean> {
  const holders = await Promise.all(bothAddresses.map((address) => stage.holders(address)));
  return holders.every((each) => each.length === 1 && each[0] !== node);
}
