/**
 * Stories of packets that no socket sends: an echo request to a cluster IP, and a TCP reset that belongs to no connection.
 * They are sent with perl, which every Debian has. Over IPv4.
 */
import type { Story } from './stories.ts';

/** Sends `hex` as a packet of that protocol; prints type and code of the first ICMP message that comes back in 400 ms. */
const sendRaw = `
  use Socket;
  my ($to, $protocol, $hex) = @ARGV;
  socket(my $in, PF_INET, SOCK_RAW, 1) or die $!;
  socket(my $out, PF_INET, SOCK_RAW, $protocol) or die $!;
  send($out, pack('H*', $hex), 0, sockaddr_in(0, inet_aton($to))) or do { print 'denied'; exit };
  my $ready = ''; vec($ready, fileno($in), 1) = 1;
  if (select($ready, undef, undef, 0.4)) {
    recv($in, my $packet, 1500, 0);
    printf '%d %d', unpack('x20 C C', $packet);
  } else { print 'silence' }`;

/** The Internet checksum (RFC 1071) of bytes, as four hexadecimal digits. */
function checksum(hex: string): string {
  let sum = 0;
  for (let at = 0; at < hex.length; at += 4) sum += Number.parseInt(hex.slice(at, at + 4).padEnd(4, '0'), 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return (~sum & 0xffff).toString(16).padStart(4, '0');
}

const word = (value: number): string => value.toString(16).padStart(4, '0');
const addressHex = (address: string): string =>
  address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('');

/** An echo request without data (RFC 792). */
const echoRequest = `0800${checksum(`08000000${word(0x1d)}0001`)}${word(0x1d)}0001`;

/** A TCP header with RST alone (RFC 9293, §3.1). */
function reset(from: string, to: string, port: number): string {
  const before = `${word(50_123)}${word(port)}0000000100000000500404000`.slice(0, -1);
  const pseudo = `${addressHex(from)}${addressHex(to)}0006${word(20)}`;
  return `${before}${checksum(`${pseudo}${before}00000000`)}0000`;
}

export const rawStories: readonly Story[] = [
  {
    rule: 'C4',
    says: 'an echo request to a cluster IP is not translated: it is refused like a port that the Service does not have',
    families: ['IPv4'],
    world: [{ name: 'web', endpoints: [{ at: 'n1-a' }] }],
    fails: {
      'kube-proxy iptables': 'kube-proxy in iptables mode leaves it to routing',
    },
    run: async ({ bed, atlas }) => {
      const wrong: string[] = [];
      for (const from of ['n1-b', 'x1']) {
        const to = atlas.address('web', 'V', 'IPv4');
        const { stdout } = await bed.run(from, 'perl', ['-e', sendRaw, to, '1', echoRequest]);
        // Destination unreachable, port unreachable (RFC 792).
        if (stdout !== '3 3') wrong.push(`${from} heard ${stdout}`);
      }
      return wrong;
    },
  },
  {
    rule: 'M5',
    says: 'what connection tracking calls invalid is not forwarded where iptables writes the rules, and is in nftables',
    families: ['IPv4'],
    world: [{ name: 'web', endpoints: [{ at: 'n2-a' }] }],
    run: async ({ bed, iptables }) => {
      const { IPv4: to } = bed.pod('n2-a').address;
      const { IPv4: from } = bed.pod('n1-b').address;
      await bed.succeed('n2-a', 'nft', ['-f', '-'], {
        input: `table ip strays { chain input { type filter hook input priority 0; tcp dport 8099 tcp flags rst counter; }; }\n`,
      });
      for (let count = 0; count < 3; count += 1) {
        await bed.run('n1-b', 'perl', ['-e', sendRaw, to, '6', reset(from, to, 8099)]);
      }
      const counted = await bed.succeed('n2-a', 'nft', ['list', 'table', 'ip', 'strays']);
      await bed.succeed('n2-a', 'nft', ['delete', 'table', 'ip', 'strays']);
      const arrived = Number(/counter packets (\d+)/u.exec(counted)?.[1]);
      const wanted = iptables === undefined ? 3 : 0;
      return arrived === wanted ? [] : [`${arrived} of 3 arrived, and not ${wanted}`];
    },
  },
];
