/**
 * Entries of the connection tracking table, as the `conntrack` tool lists them.
 *
 * A line holds the original direction and then the reply direction, each with addresses and ports:
 * `udp 17 29 src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… mark=0 use=1`.
 */

export interface ConntrackEntry {
  /** Who began, and whom it asked. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly port: number;
  /** Who answers: behind a translation another one than was asked. */
  readonly replySource: string;
  readonly replyPort: number;
  /** Of TCP: `ESTABLISHED`, `TIME_WAIT` …; undefined elsewhere. */
  readonly state?: string | undefined;
  /** Undefined: the default zone. */
  readonly zone: number | undefined;
}

/** Undefined for a line that is no entry with ports. Addresses stay in the tool's text form, which is canonical. */
export function parseEntry(line: string): ConntrackEntry | undefined {
  const sources: string[] = [];
  const destinations: string[] = [];
  const sourcePorts: number[] = [];
  const ports: number[] = [];
  let zone: number | undefined;
  let state: string | undefined;
  for (const word of line.split(' ')) {
    const equals = word.indexOf('=');
    if (equals === -1) {
      if (sources.length === 0 && /^[A-Z][A-Z_0-9]*$/u.test(word)) state = word;
      continue;
    }
    const value = word.slice(equals + 1);
    switch (word.slice(0, equals)) {
      case 'src':
        sources.push(value);
        break;
      case 'dst':
        destinations.push(value);
        break;
      case 'sport':
        sourcePorts.push(Number(value));
        break;
      case 'dport':
        ports.push(Number(value));
        break;
      case 'zone':
        zone = Number(value);
        break;
    }
  }
  const [source, replySource] = sources;
  const [destination] = destinations;
  const [sourcePort, replyPort] = sourcePorts;
  const [port] = ports;
  if (
    source === undefined ||
    replySource === undefined ||
    destination === undefined ||
    sourcePort === undefined ||
    replyPort === undefined ||
    port === undefined
  )
    return undefined;
  return { source, destination, sourcePort, port, replySource, replyPort, state, zone };
}
