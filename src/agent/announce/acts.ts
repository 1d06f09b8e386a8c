/** Carries out what was decided about an address: in our holdings, and in what is said to the others. */
import type { ClaimTable } from './claims.ts';
import type { Act } from './decide.ts';
import type { Holdings } from './holdings.ts';
import type { LastResort } from './last-resort.ts';
import type { LinkChoice } from './links.ts';
import type { OwnershipEvent } from './ownership-port.ts';
import type { Right } from './quorum.ts';
import type { MemberId } from './rank.ts';

export interface ActsOptions {
  readonly me: MemberId;
  readonly table: ClaimTable;
  readonly holdings: Holdings;
  readonly lastResort: LastResort;
  readonly linksOf: (address: string) => LinkChoice | undefined;
  readonly right: () => Right['kind'];
  /** One of us that is there holds it. */
  readonly owned: (address: string) => boolean;
  readonly say: (event: OwnershipEvent) => void;
  readonly lookSoon: () => void;
}

export class Acts {
  readonly #options: ActsOptions;

  constructor(options: ActsOptions) {
    this.#options = options;
  }

  carryOut(address: string, act: Act, now: number): void {
    const { me, table, holdings, right, say } = this.#options;
    switch (act.kind) {
      case 'none':
      case 'keep':
        return;
      case 'take':
        if (right() === 'last-resort' && act.reason !== 'kept') this.#askThenTake(address);
        else this.#take(address, act.reason);
        return;
      case 'insist': {
        const up = holdings.get(address)?.state === 'up';
        holdings.leaving(address, undefined);
        table.say(address, me, up ? 'held' : 'taking');
        return;
      }
      case 'leave':
        holdings.leaving(address, now);
        table.say(address, me, 'leaving');
        return;
      case 'yield':
        holdings.remove(address);
        say({ kind: 'given-up', address, reason: 'held-by-another' });
        return;
      case 'drop':
        this.drop(address, act.reason);
        return;
    }
  }

  drop(address: string, reason: string): void {
    const { me, table, holdings, say } = this.#options;
    const had = holdings.remove(address);
    if (table.of(address)?.member === me) table.say(address, me, 'free');
    if (had) say({ kind: 'given-up', address, reason });
  }

  #take(address: string, reason: string): void {
    const { me, table, holdings, right, say, linksOf } = this.#options;
    const links = linksOf(address);
    if (links?.kind !== 'links') return;
    const kind = right();
    table.say(address, me, 'taking');
    holdings.put(address, links.names, kind === 'majority' ? reason : kind);
    say({ kind: 'taken', address, reason });
  }

  /** Where a majority may be on the other side of a cut, who answers on our side has it. */
  #askThenTake(address: string): void {
    const { lastResort, linksOf, right, owned, lookSoon } = this.#options;
    const links = linksOf(address);
    const link = links?.kind === 'links' ? links.names[0] : undefined;
    if (link === undefined) return;
    const take = (): boolean => {
      const still = right() === 'last-resort' && !owned(address);
      if (still) this.#take(address, 'last-resort');
      return still;
    };
    lastResort.ask(address, link, take, lookSoon);
  }
}
