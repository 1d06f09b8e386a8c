/**
 * The wait of `sluice drain`: until no flow to the target is open and nothing new can come to it.
 *
 * The cluster goes on changing meanwhile, so it is looked at again between two looks at the tracked flows, and once
 * more before "drained" is said: a Service or an endpoint that has appeared is marked and waited for like the first
 * ones. Who takes the annotation away calls the drain off; it is not written a second time.
 */
import type { ConntrackTable } from '../agent/conntrack/table.ts';
import { isOpenTo, type DrainedService } from '../agent/drain.ts';
import { sleep, type Clock } from '../core/clock.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';
import type { ObjectKey } from '../core/objects.ts';

export interface DrainWait {
  /** What the user named. */
  readonly word: string;
  /** What was found at first, marked. */
  readonly first: readonly DrainedService[];
  /** Reads the cluster again. */
  readonly find: () => Promise<readonly DrainedService[]>;
  /** Writes the annotation; undefined where that is for somebody else to do. */
  readonly mark: ((one: DrainedService) => Promise<void>) | undefined;
  readonly table: Pick<ConntrackTable, 'dump'>;
  readonly clock: Clock;
  /** 0: for ever. */
  readonly timeoutMs: number;
  readonly everyMs: number;
  /** After each look at the flows. */
  readonly shown: (text: string, seconds: number, over: boolean) => void;
  readonly note: (text: string) => void;
}

export interface Drained {
  /** Open flows. */
  readonly left: number;
  readonly seconds: number;
  /** All that were covered, in the order in which they were found. */
  readonly services: readonly ObjectKey[];
  /** Services that still send new connections: only where marking is for somebody else. */
  readonly unmarked: readonly ObjectKey[];
}

/** @throws SluiceError where flows or the cluster cannot be read, or somebody takes the annotation away. */
export async function untilDrained(options: DrainWait): Promise<Drained> {
  const { clock, timeoutMs, everyMs, shown } = options;
  const covered = new Cover(options);
  const started = clock.now();
  let sawAt = started;
  let sawIn = 0;
  let blind: SluiceError | undefined;
  for (;;) {
    const lookedAt = clock.now();
    let open = await openFlows(options.table, covered.sockets);
    // Many thousand Services take a while to read: most of the time nobody does.
    if (open.left === 0 || lookedAt - sawAt >= Math.max(everyMs, sawIn * 10)) {
      sawAt = clock.now();
      const before = covered.size;
      blind = await covered.look().then(
        () => undefined,
        (thrown: unknown) => {
          const error = asSluiceError(thrown);
          if (error.kind !== 'transient') throw error;
          return error;
        },
      );
      sawIn = clock.now() - sawAt;
      if (covered.size > before) open = await openFlows(options.table, covered.sockets);
    }
    const now = clock.now();
    const seconds = (now - started) / 1000;
    const { unmarked, services } = covered;
    const over = open.left === 0 && unmarked.length === 0 && blind === undefined;
    const late = timeoutMs > 0 && now - started >= timeoutMs;
    shown(open.text, seconds, over || late);
    // Nobody knows what has come meanwhile: that is not drained.
    if (late && blind !== undefined) throw blind;
    if (over || late) return { left: open.left, seconds, services, unmarked };
    // A table of a million entries takes seconds to read as well.
    const rest = Math.max(everyMs, (now - lookedAt) * 4);
    await sleep(clock, timeoutMs > 0 ? Math.min(rest, Math.max(50, timeoutMs - (now - started))) : rest);
  }
}

/** What has been found so far: what has gone meanwhile still counts, because its flows may be open. */
class Cover {
  readonly sockets = { TCP: new Set<string>(), UDP: new Set<string>() };
  readonly #options: DrainWait;
  readonly #services = new Set<ObjectKey>();
  readonly #marked = new Set<string>();
  readonly #told = new Set<ObjectKey>();
  #unmarked: readonly ObjectKey[] = [];

  constructor(options: DrainWait) {
    this.#options = options;
    for (const one of options.first) {
      this.#take(one);
      for (const entry of one.entries) this.#marked.add(`${one.service} ${entry}`);
      // The caller has said that already.
      if (!one.others) this.#told.add(one.service);
    }
  }

  get size(): number {
    return this.sockets.TCP.size + this.sockets.UDP.size;
  }

  get services(): readonly ObjectKey[] {
    return [...this.#services];
  }

  get unmarked(): readonly ObjectKey[] {
    return this.#unmarked;
  }

  async look(): Promise<void> {
    const { word, find, mark, note } = this.#options;
    const unmarked: ObjectKey[] = [];
    for (const one of await find()) {
      const { service } = one;
      const known = one.entries.some((entry) => this.#marked.has(`${service} ${entry}`));
      const away = one.unmarked.find((entry) => this.#marked.has(`${service} ${entry}`));
      if (away !== undefined)
        throw new SluiceError(
          'conflict',
          `somebody took ${away} out of the annotation of ${service} meanwhile, so new connections come again; run \`sluice drain ${word}\` once more if it is to go on`,
          { code: 'CalledOff' },
        );
      if (one.unmarked.length > 0 && mark !== undefined) await mark(one);
      this.#take(one);
      if (one.unmarked.length === 0 || mark !== undefined) {
        for (const entry of one.entries) this.#marked.add(`${service} ${entry}`);
        if (!known) note(`${service} has ${word} among its endpoints since then: it is covered too`);
        this.#tellAlone(one);
      } else {
        unmarked.push(service);
        if (!this.#unmarked.includes(service))
          note(
            `${service} has ${word} among its endpoints since then and sends it new connections; run \`sluice drain ${word} --mark-only\` again`,
          );
      }
    }
    this.#unmarked = unmarked;
  }

  #take({ service, sockets }: DrainedService): void {
    this.#services.add(service);
    for (const protocol of ['TCP', 'UDP'] as const)
      for (const socket of sockets[protocol]) this.sockets[protocol].add(socket);
  }

  #tellAlone({ service, others }: DrainedService): void {
    if (others) this.#told.delete(service);
    else if (!this.#told.has(service)) {
      this.#told.add(service);
      this.#options.note(aloneText(service));
    }
  }
}

/** An endpoint that is the only one is not drained. */
export function aloneText(service: ObjectKey): string {
  return `${service} has no other ready endpoint, so this one goes on getting connections`;
}

async function openFlows(
  table: Pick<ConntrackTable, 'dump'>,
  sockets: Cover['sockets'],
): Promise<{ readonly left: number; readonly text: string }> {
  let left = 0;
  const parts: string[] = [];
  for (const protocol of ['TCP', 'UDP'] as const) {
    const own = sockets[protocol];
    let open = 0;
    for (const family of ['IPv4', 'IPv6'] as const) {
      if (![...own].some((socket) => socket.includes(':') === (family === 'IPv6'))) continue;
      await table.dump(family, protocol === 'TCP' ? 'tcp' : 'udp', (entry) => {
        if (isOpenTo(own, entry)) open += 1;
      });
    }
    if (open > 0) parts.push(`${open} ${protocol}`);
    left += open;
  }
  return { left, text: left === 0 ? 'nothing is open' : `${left} open (${parts.join(', ')})` };
}
