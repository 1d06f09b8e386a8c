/**
 * The first thing that an agent does: it asks the cluster for its lists. The API server works on them while the rest of
 * the program is still being loaded; nothing is decided and nothing written here.
 */
import { AgentDoor } from '../agent/door.ts';
import { systemClock } from '../core/clock.ts';
import type { Connection } from '../kube/connection.ts';
import type { Log } from '../observe/log.ts';
import { connectBy } from './access.ts';
import type { AgentChoice, AgentFlags } from './agent-flags.ts';

/** Connections that the lists take: Services, slices, the Node. */
const lists = 3;
/** How long they may take to stand: an API server that is away must not keep the node's health from being served. */
const connectMs = 100;

export interface OpenDoor {
  readonly api: Connection;
  readonly door: AgentDoor;
  /** Resolves when every list is complete; rejects when the door is closed before. */
  readonly listed: Promise<void>;
  /** From now on the answers are taken in, which keeps the process busy until the lists are whole. */
  take(): void;
  close(): Promise<void>;
}

/** @throws SluiceError where no access is configured, or where it cannot be read. */
export async function openDoor(
  flags: AgentFlags,
  { settings: { scope, nodeName } }: AgentChoice,
  log: Log,
): Promise<OpenDoor> {
  const [clock, random] = [systemClock, Math.random];
  const api = await connectBy(flags, { clock, random, server: flags['api-server'] });
  const taken = Promise.withResolvers<void>();
  const door = new AgentDoor({
    api,
    takeAfter: taken.promise,
    scope,
    nodeName,
    clock,
    random,
    report: (event) => {
      if (event.kind === 'failed')
        log.warn(`reading ${event.reader} failed`, { error: event.error, retryInMs: event.retryInMs });
      else if (event.kind !== 'listed')
        log.error(`reading ${event.reader}: ${event.kind}`, { error: event.error });
      else log.debug(`listed ${event.reader}`, { objects: event.objects, ms: Math.round(event.ms) });
    },
  });
  const listed = door.start();
  // Whoever waits for it hears of it.
  listed.catch(() => undefined);
  // What is loaded next keeps the process busy without a pause: first let the questions go out.
  await api.connected(lists, connectMs);
  return {
    api,
    door,
    listed,
    take: taken.resolve,
    close: async () => {
      await door.stop();
      await api.close();
    },
  };
}
