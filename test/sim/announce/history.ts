/**
 * Random histories of announcing, and what must hold in each at every moment and in the end.
 *
 * 1. Two nodes never both hold an address for longer than its lifetime and one second where a client can reach both; and
 *    where none can, only if one of them is a last resort (the others have let their registrations lapse).
 * 2. Once everything is whole again each address has exactly one holder, and it stays the same one.
 * 3. Nobody tells the neighbours that an address is his which his kernel does not have; in that calm clients ask the
 *    holder.
 * 4. Nothing moves that need not: an address leaves a node only when something happened to a node, the network or the
 *    address. (Stories measure that; histories check it in the calm at their end.)
 */
import { seededRandom, type Random } from '../../../src/core/clock.ts';
import { announceTimings } from '../../../src/agent/announce/timings.ts';
import { World, type Plant, type SimNode } from './world.ts';

export interface HistoryResult {
  readonly seed: number;
  /** In words, with the time in seconds; empty: all is well. */
  readonly violations: readonly string[];
  readonly events: readonly string[];
  /** Longest time, in milliseconds, that two nodes held one address where a client could reach both. */
  readonly longestDouble: number;
}

const stepMs = 20;
const limitMs = announceTimings.lifetimeMs + 1_000;
const eventsPerHistory = 25;
const calmMs = 30_000;

export async function history(seed: number, plant?: Plant): Promise<HistoryResult> {
  const random = seededRandom(seed);
  const world = new World({
    nodes: 2 + Math.floor(random() * 4),
    addresses: 6,
    seed,
    loss: random() < 0.5 ? 0 : random() * 0.08,
    delayMs: random() * 25,
    ...(plant === undefined ? {} : { plant }),
  });
  const watch = new Watch(world);
  const events: string[] = [];
  world.startAll();
  await watch.advance(3_000);
  for (let count = 0; count < eventsPerHistory; count += 1) {
    events.push(`${(world.clock.now() / 1_000).toFixed(1)} s: ${await happen(world, random)}`);
    // Often the next thing happens before the last one has settled.
    await watch.advance(random() < 0.4 ? random() * 600 : random() * 8_000);
    if (watch.violations.length > 0) break;
  }
  if (watch.violations.length === 0) {
    await restore(world);
    events.push(`${(world.clock.now() / 1_000).toFixed(1)} s: everything is whole again`);
    await watch.advance(calmMs);
    watch.expectCalm();
    const before = watch.owners();
    await watch.advance(calmMs / 2);
    const after = watch.owners();
    if (before !== after) watch.violations.push(`an address moved in the calm: ${before} → ${after}`);
  }
  return { seed, violations: watch.violations, events, longestDouble: watch.longestDouble };
}

/** Looks at all kernels every few milliseconds. */
class Watch {
  readonly violations: string[] = [];
  longestDouble = 0;
  readonly #world: World;
  /** `address one other` → since when both hold it, and whether a client can reach both. */
  readonly #doubles = new Map<string, { readonly since: number; readonly together: boolean }>();

  constructor(world: World) {
    this.#world = world;
  }

  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0 && this.violations.length === 0; left -= stepMs) {
      await this.#world.clock.advance(Math.min(left, stepMs));
      this.#look();
    }
  }

  /** One holder each. */
  expectCalm(): void {
    for (const address of this.#world.addresses) {
      const names = this.#world.holders(address).map(({ name }) => name);
      if (names.length !== 1)
        this.violations.push(`in the calm ${address} is held by ${names.join(', ') || 'nobody'}`);
      const believed = this.#world.believed.get(address)?.name;
      if (names.length === 1 && believed !== names[0])
        this.violations.push(`in the calm ${address} is held by ${names[0]}, and clients ask ${believed}`);
    }
  }

  owners(): string {
    return this.#world.addresses
      .map(
        (address) =>
          `${address} ${this.#world
            .holders(address)
            .map(({ name }) => name)
            .join('+')}`,
      )
      .join('; ');
  }

  #look(): void {
    const now = this.#world.clock.now();
    for (const claim of this.#world.wrongClaims)
      this.violations.push(`${(now / 1_000).toFixed(2)} s: claimed without having it: ${claim}`);
    const seen = new Set<string>();
    for (const address of this.#world.addresses) {
      const holders = this.#world.holders(address);
      holders.forEach((one, index) => {
        for (const other of holders.slice(index + 1)) this.#pair(address, one, other, now, seen);
      });
    }
    for (const key of this.#doubles.keys()) if (!seen.has(key)) this.#doubles.delete(key);
  }

  #pair(address: string, one: SimNode, other: SimNode, now: number, seen: Set<string>): void {
    const key = `${address} ${one.name} ${other.name}`;
    const together = this.#world.together(one, other);
    const known = this.#doubles.get(key);
    // A link that has just healed starts the time anew, since only then can a client see both.
    const since = known === undefined || (together && !known.together) ? now : known.since;
    this.#doubles.set(key, { since, together });
    seen.add(key);
    if (together) this.longestDouble = Math.max(this.longestDouble, now - since);
    if (now - since <= limitMs) return;
    const lastResort = [one, other].some(({ process }) => process?.own.standing.right.kind === 'last-resort');
    if (together || (!lastResort && this.#world.acquainted(one, other)))
      this.violations.push(
        `${(now / 1_000).toFixed(2)} s: ${address} is held by ${one.name} (${one.process?.own.standing.right.kind}) and ${other.name} (${other.process?.own.standing.right.kind}) for ${now - since} ms, ${together ? 'on one link' : 'cut off from each other'}`,
      );
  }
}

async function happen(world: World, random: Random): Promise<string> {
  const node = pick(world.nodes, random);
  const draw = random();
  const words = (text: string): string => `${node.name} ${text}`;
  if (!node.on) {
    world.boot(node);
    return words('boots');
  }
  if (node.process === undefined) {
    world.start(node);
    return words('gets a new agent');
  }
  if (node.process.clock.frozen) {
    world.resume(node);
    return words('is resumed');
  }
  if (draw < 0.12) {
    world.crash(node);
    return words('loses power');
  }
  if (draw < 0.22) {
    world.kill(node);
    return words('has its agent killed');
  }
  if (draw < 0.32) {
    world.freeze(node);
    return words('is frozen');
  }
  if (draw < 0.4) {
    const how = random() < 0.5 ? 'keep' : 'release';
    // Not waited for: other things happen meanwhile.
    void world.end(node, how);
    return words(`is ended (${how})`);
  }
  if (draw < 0.55) {
    const side = new Set(world.nodes.filter(() => random() < 0.5));
    world.part([[...side], world.nodes.filter((one) => !side.has(one))]);
    return `the network parts: ${[...side].map(({ name }) => name).join(', ')} | the others`;
  }
  if (draw < 0.65) {
    const other = pick(world.nodes, random);
    if (other !== node) world.cut.add(`${node.name} ${other.name}`);
    if (random() < 0.5) world.cut.add(`${other.name} ${node.name}`);
    return words(`does not reach ${other.name}`);
  }
  if (draw < 0.78) {
    world.heal();
    return 'the network heals';
  }
  if (draw < 0.86) {
    node.api = !node.api;
    return words(node.api ? 'reaches the API server' : 'does not reach the API server');
  }
  if (draw < 0.92) {
    const api = random() < 0.5;
    for (const one of world.nodes) one.api = api;
    return api ? 'the API server is back' : 'the API server is away';
  }
  const address = pick(world.addresses, random);
  const eligible = world.nodes.filter(() => random() < 0.7);
  world.setFacts(address, eligible.length === 0 ? world.nodes : eligible);
  return `${address} may be held by ${eligible.map(({ name }) => name).join(', ')}`;
}

async function restore(world: World): Promise<void> {
  world.heal();
  // An end that is under way comes to its end first.
  await world.clock.advance(4_000);
  for (const node of world.nodes) {
    node.api = true;
    if (!node.on) world.boot(node);
    else if (node.process === undefined) world.start(node);
    else world.resume(node);
  }
}

function pick<T>(list: readonly T[], random: Random): T {
  const found = list[Math.floor(random() * list.length)];
  if (found === undefined) throw new Error('nothing to choose from');
  return found;
}
