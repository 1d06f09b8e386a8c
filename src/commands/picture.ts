/**
 * The cluster as a command sees it that looks once: the same readers as the controller's, but a command does
 * not wait for an API server that does not answer or refuses.
 */
import { Door } from '../controller/door.ts';
import { systemClock } from '../core/clock.ts';
import type { Api } from '../kube/api.ts';
import type { Settings } from '../settings/read.ts';
import { LocalDoor } from './local-cluster.ts';

/** Resolves once every list is complete. Errors: what the first list that failed says. */
export async function openDoor(api: Api): Promise<Door> {
  const failure = Promise.withResolvers<never>();
  const door = new Door({
    api,
    clock: systemClock,
    random: Math.random,
    report: (event) => {
      if (event.kind === 'failed' && event.error.kind !== 'throttled') failure.reject(event.error);
    },
  });
  try {
    await Promise.race([door.start(), failure.promise]);
    // From here on a failure is the readers' own to mend.
    failure.promise.catch(() => undefined);
    return door;
  } catch (error) {
    await door.stop();
    throw error;
  }
}

/** What local mode reads beside it, where the settings configure it. Errors: as `openDoor`. */
export async function openLocalDoor(
  api: Api,
  door: Door,
  settings: Settings,
): Promise<LocalDoor | undefined> {
  if (!settings.providers.has('local')) return undefined;
  const failure = Promise.withResolvers<never>();
  const local = new LocalDoor({
    api,
    door,
    clock: systemClock,
    random: Math.random,
    report: (event) => {
      if (event.kind === 'failed' && event.error.kind !== 'throttled') failure.reject(event.error);
    },
  });
  try {
    await Promise.race([local.start(), failure.promise]);
    failure.promise.catch(() => undefined);
    return local;
  } catch (error) {
    await local.stop();
    throw error;
  }
}
