/** Whether an address answers from this machine: one connection, opened and closed. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { ServiceObject } from '../core/objects.ts';

/** What became of it. */
export type PathCheck =
  | { readonly kind: 'answered'; readonly port: number; readonly ms: number }
  /** The other side said no: somebody is there. */
  | { readonly kind: 'refused'; readonly port: number; readonly from: string | undefined }
  | {
      readonly kind: 'silent';
      readonly port: number;
      readonly message: string;
      /** The address that this machine asks from; undefined where it has no way to there. */
      readonly from: string | undefined;
    }
  /** Nothing that can be asked by a connection. */
  | { readonly kind: 'not-tried'; readonly why: string };

const withinMs = 2_000;

/** Asks the first TCP port of the Service at the address, or the stated one in its place. Sends nothing. */
export async function checkPath(address: string, service: ServiceObject): Promise<PathCheck> {
  const asked = service.ports.find(({ protocol }) => protocol === 'TCP')?.port;
  if (asked === undefined)
    return { kind: 'not-tried', why: 'the Service has no TCP port, and UDP answers nobody who says nothing' };
  const port = servedAt(service, address, asked);
  const from = await sourceTowards(address, port);
  const started = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (answer: PathCheck): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(withinMs, () =>
      end({ kind: 'silent', port, message: `nothing within ${withinMs / 1_000} s`, from }),
    );
    socket.once('connect', () =>
      end({ kind: 'answered', port, ms: Math.max(1, Math.round(performance.now() - started)) }),
    );
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(
        error.code === 'ECONNREFUSED'
          ? { kind: 'refused', port, from }
          : { kind: 'silent', port, message: error.code ?? error.message, from },
      ),
    );
  });
}

/** On a laptop a port that may not be opened is served at another one, which the status states. */
function servedAt({ ingress }: ServiceObject, address: string, port: number): number {
  const ports = ingress.find(({ ip }) => ip === address)?.ports ?? [];
  const stated = ports.find((one) => one.port === port && one.protocol === 'TCP')?.error;
  return Number(/^sluice\.dev\/ServedAtPort(\d+)$/u.exec(stated ?? '')?.[1] ?? port);
}

/** Which address of this machine goes out to there, as its routes say. A datagram socket that is connected sends nothing. */
function sourceTowards(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const end = (from: string | undefined): void => {
      socket.close();
      resolve(from);
    };
    socket.once('error', () => end(undefined));
    socket.connect(port, address, () => end(socket.address().address));
  });
}

/** In words, for a line of a report. */
export function pathText(path: PathCheck): string {
  switch (path.kind) {
    case 'answered':
      return `from here port ${path.port} answers in ${path.ms} ms`;
    case 'refused':
      return `from here port ${path.port} is refused: a machine is there, and no program behind the port`;
    case 'silent':
      return `from here port ${path.port} does not answer: ${path.message}`;
    case 'not-tried':
      return `not tried: ${path.why}`;
  }
}
