/** The answer about a packet as people read it. Pure: data in, text out. */
import { endpointReasons } from '../agent/decide/explain.ts';
import { answerReasons, branchWords, notServedReasons } from '../agent/answers/words.ts';
import type { AnsweredEndpoint, PacketAnswer } from '../agent/answers/packet-answer.ts';
import type { TraceReport } from '../agent/answers/trace.ts';
import type { Style } from './shell.ts';

type Paint = (style: Style, text: string) => string;

export interface PacketDocument extends PacketAnswer {
  /** What one real packet met; null where none was sent. */
  readonly trace: TraceReport | null;
  /** By address of an endpoint: the source that it sees, where the node could be asked. */
  readonly sources: Readonly<Record<string, string>>;
}

const kinds = {
  cluster: 'cluster IP',
  external: 'external IP',
  balancer: 'balancer IP',
  'node-port': 'node port',
} as const;

const colours = { deliver: 'green', reject: 'red', drop: 'red', untouched: 'yellow' } as const;
const outcomes = {
  deliver: 'delivered',
  reject: 'rejected (ICMP port unreachable)',
  drop: 'dropped without a word',
  untouched: 'left alone',
} as const;

export function packetText(document: PacketDocument, paint: Paint): string {
  const { packet, hit, node, outcome, reason, branch, others, rules, notes, backend, trace } = document;
  const from = packet.from === 'process' ? 'sent by a process of the node' : 'comes in by an interface';
  const lines = [
    `${paint('bold', `${at(packet.source)} → ${at(packet.destination, packet.port)}/${packet.protocol}`)} on node ${node} (${from})`,
    '',
    `${paint(colours[outcome], outcomes[outcome])}  ${reason}: ${answerReasons[reason]}`,
  ];
  if (hit !== null) {
    const port = hit.port === '' ? '' : ` port ${hit.port}`;
    lines.push(`Service   ${hit.service}${port}, by its ${kinds[hit.kind]}`);
    lines.push(`branch    ${branch}: ${branchWords[branch]}${branch === 'internal' ? ` ${hit.policy}` : ''}`);
    if (hit.sourceRanges !== null) {
      const ranges = hit.sourceRanges.length === 0 ? 'nobody is let in' : hit.sourceRanges.join(', ');
      lines.push(`ranges    ${ranges}`);
    }
    if (outcome === 'deliver') lines.push(`choice    ${choiceText(hit)}`, ...sourceLines(document));
  } else lines.push(`branch    ${branch}: ${branchWords[branch]}`);
  for (const { service, reason: why, message } of others) {
    lines.push(
      `besides   ${service}: ${why}: ${why === 'DestinationTaken' ? message : notServedReasons[why]}`,
    );
  }
  lines.push(...endpointLines(document, paint));
  if (rules.length > 0) {
    lines.push('', paint('bold', `Served by (${backend})`), ...rules.map((rule) => `  ${rule}`));
  }
  if (trace !== null) lines.push('', paint('bold', 'One real packet'), ...traceLines(trace, paint));
  for (const note of notes) lines.push('', `${paint('yellow', 'note:')} ${note}`);
  return `${lines.join('\n')}\n`;
}

function at(address: string, port?: number): string {
  const text = address.includes(':') && port !== undefined ? `[${address}]` : address;
  return port === undefined ? text : `${text}:${port}`;
}

function choiceText({ balancing, affinitySeconds }: NonNullable<PacketAnswer['hit']>): string {
  const how =
    balancing === 'hash' ? "by a hash of the client's address and port" : 'at random, by the shares below';
  return affinitySeconds === null
    ? how
    : `a client keeps its endpoint until ${affinitySeconds} s without a new connection (sessionAffinity); else ${how}`;
}

function sourceLines({ packet, endpoints, sources }: PacketDocument): readonly string[] {
  const used = endpoints.filter((one) => one.used);
  const changed = used.filter(({ masquerade }) => masquerade);
  if (changed.length === 0) return [`source    kept: endpoints see ${packet.source}`];
  const seen = [...new Set(changed.map(({ address }) => sources[address]))];
  const [only] = seen;
  const what = 'masqueraded: endpoints see the address of the interface by which the node reaches them';
  if (changed.length < used.length) {
    return [
      `source    kept, but for ${changed.map(({ address }) => address).join(', ')}: who reaches itself is masqueraded (hairpin)`,
    ];
  }
  return [`source    ${what}${seen.length === 1 && only !== undefined ? ` (${only})` : ''}`];
}

function endpointLines({ endpoints, sources }: PacketDocument, paint: Paint): readonly string[] {
  if (endpoints.length === 0) return [];
  const used = endpoints.filter((one) => one.used);
  const left = endpoints.filter((one) => !one.used);
  const lines: string[] = [];
  const wide = Math.max(...endpoints.map((one) => endpointName(one).length));
  if (used.length > 0) {
    lines.push('', paint('bold', `Candidates (${used.length})`));
    for (const one of used) {
      const source =
        one.masquerade && sources[one.address] !== undefined ? `, sees ${sources[one.address]}` : '';
      lines.push(
        `  ${endpointName(one).padEnd(wide)}  ${(one.share * 100).toFixed(one.share < 0.1 ? 1 : 0)} %, ${where(one)}${source}${one.reason === 'Used' ? '' : `  ${one.reason}: ${endpointReasons[one.reason]}`}`,
      );
    }
  }
  if (left.length > 0) {
    lines.push('', paint('bold', `Left out (${left.length})`));
    for (const one of left) {
      lines.push(
        `  ${endpointName(one).padEnd(wide)}  ${where(one)}  ${one.reason}: ${endpointReasons[one.reason]}`,
      );
    }
  }
  return lines;
}

function endpointName({ address, port }: AnsweredEndpoint): string {
  const text = address === '' ? '(no address)' : address;
  return port === null ? text : at(text, port);
}

function where({ node }: AnsweredEndpoint): string {
  return node === null ? 'on no node that is named' : `on ${node}`;
}

function traceLines(trace: TraceReport, paint: Paint): readonly string[] {
  const head = trace.confirmed
    ? `  ${paint('green', 'confirmed')}  ${trace.summary}`
    : `  ${paint('red', trace.steps.length === 0 ? 'not found out' : 'not as decided')}  ${trace.summary}`;
  return [
    head,
    ...trace.steps.map(
      ({ table, chain, text, verdict }) =>
        `  ${table} ${chain}  ${text.replace(`-A ${chain} `, '')}${verdict === '' ? '' : `  → ${verdict}`}`,
    ),
  ];
}
