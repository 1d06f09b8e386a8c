/** What `sluice local` shows: one row for each Service, as text for people and as data for programs. Pure. */
import type { ListenerView } from '../../providers/local/laptop/engine/engine.ts';
import type { ServiceObject } from '../core/objects.ts';
import { paint, type Shell } from './shell.ts';

export interface LocalPort {
  readonly url: string;
  /** Of the Service. */
  readonly port: number;
  readonly protocol: string;
  /** Where it is served; undefined where it is not. */
  readonly listenPort: number | undefined;
  readonly healthy: number;
  readonly targets: number;
  readonly via: 'nodes' | 'api' | 'none';
  readonly connections: { readonly open: number; readonly total: number; readonly failed: number };
}

export interface LocalRow {
  readonly service: string;
  readonly addresses: readonly string[];
  readonly ports: readonly LocalPort[];
  /** `elsewhere`: another machine serves it. */
  readonly state: 'ready' | 'limited' | 'waiting' | 'failed' | 'elsewhere';
  /** What a person should know; empty where all is well. */
  readonly message: string;
}

/** Rows sorted by name. `elsewhere`: what is said of Services that another machine serves. */
export function rowsOf(
  services: readonly ServiceObject[],
  listeners: readonly ListenerView[],
  elsewhere: ReadonlyMap<ServiceObject['key'], string> = new Map(),
): readonly LocalRow[] {
  return services
    .map((service) => {
      const row = rowOf(
        service,
        listeners.filter((one) => one.service === service.key),
      );
      const message = elsewhere.get(service.key);
      return message === undefined ? row : { ...row, state: 'elsewhere' as const, message };
    })
    .toSorted((a, b) => (a.service < b.service ? -1 : 1));
}

function rowOf(service: ServiceObject, listeners: readonly ListenerView[]): LocalRow {
  const addresses = [...new Set(listeners.map(({ address }) => address))].toSorted();
  const ports = service.ports.flatMap(({ port, protocol, name, appProtocol }): LocalPort[] => {
    const open = listeners.filter((one) => one.port === port && one.protocol === protocol);
    if (open.length === 0) {
      const none = { listenPort: undefined, healthy: 0, targets: 0, via: 'none' as const };
      return [{ url: '', port, protocol, ...none, connections: { open: 0, total: 0, failed: 0 } }];
    }
    return open.map(({ address, listenPort, targets, count }) => {
      const healthy = targets.filter(({ health }) => health === 'healthy');
      const isNode = ({ target }: (typeof targets)[number]): boolean => target.kind === 'node';
      const nodes = healthy.some(isNode);
      return {
        url: urlOf(address, listenPort, port, protocol, `${name} ${appProtocol ?? ''}`),
        port,
        protocol,
        listenPort,
        healthy: nodes ? healthy.filter(isNode).length : healthy.length,
        targets: nodes ? targets.filter(isNode).length : targets.length,
        via: nodes ? 'nodes' : healthy.length > 0 ? 'api' : 'none',
        connections: { open: count.open, total: count.total, failed: count.failed },
      };
    });
  });
  return { service: service.key, addresses, ports, ...stateOf(service, ports) };
}

function stateOf(
  { conditions }: ServiceObject,
  ports: readonly LocalPort[],
): Pick<LocalRow, 'state' | 'message'> {
  const find = (type: string) => conditions.find((one) => one.type === type);
  const accepted = find('Accepted');
  // The others only say that they wait for this one.
  if (accepted?.status === 'False') return { state: 'failed', message: accepted.message };
  const sync = find('InSync');
  if (sync?.status === 'False') return { state: 'failed', message: sync.message };
  const ready = find('TargetsReady');
  if (ports.every(({ listenPort }) => listenPort === undefined))
    return { state: 'waiting', message: find('Provisioned')?.message ?? 'not served yet' };
  if (ports.some(({ listenPort, healthy }) => listenPort !== undefined && healthy === 0))
    return { state: 'waiting', message: ready?.status === 'False' ? ready.message : 'no target answers' };
  if (accepted?.status === 'True' && accepted.reason !== 'Accepted')
    return { state: 'limited', message: accepted.message };
  const closed = ports.find(({ listenPort }) => listenPort === undefined);
  if (closed !== undefined)
    return { state: 'waiting', message: `port ${closed.port} (${closed.protocol}) is not open yet` };
  return { state: 'ready', message: '' };
}

/** As one would type it: http for what looks like it, else `tcp://` or `udp://`. */
export function urlOf(
  address: string,
  listenPort: number,
  port: number,
  protocol: string,
  hint: string,
): string {
  const host = address.includes(':') ? `[${address}]` : address;
  if (protocol !== 'TCP') return `${protocol.toLowerCase()}://${host}:${listenPort}`;
  const words = hint.toLowerCase().split(/[^a-z0-9]+/u);
  const secure = words.some((word) => word === 'https' || word === 'tls') || port === 443 || port === 8443;
  const plain = words.some((word) => ['http', 'web', 'ws', 'h2c'].includes(word));
  const scheme = secure ? 'https' : plain || [80, 3000, 8000, 8080].includes(port) ? 'http' : 'tcp';
  const usual = (scheme === 'http' && listenPort === 80) || (scheme === 'https' && listenPort === 443);
  return `${scheme}://${host}${usual ? '' : `:${listenPort}`}`;
}

const marks = {
  ready: 'green',
  limited: 'yellow',
  waiting: 'yellow',
  failed: 'red',
  elsewhere: 'dim',
} as const;

/** Between two columns. */
const gap = 3;
const longestState = 9;
const leastName = 16;

/** The table for a terminal, a text for each line; none is longer than the terminal is wide. */
export function renderRows(
  rows: readonly LocalRow[],
  shell: Pick<Shell, 'colour' | 'columns'>,
): readonly string[] {
  if (rows.length === 0)
    return [
      'No Service of type LoadBalancer is ours yet. One with spec.loadBalancerClass sluice.dev/local is.',
    ];
  const cells: (readonly [string, string, string, LocalRow['state'] | ''])[] = [];
  for (const { service, ports, state, message } of rows) {
    ports.forEach(({ url, port, protocol, healthy, targets, via }, index) => {
      const first = index === 0;
      const where = via === 'api' ? 'API server' : via === 'nodes' ? `${healthy} of ${targets} nodes` : '-';
      cells.push([
        first ? service : '',
        url === '' ? `(${port}/${protocol} is not open)` : url,
        where,
        first ? state : '',
      ]);
    });
    if (message !== '') cells.push(['', `  ${message}`, '', '']);
  }
  const plain = cells.filter(([, url]) => !url.startsWith('  '));
  const width = (column: 0 | 1 | 2, least: number): number =>
    Math.max(least, ...plain.map((row) => row[column].length));
  const [url, by] = [width(1, 3), width(2, 3)];
  // Where there is no room for all, names give way before URLs.
  const room = shell.columns - url - by - 3 * gap - longestState;
  const widths = [Math.min(width(0, 7), Math.max(room, leastName)), url, by] as const;
  const head = ['SERVICE'.padEnd(widths[0]), 'URL'.padEnd(widths[1]), 'BY'.padEnd(widths[2]), 'STATE'];
  return [
    paint(shell, 'dim', cut(head.join('   '), shell.columns)),
    ...cells.flatMap(([service, said, who, state]) => {
      if (said.startsWith('  '))
        return folded(said, shell.columns).map((line) => paint(shell, 'yellow', line));
      const line = [
        cut(service, widths[0]).padEnd(widths[0]),
        said.padEnd(widths[1]),
        who.padEnd(widths[2]),
      ].join('   ');
      if (state === '') return cut(line.trimEnd(), shell.columns);
      // A line that wraps would take two of the terminal's, and drawing in place counts them.
      return `${cut(line, shell.columns - gap - state.length)}   ${paint(shell, marks[state], state)}`;
    }),
  ];
}

/** One line for a log or a pipe. */
export function lineOf({ service, ports, state, message }: LocalRow): string {
  const urls = ports.map(({ url, port, protocol }) => (url === '' ? `${port}/${protocol}:closed` : url));
  return `${service}  ${urls.join(' ')}  ${state}${message === '' ? '' : `: ${message}`}`;
}

/** In lines that fit, broken between words: the cure stands at the end of what is said. */
function folded(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = ' ';
  for (const word of text.trim().split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = '   ';
    }
    line += ` ${word}`;
  }
  return [...lines, line].map((one) => cut(one, columns));
}

function cut(text: string, most: number): string {
  const columns = Math.max(most, 1);
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
}
