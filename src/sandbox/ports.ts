/**
 * Free ports for servers that cannot choose one themselves.
 *
 * They are taken from a range that the kernel does not use for outgoing connections and Kubernetes not for
 * node ports, so that a port stays free while its server is being restarted. Nothing can promise that a port
 * is still free a moment later: whoever starts a server on it tries another one when it is taken.
 */
import { createServer } from 'node:net';
import type { Random } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';

const first = 20_000;
const last = 29_999;
const tries = 50;

const handedOut = new Set<number>();

/** A TCP port on `address` that nobody listens on and that this process has not handed out before. */
export async function freePort(address: string, random: Random): Promise<number> {
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const port = first + Math.floor(random() * (last - first + 1));
    if (handedOut.has(port) || !(await isFree(address, port))) continue;
    handedOut.add(port);
    return port;
  }
  const message = `no free TCP port between ${first} and ${last} on ${address} in ${tries} tries`;
  throw new SluiceError('transient', message, { code: 'NoFreePort' });
}

function isFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EADDRINUSE' || cause.code === 'EACCES') resolve(false);
      else {
        const message = `cannot listen on ${address}: ${cause.message}`;
        reject(new SluiceError('invalid', message, { code: 'BadListenAddress', cause }));
      }
    });
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
