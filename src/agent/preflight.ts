/**
 * What the node itself must be like, read from /proc: forwarding, the treatment of strange TCP packets, and the
 * range of ephemeral ports. Nothing is changed but `route_localnet`, and that only where localhost node ports are
 * asked for.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { SluiceError } from '../core/errors.ts';
import type { IpFamily, ObjectKey } from '../core/objects.ts';

/** Something about the node that a person should know of. */
export interface Finding {
  /** CamelCase; becomes the reason of an event. */
  readonly code:
    | 'ForwardingOff'
    | 'EphemeralPortsOverlap'
    | 'NodePortTaken'
    | 'SysctlNotSet'
    | 'HashNotPossible'
    | 'AffinityMemoryFull'
    | 'ConntrackNearlyFull'
    | 'ConntrackFull';
  readonly message: string;
}

/** The same, where it is about one Service. */
export type ServiceFinding = Finding & { readonly service: ObjectKey };

/** Reads and writes sysctls by their path below /proc/sys; undefined where there is none. */
export interface Sysctls {
  read(path: string): Promise<string | undefined>;
  write(path: string, value: string): Promise<void>;
}

export const procSysctls: Sysctls = {
  read: async (path) => {
    try {
      return (await readFile(`/proc/sys/${path}`, 'utf8')).trim();
    } catch {
      return undefined;
    }
  },
  write: (path, value) => writeFile(`/proc/sys/${path}`, value),
};

/** Without forwarding a node answers only for pods of its own network namespace. */
export async function checkForwarding(
  sysctls: Sysctls,
  families: readonly IpFamily[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const family of families) {
    const path = family === 'IPv4' ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding';
    if ((await sysctls.read(path)) !== '0') continue;
    const name = path.replaceAll('/', '.');
    findings.push({
      code: 'ForwardingOff',
      message: `${name} is 0: the node does not forward ${family} packets, so no Service reaches a pod; set it to 1 (sysctl -w ${name}=1)`,
    });
  }
  return findings;
}

/** Packets that connection tracking calls INVALID are dropped unless the kernel is told to be liberal. */
export async function conntrackIsLiberal(sysctls: Sysctls): Promise<boolean> {
  const value = await sysctls.read('net/netfilter/nf_conntrack_tcp_be_liberal');
  return value !== undefined && value !== '0';
}

/** Asked for by `--localhost-nodeports`: without it the kernel drops what leaves 127.0.0.1 for a pod. */
export async function allowRouteLocalnet(sysctls: Sysctls): Promise<void> {
  const path = 'net/ipv4/conf/all/route_localnet';
  if ((await sysctls.read(path)) === '1') return;
  try {
    await sysctls.write(path, '1');
  } catch (cause) {
    throw new SluiceError(
      'denied',
      'node ports on localhost need net.ipv4.conf.all.route_localnet=1, which could not be set; set it on the node, or leave --localhost-nodeports away',
      { code: 'SysctlNotSet', cause },
    );
  }
}

/** Inclusive. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** `32768-60999`, `4000,5000-5010`, or with blanks; what is no number is passed over. */
export function parseRanges(text: string): readonly PortRange[] {
  return text.split(',').flatMap((part) => {
    const [from, to = from] = part
      .trim()
      .split(/[\s-]+/u)
      .map(Number);
    return from === undefined || to === undefined || !(from > 0) || !(to > 0) ? [] : [{ from, to }];
  });
}

/** The node ports that the kernel may hand out as the source port of an outgoing connection. */
export function overlapping(
  nodePorts: Iterable<number>,
  ephemeral: readonly PortRange[],
  reserved: readonly PortRange[],
): readonly number[] {
  const within = (port: number, ranges: readonly PortRange[]): boolean =>
    ranges.some(({ from, to }) => port >= from && port <= to);
  return [...nodePorts].filter((port) => within(port, ephemeral) && !within(port, reserved));
}

/** The parts of a range that the kernel may hand out, without those that are reserved. */
export function sharedPorts(
  range: PortRange,
  ephemeral: readonly PortRange[],
  reserved: readonly PortRange[],
): readonly PortRange[] {
  const shared: PortRange[] = [];
  let from: number | undefined;
  for (let port = range.from; port <= range.to + 1; port += 1) {
    const free = port <= range.to && overlapping([port], ephemeral, reserved).length > 0;
    if (free) from ??= port;
    else if (from !== undefined) {
      shared.push({ from, to: port - 1 });
      from = undefined;
    }
  }
  return shared;
}

function rangeText({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}

/**
 * N5: a node port in the range of ephemeral ports breaks the connection that was given it, now and then. What is in
 * use is told first; else what the cluster may give to the next Service.
 *
 * @param range the cluster's node ports.
 */
export async function checkEphemeralPorts(
  sysctls: Sysctls,
  nodePorts: Iterable<number>,
  range: PortRange,
): Promise<readonly Finding[]> {
  const text = ((await sysctls.read('net/ipv4/ip_local_port_range')) ?? '').replace(/\s+/u, '-');
  const ephemeral = parseRanges(text);
  const reservedText = (await sysctls.read('net/ipv4/ip_local_reserved_ports')) ?? '';
  const reserved = parseRanges(reservedText);
  const taken = overlapping(nodePorts, ephemeral, reserved).toSorted((a, b) => a - b);
  const shared = sharedPorts(range, ephemeral, reserved);
  if (taken.length === 0 && shared.length === 0) return [];
  const outside = taken.filter((port) => port < range.from || port > range.to);
  const toReserve = [reservedText, ...shared.map(rangeText), ...outside]
    .filter((part) => part !== '')
    .join(',');
  const cure = `reserve them (sysctl -w net.ipv4.ip_local_reserved_ports=${toReserve}, and in /etc/sysctl.d to last), or narrow net.ipv4.ip_local_port_range`;
  const [first] = taken;
  const rest = taken.length > 1 ? ` and ${taken.length - 1} more` : '';
  const what =
    first === undefined
      ? `node ports ${shared.map(rangeText).join(', ')} of the cluster's range ${rangeText(range)} are also ephemeral ports (${text}): when a Service is given one of them, an outgoing connection of the node may already have it, or be given it,`
      : `node port ${first}${rest} is in the range of ephemeral ports (${text}), so an outgoing connection of the node may be given it`;
  return [{ code: 'EphemeralPortsOverlap', message: `${what} and get no answer; ${cure}` }];
}
