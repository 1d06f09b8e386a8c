/**
 * Row `latency`: connect to first byte through a node, from an outside client, with the rules of the whole world and
 * without any; rounds take turns, so that what else the machine does meets both.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { create, remove } from '../../../src/sandbox/objects.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import type { Destination } from '../../../src/sandbox/bed/traffic.ts';
import { quantile, type Row } from '../bench.ts';
import { fastPort } from './lost.ts';
import { makeNode, node, server, untilAnswered, type Mode, type Stage } from './stage.ts';
import { address, serviceManifest, sizeText, sliceOf } from './world.ts';

const rounds = 7;
const roundMs = 1_200;
const outside = 'x1';
const ip = '10.96.211.1';
const endpoint = address(1, 700);

export async function latencyRows(stage: Stage, mode: Mode): Promise<readonly Row[]> {
  await using ruled = await stage.node();
  await using bare = await makeNode();
  await using tracked = await makeNode();
  await using counting = await stage.node();
  await using weighing = await stage.node();
  for (const bed of [ruled, bare, tracked, counting, weighing])
    await bed.serveApart(server, { port: fastPort, fast: true });
  // What any node with a pod network has: connection tracking and address translation are on, with nothing to do. The
  // kernel tracks nothing before there is a rule that needs it.
  const rule = 'ip saddr 192.0.2.1 masquerade';
  await tracked.succeed(node, 'nft', ['-f', '-'], {
    input: `table ip t {\n  chain c {\n    type nat hook postrouting priority 100\n    ${rule}\n  }\n}\n`,
  });
  const { api } = stage.cluster;
  const service = serviceManifest('zzz-last', ip);
  const slice = sliceOf('zzz-last', [endpoint], fastPort);
  await create(api, service);
  await create(api, slice);
  const { process, started } = await stage.start(ruled, 'ours', mode);
  const counters = [
    { bed: counting, ...(await stage.start(counting, 'ours', mode, ['--counters=connections'])) },
    { bed: weighing, ...(await stage.start(weighing, 'ours', mode, ['--counters=bytes'])) },
  ];
  for (const one of [{ bed: ruled, process, started }, ...counters])
    await untilAnswered(one.bed, one.process, ip, { everyMs: 50, limit: started + 300_000 });
  await sleep(8_000);

  const direct: Destination = { address: endpoint, port: fastPort };
  const ways = {
    service: { bed: ruled, to: { address: ip, port: 80 }, us: [] as number[] },
    other: { bed: ruled, to: direct, us: [] as number[] },
    counted: { bed: counting, to: { address: ip, port: 80 }, us: [] as number[] },
    otherCounted: { bed: counting, to: direct, us: [] as number[] },
    weighed: { bed: weighing, to: { address: ip, port: 80 }, us: [] as number[] },
    otherWeighed: { bed: weighing, to: direct, us: [] as number[] },
    bare: { bed: bare, to: direct, us: [] as number[] },
    tracked: { bed: tracked, to: direct, us: [] as number[] },
  };
  for (let round = 0; round < rounds; round += 1)
    for (const way of Object.values(ways)) way.us.push(await oneRound(way.bed, way.to));
  await remove(api, slice);
  await remove(api, service);
  for (const one of [process, ...counters.map((each) => each.process)]) await one.stop(10_000);

  const middle = ({ us }: { readonly us: readonly number[] }): number => quantile(us, 0.5);
  const label = `${mode}, ${sizeText(stage.size)}: first packet`;
  const none = middle(ways.bare);
  const most = mode === 'nftables' ? ({ goal: { kind: 'at most', value: none * 1.35 } } as const) : {};
  const beside = { peer: { name: 'without rules', value: none } };
  return [
    { what: `${label}, Service`, unit: 'µs', ours: middle(ways.service), ...beside, ...most },
    {
      what: `${label}, no Service`,
      unit: 'µs',
      ours: middle(ways.other),
      ...beside,
      goal: { kind: 'at most', value: none * 1.1 },
    },
    {
      what: `${label}, no Service, beside tracking alone`,
      unit: 'µs',
      ours: middle(ways.other),
      peer: { name: 'tracking without rules', value: middle(ways.tracked) },
    },
    ...(
      [
        ['Service, --counters=connections', ways.counted, ways.service],
        ['no Service, --counters=connections', ways.otherCounted, ways.other],
        ['Service, --counters=bytes', ways.weighed, ways.service],
        ['no Service, --counters=bytes', ways.otherWeighed, ways.other],
      ] as const
    ).map(([what, counted, plain]) => ({
      what: `${label}, ${what}`,
      unit: 'µs',
      ours: middle(counted),
      peer: { name: 'without counters', value: middle(plain) },
    })),
  ];
}

async function oneRound(bed: Bed, to: Destination): Promise<number> {
  const load = await bed.load(outside, to, { threads: 1 });
  await sleep(roundMs);
  const { p50Us, lost } = await load.close();
  if (Object.keys(lost).length > 0) throw new Error(`connections were lost: ${JSON.stringify(lost)}`);
  return p50Us;
}
