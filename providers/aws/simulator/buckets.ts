/** Throttling as AWS documents it: one token bucket for each class of calls, per account and region. */

import { CloudError } from './errors.ts';
import type { Bucketing } from './operations.ts';
import type { Throttling } from './settings.ts';

interface Level {
  tokens: number;
  at: number;
}

export class Buckets {
  readonly #levels = new Map<Bucketing, Level>();

  /** Takes a token at `now` milliseconds, or throws the throttling refusal. */
  take(kind: Bucketing, throttling: Throttling, now: number): void {
    if (!throttling.enabled) return;
    const { burst, perSecond } = throttling[kind];
    const level = this.#levels.get(kind) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, level.tokens + ((now - level.at) * perSecond) / 1000);
    const enough = tokens >= 1;
    this.#levels.set(kind, { tokens: enough ? tokens - 1 : tokens, at: now });
    if (!enough) throw new CloudError(throttling.code, 'Rate exceeded', 400);
  }
}
