/**
 * What this node holds, and the engine's side of it: the engine is told the whole list whenever it changes, and what it
 * answers is filed by address.
 *
 * Invariants: the engine is told before anybody else hears that an address is ours (`held` is said when the kernel has
 * it); one call of the engine at a time, always with the whole list.
 */
import type { Clock } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import type { Announcer, Holding } from './announcer.ts';
import type { ClaimTable } from './claims.ts';
import type { Mine } from './decide.ts';
import type { AddressFacts } from './facts.ts';
import type { LinkChoice } from './links.ts';
import type { Held, OwnershipEvent } from './ownership-port.ts';
import type { MemberId } from './rank.ts';
import type { AnnounceTimings } from './timings.ts';

interface Owned extends Mine {
  readonly sinceWall: number;
  readonly reason: string;
  readonly interfaces: readonly string[];
}

export interface HoldingsOptions {
  readonly me: MemberId;
  readonly clock: Clock;
  readonly announcer: Pick<Announcer, 'hold'>;
  readonly table: ClaimTable;
  readonly facts: () => ReadonlyMap<string, AddressFacts>;
  readonly linksFor: (facts: AddressFacts) => LinkChoice;
  readonly timings: Pick<AnnounceTimings, 'retryMs' | 'beatMs'>;
  readonly say: (event: OwnershipEvent) => void;
  /** Something here is another now. */
  readonly look: () => void;
  /** No more. */
  readonly ended: AbortSignal;
}

const mendMs = 500;

export class Holdings {
  readonly #options: HoldingsOptions;
  readonly #mine = new Map<string, Owned>();
  /** What the engine says stands in the way, by address. */
  readonly #troubles = new Map<string, SluiceError>();
  /** Addresses that the kernel refused, until when they are left alone. */
  readonly #refusedUntil = new Map<string, number>();
  /** What the engine was told last; undefined: it has to be told in any case. */
  #told: Map<string, Holding> | undefined = new Map();
  #applying = false;
  #applyAgain = false;

  constructor(options: HoldingsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#mine.size;
  }

  get(address: string): Owned | undefined {
    return this.#mine.get(address);
  }

  addresses(): Iterable<string> {
    return this.#mine.keys();
  }

  *held(): Iterable<Held> {
    for (const [address, { state, sinceWall, reason, interfaces }] of this.#mine)
      yield { address, state, sinceWall, reason, interfaces };
  }

  /** The kernel has refused the address: it is left alone until then (monotonic). */
  refusedUntil(address: string): number | undefined {
    return this.#refusedUntil.get(address);
  }

  put(address: string, interfaces: readonly string[], reason: string): void {
    const { clock } = this.#options;
    const since = clock.now();
    const sinceWall = clock.wall();
    this.#mine.set(address, {
      state: 'putting',
      since,
      sinceWall,
      leavingSince: undefined,
      reason,
      interfaces,
    });
  }

  leaving(address: string, leavingSince: number | undefined): void {
    const mine = this.#mine.get(address);
    if (mine !== undefined) this.#mine.set(address, { ...mine, leavingSince });
  }

  /** Not held any more. True where it was. */
  remove(address: string): boolean {
    this.#troubles.delete(address);
    return this.#mine.delete(address);
  }

  forget(address: string): void {
    this.#refusedUntil.delete(address);
    this.#troubles.delete(address);
  }

  /** What the engine has may be out of date: it is told again, even if nothing changes. */
  tellAnew(): void {
    this.#told = undefined;
  }

  /** The engine could not hold an address, or holds it again. */
  engineHeld(address: string, error: SluiceError | undefined): void {
    const { clock, say, look, timings } = this.#options;
    if (error === undefined) {
      // What was being put up stands only now: the engine confirms it.
      if (this.#troubles.delete(address) && this.#mine.get(address)?.state === 'putting') this.apply();
      return;
    }
    if (!this.#mine.has(address)) return;
    this.#troubles.set(address, error);
    // It waits for us to have listened, which is a matter of moments.
    if (error.code === 'NotHeard') return;
    // The engine mends what somebody else has broken by itself, and at once.
    const passing = error.kind === 'transient' || error.kind === 'conflict';
    this.#later(passing ? mendMs : 0, () => {
      if (this.#troubles.get(address) !== error) return;
      say({ kind: 'refused', address, error });
      this.#refusedUntil.set(address, clock.now() + timings.retryMs);
      look();
    });
  }

  /** Tells the engine where what we hold is not what it was told. */
  tell(all: ReadonlyMap<string, AddressFacts>): void {
    if (this.#changed(all)) this.apply();
  }

  apply(): void {
    if (this.#applying) {
      this.#applyAgain = true;
      return;
    }
    this.#applying = true;
    void this.#applyAll();
  }

  #changed(all: ReadonlyMap<string, AddressFacts>): boolean {
    let changed = this.#mine.size !== this.#told?.size;
    const next = new Map<string, Holding>();
    for (const [address, mine] of this.#mine) {
      const facts = all.get(address);
      const before = this.#told?.get(address);
      const links = facts === undefined ? undefined : this.#options.linksFor(facts);
      const interfaces = links?.kind === 'links' ? links.names : mine.interfaces;
      const ports = facts?.ports ?? before?.ports ?? [];
      if (before !== undefined && before.ports === ports && sameNames(before.interfaces, interfaces)) {
        next.set(address, before);
        continue;
      }
      changed = true;
      next.set(address, { address, interfaces, ports });
      this.#mine.set(address, { ...mine, interfaces });
    }
    if (changed) this.#told = next;
    return changed;
  }

  async #applyAll(): Promise<void> {
    const { announcer, say, look, facts, timings, ended } = this.#options;
    do {
      this.#applyAgain = false;
      this.#changed(facts());
      const asked = new Map([...this.#mine].map(([address, { since }]) => [address, since]));
      try {
        await announcer.hold([...(this.#told?.values() ?? [])]);
        if (ended.aborted) break;
        this.#confirm(asked);
      } catch (thrown) {
        say({ kind: 'engine-failed', error: asSluiceError(thrown) });
        this.#later(timings.beatMs, () => this.apply());
        break;
      }
    } while (this.#applyAgain);
    this.#applying = false;
    look();
  }

  /** Unless it has ended by then: nothing waits for a time that does not matter any more. */
  #later(ms: number, run: () => void): void {
    const { clock, ended } = this.#options;
    if (ended.aborted) return;
    const done = (): void => {
      cancel();
      ended.removeEventListener('abort', done);
    };
    const cancel = clock.schedule(ms, () => {
      done();
      run();
    });
    ended.addEventListener('abort', done);
  }

  /** The kernel has what was asked for. */
  #confirm(asked: ReadonlyMap<string, number>): void {
    const { clock, table, me, say } = this.#options;
    const now = clock.now();
    for (const [address, since] of asked) {
      const mine = this.#mine.get(address);
      if (mine?.state !== 'putting' || mine.since !== since) continue;
      if (this.#troubles.has(address)) continue;
      this.#mine.set(address, { ...mine, state: 'up' });
      const claim = table.of(address);
      // Somebody else was told a greater epoch meanwhile: the next look settles that.
      if (claim?.member === me) table.say(address, me, 'held');
      say({ kind: 'up', address, ms: now - since });
    }
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}
