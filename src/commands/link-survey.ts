/**
 * Asks a link who answers to some addresses, without root: a datagram to each makes the kernel look for its neighbour,
 * and the kernel's table says afterwards who was found. Linux only; elsewhere nobody is asked, and that is said.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { sleep, type Clock } from '../core/clock.ts';
import { toolRunner, type RunTool } from '../agent/tool.ts';
import type { MachineAddress } from './pool-proposal.ts';

export interface LinkSurvey {
  /** The addresses of this machine. Undefined where they cannot be read. */
  addresses(): Promise<readonly MachineAddress[] | undefined>;
  /** The ways out of the link: gateways. */
  gateways(): Promise<readonly string[]>;
  /** Address → the MAC that answered. */
  ask(from: MachineAddress, addresses: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** Nobody listens there, and nobody minds (RFC 863). */
const discardPort = 9;
/** So many at a time: the kernel's table of neighbours has room for 1,024. */
const atOnce = 128;
/** The kernel asks three times, a second apart: whoever is there has answered the first or the second by then. */
const settleMs = 1_500;

interface IpAddress {
  readonly ifname?: string;
  readonly addr_info?: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly scope?: string;
    readonly dynamic?: boolean;
  }[];
}

interface Neighbour {
  readonly dst?: string;
  readonly dev?: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

/** Undefined on systems where it cannot be done. */
export function linkSurvey(clock: Clock, run: RunTool = toolRunner()): LinkSurvey | undefined {
  if (process.platform !== 'linux') return undefined;
  const json = async <Row>(...args: readonly string[]): Promise<readonly Row[] | undefined> => {
    try {
      const { code, out } = await run('ip', ['-json', ...args]);
      return code === 0 ? (JSON.parse(out === '' ? '[]' : out) as readonly Row[]) : undefined;
    } catch {
      // No ip(8), or one that does not speak JSON: then nothing is known, which is said.
      return undefined;
    }
  };
  return {
    addresses: async () => {
      const links = await json<IpAddress>('address', 'show');
      return links?.flatMap(({ ifname = '', addr_info = [] }) =>
        addr_info
          .filter(({ scope }) => scope === 'global')
          .map(({ local = '', prefixlen = 0, dynamic = false }) => ({
            link: ifname,
            address: local,
            prefix: prefixlen,
            dynamic,
          })),
      );
    },
    gateways: async () => {
      const routes = await Promise.all(
        ['-4', '-6'].map((family) => json<{ readonly gateway?: string }>(family, 'route', 'show', 'default')),
      );
      return routes.flatMap((all) => (all ?? []).flatMap(({ gateway }) => gateway ?? []));
    },
    ask: async (from, addresses) => {
      const found = new Map<string, string>();
      for (let at = 0; at < addresses.length; at += atOnce) {
        const batch = new Set(addresses.slice(at, at + atOnce));
        // A socket for each batch: what waits for a neighbour fills the socket's buffer, and holds up the rest.
        const socket = createSocket(from.address.includes(':') ? 'udp6' : 'udp4');
        // What comes back (nobody listens on the port) is no news.
        socket.on('error', () => undefined);
        socket.bind(0, from.address);
        await once(socket, 'listening');
        for (const address of batch) socket.send('', discardPort, address, () => undefined);
        await sleep(clock, settleMs, new AbortController().signal);
        const rows = await json<Neighbour>('neighbour', 'show', 'dev', from.link);
        for (const { dst = '', lladdr, state = [] } of rows ?? [])
          if (batch.has(dst) && lladdr !== undefined && !state.includes('FAILED')) found.set(dst, lladdr);
        socket.close();
      }
      return found;
    },
  };
}
