/** What carrying out a step works with. Only types. */
import type { Clock } from '../../src/core/clock.ts';
import type { AlibabaConfig } from './config.ts';
import type { Door } from './door.ts';
import type { Loader } from './loader.ts';
import type { Recent } from './recent.ts';
import type { Seen } from './seen.ts';

export interface ApplySources {
  readonly door: Door;
  readonly loader: Loader;
  readonly recent: Recent;
  readonly seen: Seen;
  readonly clock: Clock;
  readonly config: AlibabaConfig;
}
