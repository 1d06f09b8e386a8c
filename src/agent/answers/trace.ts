/**
 * One real packet, watched by the kernel's own trace: the rules that mark it, the kernel's words read back, and whether
 * they agree with the answer (pure; who sends is `trace-run.ts`).
 *
 * The rules stand in a table of their own that the kernel takes away with the process that made it. They mark one
 * packet, by its addresses, ports and, for TCP, its SYN; they decide nothing.
 */
import type { Packet } from '../packet.ts';
import type { PacketAnswer } from './packet-answer.ts';

export interface TraceStep {
  readonly table: string;
  readonly chain: string;
  /** The rule, `policy`, or the packet as this chain met it. */
  readonly text: string;
  readonly verdict: string;
  /** The kernel's number of the rule in its table; null for what is no rule. */
  readonly handle: number | null;
}

export interface TraceReport {
  /** What happened is what had been decided. */
  readonly confirmed: boolean;
  /** One sentence. */
  readonly summary: string;
  /** Who got the packet, from which source; null where nobody did. */
  readonly delivered: { readonly address: string; readonly port: number; readonly source: string } | null;
  readonly steps: readonly TraceStep[];
}

/** UDP to this port of loopback asks whether the trace is being read yet. */
export const probePort = 9;

/** nft commands, one a line, for a long-lived `nft -i`: the table goes with it. */
export function traceRules(
  table: string,
  {
    family,
    protocol,
    source,
    destination,
    port,
  }: Pick<Packet, 'family' | 'protocol' | 'source' | 'destination' | 'port'>,
  sourcePort: number | undefined,
  probeSource: number,
): readonly string[] {
  const header = family === 'IPv4' ? 'ip' : 'ip6';
  const name = `${header} ${table}`;
  const word = protocol.toLowerCase();
  const syn = protocol === 'TCP' ? ' tcp flags & (fin | syn | rst | ack) == syn' : '';
  const sport = sourcePort === undefined ? '' : ` ${word} sport ${sourcePort}`;
  const it = `${header} saddr ${source} ${header} daddr ${destination}${sport} ${word} dport ${port}${syn}`;
  const hook = (at: string, priority: number): string =>
    `add chain ${name} ${at} { type filter hook ${at} priority ${priority}; policy accept; }`;
  return [
    `add table ${name} { flags owner; }`,
    hook('prerouting', -300),
    hook('output', -300),
    hook('input', 300),
    hook('postrouting', 300),
    `add rule ${name} prerouting ${it} meta nftrace set 1`,
    `add rule ${name} output ${it} meta nftrace set 1`,
    `add rule ${name} output udp sport ${probeSource} udp dport ${probePort} meta nftrace set 1`,
    // What leaves, or stays, is seen as it is after all translation.
    `add rule ${name} input counter`,
    `add rule ${name} postrouting counter`,
  ];
}

interface Line extends TraceStep {
  readonly id: string;
  readonly isPacket: boolean;
}

export function readTraceLine(line: string): Line | undefined {
  const head = /^trace id (\w+) (ip6?|inet) (\S+) (\S+) (.*)$/u.exec(line.trim());
  if (head === null) return undefined;
  const [, id = '', family = '', table = '', chain = '', rest = ''] = head;
  const where = { id, table: `${family} ${table}`, chain };
  if (rest.startsWith('packet: '))
    return {
      ...where,
      text: rest.slice('packet: '.length).trim(),
      verdict: '',
      handle: null,
      isPacket: true,
    };
  const rule = /^(?:rule (.*?)(?: # handle (\d+))?|(unknown rule handle (\d+))) \(verdict (.*)\)$/u.exec(
    rest,
  );
  if (rule !== null) {
    const [, known, handle, unknown, other, verdict = ''] = rule;
    const number = handle ?? other;
    return {
      ...where,
      text: (known ?? unknown ?? '').trim(),
      verdict,
      handle: number === undefined ? null : Number(number),
      isPacket: false,
    };
  }
  const end = /^(policy|verdict) (\S+)/u.exec(rest);
  return end === null
    ? undefined
    : { ...where, text: end[1] ?? '', verdict: end[2] ?? '', handle: null, isPacket: false };
}

/** Whether the line is about the packet that asks if anybody reads. */
export function isProbe(line: string, probeSource: number): boolean {
  return line.includes(` udp sport ${probeSource} udp dport ${probePort}`);
}

/**
 * The lines of the one packet that is asked about: the first that was marked. The kernel makes its id from the
 * interface too, so one that stays on the node gets another: what follows and was not marked anew is the same packet.
 */
function ofOnePacket(
  lines: readonly string[],
  { source, destination, port }: PacketAnswer['packet'],
  table: string,
): readonly Line[] {
  const read = lines.flatMap((line) => readTraceLine(line) ?? []);
  const at = read.findIndex(
    ({ isPacket, text }) =>
      isPacket &&
      text.includes(`saddr ${source} `) &&
      text.includes(`daddr ${destination} `) &&
      `${text} `.includes(` dport ${port} `),
  );
  const first = read[at];
  if (first === undefined) return [];
  const others = new Set(
    read
      .filter(({ id, isPacket, text, ...line }) => {
        const marked =
          line.table.endsWith(` ${table}`) && (line.chain === 'prerouting' || line.chain === 'output');
        return isPacket && id !== first.id && (marked || identification(text) !== identification(first.text));
      })
      .map(({ id }) => id),
  );
  return read.slice(at).filter(({ id }) => !others.has(id));
}

/** IPv4's number of the packet, which no translation changes; IPv6 has none. */
function identification(text: string): string | undefined {
  return / ip id (\d+) /u.exec(text)?.[1];
}

/** A rule as its own program writes it; undefined where that is not known. */
export type RuleText = (table: string, chain: string, handle: number) => string | undefined;

/** Reads what the kernel said, and holds it against the answer. */
export function judgeTrace(
  lines: readonly string[],
  answer: PacketAnswer,
  table: string,
  ruleText: RuleText = () => undefined,
): TraceReport {
  const mine = ofOnePacket(lines, answer.packet, table).map((line): Line => {
    const text = line.handle === null ? undefined : ruleText(line.table, line.chain, line.handle);
    return text === undefined ? line : { ...line, text };
  });
  const own = (line: Line): boolean => line.table.endsWith(` ${table}`);
  const steps = mine
    .filter((line) => !own(line) || line.isPacket)
    .map(({ table: at, chain, text, verdict, handle }): TraceStep => ({
      table: at,
      chain,
      text,
      verdict,
      handle,
    }));
  if (mine.length === 0) {
    return { confirmed: false, summary: 'the packet was not seen by this node', delivered: null, steps };
  }
  // A packet that stays on the node leaves by one hook and comes in by another: it may be dropped after it was seen.
  const end = mine.findLast(({ verdict }) => verdict === 'drop');
  const delivered = end === undefined ? deliveredBy(mine.filter(own)) : undefined;
  const fate =
    end === undefined ? (delivered === undefined ? 'lost' : 'delivered') : isReject(end) ? 'reject' : 'drop';
  const by =
    end === undefined
      ? ''
      : ` by ${end.table} ${end.chain}${isOfSluice(end) ? '' : ', which is not of sluice'}`;
  const moved =
    delivered !== undefined &&
    (delivered.address !== answer.packet.destination || delivered.port !== answer.packet.port);
  const text =
    fate === 'delivered' && delivered !== undefined
      ? moved
        ? `it went to ${delivered.address} port ${delivered.port}, which sees ${delivered.source}`
        : 'it went on to its destination as it was'
      : fate === 'reject'
        ? `it was rejected${by}`
        : fate === 'drop'
          ? `it was dropped${by}`
          : 'it did not come through, and no rule says why (routing, or a table that is not traced)';
  return {
    confirmed: agrees(fate, moved, delivered, answer),
    summary: text,
    delivered: delivered ?? null,
    steps,
  };
}

/** A rule that rejects drops as well, and says so to the sender. In nft's words quotes are somebody's comment. */
function isReject({ text }: Line): boolean {
  return text.startsWith('-A ')
    ? / -j REJECT\b/u.test(text)
    : /\breject\b/iu.test(text.replaceAll(/"[^"]*"/gu, ''));
}

/** The backend whose rules the packet met; undefined where it met none of sluice. */
export function backendMet(steps: readonly TraceStep[]): PacketAnswer['backend'] | undefined {
  if (steps.some(({ chain }) => chain.startsWith('SLUICE-'))) return 'iptables';
  return steps.some(({ table }) => table.endsWith(' sluice')) ? 'nftables' : undefined;
}

function isOfSluice({ table, chain }: Line): boolean {
  return / sluice(-counters)?$/u.test(table) || chain.startsWith('SLUICE-');
}

type Delivered = { readonly address: string; readonly port: number; readonly source: string };

function agrees(
  fate: 'reject' | 'delivered' | 'drop' | 'lost',
  moved: boolean,
  delivered: Delivered | undefined,
  { outcome, endpoints, packet }: PacketAnswer,
): boolean {
  switch (outcome) {
    case 'reject':
      return fate === 'reject';
    case 'drop':
      return fate === 'drop';
    case 'untouched':
      return !moved;
    case 'deliver': {
      const chosen = endpoints.find(
        ({ used, address, port }) => used && address === delivered?.address && port === delivered.port,
      );
      if (chosen === undefined) return false;
      const kept = delivered?.source === packet.source;
      // The node may already send as the address that masquerading gives.
      return chosen.masquerade ? !kept || packet.from === 'process' : kept;
    }
  }
}

/** The packet as our last chains met it, after all translation. */
function deliveredBy(own: readonly Line[]): Delivered | undefined {
  const line = own.findLast(
    ({ isPacket, chain }) => isPacket && (chain === 'postrouting' || chain === 'input'),
  );
  const [, source] = /\bip6? saddr (\S+)/u.exec(line?.text ?? '') ?? [];
  const [, address] = /\bip6? daddr (\S+)/u.exec(line?.text ?? '') ?? [];
  const [, port] = /\bdport (\d+)/u.exec(line?.text ?? '') ?? [];
  if (source === undefined || address === undefined || port === undefined) return undefined;
  return { address, port: Number(port), source };
}
