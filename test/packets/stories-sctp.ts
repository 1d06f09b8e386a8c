/**
 * The story of SCTP where the kernel has no sockets for it: the first packet of an association (INIT, RFC 9260 §5.1) is sent
 * raw with perl, and counted where it arrives. Connection tracking and translation take it for what it is, so this shows
 * all that rules decide about; that data flows afterwards it does not show.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IpFamily } from '../../src/core/objects.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Scene, Story } from './stories.ts';

/** CRC32c (RFC 9260, appendix A) of bytes. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f6_3b78 : 0);
  }
  return ~crc >>> 0;
}

/** An SCTP packet with one INIT chunk, in hexadecimal digits. */
function init(sourcePort: number, port: number): string {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(port, 2);
  // The tag of an INIT's packet is 0; the checksum stands at 8, the least byte first.
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  randomBytes(4).copy(packet, 16);
  packet.writeUInt32BE(65_536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  randomBytes(4).copy(packet, 28);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet.toString('hex');
}

/** Sends every packet; prints `refused` where port unreachable comes back in so many seconds after the last one. */
const sendAll = `
  use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
  my ($family, $to, $patience, @packets) = @ARGV;
  my $four = $family eq 'IPv4';
  my $domain = $four ? PF_INET : PF_INET6;
  socket(my $in, $domain, SOCK_RAW, $four ? 1 : 58) or die $!;
  socket(my $out, $domain, SOCK_RAW, 132) or die $!;
  my $address = $four ? sockaddr_in(0, inet_aton($to)) : pack_sockaddr_in6(0, inet_pton(PF_INET6, $to));
  for my $hex (@packets) { send($out, pack('H*', $hex), 0, $address) or die $! }
  my $ready = ''; vec($ready, fileno($in), 1) = 1;
  while (select(my $now = $ready, undef, undef, $patience)) {
    recv($in, my $packet, 1500, 0);
    my ($type, $code) = unpack($four ? 'x20 C C' : 'C C', $packet);
    if ($type == ($four ? 3 : 1) && $code == ($four ? 3 : 4)) { print 'refused'; exit }
  }
  print 'silence'`;

let sourcePort = 20_000;

interface Sending {
  readonly from: string;
  readonly family: IpFamily;
  readonly to: string;
  readonly port: number;
  readonly count: number;
  readonly patienceSeconds: number;
}

async function send(bed: Bed, { from, family, to, port, count, patienceSeconds }: Sending): Promise<string> {
  const packets = Array.from({ length: count }, () => init((sourcePort += 1), port));
  return await bed.succeed(from, 'perl', ['-e', sendAll, family, to, String(patienceSeconds), ...packets]);
}

const servers = ['n1-a', 'n2-a'];

/** Begins to count at each server what comes to port 8080, and what of it comes from `source`. */
async function beginCounting(bed: Bed, source: string, family: IpFamily): Promise<void> {
  const ip = family === 'IPv4' ? 'ip' : 'ip6';
  const rules = `table inet associations { chain input { type filter hook input priority 0; sctp dport 8080 counter; ${ip} saddr ${source} sctp dport 8080 counter; }; }`;
  for (const server of servers) {
    await bed.succeed(server, 'nft', ['-f', '-'], {
      input: `add table inet associations\ndelete table inet associations\n${rules}\n`,
    });
  }
}

/** For each server: how many have come, and how many of them with the source that is counted. */
async function counted(bed: Bed): Promise<readonly (readonly [number, number])[]> {
  const counts: [number, number][] = [];
  for (const server of servers) {
    const text = await bed.succeed(server, 'nft', ['list', 'table', 'inet', 'associations']);
    const [all = 0, kept = 0] = [...text.matchAll(/counter packets (\d+)/gu)].map(([, n]) => Number(n));
    counts.push([all, kept]);
  }
  return counts;
}

const ports = [
  { name: 'http', port: 5000 },
  { name: 'dns', port: 5000, protocol: 'UDP' as const },
  { name: 'signal', port: 5000, protocol: 'SCTP' as const },
];

async function carried(scene: Scene): Promise<readonly string[]> {
  const { bed, atlas, family } = scene;
  const wrong: string[] = [];
  for (const [from, to, port, source] of [
    ['n1-b', atlas.address('web', 'V', family), 5000, 'kept'],
    ['x1', atlas.address('web', 'V', family), 5000, 'node'],
    ['x1', atlas.address('web', 'L', family), 5000, 'node'],
    ['x1', atlas.place('n1', family), atlas.nodePort('web', 2), 'node'],
  ] as const) {
    await beginCounting(bed, atlas.place(from, family), family);
    await send(bed, { from, family, to, port, count: 40, patienceSeconds: 0 });
    const giveUpAt = performance.now() + 30_000;
    let counts = await counted(bed);
    const sum = (which: 0 | 1): number => counts.reduce((all, one) => all + one[which], 0);
    while (sum(0) < 40 && performance.now() < giveUpAt) {
      await sleep(50);
      counts = await counted(bed);
    }
    // One of two gets nothing by chance: 2 to the power of -39.
    const right =
      sum(0) === 40 && sum(1) === (source === 'kept' ? 40 : 0) && counts.every(([all]) => all > 0);
    if (!right) wrong.push(`from ${from} to ${to}:${port} came ${JSON.stringify(counts)}`);
  }
  for (const server of servers) await bed.run(server, 'nft', ['delete', 'table', 'inet', 'associations']);
  return wrong;
}

export const sctpStories: readonly Story[] = [
  {
    rule: 'P SCTP O13',
    says: 'an INIT comes to an endpoint of its Service, which has TCP and UDP at the same number; without one it is refused',
    world: [
      { name: 'web', balancerIPs: 1, ports, endpoints: servers.map((at) => ({ at })) },
      { name: 'none', ports, endpoints: [] },
      { name: 'far', ports, internalTrafficPolicy: 'Local', endpoints: [{ at: 'n2-a' }] },
    ],
    run: async (scene) => {
      const { bed, atlas, family } = scene;
      const wrong = [...(await carried(scene))];
      for (const [name, expected, patienceSeconds] of [
        ['none', 'refused', 5],
        ['far', 'silence', 0.4],
      ] as const) {
        const to = atlas.address(name, 'V', family);
        const heard = await send(bed, { from: 'n1-b', family, to, port: 5000, count: 1, patienceSeconds });
        if (heard !== expected) wrong.push(`${name}: ${heard} and not ${expected}`);
      }
      return wrong;
    },
  },
];
