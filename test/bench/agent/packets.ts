/**
 * Row `packets`: what counting costs each packet of a flow that is open already. One sender, as fast as it can, through a
 * node without counters, with those of connections and with those of bytes; rounds take turns. The sender's core does
 * all the work of a packet up to the socket of the pod, so packets in a second of its time on the core are the cost,
 * whatever else the machine does.
 */
import { once } from 'node:events';
import { create, remove, type Manifest } from '../../../src/sandbox/objects.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import { quantile, type Row } from '../bench.ts';
import { server, untilAnswered, type Mode, type Stage } from './stage.ts';
import { address, serviceManifest, sizeText, sliceOf } from './world.ts';

const rounds = 9;
const roundSeconds = 0.7;
const outside = 'x1';
const ip = '10.96.211.2';
const port = 8_083;
/** The answer of the world's own server tells when the rules are there. */
const readyIP = '10.96.211.3';

/** Answers the first datagram of each sender, so that the flow is open both ways, and lets the others fall. */
const takes = `
  use Socket;
  socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
  bind($s, sockaddr_in(${port}, inet_aton($ARGV[0]))) or die $!;
  setsockopt($s, SOL_SOCKET, SO_RCVBUF, 2048);
  $| = 1; print "ready\\n";
  my %known;
  while (1) {
    my $from = recv($s, my $data, 64, 0);
    send($s, 'yes', 0, $from) unless $known{$from}++;
    select(undef, undef, undef, 0.02);
  }`;

const sends = `
  use Socket; use Time::HiRes 'time';
  my ($to, $seconds) = @ARGV;
  socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
  connect($s, sockaddr_in(80, inet_aton($to))) or die $!;
  my $open = 0;
  for (1 .. 100) {
    send($s, 'hello', 0);
    my $ready = ''; vec($ready, fileno($s), 1) = 1;
    if (select($ready, undef, undef, 0.2)) { $open = 1; last }
  }
  die 'nobody answers' unless $open;
  my ($data, $sent, $from) = ('x' x 100, 0, time);
  my ($user, $system) = times;
  while (time < $from + $seconds) { for (1 .. 500) { $sent++ if defined send($s, $data, 0) } }
  my ($userNow, $systemNow) = times;
  printf '%f', $sent / ($userNow + $systemNow - $user - $system);`;

export async function packetRows(stage: Stage, mode: Mode): Promise<readonly Row[]> {
  await using plain = await stage.node();
  await using counting = await stage.node();
  await using weighing = await stage.node();
  const { api } = stage.cluster;
  const endpoint = address(1, 701);
  const udp = (manifest: Manifest): Manifest =>
    JSON.parse(
      JSON.stringify(manifest)
        .replaceAll('"TCP"', '"UDP"')
        .replaceAll('"targetPort":8080', `"targetPort":${port}`),
    ) as Manifest;
  const objects = [
    udp(serviceManifest('zzz-packets', ip)),
    udp(sliceOf('zzz-packets', [endpoint], port)),
    serviceManifest('zzz-ready', readyIP),
    sliceOf('zzz-ready', [endpoint], 8080),
  ];
  for (const object of objects) await create(api, object);
  const ways = {
    plain: { bed: plain, args: [], perSecond: [] as number[] },
    counted: { bed: counting, args: ['--counters=connections'], perSecond: [] as number[] },
    weighed: { bed: weighing, args: ['--counters=bytes'], perSecond: [] as number[] },
  };
  const ends: (() => Promise<unknown>)[] = [];
  for (const { bed, args } of Object.values(ways)) {
    const taker = bed.spawn(server, 'perl', ['-e', takes, endpoint]);
    ends.push(async () => taker.kill());
    await once(taker.stdout, 'data');
    const { process, started } = await stage.start(bed, 'ours', mode, args);
    ends.push(() => process.stop(10_000));
    await untilAnswered(bed, process, readyIP, { everyMs: 50, limit: started + 300_000 });
  }
  for (let round = 0; round < rounds; round += 1)
    for (const way of Object.values(ways)) way.perSecond.push(await oneRound(way.bed));
  for (const end of ends) await end();
  for (const object of objects.toReversed()) await remove(api, object);

  const middle = ({ perSecond }: { readonly perSecond: readonly number[] }): number =>
    Math.round(quantile(perSecond, 0.5));
  const peer = { name: 'without counters', value: middle(ways.plain) };
  const label = `${mode}, ${sizeText(stage.size)}: packets of an open flow`;
  return [
    { what: `${label}, --counters=connections`, ours: middle(ways.counted) },
    { what: `${label}, --counters=bytes`, ours: middle(ways.weighed) },
  ].map((row) => ({ ...row, unit: '/s of core', better: 'higher' as const, peer }));
}

async function oneRound(bed: Bed): Promise<number> {
  return Number(await bed.succeed(outside, 'perl', ['-e', sends, ip, String(roundSeconds)]));
}
