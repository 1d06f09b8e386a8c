/**
 * Abort signals put together.
 *
 * `AbortSignal.any` is kept alive by the runtime for as long as somebody listens to it, even when nobody can
 * reach its sources any more, and costs more than most of the calls it would guard. This one belongs to its
 * holder, who lets go of it.
 */

export interface Either {
  readonly signal: AbortSignal;
  /** It hears of its sources no more. */
  [Symbol.dispose](): void;
}

/** Fires with the reason of the first of `signals` that does; at once when one has. */
export function either(...signals: readonly AbortSignal[]): Either {
  const controller = new AbortController();
  const ends = signals.map((signal) => {
    const end = (): void => controller.abort(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    return () => signal.removeEventListener('abort', end);
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const end of ends) end();
    },
  };
}
