/**
 * The machine's sockets as a port: what the engine opens and asks, so that tests can hand in a machine made of values.
 *
 * Opening throws `SluiceError`: `conflict` (PortInUse), `denied` (PortNotAllowed), `invalid` (AddressNotHere).
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, isIPv6, type Socket } from 'node:net';
import { SluiceError } from '../../../../src/core/errors.ts';

export interface OpenPort {
  close(): void;
}

export interface OpenUdpPort extends OpenPort {
  send(data: Buffer, port: number, address: string): void;
}

export type Answer =
  | { readonly kind: 'open' }
  /** Somebody is there and nobody listens. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'unreachable'; readonly why: string };

export interface Network {
  /** @param onLost the port was lost without our doing. */
  listenTcp(
    address: string,
    port: number,
    onConnection: (socket: Socket) => void,
    onLost: (error: Error) => void,
  ): Promise<OpenPort>;
  listenUdp(
    address: string,
    port: number,
    onDatagram: (data: Buffer, port: number, address: string) => void,
    onLost: (error: Error) => void,
  ): Promise<OpenUdpPort>;
  /** Whether a TCP connection can be made. Never throws. */
  probe(address: string, port: number, timeoutMs: number): Promise<Answer>;
}

export const machine: Network = {
  listenTcp: (address, port, onConnection, onLost) =>
    new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, onConnection);
      server.once('error', (error) => reject(openError(error, 'Listen', address, port, 'TCP')));
      server.listen({ host: address, port, exclusive: true, backlog: 511 }, () => {
        server.removeAllListeners('error');
        server.on('error', onLost);
        resolve({ close: () => void server.close() });
      });
    }),
  listenUdp: (address, port, onDatagram, onLost) =>
    new Promise((resolve, reject) => {
      const socket = createSocket({ type: familyOf(address), recvBufferSize: 1 << 20 });
      socket.once('error', (error) => {
        closeQuietly(socket);
        reject(openError(error, 'Listen', address, port, 'UDP'));
      });
      socket.on('message', (data, from) => onDatagram(data, from.port, from.address));
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        socket.on('error', onLost);
        resolve({
          close: () => closeQuietly(socket),
          send: (data, toPort, toAddress) => {
            // A client that is gone is nobody's mistake; datagrams may be lost.
            socket.send(data, toPort, toAddress, () => undefined);
          },
        });
      });
    }),
  probe: (address, port, timeoutMs) =>
    new Promise((resolve) => {
      const socket = connect({ host: address, port, timeout: timeoutMs });
      const end = (answer: Answer): void => {
        socket.destroy();
        resolve(answer);
      };
      socket.once('connect', () => {
        // No need to leave the other side with a half-read connection in TIME_WAIT on our ports.
        socket.resetAndDestroy();
        resolve({ kind: 'open' });
      });
      socket.once('timeout', () =>
        end({ kind: 'unreachable', why: `no answer within ${timeoutMs / 1_000} s` }),
      );
      socket.on('error', (error: NodeJS.ErrnoException) =>
        end(
          error.code === 'ECONNREFUSED'
            ? { kind: 'refused' }
            : { kind: 'unreachable', why: error.code ?? error.message },
        ),
      );
    }),
};

export function familyOf(address: string): 'udp4' | 'udp6' {
  return isIPv6(address) ? 'udp6' : 'udp4';
}

export function closeQuietly(socket: UdpSocket): void {
  try {
    socket.close();
  } catch {
    // It is closed.
  }
}

/** Why a port cannot be had, with the cure. */
function openError(
  cause: NodeJS.ErrnoException,
  action: string,
  address: string,
  port: number,
  protocol: 'TCP' | 'UDP',
): SluiceError {
  const where = `${isIPv6(address) ? `[${address}]` : address}:${port}/${protocol}`;
  switch (cause.code) {
    case 'EADDRINUSE':
      return new SluiceError(
        'conflict',
        `${where} is taken by another program on this machine, which may also listen on all addresses; ` +
          `find it by \`ss -lnp${protocol === 'TCP' ? 't' : 'u'} 'sport = :${port}'\` and stop it: the port is tried again by itself`,
        { code: 'PortInUse', reason: 'PortInUse', action, cause },
      );
    case 'EACCES':
    case 'EPERM':
      return new SluiceError(
        'denied',
        `${where} may not be opened by this user; run \`sluice local setup\` once`,
        { code: 'PortNotAllowed', reason: 'PortNotAllowed', action, cause },
      );
    case 'EADDRNOTAVAIL':
      return new SluiceError(
        'invalid',
        `${where}: this machine does not have the address; run \`sluice local setup --pool …\` for the range, or leave --pool out`,
        { code: 'AddressNotHere', reason: 'AddressNotHere', action, cause },
      );
    case undefined:
    default:
      return new SluiceError('transient', `${where} cannot be opened: ${cause.message}`, {
        code: cause.code ?? 'ListenFailed',
        action,
        cause,
      });
  }
}
