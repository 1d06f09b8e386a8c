/**
 * How much room the connection tracking table of the node has left.
 *
 * In a full table the kernel drops the first packet of every new connection through or to the node, whatever the rules say,
 * and nothing about Services is wrong. So that is told before it happens and when it does: once each, until there is
 * room again. Only read: the size of the table belongs to whoever runs the node.
 */
import type { Clock } from '../../core/clock.ts';
import type { Finding, Sysctls } from '../preflight.ts';

export interface Room {
  /** Tracked connections in the network namespace of the agent. */
  readonly entries: number;
  /** The most that the kernel takes (`nf_conntrack_max`). */
  readonly limit: number;
}

const entriesPath = 'net/netfilter/nf_conntrack_count';
const limitPath = 'net/netfilter/nf_conntrack_max';

/** Undefined where nothing is tracked yet, or nothing limits it. */
async function readRoom(sysctls: Pick<Sysctls, 'read'>): Promise<Room | undefined> {
  const [entries, limit] = await Promise.all(
    [entriesPath, limitPath].map(async (path) => Number((await sysctls.read(path)) ?? Number.NaN)),
  );
  if (entries === undefined || limit === undefined || Number.isNaN(entries) || !(limit > 0)) return undefined;
  return { entries, limit };
}

type Level = 'room' | 'narrow' | 'full';

const narrowFrom = 0.9;
/** A full table swings a little below its limit: now and then an entry ends, and the next connection takes its place. */
const fullFrom = 0.999;
/** A table about that mark is not told of again and again. */
const roomBelow = 0.8;
/** Two small reads; a table fills within seconds. */
const everyMs = 10_000;

export interface RoomWatchOptions {
  readonly sysctls: Pick<Sysctls, 'read'>;
  readonly clock: Clock;
  /** At each look. */
  readonly seen: (room: Room) => void;
  readonly found: (finding: Finding) => void;
}

export class RoomWatch {
  readonly #options: RoomWatchOptions;
  #told: Level = 'room';
  #cancel: () => void = () => undefined;
  #stopped = false;

  constructor(options: RoomWatchOptions) {
    this.#options = options;
  }

  start(): void {
    void this.look()
      .catch(() => undefined)
      .then(() => {
        if (!this.#stopped) this.#cancel = this.#options.clock.schedule(everyMs, () => this.start());
      });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async look(): Promise<void> {
    const { sysctls, seen, found } = this.#options;
    const room = await readRoom(sysctls);
    if (room === undefined) return;
    seen(room);
    const { entries, limit } = room;
    const level = entries >= limit * fullFrom ? 'full' : entries >= limit * narrowFrom ? 'narrow' : 'room';
    if (level === 'full' && this.#told !== 'full') found(full(room));
    if (level === 'narrow' && this.#told === 'room') found(narrow(room));
    if (level === 'full' || (level === 'narrow' && this.#told === 'room')) this.#told = level;
    if (entries < limit * roomBelow) this.#told = 'room';
  }
}

const name = 'net.netfilter.nf_conntrack_max';

function cure({ limit }: Room): string {
  return `raise it (sysctl -w ${name}=${limit * 2}, and in /etc/sysctl.d to last), or find out who opens so many connections (\`conntrack -L\`)`;
}

function narrow(room: Room): Finding {
  return {
    code: 'ConntrackNearlyFull',
    message: `the connection tracking table of the node is nearly full: ${room.entries} of ${name}=${room.limit}; once it is full the kernel drops new connections through and to this node, of Services and of all else; ${cure(room)}`,
  };
}

function full(room: Room): Finding {
  return {
    code: 'ConntrackFull',
    message: `the connection tracking table of the node is full (${room.entries} of ${name}=${room.limit}): the kernel drops new connections through and to this node, of Services and of all else, whatever the rules say; ${cure(room)}`,
  };
}
