/**
 * Carries placements out in the kernel: puts addresses up, renews them, takes them away.
 *
 * The fence of announcing is here. An address is put up or renewed only while this process has listened since it last
 * slept (`mayRenew`), a renewal only while the kernel must still have the address, and neither later than meant: whoever
 * was given up by the others meanwhile must not have more time of an address than it has already.
 */
import type { Clock } from '../../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../../core/errors.ts';
import { attempt } from './guard.ts';
import type { Herald } from './herald.ts';
import type { Kernel } from './kernel.ts';
import type { LinkTable } from './link-table.ts';
import type { Placement, Placements } from './placements.ts';
import { planPutUp, untilTaken } from './put-up.ts';
import { putAddress, takeAddress } from './rtnetlink.ts';
import { refused, unheard } from './troubles.ts';
import { keyOf } from './wire.ts';

/** Of an address, seconds: how long it outlives whoever renews it. */
const lifetimeSeconds = 2;
/** The kernel counts lifetimes a little short. */
export const standsMs = lifetimeSeconds * 1_000 - 50;
/** A write that comes later than this is not carried out. */
const putWithinMs = 1_000;
/** The next renewal comes in its place. */
const renewWithinMs = 500;

export interface CarrierOptions {
  readonly clock: Clock;
  readonly table: LinkTable;
  readonly placements: Placements;
  readonly herald: Pick<Herald, 'tell' | 'stop'>;
  /** This process has listened since it last slept. */
  readonly mayRenew: () => boolean;
}

export class Carrier {
  readonly #options: CarrierOptions;

  constructor(options: CarrierOptions) {
    this.#options = options;
  }

  /** It does not stand any more. */
  fell(placement: Placement, why: ((placement: Placement) => SluiceError) | undefined): void {
    placement.link = undefined;
    placement.standsUntil = -Infinity;
    if (why !== undefined) placement.trouble = why(placement);
    this.#options.herald.stop(placement.id);
  }

  /**
   * Renews everything that certainly stands, in one go before anything that is asked later. @returns false where that
   * has to wait until this process has listened.
   */
  async renew(kernel: Pick<Kernel, 'ask'>): Promise<boolean> {
    const { clock, placements, mayRenew } = this.#options;
    const now = clock.now();
    const standing = placements.standing(now);
    if (standing.length === 0) return true;
    if (!mayRenew()) return false;
    const requests = standing.flatMap(({ bytes, link }) =>
      link === undefined ? [] : [putAddress({ address: bytes, link }, lifetimeSeconds, 'renew')],
    );
    const until = Math.min(now + renewWithinMs, ...standing.map(({ standsUntil }) => standsUntil));
    await kernel.ask(requests, until).then(
      (failures) => {
        const failed = new Map(failures.map(({ at, errno }) => [at, errno]));
        standing.forEach((placement, i) => {
          const errno = failed.get(i);
          if (placement.link === undefined) return;
          placement.trouble = errno === undefined ? undefined : refused(placement, errno);
          if (errno === undefined) placement.standsUntil = Math.max(placement.standsUntil, now + standsMs);
        });
      },
      // Too late, or the child is gone: what is not renewed falls at its time.
      () => undefined,
    );
    return true;
  }

  /** Everything that bears our mark and is not wanted, from whichever run. */
  async takeDown(kernel: Pick<Kernel, 'ask'>): Promise<void> {
    const { table, placements } = this.#options;
    const unwanted = [...table.ours()].filter(
      ({ address, link }) =>
        !placements.of(keyOf(address)).some(({ linkName }) => linkName === table.link(link)?.name),
    );
    if (unwanted.length === 0) return;
    for (const { address, link } of unwanted) table.noteTaken(address, link);
    // One that has gone by itself is refused, and that is well.
    await attempt(kernel.ask(unwanted.map(takeAddress)));
  }

  /** Puts up what does not stand. @returns false where that has to wait until this process has listened. */
  async putUp(kernel: Pick<Kernel, 'ask' | 'find'>): Promise<boolean> {
    const { clock, table, placements, herald, mayRenew } = this.#options;
    const { put, requests, arp } = planPutUp(placements.values(), table, lifetimeSeconds);
    if (put.length === 0) return true;
    if (!mayRenew()) {
      for (const { placement } of put) placement.trouble = unheard(placement);
      return false;
    }
    if ((await attempt(kernel.ask(arp.map(({ request }) => request)))) === undefined) {
      for (const { link, settings } of arp) table.noteArp(link, settings);
    }
    const sent = clock.now();
    for (const { placement, link } of put) placement.link = link;
    let failures;
    try {
      failures = await kernel.ask(requests, sent + putWithinMs);
    } catch (error) {
      for (const { placement } of put) this.fell(placement, () => asSluiceError(error));
      return true;
    }
    const failed = new Map(failures.map(({ at, errno }) => [at, errno]));
    const up: Placement[] = [];
    for (const [i, { placement, link }] of put.entries()) {
      const errno = failed.get(i);
      if (errno !== undefined) {
        this.fell(placement, (each) => refused(each, errno));
        continue;
      }
      table.noteOurs(placement.bytes, link);
      // It may have been given up while the kernel was asked.
      if (placement.link !== link) continue;
      placement.standsUntil = sent + standsMs;
      placement.trouble = undefined;
      up.push(placement);
    }
    const addresses = up.map(({ bytes }) => bytes);
    await attempt(untilTaken(kernel, clock, addresses));
    herald.tell(up.map(({ id }) => id));
    return true;
  }
}
