/**
 * Who asks for which destination, kept up to date: the incremental form of the rule in `claims.ts`.
 *
 * Nearly every destination has one claim, which is held without an array around it. The cost of a change is that of the
 * destinations it names.
 */
import type { Decision, DecisionKey } from '../decision.ts';
import { compareClaims, eachClaim } from './claims.ts';
import type { Claim, ClaimKind } from './claims.ts';

export class ClaimTable {
  readonly #claims = new Map<string, Claim | readonly Claim[]>();
  /** Destinations with more than one claim. */
  readonly #contested = new Map<string, string | undefined>();

  /** Enters a decision's claims; `touched` is told of each other decision that may have won or lost something. */
  add(decision: Decision, createdAt: number, touched: (key: DecisionKey) => void): void {
    const made: Partial<Record<ClaimKind, Claim>> = {};
    eachClaim(decision, (kind, key, address) => {
      const claim = (made[kind] ??= { decision: decision.key, kind, createdAt });
      const held = this.#claims.get(key);
      if (held === undefined) {
        this.#claims.set(key, claim);
        return;
      }
      const others = isMany(held) ? held : [held];
      for (const other of others) touched(other.decision);
      touched(decision.key);
      this.#claims.set(key, [...others, claim].toSorted(compareClaims));
      this.#contested.set(key, address);
    });
  }

  /** Takes a decision's claims back. */
  remove(decision: Decision, touched: (key: DecisionKey) => void): void {
    eachClaim(decision, (_kind, key) => {
      const held = this.#claims.get(key);
      if (held === undefined || !isMany(held)) {
        this.#claims.delete(key);
        return;
      }
      const left = held.filter((claim) => claim.decision !== decision.key);
      for (const other of left) touched(other.decision);
      const [only, ...more] = left;
      if (only !== undefined && more.length === 0) {
        this.#claims.set(key, only);
        this.#contested.delete(key);
      } else {
        this.#claims.set(key, left);
      }
    });
  }

  /** The destination is another's. */
  lost(key: string, decision: DecisionKey): boolean {
    if (this.#contested.size === 0) return false;
    const held = this.#claims.get(key);
    return held !== undefined && isMany(held) && held[0]?.decision !== decision;
  }

  /** Another asks for one of the decision's destinations as well. */
  contests(decision: Decision): boolean {
    if (this.#contested.size === 0) return false;
    let any = false;
    eachClaim(decision, (_kind, key) => {
      any ||= this.#contested.has(key);
    });
    return any;
  }

  /** Each contested destination: its address (undefined for a node port) and its claims, the winner first. */
  *contested(): Iterable<{ readonly address: string | undefined; readonly claims: readonly Claim[] }> {
    for (const [key, address] of this.#contested) {
      const held = this.#claims.get(key);
      if (held !== undefined && isMany(held)) yield { address, claims: held };
    }
  }
}

function isMany(held: Claim | readonly Claim[]): held is readonly Claim[] {
  return Array.isArray(held);
}
