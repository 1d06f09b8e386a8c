/** Throttling: a token bucket for reads and one for writes. SLB publishes neither classes nor rates. */
import { CloudError } from './errors.ts';
import type { Throttling } from './settings.ts';

interface Level {
  tokens: number;
  at: number;
}

export class Buckets {
  readonly #levels = new Map<'read' | 'write', Level>();

  /** Takes a token at `now` milliseconds, or throws the throttling refusal. */
  take(kind: 'read' | 'write', throttling: Throttling, now: number): void {
    if (!throttling.enabled) return;
    const { burst, perSecond } = throttling[kind];
    const level = this.#levels.get(kind) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, level.tokens + ((now - level.at) * perSecond) / 1000);
    const enough = tokens >= 1;
    this.#levels.set(kind, { tokens: enough ? tokens - 1 : tokens, at: now });
    if (!enough) throw new CloudError(throttling.code, 'Request was denied due to user flow control');
  }
}
