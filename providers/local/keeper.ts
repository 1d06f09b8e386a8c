/**
 * What is done beside the Services while this replica leads: the status of the pools, and the end of memory.
 *
 * Statuses are written a second after something changed, each only when it says something new; what somebody else made of
 * one is put right within a minute. A ServiceAddress that
 * nobody has is deleted when its memory or its rest is over.
 */
import { poolFigures, type AddressPoolObject } from '../../src/core/address-objects.ts';
import type { Clock } from '../../src/core/clock.ts';
import { asSluiceError, type SluiceError } from '../../src/core/errors.ts';
import type { Condition, IpFamily } from '../../src/core/objects.ts';
import { describeProblem } from '../../src/core/problems.ts';
import type { ReasonCode } from '../../src/core/reasons.ts';
import { capacityOf, type JudgedPool } from './allocator/pools.ts';
import type { LocalCluster, PoolFigures, PoolStatus } from './cluster.ts';
import type { Ledger } from './ledger.ts';

const gatherMs = 1_000;
const sweepMs = 60_000;
const retryMs = 5_000;
/** The status names so many of those that wait, and of the addresses that drain. */
const mostNamed = 10;
/** The largest whole number that every reader of JSON keeps exact. */
const largest = BigInt(Number.MAX_SAFE_INTEGER);

export interface KeeperParts {
  readonly cluster: LocalCluster;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Throws when the lease is not held at this moment. */
  readonly permit: () => void;
  readonly report: (error: SluiceError) => void;
}

export class Keeper {
  readonly #parts: KeeperParts;
  readonly #abort = new AbortController();
  /** Pool → its status as last written, without times. */
  readonly #written = new Map<string, string>();
  #due: (() => void) | undefined;
  #cancelSweep: () => void = () => undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#parts.ledger.onChange(() => this.#soon(gatherMs));
    this.#soon(0);
    this.#sweepLater();
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error('the controller stops'));
    this.#due?.();
    this.#cancelSweep();
    this.#parts.ledger.onChange(() => undefined);
    await this.#working;
  }

  #soon(ms: number): void {
    if (this.#due !== undefined || this.#abort.signal.aborted) return;
    this.#due = this.#parts.clock.schedule(ms, () => {
      this.#due = undefined;
      this.#run(() => this.#writeStatuses());
    });
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#parts.clock.schedule(sweepMs, () => {
      this.#run(() => this.#sweep());
      this.#sweepLater();
    });
  }

  /** One after the other; what fails is told, and tried again. */
  #run(work: () => Promise<void>): void {
    this.#working = this.#working.then(work).catch((thrown: unknown) => {
      if (this.#abort.signal.aborted) return;
      this.#parts.report(asSluiceError(thrown));
      this.#soon(retryMs);
    });
  }

  /** @param mend also those that somebody else has changed, who is not heard of: only our own changes are told. */
  async #writeStatuses(mend = false): Promise<void> {
    const { cluster, ledger, permit } = this.#parts;
    ledger.start();
    const used = usage(ledger);
    for (const judged of ledger.judged) {
      const pool = cluster.pools().find(({ name }) => name === judged.name);
      if (pool === undefined) continue;
      const status = statusOf(pool, judged, ledger, used.get(pool.name), this.#parts.clock.wall());
      const said = JSON.stringify({
        ...status,
        conditions: status.conditions.map(withoutTime),
        uid: pool.uid,
      });
      if (this.#written.get(pool.name) === said && !(mend && isAnother(pool, status))) continue;
      permit();
      await cluster.writePoolStatus(pool, status, this.#abort.signal);
      this.#written.set(pool.name, said);
    }
  }

  async #sweep(): Promise<void> {
    const { cluster, ledger, clock, permit } = this.#parts;
    ledger.start();
    for (const object of cluster.addresses()) {
      if (object.services.length > 0) continue;
      const kept = Date.parse(object.rememberedFor?.until ?? '') > clock.wall();
      if (kept || ledger.restsUntil(object.address) !== undefined) continue;
      // Somebody may have been given it this moment; then the object is about to be theirs.
      if (ledger.allocator.holdersOf(object.address).length > 0) continue;
      permit();
      await cluster.deleteAddress(object, this.#abort.signal);
    }
    await this.#writeStatuses(true);
  }
}

/** The pool shows something else than this. */
function isAnother(pool: AddressPoolObject, status: PoolStatus): boolean {
  return pool.figures !== poolFigures(status) || wordsOf(pool) !== wordsOf(status);
}

function wordsOf({ conditions }: { readonly conditions: readonly Condition[] }): string {
  return JSON.stringify(
    conditions.map(({ type, status, reason, message }) => [type, status, reason, message]),
  );
}

interface Usage {
  readonly inUse: Record<IpFamily, number>;
  readonly draining: string[];
}

/** One walk over all addresses in use. */
function usage({ allocator }: Ledger): ReadonlyMap<string, Usage> {
  const found = new Map<string, Usage>();
  for (const { family, text, pool } of allocator.inUse()) {
    const one = found.get(pool) ?? { inUse: { IPv4: 0, IPv6: 0 }, draining: [] };
    found.set(pool, one);
    if (allocator.poolOf(text) === undefined) one.draining.push(text);
    else one.inUse[family] += 1;
  }
  return found;
}

/** How full a pool is, for metrics. */
export interface PoolFullness {
  readonly name: string;
  readonly waiting: number;
  readonly families: Readonly<Record<IpFamily, PoolFigures>>;
}

/** All pools that were judged; none before the ledger has begun. */
export function fullness(ledger: Ledger): readonly PoolFullness[] {
  const used = usage(ledger);
  return ledger.judged.map(({ name, pool }) => ({
    name,
    waiting: ledger.allocator.waiting(name).length,
    families: {
      IPv4: figuresOf(pool, used.get(name), 'IPv4'),
      IPv6: figuresOf(pool, used.get(name), 'IPv6'),
    },
  }));
}

function figuresOf(accepted: JudgedPool['pool'], used: Usage | undefined, family: IpFamily): PoolFigures {
  const size = accepted === undefined ? 0n : capacityOf(accepted, family);
  const capacity = Number(size > largest ? largest : size);
  const inUse = used?.inUse[family] ?? 0;
  return { capacity, inUse, free: Math.max(0, capacity - inUse) };
}

function statusOf(
  pool: AddressPoolObject,
  { pool: accepted, problems }: JudgedPool,
  { allocator }: Ledger,
  used: Usage = { inUse: { IPv4: 0, IPv6: 0 }, draining: [] },
  wallMs: number,
): PoolStatus {
  const waiting = allocator.waiting(pool.name);
  const [ipv4, ipv6] = [figuresOf(accepted, used, 'IPv4'), figuresOf(accepted, used, 'IPv6')];
  const draining = used.draining.toSorted();
  const told = problems.map(describeProblem).join(' | ');
  const first = problems.find(({ severity }) => severity === 'error') ?? problems[0];
  const ready: Draft =
    accepted === undefined
      ? { type: 'Ready', status: 'False', reason: first?.reason ?? 'PoolInvalid', message: told }
      : {
          type: 'Ready',
          status: 'True',
          reason: first?.reason ?? 'PoolReady',
          message: told || 'The pool gives out addresses',
        };
  const exhausted: Draft =
    waiting.length > 0
      ? {
          type: 'Exhausted',
          status: 'True',
          reason: 'PoolExhausted',
          message: `${waiting.length} wait, first ${waiting[0] ?? ''}`,
        }
      : { type: 'Exhausted', status: 'False', reason: 'PoolReady', message: 'Nobody waits' };
  const drains: Draft =
    draining.length > 0
      ? {
          type: 'Draining',
          status: 'True',
          reason: 'Draining',
          message: `In use and no longer in the pool: ${list(draining)}`,
        }
      : {
          type: 'Draining',
          status: 'False',
          reason: 'PoolReady',
          message: 'Every address in use is in the pool',
        };
  return {
    observedGeneration: pool.generation,
    inUse: ipv4.inUse + ipv6.inUse,
    ipv4,
    ipv6,
    waiting: waiting.length,
    firstWaiting: waiting.slice(0, mostNamed),
    draining: draining.slice(0, mostNamed),
    conditions: [ready, exhausted, drains].map((draft) => timed(draft, pool, wallMs)),
  };
}

interface Draft {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: ReasonCode;
  readonly message: string;
}

function timed(draft: Draft, { conditions, generation }: AddressPoolObject, wallMs: number): Condition {
  const before = conditions.find(({ type }) => type === draft.type);
  const now = new Date(wallMs).toISOString().replace(/\.\d+Z$/u, 'Z');
  const lastTransitionTime = before?.status === draft.status ? before.lastTransitionTime : now;
  return {
    ...draft,
    message: draft.message.slice(0, 32_768),
    lastTransitionTime,
    observedGeneration: generation,
  };
}

function withoutTime({ lastTransitionTime: _time, ...rest }: Condition): object {
  return rest;
}

function list(addresses: readonly string[]): string {
  const more = addresses.length - mostNamed;
  return `${addresses.slice(0, mostNamed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
