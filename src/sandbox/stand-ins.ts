/**
 * Stand-ins for the nodes of a sandbox, on which nothing runs: web servers of this process at loopback addresses, one
 * address for each node, which answer at node ports as pods would.
 *
 * Linux only: other systems have 127.0.0.1 alone.
 */
import { createServer, type Server } from 'node:http';
import { SluiceError } from '../core/errors.ts';

export class StandIns {
  readonly #block: string;
  readonly #servers = new Map<string, Server>();

  /** Two demos at one time take different addresses, as far as process ids differ. */
  constructor(pid: number = process.pid) {
    this.#block = `127.${64 + (pid % 8)}.${(pid >> 3) & 255}`;
  }

  /** The address of the n-th node. */
  address(node: number): string {
    return `${this.#block}.${node}`;
  }

  /** Answers at a node port. Rejects where the port is taken. */
  async open(node: number, port: number): Promise<void> {
    const address = this.address(node);
    const key = `${address}:${port}`;
    if (this.#servers.has(key)) return;
    const server = createServer((request, response) => {
      const from = request.socket.remoteAddress ?? '';
      response.end(`a pod behind node-${node}:${port}, asked by ${from}\n`);
    });
    this.#servers.set(key, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        this.#servers.delete(key);
        reject(
          new SluiceError('invalid', `cannot stand in for node-${node} at ${key}: ${cause.message}`, {
            code: 'StandIn',
            cause,
          }),
        );
      });
      server.listen(port, address, resolve);
    });
  }

  /** The node is gone: its connections end, and nobody answers. */
  async close(node: number): Promise<void> {
    const own = [...this.#servers].filter(([key]) => key.startsWith(`${this.address(node)}:`));
    for (const [key, server] of own) {
      this.#servers.delete(key);
      await end(server);
    }
  }

  async closeAll(): Promise<void> {
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(servers.map(end));
  }
}

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
