/**
 * One watch of a process: events that come late, in order, or never, and a stream that may break.
 */
import { SluiceError } from '../../src/core/errors.ts';
import type { StreamOptions } from '../../src/kube/api.ts';
import { describeCall, transportError } from '../../src/kube/status.ts';
import type { SimApiParts } from './api-client.ts';
import type { JournalEntry, KindName } from './api-server.ts';

const bookmarkEveryMs = 60_000;

/** One watch, from its opening to its end. */
export class Stream {
  readonly kind: KindName;
  readonly #parts: SimApiParts;
  readonly #path: string;
  readonly #options: StreamOptions;
  readonly #onTheWay: JournalEntry[] = [];
  /** Arrived, but the process has not woken to read it. */
  readonly #unread: unknown[] = [];
  readonly #lines: unknown[] = [];
  readonly #ends = new Set<() => void>();
  /** The journal's version up to which events are told or on their way. */
  #sent: number;
  #deliverable: number;
  #stalledUntil = 0;
  #lastDueAt = 0;
  #lastByteAt: number;
  #toMiss = 0;
  #failure: SluiceError | undefined;
  #ended = false;
  #wake: (() => void) | undefined;
  /** Position in the journal of the next event to look at. */
  #index: number;

  constructor(parts: SimApiParts, kind: KindName, path: string, options: StreamOptions) {
    this.#parts = parts;
    this.kind = kind;
    this.#path = path;
    this.#options = options;
    const { clock, server, wire } = parts;
    this.#lastByteAt = clock.now();
    const initial = options.query?.['sendInitialEvents'] === true;
    const asked = options.query?.['resourceVersion'];
    this.#sent = initial ? Number.MAX_SAFE_INTEGER : Number(asked);
    this.#deliverable = this.#sent;
    this.#index = 0;
    const onAbort = (): void => this.#fail('Aborted', 'given up');
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.#ends.add(() => options.signal?.removeEventListener('abort', onAbort));
    if (options.signal?.aborted) {
      onAbort();
      return;
    }
    this.#later(2 * wire.latencyMs(), () => this.#open(initial));
    this.#ends.add(server.listen(kind, () => this.#forward()));
    const seconds = Number(options.query?.['timeoutSeconds'] ?? 600);
    this.#later(seconds * 1000, () => this.#end());
    this.#watchInactivity();
    this.#bookmarks();
  }

  /** Undefined when the server ended it. */
  async next(): Promise<unknown> {
    while (this.#lines.length === 0) {
      if (this.#failure) throw this.#failure;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#lines.shift();
  }

  close(): void {
    this.#ended = true;
    for (const end of this.#ends) end();
    this.#ends.clear();
  }

  cut(): void {
    const { life } = this.#parts;
    const call = describeCall('GET', this.#path, true);
    const reset = Object.assign(new Error('terminated'), { code: 'ECONNRESET' });
    life.enter(() => this.#failWith(transportError('GET', call, 'https://simulated', reset)));
  }

  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#parts.clock.now() + ms);
  }

  missNext(): void {
    this.#toMiss += 1;
  }

  expire(): void {
    this.#push({
      type: 'ERROR',
      object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' },
    });
    this.#end();
  }

  #open(initial: boolean): void {
    const { server } = this.#parts;
    if (initial) {
      const lag = this.#parts.wire.lag();
      const version = lag?.version ?? server.version;
      if (lag) this.#stalledUntil = Math.max(this.#stalledUntil, lag.untilMs);
      // What comes after the list is forwarded.
      this.#sent = version;
      this.#deliverable = version;
      for (const object of server.asOf(this.kind, version)) this.#push({ type: 'ADDED', object });
      const metadata = {
        resourceVersion: String(version),
        annotations: { 'k8s.io/initial-events-end': 'true' },
      };
      this.#push({ type: 'BOOKMARK', object: { metadata } });
    }
    this.#index = server.journal(this.kind).findIndex(({ version }) => version > this.#sent);
    if (this.#index === -1) this.#index = server.journal(this.kind).length;
    this.#forward();
  }

  /** Sends what is new on its way, each event with its own delay, but never past an earlier one. */
  #forward(): void {
    if (this.#ended || this.#sent === Number.MAX_SAFE_INTEGER) return;
    const { server, clock, wire } = this.#parts;
    const journal = server.journal(this.kind);
    for (; this.#index < journal.length; this.#index += 1) {
      const entry = journal[this.#index];
      if (entry === undefined || entry.version <= this.#sent) continue;
      this.#sent = entry.version;
      if (this.#toMiss > 0) {
        this.#toMiss -= 1;
        continue;
      }
      const dueAt = Math.max(clock.now() + wire.watchDelayMs(this.kind), this.#stalledUntil, this.#lastDueAt);
      this.#lastDueAt = dueAt;
      this.#onTheWay.push(entry);
      this.#later(dueAt - clock.now(), () => {
        // Whichever timer comes first, events come in order: a stream cannot be shuffled.
        const next = this.#onTheWay.shift();
        if (next === undefined) return;
        this.#deliverable = next.version;
        this.#push({ type: next.type, object: next.object });
      });
    }
  }

  #bookmarks(): void {
    const { clock } = this.#parts;
    this.#later(bookmarkEveryMs, () => {
      if (
        clock.now() >= this.#stalledUntil &&
        this.#sent === this.#deliverable &&
        this.#sent !== Number.MAX_SAFE_INTEGER
      ) {
        this.#push({
          type: 'BOOKMARK',
          object: { metadata: { resourceVersion: String(Math.max(this.#sent, 0)) } },
        });
      } else if (clock.now() >= this.#stalledUntil) this.#lastByteAt = clock.now();
      this.#bookmarks();
    });
  }

  #watchInactivity(): void {
    const { clock, life } = this.#parts;
    const left = this.#lastByteAt + this.#options.inactivityMs - clock.now();
    this.#later(Math.max(left, 1), () => {
      if (clock.now() - this.#lastByteAt < this.#options.inactivityMs) return this.#watchInactivity();
      life.enter(() => this.#fail('Quiet', `nothing heard for ${this.#options.inactivityMs} ms`));
    });
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#parts.clock.schedule(ms, () => {
      this.#ends.delete(cancel);
      if (!this.#ended) run();
    });
    this.#ends.add(cancel);
  }

  #push(line: unknown): void {
    this.#lastByteAt = this.#parts.clock.now();
    this.#unread.push(line);
    this.#parts.life.enter(() => {
      this.#lines.push(this.#unread.shift());
      this.#wake?.();
    });
  }

  #end(): void {
    this.#parts.life.enter(() => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  #fail(code: string, message: string): void {
    this.#failWith(new SluiceError('transient', `watch ${this.kind}: ${message}`, { code }));
  }

  #failWith(error: SluiceError): void {
    if (this.#ended) return;
    this.#failure ??= error;
    this.#wake?.();
  }
}
