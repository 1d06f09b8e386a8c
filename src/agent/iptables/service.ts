/**
 * One decision as rules: the chains of its own, its lines in the dispatch, its set entries.
 *
 * Pure and local: the result depends on the decision and the node, never on other decisions, so a change costs what
 * changed. Text from objects is checked here before it becomes part of a rule; a decision that fails is the user's to
 * mend and stops nobody else.
 *
 * Endpoints are written as DNAT rules in the service's chain. Only session affinity needs a chain for each endpoint.
 */
import { SluiceError } from '../../core/errors.ts';
import type { Decision, Endpoint, Fate } from '../decision.ts';
import { hashBelow } from './bytecode.ts';
import { podSource, rejectWith, rule, setMark, type Layout } from './layout.ts';
import {
  endpointChain,
  everyAddress,
  lower,
  portLabel,
  serviceChains,
  type ServiceChains,
  type SetName,
} from './names.ts';
import { probability } from './text.ts';

/** One destination of a decision, and what the node does with packets to it. */
export interface Claim {
  readonly at:
    | { readonly kind: 'address'; readonly address: string; readonly rank: number }
    | { readonly kind: 'node-port' };
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly port: number;
  /** The dispatch's rule; undefined where no packet is sent to an endpoint. */
  readonly rule: string | undefined;
  /** What becomes of packets that no rule sent to an endpoint. */
  readonly refuse: 'reject' | 'drop' | undefined;
  /** Rules before the drop: for who is in the ranges, and for packets whose endpoint is the destination itself. */
  readonly exceptions: readonly string[];
}

export interface Compiled {
  /** Chains of the nat table, targets before those that jump to them. */
  readonly chains: readonly (readonly [name: string, rules: readonly string[]])[];
  readonly claims: readonly Claim[];
  readonly members: readonly (readonly [SetName, string])[];
}

/**
 * @throws SluiceError invalid where a field holds what no rule may hold.
 */
export function compile(decision: Decision, layout: Layout): Compiled {
  check(decision);
  const names = serviceChains(decision);
  const { internal, external, shortcut } = decision;
  const hasExternal =
    decision.externalIPs.length > 0 || decision.balancerIPs.length > 0 || decision.nodePort !== 0;
  const lists = new Set<'cluster' | 'local'>();
  const note = (fate: Fate | undefined): void => {
    if (fate?.kind === 'balance') lists.add(fate.to);
  };
  if (decision.clusterIP !== undefined) note(internal);
  if (hasExternal) {
    note(external);
    note(shortcut);
  }
  const chains: [string, string[]][] = [];
  if (decision.affinitySeconds !== undefined) {
    const endpoints = [...lists].flatMap((list) => decision[list]);
    const chainsOfEndpoints = new Map(
      endpoints.map((endpoint) => [endpointChain(decision, target(endpoint)), endpoint]),
    );
    for (const [name, endpoint] of chainsOfEndpoints) {
      chains.push([
        name,
        [`${clientList('--set', name)} ${dnat(endpoint)}`].map((text) => withProtocol(decision, text)),
      ]);
    }
  }
  for (const list of ['cluster', 'local'] as const) {
    if (lists.has(list)) chains.push([names[list], balance(decision, decision[list], layout)]);
  }
  const balancesOutside = hasExternal && (external.kind === 'balance' || shortcut?.kind === 'balance');
  if (balancesOutside) chains.push([names.external, externalRules(decision, names, layout)]);
  const guarded =
    decision.sourceRanges !== undefined && (decision.balancerIPs.length > 0 || decision.guardEverything);
  if (guarded && balancesOutside) {
    chains.push([
      names.firewall,
      (decision.sourceRanges ?? []).map((range) => rule(from(range), `-g ${names.external}`)),
    ]);
  }
  return {
    chains,
    claims: claims(decision, names, { balancesOutside, guarded }, layout),
    members: members(decision, lists, layout),
  };
}

function balance(decision: Decision, endpoints: readonly Endpoint[], layout: Layout): string[] {
  const sticky = decision.affinitySeconds !== undefined;
  const goTo = (endpoint: Endpoint, match: string): string =>
    sticky
      ? rule(match, `-j ${endpointChain(decision, target(endpoint))}`)
      : withProtocol(decision, rule(match, dnat(endpoint)));
  const remembered = sticky
    ? endpoints.map((endpoint) => {
        const name = endpointChain(decision, target(endpoint));
        return `${clientList(`--rcheck --seconds ${decision.affinitySeconds} --reap`, name)} -j ${name}`;
      })
    : [];
  const total = endpoints.reduce((sum, { weight }) => sum + weight, 0);
  let left = total;
  const picked = endpoints.map((endpoint, index) => {
    const share = endpoint.weight;
    const before = left;
    left -= share;
    if (index === endpoints.length - 1) return goTo(endpoint, '');
    return goTo(
      endpoint,
      decision.balancing === 'hash' && layout.abilities.bpf
        ? `-m bpf --bytecode "${hashBelow(decision.family, total, total - left)}"`
        : `-m statistic --mode random --probability ${probability(share / before)}`,
    );
  });
  // Never reached while the rule before them stands: see quick.ts.
  return [...remembered, ...picked, ...spares(endpoints).map((endpoint) => goTo(endpoint, ''))];
}

/**
 * Endpoints besides the last one that have a second rule, for all packets: any single one can go ahead of its chain then,
 * of three any two. With one for each, any set could; but the kernel walks through all rules at every change, and each
 * spare is one more. The first, for neighbours tend to go together: their addresses are those of one node.
 */
function spares(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const others = endpoints.slice(0, -1);
  return others.length <= 2 ? others : others.slice(0, 1);
}

/** Order matters: pods, then the node itself, then everybody else. */
function externalRules(decision: Decision, names: ServiceChains, layout: Layout): string[] {
  const { external, shortcut } = decision;
  const chainOf = (fate: Fate): string | undefined => (fate.kind === 'balance' ? names[fate.to] : undefined);
  if (shortcut === undefined) {
    const to = chainOf(external);
    return to === undefined ? [] : [setMark(layout), `-g ${to}`];
  }
  const rules: string[] = [];
  const short = chainOf(shortcut);
  const go = short === undefined ? '-j RETURN' : `-g ${short}`;
  const pods = podSource(layout.family, layout.node.localSource);
  if (pods.kind === 'some') rules.push(rule(pods.source, pods.way, pods.match, go));
  if (pods.kind === 'everybody') return [go];
  const node = '-m addrtype --src-type LOCAL';
  if (short !== undefined) rules.push(rule(node, setMark(layout)));
  rules.push(rule(node, go));
  const to = chainOf(external);
  if (to !== undefined) rules.push(`-g ${to}`);
  return rules;
}

function claims(
  decision: Decision,
  names: ServiceChains,
  { balancesOutside, guarded }: { readonly balancesOutside: boolean; readonly guarded: boolean },
  layout: Layout,
): Claim[] {
  const { internal, external } = decision;
  const protocol = lower(decision.protocol);
  const label = portLabel(decision);
  const at = (
    address: string,
    rank: number,
    what: string,
    to: string | undefined,
  ): Pick<Claim, 'at' | 'protocol' | 'port' | 'rule'> => ({
    at: { kind: 'address', address, rank },
    protocol,
    port: decision.port,
    rule:
      to === undefined
        ? undefined
        : `${addressMatch(decision, address)} -m comment --comment "${label} ${what}" -g ${to}`,
  });
  const found: Claim[] = [];
  if (decision.clusterIP !== undefined) {
    const to = internal.kind === 'balance' ? names[internal.to] : undefined;
    found.push({
      ...at(decision.clusterIP, 0, 'cluster IP', to),
      refuse: internal.kind === 'balance' ? undefined : internal.kind,
      exceptions: [],
    });
  }
  const outside = (
    guard: boolean,
    to: string,
  ): Pick<Claim, 'refuse' | 'exceptions'> & { to: string | undefined } => {
    const refuse = external.kind === 'balance' ? undefined : external.kind;
    if (!guard) {
      const some = balancesOutside && refuse === 'drop';
      return {
        to: balancesOutside ? names.external : undefined,
        refuse,
        exceptions: some ? selfExceptions(decision, to, layout) : [],
      };
    }
    const inside = (action: string): string[] =>
      (decision.sourceRanges ?? []).map((range) => rule(from(range), to, action));
    return {
      to: balancesOutside ? names.firewall : undefined,
      // Who is outside the ranges is dropped whatever there is behind them.
      refuse: 'drop',
      exceptions: !balancesOutside
        ? refuse === 'reject'
          ? inside(rejectWith(layout.family))
          : []
        : isItself(decision, to)
          ? inside('-j RETURN')
          : [],
    };
  };
  const vip = (address: string, rank: number, what: string, guard: boolean): void => {
    const { to, ...rest } = outside(guard, addressMatch(decision, address));
    found.push({ ...at(address, rank, what, to), ...rest });
  };
  for (const address of decision.balancerIPs) vip(address, 1, 'loadbalancer IP', guarded);
  for (const address of decision.externalIPs) {
    vip(address, 2, 'external IP', guarded && decision.guardEverything);
  }
  if (decision.nodePort !== 0) {
    const match = `-p ${protocol} -m ${protocol} --dport ${decision.nodePort}`;
    const { to, ...rest } = outside(guarded && decision.guardEverything, match);
    found.push({
      at: { kind: 'node-port' },
      protocol,
      port: decision.nodePort,
      rule: to === undefined ? undefined : `${match} -m comment --comment "${label}" -g ${to}`,
      ...rest,
    });
  }
  return found;
}

function addressMatch(decision: Decision, address: string): string {
  const protocol = lower(decision.protocol);
  return `-d ${address}/${single(decision)} -p ${protocol} -m ${protocol} --dport ${decision.port}`;
}

/**
 * An endpoint may have the destination's very address and port (host network behind the node's own address). Sending
 * a packet there translates nothing, so the filter cannot see that it was allowed.
 */
function isItself(decision: Decision, match: string): boolean {
  return [...decision.cluster, ...decision.local].some(
    ({ address, port }) => port === decision.port && match === addressMatch(decision, address),
  );
}

function selfExceptions(decision: Decision, match: string, layout: Layout): string[] {
  if (!isItself(decision, match)) return [];
  const space = match.indexOf(' -p ');
  const [to, port] = [match.slice(0, space), match.slice(space + 1)];
  const pods = podSource(layout.family, layout.node.localSource);
  return [
    ...(pods.kind === 'some' ? [rule(pods.source, to, pods.way, port, pods.match, '-j RETURN')] : []),
    ...(pods.kind === 'everybody' ? [rule(match, '-j RETURN')] : []),
    rule(match, '-m addrtype --src-type LOCAL -j RETURN'),
  ];
}

function members(
  decision: Decision,
  lists: ReadonlySet<'cluster' | 'local'>,
  layout: Layout,
): (readonly [SetName, string])[] {
  const found: (readonly [SetName, string])[] = [];
  if (decision.clusterIP !== undefined) found.push(['CIP', decision.clusterIP], ['OUR', decision.clusterIP]);
  if (decision.healthCheckNodePort !== 0) {
    found.push(
      ...portEntries(layout.family, 'tcp', decision.healthCheckNodePort).map(
        (entry) => ['HC', entry] as const,
      ),
    );
  }
  if (!layout.abilities.bpf) {
    const entries = [...lists]
      .flatMap((list) => decision[list])
      .map(({ address, port }) => `${address},${lower(decision.protocol)}:${port},${address}`);
    found.push(...[...new Set(entries)].map((entry) => ['LOOP', entry] as const));
  }
  return found;
}

/** A port at whatever address, as entries of a `hash:net,port`. */
export function portEntries(family: Layout['family'], protocol: string, port: number): readonly string[] {
  return everyAddress(family).map((half) => `${half},${protocol}:${port}`);
}

function clientList(action: string, name: string): string {
  return `-m recent ${action} --name ${name} --rsource`;
}

function dnat(endpoint: Endpoint): string {
  return `-j DNAT --to-destination ${target(endpoint)}`;
}

/** `-p` stands before all matches. */
function withProtocol(decision: Decision, text: string): string {
  return `-p ${lower(decision.protocol)} ${text}`;
}

/** `address:port`, an IPv6 address in brackets. */
export function target({ address, port }: Pick<Endpoint, 'address' | 'port'>): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `-s RANGE`, or nothing where the range holds everybody: the tools leave it out as well. */
function from(range: string): string {
  return range.endsWith('/0') ? '' : `-s ${range}`;
}

function single({ family }: Pick<Decision, 'family'>): 32 | 128 {
  return family === 'IPv4' ? 32 : 128;
}

const addressText = /^[0-9a-f.:]+$/;
const rangeText = /^[0-9a-f.:]+\/\d{1,3}$/;
const nameText = /^[a-z0-9.-]*$/;

function check(decision: Decision): void {
  const bad = (what: string, text: string | number): never => {
    throw new SluiceError(
      'invalid',
      `${decision.key}: ${what} ${JSON.stringify(text)} cannot be written as a rule`,
      {
        code: 'BadDecision',
      },
    );
  };
  const addresses = [
    ...(decision.clusterIP === undefined ? [] : [decision.clusterIP]),
    ...decision.externalIPs,
    ...decision.balancerIPs,
  ];
  for (const address of addresses) if (!addressText.test(address)) bad('address', address);
  for (const list of [decision.cluster, decision.local]) {
    for (const { address, port, weight } of list) {
      if (!addressText.test(address)) bad('endpoint', address);
      if (!isPort(port)) bad('endpoint port', port);
      if (!Number.isInteger(weight) || weight < 1) bad('weight', weight);
    }
  }
  for (const range of decision.sourceRanges ?? []) if (!rangeText.test(range)) bad('source range', range);
  if (!/^[a-z0-9.-]+\/[a-z0-9.-]+$/.test(decision.service)) bad('name', decision.service);
  if (!nameText.test(decision.portName)) bad('port name', decision.portName);
  if (!isPort(decision.port)) bad('port', decision.port);
  for (const port of [decision.nodePort, decision.healthCheckNodePort]) {
    if (port !== 0 && !isPort(port)) bad('node port', port);
  }
  const seconds = decision.affinitySeconds;
  if (seconds !== undefined && (!Number.isInteger(seconds) || seconds < 1)) bad('affinity', seconds);
  for (const fate of [decision.internal, decision.external, decision.shortcut]) {
    if (fate?.kind === 'balance' && decision[fate.to].length === 0) bad('empty list of endpoints', fate.to);
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}
