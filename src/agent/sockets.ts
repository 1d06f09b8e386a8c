/**
 * Sockets of the node that are bound to a node port: their programs no longer hear what is asked there, because
 * the rules come first. Nobody tells those who wonder, so an event does.
 */
import type { TransportProtocol } from '../core/objects.ts';
import type { RunTool } from './tool.ts';

export interface BoundSocket {
  readonly protocol: TransportProtocol;
  /** Address as `ss` writes it: `*`, `0.0.0.0`, `[::]`, `127.0.0.1`. */
  readonly address: string;
  readonly port: number;
}

/** One line of `ss -Hlntu`; undefined for what is no such line. */
export function parseSocket(line: string): BoundSocket | undefined {
  const [netid, , , , local = ''] = line.trim().split(/\s+/u);
  const colon = local.lastIndexOf(':');
  const port = Number(local.slice(colon + 1));
  if ((netid !== 'tcp' && netid !== 'udp') || colon === -1 || !Number.isInteger(port) || port === 0)
    return undefined;
  // A device may follow the address: 127.0.0.53%lo.
  const address = local.slice(0, colon).replace(/%[^\]]*/u, '');
  return { protocol: netid === 'tcp' ? 'TCP' : 'UDP', address, port };
}

/** Sockets that listen. Empty where there is no `ss`: this is a courtesy. */
export async function boundSockets(run: RunTool): Promise<readonly BoundSocket[]> {
  const found: BoundSocket[] = [];
  try {
    const result = await run('ss', ['-H', '-l', '-n', '-t', '-u'], {
      onLine: (line) => {
        const socket = parseSocket(line);
        if (socket) found.push(socket);
      },
    });
    return result.code === 0 ? found : [];
  } catch {
    return [];
  }
}

/**
 * Whether node ports answer where a program listens: one on localhost, or on an address of the node that has no node
 * ports, goes on hearing what is asked there.
 *
 * @param answersAt of each family; `all`: whatever address is the node's.
 */
export function shadows(
  { address }: Pick<BoundSocket, 'address'>,
  answersAt: readonly ('all' | readonly string[])[] = ['all'],
): boolean {
  const plain = address.replaceAll(/[[\]]/gu, '');
  if (plain.startsWith('127.') || plain === '::1') return false;
  if (plain === '*' || plain === '0.0.0.0' || plain === '::')
    return answersAt.some((at) => at === 'all' || at.length > 0);
  return answersAt.some((at) => at === 'all' || at.includes(plain));
}
