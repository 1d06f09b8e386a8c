/**
 * Events (events.k8s.io/v1) about what happened to an object, for `kubectl describe`.
 *
 * Never in the way: recording neither throws nor waits. The same event again within ten minutes becomes a
 * series on the first one, written at growing intervals and soon after its end; each object has a bucket of new events, so that a
 * Service in trouble cannot flood the API server. What is not sent is counted.
 */
import { systemClock } from '../core/clock.ts';
import type { Clock, Random } from '../core/clock.ts';
import { asSluiceError } from '../core/errors.ts';
import type { SluiceError } from '../core/errors.ts';
import { shortHash } from '../core/names.ts';
import { splitKey } from '../core/objects.ts';
import type { ServiceObject } from '../core/objects.ts';
import { fieldManager, patchContentType } from './api.ts';
import type { Api } from './api.ts';
import { cutToBytes } from './cut.ts';
import { microTime } from './micro-time.ts';
import { TokenBuckets } from './token-buckets.ts';

/** What an event is about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for what has none; its events are kept in `default`. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Note {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, why. */
  readonly reason: string;
  /** CamelCase, what was being done. */
  readonly action: string;
  /** For people. */
  readonly note: string;
  /**
   * Many processes say the very same (each node's agent of a Service's annotation): one Event for all of them in an hour,
   * by a name that follows from what it says; it is not counted up.
   */
  readonly shared?: boolean;
}

export interface EventTimings {
  /** New events of one object: so many at once … */
  readonly burst: number;
  /** … and then one per this many milliseconds. */
  readonly refillMs: number;
  /** Silence after which the same event counts as a new one. */
  readonly seriesIdleMs: number;
  /** Between two writes of a series: from the first figure, doubling to the second. */
  readonly seriesGapMs: readonly [number, number];
  /** What a series has counted is written this long after its last event at the latest: the end of a trouble is quiet. */
  readonly seriesSettleMs: number;
}

export const eventTimings: EventTimings = {
  burst: 10,
  refillMs: 30_000,
  seriesIdleMs: 600_000,
  seriesGapMs: [60_000, 360_000],
  seriesSettleMs: 40_000,
};

export interface EventCounts {
  readonly sent: number;
  /** Counted onto a series instead of being sent by itself. */
  readonly repeated: number;
  readonly dropped: { readonly rate: number; readonly full: number; readonly failed: number };
}

export interface RecorderOptions {
  readonly api: Api;
  /** Of this process: the Pod's name. */
  readonly instance: string;
  /** Who reports. Default `sluice.dev/controller`. */
  readonly controller?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly timings?: EventTimings;
  /** An event could not be written. */
  readonly report?: (error: SluiceError) => void;
}

interface Series {
  readonly key: string;
  readonly regarding: Regarding;
  readonly note: Note;
  /** Of the Event object; a new one when the API server has dropped the old one. */
  name: string;
  count: number;
  lastAt: number;
  lastWall: number;
  written: boolean;
  /** The count that the API server knows. */
  writtenCount: number;
  gapMs: number;
  /** Monotonic milliseconds from which on it may be written again. */
  dueAt: number;
  waiting: (() => void) | undefined;
  /** In the queue, or being written. */
  queued: boolean;
}

const usualController = 'sluice.dev/controller';
const longestQueue = 1_000;
const longestMemory = 4_096;
const parallel = 4;
const tries = 5;

export class EventRecorder {
  readonly #api: Api;
  readonly #instance: string;
  readonly #controller: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #timings: EventTimings;
  readonly #report: (error: SluiceError) => void;
  readonly #buckets: TokenBuckets;
  /** Regarding and note → series; the least recently seen first. */
  readonly #series = new Map<string, Series>();
  readonly #queue: Series[] = [];
  readonly #sending = new Set<Promise<void>>();
  #stopped = false;
  #sent = 0;
  #repeated = 0;
  readonly #dropped = { rate: 0, full: 0, failed: 0 };

  constructor(options: RecorderOptions) {
    this.#api = options.api;
    this.#instance = options.instance;
    this.#controller = options.controller ?? usualController;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#timings = options.timings ?? eventTimings;
    this.#report = options.report ?? (() => undefined);
    this.#buckets = new TokenBuckets(this.#clock, this.#timings.burst, this.#timings.refillMs);
  }

  get counts(): EventCounts {
    return { sent: this.#sent, repeated: this.#repeated, dropped: { ...this.#dropped } };
  }

  /** About a Service. */
  event(service: Pick<ServiceObject, 'key' | 'uid'>, note: Note): void {
    const { namespace, name } = splitKey(service.key);
    this.record({ apiVersion: 'v1', kind: 'Service', namespace, name, uid: service.uid }, note);
  }

  record(regarding: Regarding, note: Note): void {
    if (this.#stopped) return;
    const key = JSON.stringify([
      regarding.uid,
      regarding.name,
      note.type,
      note.reason,
      note.action,
      note.note,
    ]);
    const known = this.#series.get(key);
    if (known !== undefined && this.#clock.now() - known.lastAt < this.#timings.seriesIdleMs) {
      if (note.shared !== true) this.#again(known);
      return;
    }
    if (!this.#buckets.take(regarding.uid)) {
      this.#dropped.rate += 1;
      return;
    }
    if (known !== undefined) this.#forget(known);
    this.#remember({
      key,
      regarding,
      note,
      name: note.shared === true ? this.#sharedName(regarding, note) : this.#eventName(regarding),
      count: 1,
      lastAt: this.#clock.now(),
      lastWall: this.#clock.wall(),
      written: false,
      writtenCount: 0,
      gapMs: this.#timings.seriesGapMs[0],
      dueAt: this.#clock.now() + this.#timings.seriesGapMs[0],
      waiting: undefined,
      queued: false,
    });
  }

  /** Writes what is waiting, for at most `limitMs`; afterwards nothing is recorded any more. */
  async stop(limitMs = 2_000): Promise<void> {
    this.#stopped = true;
    for (const series of this.#series.values()) {
      series.waiting?.();
      series.waiting = undefined;
      if (series.count > series.writtenCount) this.#enqueue(series);
    }
    const late = Promise.withResolvers<void>();
    const cancel = this.#clock.schedule(limitMs, late.resolve);
    const drained = async (): Promise<void> => {
      while (this.#sending.size > 0) await Promise.all(this.#sending);
    };
    await Promise.race([drained(), late.promise]);
    cancel();
    this.#queue.length = 0;
  }

  #again(series: Series): void {
    series.count += 1;
    series.lastAt = this.#clock.now();
    series.lastWall = this.#clock.wall();
    this.#repeated += 1;
    this.#series.delete(series.key);
    this.#series.set(series.key, series);
    if (!series.queued) this.#later(series);
  }

  /**
   * The count has grown beyond what the API server knows: it hears of it after the gap, or as soon as no more
   * of it comes.
   */
  #later(series: Series): void {
    if (this.#stopped) {
      this.#enqueue(series);
      return;
    }
    series.waiting?.();
    const now = this.#clock.now();
    const { seriesGapMs, seriesSettleMs } = this.#timings;
    const ms = Math.max(0, Math.min(series.dueAt, series.lastAt + seriesSettleMs) - now);
    series.waiting = this.#clock.schedule(ms, () => {
      series.waiting = undefined;
      series.gapMs = Math.min(series.gapMs * 2, seriesGapMs[1]);
      series.dueAt = this.#clock.now() + series.gapMs;
      this.#enqueue(series);
    });
  }

  #remember(series: Series): void {
    this.#series.set(series.key, series);
    if (this.#series.size > longestMemory) {
      const oldest = this.#series.values().next().value;
      if (oldest !== undefined) this.#forget(oldest);
    }
    this.#enqueue(series);
  }

  #forget(series: Series): void {
    series.waiting?.();
    series.waiting = undefined;
    this.#series.delete(series.key);
  }

  #enqueue(series: Series): void {
    if (series.queued) return;
    if (this.#queue.length >= longestQueue) {
      this.#dropped.full += 1;
      // Unsent and forgotten: the next one of its kind is a first one again.
      if (!series.written) this.#forget(series);
      return;
    }
    series.queued = true;
    this.#queue.push(series);
    if (this.#sending.size >= parallel) return;
    const sending: Promise<void> = this.#drain().finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  async #drain(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      await this.#write(next);
      // Only now: two writes of one series at once would both begin it.
      next.queued = false;
      if (next.count > next.writtenCount && this.#series.has(next.key)) this.#later(next);
    }
  }

  async #write(series: Series): Promise<void> {
    const count = series.count;
    for (let round = 1; ; round += 1) {
      try {
        if (series.written) await this.#update(series, count);
        else await this.#create(series);
        series.written = true;
        series.writtenCount = count;
        this.#sent += 1;
        return;
      } catch (thrown) {
        const error = asSluiceError(thrown);
        if (error.kind === 'conflict' && !series.written) {
          // Ours, from a try whose answer was lost; or another process has said it already.
          series.written = true;
          series.writtenCount = 1;
          this.#sent += 1;
          return;
        }
        if (error.kind === 'gone' && series.written) {
          // The API server keeps events for an hour: begin a new one.
          series.written = false;
          series.name = this.#eventName(series.regarding);
          if (round < tries) continue;
        }
        const passing =
          error.kind === 'transient' || error.kind === 'ambiguous' || error.kind === 'throttled';
        if (!passing || round >= tries || this.#stopped) {
          this.#dropped.failed += 1;
          series.writtenCount = count;
          this.#tell(error);
          return;
        }
        await this.#wait(Math.max(500 * 2 ** round * (0.5 + 0.5 * this.#random()), error.retryAfterMs ?? 0));
      }
    }
  }

  async #create(series: Series): Promise<void> {
    const { regarding, note } = series;
    const namespace = eventNamespace(regarding);
    const at = microTime(series.lastWall);
    await this.#api.request('POST', collection(namespace), {
      query: { fieldManager },
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: series.name, namespace },
        eventTime: at,
        reportingController: this.#controller,
        reportingInstance: cutToBytes(this.#instance, 128),
        type: note.type,
        reason: cutToBytes(note.reason, 128),
        action: cutToBytes(note.action, 128),
        note: cutToBytes(note.note, 1024),
        regarding,
        ...(series.count > 1 ? { series: { count: series.count, lastObservedTime: at } } : {}),
      },
      timeoutMs: 10_000,
    });
  }

  async #update(series: Series, count: number): Promise<void> {
    const namespace = eventNamespace(series.regarding);
    await this.#api.request('PATCH', `${collection(namespace)}/${series.name}`, {
      query: { fieldManager },
      // `kubectl get events` shows the fields of core/v1, which the API server derives from these.
      body: { series: { count, lastObservedTime: microTime(series.lastWall) } },
      contentType: patchContentType.merge,
      timeoutMs: 10_000,
    });
  }

  /** `web.1a2b3c4d5e6f7081`, as other recorders name theirs; 253 characters at most. */
  #eventName(regarding: Regarding): string {
    const suffix = [0, 1]
      .map(() =>
        Math.floor(this.#random() * 2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      )
      .join('');
    return `${regarding.name.slice(0, 230)}.${suffix}`;
  }

  /** The same in every process, for as long as an API server keeps an event. */
  #sharedName(regarding: Regarding, { type, reason, note }: Note): string {
    const hour = Math.floor(this.#clock.wall() / 3_600_000);
    return `${regarding.name.slice(0, 230)}.${shortHash(16, regarding.uid, type, reason, note, String(hour))}`;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.schedule(ms, resolve);
    });
  }

  #tell(error: SluiceError): void {
    try {
      this.#report(error);
    } catch {
      // Not worth more than the event itself.
    }
  }
}

function eventNamespace(regarding: Regarding): string {
  return regarding.namespace === '' ? 'default' : regarding.namespace;
}

function collection(namespace: string): string {
  return `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
}
