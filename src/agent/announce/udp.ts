/**
 * Heartbeats over UDP: one socket that hears, and one connected socket for each peer, because only a connected one is
 * told by the peer's machine that nobody listens there.
 *
 * Nothing here is retried: the next heartbeat follows anyway. A socket that fails for good is opened again.
 */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { SluiceError } from '../../core/errors.ts';
import type { MemberId } from './rank.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface HeartbeatsOptions {
  /** Empty host: all addresses of both families, as far as the node has them. */
  readonly bind: Endpoint;
  readonly peer: (member: MemberId) => Endpoint | undefined;
  readonly received: (bytes: Buffer, from: string) => void;
  /** The peer's machine says that nobody listens. */
  readonly refused: (member: MemberId) => void;
  readonly report: (error: SluiceError) => void;
}

interface Line {
  readonly to: string;
  readonly socket: Socket;
  connected: boolean;
  /** Sent before it was: the newest goes out as soon as it is. */
  first: Buffer | undefined;
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  readonly #lines = new Map<MemberId, Line>();
  readonly #met = new Map<MemberId, Endpoint>();
  #ear: Socket | undefined;
  #closed = false;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  /** The port that is bound. Errors: `conflict`, code `PortTaken`; `invalid`. */
  async start(): Promise<number> {
    const { host, port } = this.#options.bind;
    const first = host === '' || isIPv6(host) ? 'udp6' : 'udp4';
    try {
      return await this.#listen(first, host, port);
    } catch (thrown) {
      const code = codeOf(thrown);
      // A node without IPv6.
      if (host === '' && code !== 'EADDRINUSE') return await this.#listen('udp4', '', port);
      const where = `UDP ${host === '' ? '' : host}:${port}`;
      throw code === 'EADDRINUSE'
        ? new SluiceError(
            'conflict',
            `heartbeats cannot be heard: ${where} is taken; give --heartbeat-bind another port on every node`,
            { code: 'PortTaken', cause: thrown },
          )
        : new SluiceError(
            'invalid',
            `heartbeats cannot be heard at ${where}: ${code}; correct --heartbeat-bind`,
            { code, cause: thrown },
          );
    }
  }

  /** Where a member hears whom `peer` does not know yet. */
  met(member: MemberId, place: Endpoint): void {
    this.#met.set(member, place);
  }

  send(member: MemberId, bytes: Buffer): void {
    const line = this.#line(member);
    if (line?.connected === true) this.#send(member, line, bytes);
    else if (line !== undefined) line.first = bytes;
  }

  close(): void {
    this.#closed = true;
    this.#ear?.close();
    this.#ear = undefined;
    for (const { socket } of this.#lines.values()) socket.close();
    this.#lines.clear();
  }

  /** Peers that are no more. */
  keepOnly(members: ReadonlySet<MemberId>): void {
    for (const [member, line] of this.#lines) if (!members.has(member)) this.#drop(member, line);
    for (const member of this.#met.keys()) if (members.has(member)) this.#met.delete(member);
  }

  #listen(type: 'udp4' | 'udp6', host: string, port: number): Promise<number> {
    const socket = createSocket({ type, ipv6Only: false });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ port, ...(host === '' ? {} : { address: host }) }, () => {
        socket.removeAllListeners('error');
        socket.on('error', (error) => this.#options.report(failure('heartbeats are not heard', error)));
        socket.on('message', (bytes, { address }) => {
          // An IPv4 peer as a socket of both families shows it.
          this.#options.received(bytes, address.replace(/^::ffff:(?=\d+\.)/u, ''));
        });
        this.#ear = socket;
        resolve(socket.address().port);
      });
    });
  }

  #line(member: MemberId): Line | undefined {
    const peer = this.#options.peer(member) ?? this.#met.get(member);
    const known = this.#lines.get(member);
    if (peer === undefined || this.#closed) return undefined;
    const to = `${peer.host} ${peer.port}`;
    if (known?.to === to) return known;
    if (known !== undefined) this.#drop(member, known);
    const socket = createSocket(isIPv6(peer.host) ? 'udp6' : 'udp4');
    const line: Line = { to, socket, connected: false, first: undefined };
    this.#lines.set(member, line);
    socket.on('error', (error) => this.#failed(member, line, error));
    // What Node hands the callback where there is no route, although its types do not say so.
    socket.connect(peer.port, peer.host, (...problems: readonly unknown[]) => {
      const [problem] = problems;
      if (problem instanceof Error) return this.#failed(member, line, problem);
      line.connected = true;
      // An agent that comes back is heard at once, not with its second heartbeat.
      if (line.first !== undefined) this.#send(member, line, line.first);
      line.first = undefined;
    });
    return line;
  }

  #send(member: MemberId, line: Line, bytes: Buffer): void {
    line.socket.send(bytes, (error) => {
      if (error !== null) this.#failed(member, line, error);
    });
  }

  #failed(member: MemberId, line: Line, error: Error): void {
    const code = codeOf(error);
    if (code === 'ECONNREFUSED') this.#options.refused(member);
    // No route, for now: the line stays and the next heartbeat tries again.
    else if (!line.connected || code === 'EBADF' || code === 'ERR_SOCKET_DGRAM_NOT_RUNNING')
      this.#drop(member, line);
  }

  #drop(member: MemberId, line: Line): void {
    if (this.#lines.get(member) === line) this.#lines.delete(member);
    try {
      line.socket.close();
    } catch {
      // It is closed already.
    }
  }
}

function failure(what: string, error: Error): SluiceError {
  return new SluiceError('transient', `${what}: ${error.message}`, { code: codeOf(error), cause: error });
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'Unknown';
}
