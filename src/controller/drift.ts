/**
 * The net under everything that was missed: a survey of the account every few minutes, a full comparison of
 * every Service at a slower pace, and the removal of strays (resources of ours whose Service is gone).
 *
 * A survey costs one call per page of the account, not one per Service. What it finds is not acted on here:
 * a disturbed Service is woken with an order to look live; a stray must be seen twice before it is swept.
 */
import { asSluiceError } from '../core/errors.ts';
import type { ObjectKey, Uid } from '../core/objects.ts';
import type { AnyProvider, ProviderName, Stray } from '../core/provider.ts';
import type { Context } from './context.ts';
import type { Wake } from './fanout.ts';
import { newMemory } from './memory.ts';
import { sweepStray } from './reconcile.ts';
import { mayHold } from './served.ts';

/** A survey that failed is tried again after this long, doubling up to the ordinary pace. */
const retryMs = 10_000;

/** How often the removal of one stray is tried before it waits for a survey again. */
const mostSweeps = 10;

export class Drift {
  readonly #context: Context;
  readonly #wake: Wake;
  readonly #signal: AbortSignal;
  /** Strays of the survey before: one sighting alone may be a picture that lags behind. */
  readonly #suspects = new Map<Uid, ProviderName>();
  readonly #sweeping = new Set<Uid>();
  readonly #cancels = new Set<() => void>();

  constructor(parts: { context: Context; wake: Wake; signal: AbortSignal }) {
    this.#context = parts.context;
    this.#wake = parts.wake;
    this.#signal = parts.signal;
  }

  start(): void {
    const { surveyEveryMs } = this.#context.options;
    if (surveyEveryMs === 0) return;
    for (const provider of this.#context.providers.values())
      this.#later(this.#jitter(surveyEveryMs / 10), () => this.#survey(provider, retryMs));
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  /** Called when a Service is served for the first time in this process: its full comparisons start. */
  follow(key: ObjectKey, uid: Uid): void {
    const { fullEveryMs } = this.#context.options;
    if (fullEveryMs === 0) return;
    this.#later(this.#jitter(fullEveryMs), () => {
      const memory = this.#context.memories.get(uid);
      if (!memory) return;
      memory.fullDue = true;
      this.#wake(key, 0);
      this.follow(key, uid);
    });
  }

  async #survey(provider: AnyProvider, backoffMs: number): Promise<void> {
    const { surveyEveryMs } = this.#context.options;
    try {
      await this.surveyOnce(provider);
      this.#later(this.#jitter(surveyEveryMs), () => this.#survey(provider, retryMs));
    } catch (thrown) {
      if (this.#signal.aborted) return;
      const wait = Math.max(backoffMs, asSluiceError(thrown).retryAfterMs ?? 0);
      this.#later(this.#jitter(Math.min(wait, surveyEveryMs)), () => this.#survey(provider, backoffMs * 2));
    }
  }

  /** One survey now. Throws what the provider throws. */
  async surveyOnce(provider: AnyProvider): Promise<void> {
    const { memories, telemetry, view, cluster, options } = this.#context;
    const known = new Map<Uid, unknown>();
    for (const memory of memories.all()) {
      if (memory.provider === provider.name && memory.observed)
        known.set(memory.owner.uid, memory.observed.value);
    }
    const survey = await provider.survey(cluster, known, this.#signal);
    for (const uid of survey.disturbed) {
      const memory = memories.get(uid);
      if (!memory) continue;
      memory.liveDue = true;
      this.#wake(memory.key, 0);
    }
    const strays = survey.strays.filter(
      (stray) =>
        memories.get(stray.uid) === undefined &&
        !mayHold(this.#context, view.service(stray.service), stray.uid),
    );
    telemetry.strays(provider.name, strays);
    const seenTwice = strays.filter((stray) => this.#suspects.get(stray.uid) === provider.name);
    for (const [uid, name] of this.#suspects) if (name === provider.name) this.#suspects.delete(uid);
    for (const stray of strays) this.#suspects.set(stray.uid, provider.name);
    if (options.strays === 'remove')
      for (const stray of seenTwice) this.#later(0, () => this.#sweep(provider, stray, 0));
    if (strays.length > seenTwice.length)
      this.#later(retryMs, () => this.surveyOnce(provider).catch(() => undefined));
  }

  async #sweep(provider: AnyProvider, stray: Stray, tries: number): Promise<void> {
    if (tries === 0 && this.#sweeping.has(stray.uid)) return;
    this.#sweeping.add(stray.uid);
    const owner = { cluster: this.#context.cluster, service: stray.service, uid: stray.uid };
    const memory = newMemory(owner, stray.service, provider.name, this.#context.clock.now());
    const outcome = await sweepStray(this.#context, provider, memory, this.#signal);
    if (outcome.kind === 'done' || tries >= mostSweeps) {
      // Where it is still there, the next survey begins anew.
      this.#sweeping.delete(stray.uid);
      return;
    }
    const wait = outcome.kind === 'after' ? outcome.ms : Math.min(2_000 * 2 ** tries, 300_000);
    this.#later(wait, () => this.#sweep(provider, stray, tries + 1));
  }

  #jitter(ms: number): number {
    return ms * (0.8 + 0.4 * this.#context.random());
  }

  #later(ms: number, run: () => void | Promise<void>): void {
    const cancel = this.#context.clock.schedule(ms, () => {
      this.#cancels.delete(cancel);
      if (this.#signal.aborted) return;
      void Promise.resolve(run()).catch(() => undefined);
    });
    this.#cancels.add(cancel);
  }
}
