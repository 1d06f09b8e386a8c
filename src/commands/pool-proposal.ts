/**
 * Which addresses of the nodes' network a first pool could have, and why. Pure; a proposal is for a person to judge,
 * and nothing is ever chosen from it.
 *
 * A network is that of the nodes' own addresses. Out of it a stretch is taken that nothing is known to use: no node, no
 * gateway, no other pool, nobody who answered on the link; among those the one that the fewest makes of router hand out
 * by DHCP as they come from the factory, and of equal ones the highest.
 */
import { bitsOf, contains, formatAddress, lastOf, parseAddress, parseCidr, type Cidr } from '../core/cidr.ts';
import type { IpFamily, NodeObject } from '../core/objects.ts';

/** An address that this machine has on a link. */
export interface MachineAddress {
  readonly link: string;
  readonly address: string;
  readonly prefix: number;
  /** It was given for a time only, as DHCP does. */
  readonly dynamic: boolean;
}

export interface KnownUse {
  readonly family: IpFamily;
  readonly first: bigint;
  /** Inclusive. */
  readonly last: bigint;
  /** As in "not asked about: `what`". */
  readonly what: string;
}

export interface Network {
  readonly cidr: Cidr;
  /** Where its length is from. */
  readonly known: 'this machine is in it' | 'you named it' | 'assumed';
  readonly nodes: readonly NodeObject[];
  /** The address of this machine in it. */
  readonly here: MachineAddress | undefined;
}

/** What the link said: address → the MAC that answered. Undefined where it was not asked. */
export type Answers = ReadonlyMap<string, string> | undefined;

export interface Proposal {
  readonly network: string;
  /** `first-last`. */
  readonly range: string;
  readonly reasons: readonly string[];
  /** What a person has to look at before it is applied. */
  readonly checks: readonly string[];
}

export interface Stretch {
  readonly first: bigint;
  readonly last: bigint;
}

/** What routers hand out by DHCP as they come, as the last byte of a /24; from memory, so a proposal says to look. */
const usual: readonly { readonly make: string; readonly from: number; readonly to: number }[] = [
  { make: 'Linksys', from: 100, to: 149 },
  { make: 'TP-Link and D-Link', from: 100, to: 199 },
  { make: 'FRITZ!Box', from: 20, to: 200 },
  { make: 'OpenWrt', from: 100, to: 249 },
  { make: 'MikroTik', from: 10, to: 254 },
  { make: 'UniFi', from: 6, to: 254 },
  { make: 'Netgear and ASUS', from: 2, to: 254 },
];
/** Low addresses are what people give to routers, switches and printers by hand. */
const byHand = { from: 1, to: 30, weight: 3 };
/** Above what DHCPv6 servers usually give; addresses that hosts make themselves fill the lower 64 bits. */
const ipv6Offset = 0xb000_0000n;
const assumedLength = { IPv4: 24, IPv6: 64 } as const;
const spanSize = 256n;

/** The networks of the nodes' own addresses, those with the most nodes first. */
export function networksOf(
  nodes: readonly NodeObject[],
  here: readonly MachineAddress[],
  named: readonly Cidr[],
): readonly Network[] {
  const found = new Map<string, Network>();
  for (const node of nodes) {
    for (const ip of node.internalIPs) {
      const address = parseAddress(ip);
      if (address === undefined) continue;
      const given = named.find((cidr) => contains(cidr, address));
      const mine = here.find((one) => {
        const cidr = cidrOf(one.address, one.prefix);
        return cidr !== undefined && contains(cidr, address);
      });
      const cidr =
        given ?? (mine && cidrOf(mine.address, mine.prefix)) ?? cidrOf(ip, assumedLength[address.family]);
      if (cidr === undefined) continue;
      const known =
        given !== undefined ? 'you named it' : mine !== undefined ? 'this machine is in it' : 'assumed';
      const before = found.get(cidr.text);
      found.set(cidr.text, { cidr, known, here: mine, nodes: [...(before?.nodes ?? []), node] });
    }
  }
  return [...found.values()].toSorted(
    (a, b) =>
      (a.cidr.family === b.cidr.family ? 0 : a.cidr.family === 'IPv4' ? -1 : 1) ||
      b.nodes.length - a.nodes.length ||
      (a.cidr.base < b.cidr.base ? -1 : 1),
  );
}

/** The stretches of a network that are looked at: all of a small one, of a large one its end and where the nodes are. */
export function spansOf({ cidr, nodes }: Network): readonly Stretch[] {
  const last = lastOf(cidr);
  if (cidr.family === 'IPv6') {
    const room = last - cidr.base + 1n;
    const first =
      cidr.base + (room > ipv6Offset + spanSize ? ipv6Offset : room > 2n * spanSize ? spanSize : 1n);
    return [{ first, last: min(first + spanSize - 1n, last) }];
  }
  if (last - cidr.base < spanSize) return [{ first: cidr.base, last }];
  const starts = new Set([last - spanSize + 1n]);
  for (const { internalIPs } of nodes)
    for (const ip of internalIPs) {
      const address = parseAddress(ip);
      if (address !== undefined && contains(cidr, address)) starts.add(address.value & ~(spanSize - 1n));
    }
  return [...starts].map((first) => ({ first, last: first + spanSize - 1n })).slice(0, 4);
}

/** The addresses to ask the link about, canonical. */
export function questionsOf(network: Network, uses: readonly KnownUse[]): readonly string[] {
  const { family } = network.cidr;
  return spansOf(network).flatMap((span) =>
    values(span)
      .filter((value) => isAssignable(network.cidr, value) && useOf(uses, family, value) === undefined)
      .map((value) => formatAddress({ family, value })),
  );
}

/** @param size how many addresses are wanted; fewer are proposed where there is no room for so many. */
export function propose(
  network: Network,
  uses: readonly KnownUse[],
  answers: Answers,
  size: number,
): Proposal | { readonly lack: string } {
  const { cidr, here } = network;
  const { family } = cidr;
  const answered = new Set(answers?.keys());
  const isFree = (value: bigint): boolean =>
    isAssignable(cidr, value) &&
    useOf(uses, family, value) === undefined &&
    !answered.has(formatAddress({ family, value }));
  for (let wanted = size; wanted >= 1; wanted = Math.floor(wanted / 2)) {
    const windows = spansOf(network).flatMap((span) => windowsOf(span, wanted, isFree));
    const [best] = windows.toSorted(
      (a, b) => costOf(a, family, here) - costOf(b, family, here) || (a.first > b.first ? -1 : 1),
    );
    if (best === undefined) continue;
    const [first, last] = [best.first, best.last].map((value) => formatAddress({ family, value }));
    return {
      network: cidr.text,
      range: `${first}-${last}`,
      reasons: [...reasonsOf(network, uses, answers), ...dhcpReasons(best, network)],
      checks: checksOf(best, network, answers, wanted, size),
    };
  }
  return { lack: `there is no free address in the part of ${cidr.text} that was looked at` };
}

function windowsOf(span: Stretch, size: number, isFree: (value: bigint) => boolean): readonly Stretch[] {
  const found: Stretch[] = [];
  let run = 0;
  for (const value of values(span)) {
    run = isFree(value) ? run + 1 : 0;
    if (run >= size) found.push({ first: value - BigInt(size - 1), last: value });
  }
  return found;
}

/** How likely somebody else is given one of these: only a number to compare by. */
function costOf(window: Stretch, family: IpFamily, here: MachineAddress | undefined): number {
  if (family === 'IPv6') return 0;
  const met = usual.filter((one) => meets(window, one));
  const low = meets(window, byHand) ? byHand.weight : 0;
  return met.length + low + nearLease(window, here);
}

/** The machine's own lease shows where the DHCP server of this network hands out. */
function nearLease(window: Stretch, here: MachineAddress | undefined): number {
  const lease = here?.dynamic === true ? parseAddress(here.address) : undefined;
  if (lease === undefined) return 0;
  const away = lease.value < window.first ? window.first - lease.value : lease.value - window.last;
  return away < 50n ? 2 : 0;
}

/** Whether one of the addresses has its last byte in what is meant. */
function meets(
  { first, last }: Stretch,
  { from, to }: { readonly from: number; readonly to: number },
): boolean {
  return values({ first, last }).some((value) => {
    const byte = Number(value & 0xffn);
    return byte >= from && byte <= to;
  });
}

function reasonsOf(network: Network, uses: readonly KnownUse[], answers: Answers): readonly string[] {
  const { cidr, nodes, here, known } = network;
  const { family } = cidr;
  const names = nodes.map(({ name }) => name);
  const reasons = [
    `${names.length === 1 ? `node ${names[0]}` : `${names.length} nodes (${listed(names)})`} ${names.length === 1 ? 'has its' : 'have their'} own address in ${cidr.text}`,
    known === 'assumed'
      ? `that the network is ${cidr.text} is assumed: a Node does not say the length of its network`
      : `its length is known: ${known}${here === undefined ? '' : `, ${here.address} on ${here.link}`}`,
  ];
  const inside = uses.filter(
    (use) => use.family === family && use.first <= lastOf(cidr) && use.last >= cidr.base,
  );
  if (inside.length > 0)
    reasons.push(`left out: ${listed([...new Set(inside.map(({ what }) => what))], 12)}`);
  if (answers !== undefined) {
    const all = [...answers].map(([address, mac]) => `${address} (${mac})`);
    reasons.push(
      all.length === 0
        ? 'the link was asked, and nobody answered beside what is left out'
        : `the link was asked, and these answered and are left out: ${listed(all, 12)}`,
    );
  }
  return reasons;
}

function dhcpReasons(window: Stretch, { cidr, here }: Network): readonly string[] {
  if (cidr.family === 'IPv6')
    return [
      'above the last 16 bits, which DHCPv6 servers usually give from, and not a form that hosts make themselves',
    ];
  const [met, clear] = [true, false].map((does) =>
    usual
      .filter((one) => meets(window, one) === does)
      .map(({ make, from, to }) => `${make} (.${from}-.${to})`),
  );
  const lease =
    here?.dynamic === true
      ? [`this machine was given ${here.address} for a time, so a DHCP server is at work there`]
      : [];
  return [
    ...lease,
    ...(clear === undefined || clear.length === 0
      ? []
      : [`outside of what these hand out by DHCP as they come: ${clear.join(', ')}`]),
    ...(met === undefined || met.length === 0
      ? []
      : [`within what these hand out by DHCP as they come: ${met.join(', ')}`]),
  ];
}

function checksOf(
  window: Stretch,
  { cidr, nodes, known, here }: Network,
  answers: Answers,
  got: number,
  size: number,
): readonly string[] {
  const checks: string[] = [];
  if (got < size) checks.push(`there was room for ${got} in a row, not for ${size}`);
  if (known === 'assumed')
    checks.push(
      `name the network with --network CIDR if ${cidr.text} is not right, or run this on a machine in it`,
    );
  if (cidr.family === 'IPv4' && usual.some((one) => meets(window, one)))
    checks.push(
      'look at the DHCP range of your router, and shorten it so that it ends before this one; this cannot be seen from here',
    );
  if (answers === undefined)
    checks.push(
      here === undefined
        ? 'this machine is not in the network, so nobody there was asked; the agents ask about each address before it is given out'
        : 'nobody on the link was asked; the agents ask about each address before it is given out',
    );
  else
    checks.push(
      'devices that are off now do not answer; the agents ask again before an address is given out',
    );
  const clouds = [...new Set(nodes.flatMap(({ providerID }) => cloudOf(providerID) ?? []))];
  if (clouds.length > 0)
    checks.push(
      `the nodes run at ${clouds.join(', ')}: most networks of clouds pass only packets to addresses that they gave out themselves`,
    );
  return checks;
}

/** Undefined where the machines are one's own. */
function cloudOf(providerID: string): string | undefined {
  const scheme = /^([a-z0-9-]+):\/\//u.exec(providerID)?.[1];
  const own = new Set([
    'kind',
    'k3s',
    'k3d',
    'minikube',
    'metal3',
    'vsphere',
    'proxmox',
    'libvirt',
    'docker',
  ]);
  return scheme === undefined || own.has(scheme) ? undefined : scheme;
}

/** Neither the network nor its broadcast address, and none that ends in .0 or .255. */
function isAssignable(cidr: Cidr, value: bigint): boolean {
  if (value < cidr.base || value > lastOf(cidr)) return false;
  if (cidr.family === 'IPv6') return value !== cidr.base;
  const byte = value & 0xffn;
  const edge = cidr.prefix < 31 && (value === cidr.base || value === lastOf(cidr));
  return !edge && byte !== 0n && byte !== 255n;
}

function useOf(uses: readonly KnownUse[], family: IpFamily, value: bigint): KnownUse | undefined {
  return uses.find((use) => use.family === family && use.first <= value && value <= use.last);
}

export function cidrOf(address: string, prefix: number): Cidr | undefined {
  const parsed = parseAddress(address);
  if (parsed === undefined || prefix > bitsOf(parsed.family)) return undefined;
  const read = parseCidr(`${address}/${prefix}`);
  return read.kind === 'cidr' ? read.cidr : undefined;
}

function values({ first, last }: Stretch): readonly bigint[] {
  return Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index));
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function listed(items: readonly string[], most = 5): string {
  const more = items.length - most;
  return `${items.slice(0, most).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
