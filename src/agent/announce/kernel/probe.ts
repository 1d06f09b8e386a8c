/** Asks a link whether anybody has an address, before it is given out (RFC 5227 2.1, RFC 4862 5.4). */
import type { Clock } from '../../../core/clock.ts';
import { SluiceError } from '../../../core/errors.ts';
import type { ProbeAnswer } from '../announcer.ts';
import { arpProbe } from './arp.ts';
import type { Ears } from './ears.ts';
import type { LinkTable } from './link-table.ts';
import { duplicateProbe } from './neighbours6.ts';
import { addressBytes, keyOf, macText } from './wire.ts';

export interface ProbeOptions {
  readonly address: string;
  readonly linkName: string;
  readonly table: LinkTable;
  readonly ears: Ears;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Sends a frame out of a link; false where nothing can be sent. */
  readonly send: (link: number, frame: Buffer) => boolean;
}

const askedAtMs: readonly number[] = [0, 400];
/** Whoever has not answered after this has not got it. */
const endMs = 1_000;

/** Never rejects. An address that this node announces itself counts as free: it is ours. */
export async function probeLink(options: ProbeOptions): Promise<ProbeAnswer> {
  const { address, linkName, table, ears, clock, signal, send } = options;
  const bytes = addressBytes(address);
  const key = keyOf(bytes);
  const link = table.named(linkName);
  if (link === undefined) {
    return failed('InterfaceMissing', `there is no interface ${linkName} on this node to ask on`);
  }
  const own = table.ownOf(key);
  if (own !== undefined) return { kind: 'taken', mac: macText(own.mac) };
  if (link.mac.length !== 6) return failed('InterfaceUnusable', `${linkName} has no neighbours to ask`);
  if (!link.up) return failed('InterfaceDown', `${linkName} is down: nobody can be asked`);
  if (table.bearsOurs(key, link.index)) return { kind: 'free' };
  const frame = bytes.length === 4 ? arpProbe(link.mac, bytes) : duplicateProbe(link.mac, bytes);
  const ends: (() => void)[] = [];
  try {
    return await new Promise<ProbeAnswer>((resolve) => {
      const stop = (): void =>
        resolve(failed('Aborted', `asking for ${address} on ${linkName} was broken off`));
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      ends.push(
        () => signal.removeEventListener('abort', stop),
        ears.probe(key, link.index, (mac) => resolve({ kind: 'taken', mac })),
        clock.schedule(endMs, () => resolve({ kind: 'free' })),
      );
      for (const at of askedAtMs) {
        ends.push(
          clock.schedule(at, () => {
            if (!send(link.index, frame))
              resolve(failed('RelayEnded', 'the program that speaks to the link is down'));
          }),
        );
      }
    });
  } finally {
    for (const end of ends) end();
  }
}

function failed(code: string, message: string): ProbeAnswer {
  return { kind: 'failed', error: new SluiceError('transient', message, { code }) };
}
