/** The kernel's connection tracking table, through the `conntrack` tool: one dump, and deletions by tuple. */
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { RunTool } from '../tool.ts';
import { parseEntry, type ConntrackEntry } from './entries.ts';
import type { StaleFlows } from './stale.ts';

export type Tracked = 'udp' | 'tcp';

export interface ConntrackTable {
  /** Calls `see` for every entry of a protocol. @throws SluiceError */
  dump(family: IpFamily, protocol: Tracked, see: (entry: ConntrackEntry) => void): Promise<void>;
  /** Deletes every flow that answers to the description. @returns how many there were. @throws SluiceError */
  remove(family: IpFamily, protocol: Tracked, flows: StaleFlows): Promise<number>;
}

/** A table of a million entries takes seconds to list. */
const dumpTimeoutMs = 120_000;

export function conntrackTable(run: RunTool): ConntrackTable {
  return {
    dump: async (family, protocol, see) => {
      const result = await run('conntrack', ['-L', '-f', familyName(family), '-p', protocol], {
        timeoutMs: dumpTimeoutMs,
        onLine: (line) => {
          const entry = parseEntry(line);
          if (entry) see(entry);
        },
      });
      if (result.code !== 0) throw refused('list', result.error);
    },
    remove: async (family, protocol, flows) => {
      const args = [
        ['-D', '-f', familyName(family), '-p', protocol],
        ['--orig-dst', flows.destination, '--orig-port-dst', String(flows.port)],
        ['--reply-src', flows.replySource, '--reply-port-src', String(flows.replyPort)],
        flows.zone === undefined ? [] : ['--zone', String(flows.zone)],
      ].flat();
      const result = await run('conntrack', args, { timeoutMs: dumpTimeoutMs });
      const told = /(\d+) flow entries have been deleted/u.exec(result.error);
      // "0 flow entries have been deleted" comes with exit code 1: they have ended by themselves.
      if (told) return Number(told[1]);
      if (result.code !== 0) throw refused('delete', result.error);
      return 0;
    },
  };
}

function familyName(family: IpFamily): string {
  return family === 'IPv4' ? 'ipv4' : 'ipv6';
}

function refused(doing: string, error: string): SluiceError {
  const denied = /not permitted|denied/iu.test(error);
  return new SluiceError(
    denied ? 'denied' : 'transient',
    `conntrack could not ${doing} entries: ${error === '' ? 'it said nothing' : error}${denied ? '; the agent needs the capability NET_ADMIN' : ''}`,
    { code: 'ConntrackFailed', action: denied ? 'CAP_NET_ADMIN' : undefined },
  );
}
