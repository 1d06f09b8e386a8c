/**
 * On which port of its address a Service listens: its own where the machine allows that, else a stated one.
 *
 * A stated port is never drawn at random: it is the Service's port plus an offset, so that 80 is 8080 and 443 is 8443
 * today, tomorrow and on the neighbour's laptop.
 */
import { createHash } from 'node:crypto';

export type Transport = 'TCP' | 'UDP';

/** Tried in turn where the port with the first offset is a port of the Service itself. */
const offsets = [8_000, 18_000, 28_000, 38_000, 48_000];

export interface PortWish {
  readonly port: number;
  readonly protocol: Transport;
}

/**
 * Service port → port to listen on, on an address that the Service has for itself.
 *
 * @param unprivilegedFrom the least port that this process may listen on.
 */
export function ownPorts(wishes: readonly PortWish[], unprivilegedFrom: number): ReadonlyMap<string, number> {
  const taken = new Set(
    wishes.filter(({ port }) => port >= unprivilegedFrom).map((wish) => `${wish.port}/${wish.protocol}`),
  );
  const chosen = new Map<string, number>();
  for (const { port, protocol } of wishes.toSorted(byPort)) {
    const name = `${port}/${protocol}`;
    if (port >= unprivilegedFrom) {
      chosen.set(name, port);
      continue;
    }
    const stated = offsets
      .map((offset) => port + offset)
      .find((one) => one >= unprivilegedFrom && !taken.has(`${one}/${protocol}`));
    chosen.set(name, stated ?? port);
    taken.add(`${stated ?? port}/${protocol}`);
  }
  return chosen;
}

/**
 * The ports that a Service's port may have on an address that all Services share, the most wanted first: its own (or
 * the one with the offset), then ports from 20000 to 29999 that follow from who asks. Clear of node ports (30000 to
 * 32767), which kind and others publish on 127.0.0.1, and of the ports that systems hand out by themselves.
 */
export function sharedPorts(
  wish: PortWish,
  unprivilegedFrom: number,
  owner: readonly [cluster: string, service: string],
): readonly number[] {
  const own = ownPorts([wish], unprivilegedFrom).get(`${wish.port}/${wish.protocol}`) ?? wish.port;
  const hash = createHash('sha256')
    .update(`${owner[0].length}:${owner[0]}${owner[1]} ${wish.port}/${wish.protocol}`)
    .digest();
  const start = hash.readUInt32BE(0);
  const odd = (hash.readUInt32BE(4) % 4_999) * 2 + 1;
  // Without a divisor in common with 10,000, so that no port comes twice.
  const stride = odd % 5 === 0 ? odd + 2 : odd;
  const more = Array.from({ length: 32 }, (_, i) => 20_000 + ((start + i * stride) % 10_000));
  return [...new Set([own, ...more])];
}

function byPort(a: PortWish, b: PortWish): number {
  return a.port - b.port || (a.protocol < b.protocol ? -1 : 1);
}
