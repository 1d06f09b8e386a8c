/**
 * Which tracked connections must be forgotten, from the entries and from what is served: pure.
 *
 * A UDP client with a fixed port never opens a new connection in the kernel's eyes: as long as it sends, it stays
 * with the endpoint that its first packet was given, also when that endpoint is gone. So an entry to a destination
 * of ours is forgotten when the one who answers is not an endpoint that still serves. That one rule covers an
 * endpoint that was removed, a Service scaled to zero, and the first endpoint of a Service that had none (the
 * entry was never translated: the destination itself is the one who answers). Traffic policy and topology do not
 * count: an endpoint that serves may keep whom it has.
 *
 * Entries are matched by destination address, port and reply source together; flows of others on the same port
 * or the same address are left alone.
 */
import type { ConntrackEntry } from './entries.ts';

/** One port of a Service: where it is reached and who serves it. All addresses in canonical form. */
export interface Served {
  /** Cluster, external and balancer IPs. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  /** `address port` of everyone who may answer. For UDP all who serve, terminating or not, whatever the policy. */
  readonly answering: ReadonlySet<string>;
  /**
   * Forget also what was never translated: a flow that began while there was no endpoint. True for UDP, where such
   * an entry lives on with every packet; a TCP client begins anew by itself.
   */
  readonly untranslated: boolean;
}

export interface ConntrackFacts {
  readonly served: readonly Served[];
  /** Destinations that we served until lately and serve no more. */
  readonly retired: readonly Pick<Served, 'addresses' | 'port' | 'nodePort'>[];
  /** Where node ports answer. */
  readonly isNodePortAddress: (address: string) => boolean;
}

/** What one deletion names: all flows to a destination that are answered by one and the same. */
export interface StaleFlows {
  readonly destination: string;
  readonly port: number;
  readonly replySource: string;
  readonly replyPort: number;
  readonly zone: number | undefined;
  /** How many entries were seen. */
  readonly entries: number;
}

/** How those who may answer are named. */
export function socketKey(address: string, port: number): string {
  return `${address} ${port}`;
}

type Judge = Pick<Served, 'answering' | 'untranslated'>;

/** A destination of ours no more: what we translated is forgotten; a process that listens there keeps its flows. */
const gone: Judge = { answering: new Set(), untranslated: false };

/** Judges entries as they are read, so that a table of any size needs no memory. */
export class StaleFinder {
  readonly #byAddress = new Map<string, Judge>();
  readonly #byNodePort = new Map<number, Judge>();
  readonly #isNodePortAddress: (address: string) => boolean;
  readonly #found = new Map<string, { -readonly [Field in keyof StaleFlows]: StaleFlows[Field] }>();

  constructor({ served, retired, isNodePortAddress }: ConntrackFacts) {
    this.#isNodePortAddress = isNodePortAddress;
    // What is served comes last: an address that has changed hands belongs to its new owner.
    for (const one of retired) this.#learn(one, gone);
    for (const one of served) this.#learn(one, one);
  }

  /** Nothing is served and nothing retired: there is no need to read the table. */
  get idle(): boolean {
    return this.#byAddress.size === 0 && this.#byNodePort.size === 0;
  }

  see(entry: ConntrackEntry): void {
    const { destination, port, replySource, replyPort, zone } = entry;
    const judge =
      this.#byAddress.get(socketKey(destination, port)) ??
      (this.#isNodePortAddress(destination) ? this.#byNodePort.get(port) : undefined);
    if (judge === undefined || judge.answering.has(socketKey(replySource, replyPort))) return;
    if (!judge.untranslated && replySource === destination) return;
    const key = `${destination}|${port}|${replySource}|${replyPort}|${zone ?? ''}`;
    const known = this.#found.get(key);
    if (known) known.entries += 1;
    else this.#found.set(key, { destination, port, replySource, replyPort, zone, entries: 1 });
  }

  stale(): readonly StaleFlows[] {
    return [...this.#found.values()];
  }

  #learn({ addresses, port, nodePort }: ConntrackFacts['retired'][number], judge: Judge): void {
    for (const address of addresses) this.#byAddress.set(socketKey(address, port), judge);
    if (nodePort !== 0) this.#byNodePort.set(nodePort, judge);
  }
}

/** The same for a list at hand. */
export function staleFlows(facts: ConntrackFacts, entries: Iterable<ConntrackEntry>): readonly StaleFlows[] {
  const finder = new StaleFinder(facts);
  for (const entry of entries) finder.see(entry);
  return finder.stale();
}
