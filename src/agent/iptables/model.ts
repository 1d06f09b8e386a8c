/**
 * What the kernel should hold, kept up to date change by change.
 *
 * The model remembers decisions and, for each destination, who claims it; the text of service chains is made afresh
 * when it is needed, so that memory follows the decisions and not the rules. A change gives a `Delta` of exactly what
 * it touched. The state depends only on the set of decisions, never on the order in which they came: dispatch chains
 * are sorted, and a destination that two decisions claim belongs to the lower rank (cluster IP, balancer IP,
 * external IP) and then to the lower key.
 *
 * The dispatch is a tree over the last bits of the address (and ranges of node ports), because rules are walked one by
 * one: with 10,000 Services a packet passes some 40 rules and not 10,000.
 */
import type { Decision, DecisionKey } from '../decision.ts';
import type { ChainId, Delta } from './delta.ts';
import { jumps, nodeChains, nodeMembers, type Layout, type Table } from './layout.ts';
import { chain, type SetName } from './names.ts';
import { bits, depth, destination, entries, place, rankOf } from './place.ts';
import { goAhead } from './quick.ts';
import { compile, type Claim, type Compiled } from './service.ts';
import type { RulesByTable } from './text.ts';

interface Owned {
  readonly key: DecisionKey;
  readonly claim: Claim;
}

/** Chains of one decision, targets before those that jump to them. */
export type OwnChains = readonly (readonly [ChainId, readonly string[]])[];

/** One chain of the dispatch tree that holds the rules of destinations. */
interface Leaf {
  readonly name: string;
  /** Rules by destination. */
  readonly rules: Map<string, string>;
}

export class Model {
  readonly layout: Layout;
  readonly decisions = new Map<DecisionKey, Decision>();
  readonly #claims = new Map<string, Owned[]>();
  readonly #leaves = new Map<string, Leaf>();
  /** Names of leaves under each chain of the first level. */
  readonly #branches = new Map<string, Set<string>>();
  readonly #exceptions = new Map<string, readonly string[]>();
  readonly #members = new Map<SetName, Map<string, number>>();
  readonly #fixed: ReturnType<typeof nodeChains>;
  /** Rules in all chains, the jumps into them and what ends the chains of drops included. */
  readonly #rules: Record<Table, number> = { nat: 0, filter: 2 };

  constructor(layout: Layout) {
    this.layout = layout;
    this.#fixed = nodeChains(layout);
    for (const { table } of jumps) this.#rules[table] += 1;
    for (const { table, rules } of this.#fixed.values()) this.#rules[table] += rules.length;
    for (const [set, entry] of nodeMembers(layout)) this.#count(set, entry, 1, undefined);
  }

  /**
   * Puts a decision in the place of the one with its key, or takes it out, and notes in `delta` what that touches: undefined
   * where everything is compared anyway.
   *
   * @returns its chains.
   * @throws SluiceError invalid, with nothing changed, where the decision cannot be written.
   */
  put(key: DecisionKey, after: Decision | undefined, delta: Delta | undefined): OwnChains {
    const before = this.decisions.get(key);
    if (before === after) return [];
    const fresh = after === undefined ? undefined : compile(after, this.layout);
    const old = before === undefined ? undefined : compile(before, this.layout);
    if (delta !== undefined) chainsOf(old, fresh, delta);
    for (const [set, entry] of fresh?.members ?? []) this.#count(set, entry, 1, delta);
    for (const [set, entry] of old?.members ?? []) this.#count(set, entry, -1, delta);
    this.#rules.nat += rulesIn(fresh) - rulesIn(old);
    this.#claim(key, old?.claims ?? [], fresh?.claims ?? [], delta);
    if (after === undefined) this.decisions.delete(key);
    else this.decisions.set(key, after);
    return fresh === undefined ? [] : ownChains(fresh);
  }

  #claim(key: DecisionKey, old: readonly Claim[], fresh: readonly Claim[], delta: Delta | undefined): void {
    const touched = new Map<string, Claim | undefined>();
    for (const claim of old) {
      const id = destination(claim);
      if (!touched.has(id)) touched.set(id, this.#winner(id));
      const rest = (this.#claims.get(id) ?? []).filter(
        (owned) => owned.key !== key || rankOf(owned.claim) !== rankOf(claim),
      );
      if (rest.length === 0) this.#claims.delete(id);
      else this.#claims.set(id, rest);
    }
    for (const claim of fresh) {
      const id = destination(claim);
      if (!touched.has(id)) touched.set(id, this.#winner(id));
      const others = this.#claims.get(id);
      if (others === undefined) this.#claims.set(id, [{ key, claim }]);
      else {
        others.push({ key, claim });
        others.sort((a, b) => rankOf(a.claim) - rankOf(b.claim) || (a.key < b.key ? -1 : 1));
      }
    }
    for (const [id, was] of touched) this.#settle(id, was, this.#winner(id), delta);
  }

  #winner(id: string): Claim | undefined {
    return this.#claims.get(id)?.[0]?.claim;
  }

  /** One destination has (perhaps) changed hands: its dispatch rule and its set entries follow. */
  #settle(id: string, was: Claim | undefined, is: Claim | undefined, delta: Delta | undefined): void {
    if (was?.rule !== is?.rule) this.#route(id, was ?? is, is?.rule, delta);
    for (const [set, entry] of is === undefined ? [] : entries(is, this.layout))
      this.#count(set, entry, 1, delta);
    for (const [set, entry] of was === undefined ? [] : entries(was, this.layout))
      this.#count(set, entry, -1, delta);
    const before = was?.exceptions ?? [];
    const after = is?.exceptions ?? [];
    if (!same(before, after)) {
      if (after.length === 0) this.#exceptions.delete(id);
      else this.#exceptions.set(id, after);
      this.#rules.filter += after.length - before.length;
      this.#touch(`filter ${id.startsWith(':') ? chain.dropPorts : chain.drop}`, delta);
    }
  }

  #route(id: string, claim: Claim | undefined, text: string | undefined, delta: Delta | undefined): void {
    if (claim === undefined) return;
    const { branch, leaf: name } = place(claim);
    let leaf = this.#leaves.get(name);
    if (text === undefined) {
      if (leaf === undefined) return;
      if (leaf.rules.delete(id)) this.#rules.nat -= 1;
      if (leaf.rules.size === 0) {
        this.#leaves.delete(name);
        this.#unlink(branch, name, delta);
      }
    } else {
      if (leaf === undefined) {
        leaf = { name, rules: new Map() };
        this.#leaves.set(name, leaf);
        this.#link(branch, name, delta);
      }
      if (!leaf.rules.has(id)) this.#rules.nat += 1;
      leaf.rules.set(id, text);
    }
    this.#touch(`nat ${name}`, delta);
  }

  #link(branch: string, leaf: string, delta: Delta | undefined): void {
    let leaves = this.#branches.get(branch);
    if (leaves === undefined) {
      leaves = new Set();
      this.#branches.set(branch, leaves);
      this.#turn(branch, 1, delta);
    }
    leaves.add(leaf);
    this.#rules.nat += 1;
    this.#touch(`nat ${branch}`, delta);
  }

  #unlink(branch: string, leaf: string, delta: Delta | undefined): void {
    const leaves = this.#branches.get(branch);
    if (leaves?.delete(leaf) === true) this.#rules.nat -= 1;
    if (leaves?.size === 0) {
      this.#branches.delete(branch);
      this.#turn(branch, -1, delta);
    }
    this.#touch(`nat ${branch}`, delta);
  }

  /** A branch has (`by` 1) or loses (-1) its rule at the root; node ports are reached otherwise. */
  #turn(branch: string, by: 1 | -1, delta: Delta | undefined): void {
    if (branch === chain.nodePorts) return;
    this.#rules.nat += by;
    this.#touch(`nat ${chain.dispatch}`, delta);
  }

  /** The chain's text is made when the delta is complete: see `finish`. */
  #touch(id: ChainId, delta: Delta | undefined): void {
    delta?.chains.delete(id);
    delta?.chains.set(id, undefined);
  }

  /** Fills in the dispatch chains that a delta touched, leaves before branches before the root. */
  finish(delta: Delta): Delta {
    const touched = [...delta.chains.keys()].filter((id) => depth(id) > 0);
    for (const id of touched.toSorted((a, b) => depth(b) - depth(a))) {
      delta.chains.delete(id);
      delta.chains.set(id, this.#dispatchChain(id));
    }
    return delta;
  }

  #dispatchChain(id: ChainId): readonly string[] | undefined {
    const name = id.slice(id.indexOf(' ') + 1);
    const start = this.#fixed.get(name)?.rules ?? [];
    if (name === chain.drop || name === chain.dropPorts) {
      const exceptions = [...this.#exceptions.keys()]
        .filter((key) => key.startsWith(':') === (name === chain.dropPorts))
        .toSorted()
        .flatMap((key) => this.#exceptions.get(key) ?? []);
      return [...start, ...exceptions, '-j DROP'];
    }
    if (name === chain.dispatch) {
      const branches = [...this.#branches.keys()].filter((branch) => branch !== chain.nodePorts).toSorted();
      return [...start, ...branches.map((branch) => `${bits(this.layout, branch)} -g ${branch}`)];
    }
    if (name === chain.nodePorts || this.#branches.has(name)) {
      const leaves = [...(this.#branches.get(name) ?? [])].toSorted();
      return [...start, ...leaves.map((leaf) => `${bits(this.layout, leaf)} -g ${leaf}`)];
    }
    const leaf = this.#leaves.get(name);
    if (leaf === undefined) return undefined;
    return [...leaf.rules.keys()].toSorted().map((key) => leaf.rules.get(key) ?? '');
  }

  #count(set: SetName, entry: string, by: 1 | -1, delta: Delta | undefined): void {
    let counts = this.#members.get(set);
    if (counts === undefined) {
      counts = new Map();
      this.#members.set(set, counts);
    }
    const before = counts.get(entry) ?? 0;
    const after = before + by;
    if (after === 0) counts.delete(entry);
    else counts.set(entry, after);
    if (delta === undefined || (before === 0) === (after === 0)) return;
    const [into, outOf] = after === 0 ? [delta.remove, delta.add] : [delta.add, delta.remove];
    if (outOf.get(set)?.delete(entry)) return;
    const noted = into.get(set);
    if (noted === undefined) into.set(set, new Set([entry]));
    else noted.add(entry);
  }

  /** How many rules the kernel should hold, kept up with each change. */
  get rules(): RulesByTable {
    return this.#rules;
  }

  /** Entries that a set should hold. */
  entriesOf(set: SetName): ReadonlySet<string> {
    return new Set(this.#members.get(set)?.keys());
  }

  /** Chains of the decisions, one decision after the other. */
  *serviceChains(): Generator<readonly [DecisionKey, OwnChains]> {
    for (const [key, decision] of this.decisions) yield [key, ownChains(compile(decision, this.layout))];
  }

  /** All other chains, targets before those that jump to them. */
  sharedChains(): readonly (readonly [ChainId, readonly string[]])[] {
    const dynamic = new Set<string>([chain.dispatch, chain.nodePorts]);
    const ids: ChainId[] = [
      ...[...this.#leaves.keys()].toSorted().map((name) => `nat ${name}` as const),
      ...[...this.#branches.keys()]
        .filter((name) => !dynamic.has(name))
        .toSorted()
        .map((name) => `nat ${name}` as const),
      `nat ${chain.dispatch}`,
      `nat ${chain.nodePorts}`,
      `filter ${chain.drop}`,
      `filter ${chain.dropPorts}`,
    ];
    const made = ids.map((id) => [id, this.#dispatchChain(id) ?? []] as const);
    const order = [
      chain.refuse,
      chain.filter,
      chain.unknown,
      chain.input,
      chain.forward,
      chain.output,
      chain.postrouting,
      chain.services,
      chain.processes,
    ];
    const fixed = order.map((name) => {
      const { table, rules } = this.#fixed.get(name) ?? { table: 'filter', rules: [] };
      return [`${table} ${name}` as ChainId, rules] as const;
    });
    return [...made, ...fixed];
  }

  /** Rules and set entries that serve a decision: its own chains, and its lines in the dispatch. */
  describe(key: DecisionKey): {
    readonly rules: readonly string[];
    readonly members: readonly (readonly [SetName, string])[];
  } {
    const decision = this.decisions.get(key);
    if (decision === undefined) return { rules: [], members: [] };
    const compiled = compile(decision, this.layout);
    const won = compiled.claims.filter((claim) => this.#claims.get(destination(claim))?.[0]?.key === key);
    return {
      rules: [
        ...won.flatMap((claim) =>
          claim.rule === undefined ? [] : [`-A ${place(claim).leaf} ${claim.rule}`],
        ),
        ...won.flatMap((claim) =>
          claim.exceptions.map(
            (text) => `-A ${claim.at.kind === 'address' ? chain.drop : chain.dropPorts} ${text}`,
          ),
        ),
        ...compiled.chains.toReversed().flatMap(([name, rules]) => rules.map((text) => `-A ${name} ${text}`)),
      ],
      members: [...won.flatMap((claim) => entries(claim, this.layout)), ...compiled.members],
    };
  }

  /** The decision that a destination's dispatch rule belongs to, or whose chain this is: for messages. */
  ownersOf(): ReadonlyMap<ChainId, DecisionKey> {
    const owners = new Map<ChainId, DecisionKey>();
    for (const [key, chains] of this.serviceChains()) for (const [id] of chains) owners.set(id, key);
    return owners;
  }
}

function ownChains({ chains }: Compiled): OwnChains {
  return chains.map(([name, rules]) => [`nat ${name}`, rules] as const);
}

function rulesIn(compiled: Compiled | undefined): number {
  return (compiled?.chains ?? []).reduce((sum, [, rules]) => sum + rules.length, 0);
}

/** Own chains of a decision that differ. */
function chainsOf(old: Compiled | undefined, fresh: Compiled | undefined, delta: Delta): void {
  const before = new Map(old?.chains);
  for (const [name, rules] of fresh?.chains ?? []) {
    const was = before.get(name);
    before.delete(name);
    if (was === undefined || !same(was, rules)) {
      // Deleted first, so that a chain that changes twice takes its place behind its new targets.
      delta.chains.delete(`nat ${name}`);
      delta.chains.set(`nat ${name}`, rules);
      const gone = was === undefined ? [] : goAhead(was, rules);
      if (gone.length > 0) delta.gone.set(name, gone);
    }
  }
  for (const name of before.keys()) delta.chains.set(`nat ${name}`, undefined);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
