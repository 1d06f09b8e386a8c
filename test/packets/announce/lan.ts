/**
 * A LAN for announcers: nodes and outside clients of a bed on one bridge, with the rules of Services that stand in for
 * kube-proxy, and what a client and the bridge see of addresses.
 */
import type { AnnouncerEvents, Holding, Link } from '../../../src/agent/announce/announcer.ts';
import { KernelAnnouncer } from '../../../src/agent/announce/kernel/engine.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { SluiceError } from '../../../src/core/errors.ts';
import type { IpFamily, TransportProtocol } from '../../../src/core/objects.ts';
import { Bed } from '../../../src/sandbox/bed/bed.ts';
import type { Attempt } from '../../../src/sandbox/bed/traffic.ts';

/** Addresses of the underlay that no place has. */
export const vip = { IPv4: '172.31.0.50', IPv6: 'fd00:172:31::50' } as const;
export const servicePort = 80;
/** Where each pod listens. */
export const podPort = 8080;

export interface Heard {
  readonly asked: Map<string, number>;
  readonly contested: { readonly address: string; readonly mac: string }[];
  readonly held: { readonly address: string; readonly error: SluiceError | undefined }[];
  links: readonly Link[];
}

export function newHeard(): Heard & { readonly events: AnnouncerEvents } {
  const heard: Heard = { asked: new Map(), contested: [], held: [], links: [] };
  return Object.assign(heard, {
    events: {
      mayRenew: () => true,
      asked: (address, count) => void heard.asked.set(address, (heard.asked.get(address) ?? 0) + count),
      contested: (address, mac) => void heard.contested.push({ address, mac }),
      held: (address, error) => void heard.held.push({ address, error }),
      links: (links) => void (heard.links = links),
    } satisfies AnnouncerEvents,
  });
}

/** An announcer of a node of the bed, in this process; the process ids of its children, as they are started. */
export function announcerOf(
  bed: Bed,
  node: string,
  onChild: (pid: number) => void = () => undefined,
  clock?: Clock,
): KernelAnnouncer {
  return new KernelAnnouncer({
    ...(clock === undefined ? {} : { clock }),
    start: (program, args) => {
      const child = bed.spawn(node, program, args);
      if (child.pid !== undefined) onChild(child.pid);
      return child;
    },
    startNft: (program, args) => bed.spawn(node, program, args),
  });
}

export function holding(address: string, ports: Holding['ports'] = bothPorts): Holding {
  return { address, interfaces: ['eth0'], ports };
}

const bothPorts: Holding['ports'] = [
  { protocol: 'TCP', port: servicePort },
  { protocol: 'UDP', port: servicePort },
];

/** Servers in a pod of each node, and rules that lead the addresses' port to the node's own pod. */
export async function serveServices(
  bed: Bed,
  addresses: readonly string[] = Object.values(vip),
): Promise<void> {
  for (const pod of bed.topology.pods) {
    for (const family of ['IPv4', 'IPv6'] as const) {
      for (const protocol of ['TCP', 'UDP'] as const) {
        await bed.serve(pod.name, { port: podPort, protocol, family, name: pod.node });
      }
    }
  }
  for (const node of bed.topology.nodes) {
    const pod = bed.topology.pods.find((each) => each.node === node.name);
    if (pod === undefined) continue;
    await bed.succeed(node.name, 'nft', ['-f', '-'], { input: rules(addresses, pod.address) });
  }
}

function rules(addresses: readonly string[], pod: Readonly<Record<IpFamily, string>>): string {
  return (['IPv4', 'IPv6'] as const)
    .map((family) => {
      const header = family === 'IPv4' ? 'ip' : 'ip6';
      const own = addresses.filter((address) => address.includes(':') === (family === 'IPv6'));
      const to = family === 'IPv4' ? pod.IPv4 : `[${pod.IPv6}]`;
      return `table ${header} stand-in {
        chain pre {
          type nat hook prerouting priority -100
          ${header} daddr { ${own.join(', ')} } meta l4proto { tcp, udp } th dport ${servicePort} dnat to ${to}:${podPort}
        }
      }\n`;
    })
    .join('');
}

/** The MAC that a client believes an address to be at; undefined where it believes nothing. */
export async function believed(bed: Bed, client: string, address: string): Promise<string | undefined> {
  const text = await bed.succeed(client, 'ip', ['neigh', 'show', address]);
  return /lladdr (\S+)/u.exec(text)?.[1];
}

export async function macOf(bed: Bed, place: string): Promise<string> {
  const text = await bed.succeed(place, 'ip', ['-o', 'link', 'show', 'eth0']);
  return /link\/ether (\S+)/u.exec(text)?.[1] ?? '';
}

/** Cuts a place off the bridge, or joins it again. */
export async function port(bed: Bed, place: string, state: 'up' | 'down'): Promise<void> {
  await bed.ip('net', `link set p-${place} ${state}`);
}

/** Whether a node has an address on its interface. */
export async function has(bed: Bed, node: string, address: string): Promise<boolean> {
  const text = await bed.succeed(node, 'ip', ['-o', 'addr', 'show', 'dev', 'eth0']);
  return text.includes(` ${address}/`);
}

/** Waits until something is so; rejects in words where it is not after a while. */
export async function until(
  what: string,
  so: () => boolean | Promise<boolean>,
  limitMs = 30_000,
): Promise<number> {
  const begun = performance.now();
  for (;;) {
    if (await so()) return performance.now() - begun;
    if (performance.now() - begun > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(20);
  }
}

/** Whether an address answers an ICMP echo request within a second. There need not be a ping(8) on the machine. */
export async function echoes(bed: Bed, from: string, address: string): Promise<boolean> {
  const { code } = await bed.run(from, 'perl', ['-e', echoProgram, address]);
  return code === 0;
}

const echoProgram = String.raw`
use Socket qw(AF_INET AF_INET6 SOCK_RAW inet_pton pack_sockaddr_in pack_sockaddr_in6);
my $six = $ARGV[0] =~ /:/;
my $to = inet_pton($six ? AF_INET6 : AF_INET, $ARGV[0]);
socket(my $socket, $six ? AF_INET6 : AF_INET, SOCK_RAW, $six ? 58 : 1) or exit 2;
my $echo = pack('CCnnn', $six ? 128 : 8, 0, 0, $$ & 0xffff, 1);
my $sum = 0;
$sum += $_ for unpack('n*', $echo);
$sum = ($sum & 0xffff) + ($sum >> 16) for 1 .. 2;
substr($echo, 2, 2, pack('n', ~$sum & 0xffff)) unless $six;
send($socket, $echo, 0, $six ? pack_sockaddr_in6(0, $to) : pack_sockaddr_in(0, $to)) or exit 3;
$SIG{ALRM} = sub { exit 1 };
alarm 1;
while (defined recv($socket, my $answer, 1500, 0)) {
  my $icmp = $six ? $answer : substr($answer, 20);
  my ($type, $id) = unpack('Cx3n', $icmp);
  exit 0 if $type == ($six ? 129 : 0) && $id == ($$ & 0xffff);
}
`;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** Probers for both protocols at one address, every 10 ms. */
export async function watchTraffic(
  bed: Bed,
  client: string,
  address: string,
  protocols: readonly TransportProtocol[] = ['TCP', 'UDP'],
): Promise<() => Promise<Readonly<Record<string, readonly Attempt[]>>>> {
  const probers = await Promise.all(
    protocols.map(
      async (protocol) =>
        [
          protocol,
          await bed.probe(client, { address, port: servicePort, protocol }, { everyMs: 10, timeoutMs: 300 }),
        ] as const,
    ),
  );
  return async () => {
    // What has just been sent may still be answered.
    await pause(320);
    return Object.fromEntries(
      await Promise.all(probers.map(async ([protocol, prober]) => [protocol, await prober.close()] as const)),
    );
  };
}

export function lost(attempts: readonly Attempt[]): number {
  return attempts.filter(({ kind }) => kind !== 'answered').length;
}

export { blackout } from '../../../src/sandbox/bed/gap.ts';
export { Bed };
