/** Wires announcing into the agent: engine, flags, and what is told to people and machines. */
import { KernelAnnouncer } from '../agent/announce/kernel/engine.ts';
import { AnnouncePart, type AnnounceTelemetry } from '../agent/announce/part.ts';
import type { AgentDoor } from '../agent/door.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { NodeName, ObjectKey, ServiceObject } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { parseListen } from '../observe/listening.ts';
import type { AgentFlags } from './agent-flags.ts';

export interface AnnounceWiring {
  readonly flags: AgentFlags;
  readonly api: Api;
  readonly door: Pick<AgentDoor, 'slices' | 'connect'>;
  /** Its lists are complete. */
  readonly doorReady: Promise<unknown>;
  readonly nodeName: NodeName;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly clock: Clock;
  readonly random: Random;
}

/** Announcing, not yet started; undefined without --announce. */
export function announcing(wiring: AnnounceWiring): AnnouncePart | undefined {
  const { flags, api, door, doorReady, nodeName, clock, random } = wiring;
  if (!flags.announce) return undefined;
  const bind = parseListen(flags['heartbeat-bind']);
  let part: AnnouncePart | undefined;
  const service = (key: ObjectKey): ServiceObject | undefined => part?.service(key);
  const made = new AnnouncePart({
    api,
    nodeName,
    namespace: flags.namespace,
    leaseNamespace: flags['lease-namespace'],
    bind: { host: bind.host ?? '', port: bind.port },
    announcer: new KernelAnnouncer({ clock, random }),
    slices: {
      slices: (key) => door.slices(key),
      onSlice: (heard) =>
        door.connect({
          serviceChanged: () => undefined,
          nodeChanged: () => undefined,
          sliceChanged: (before, after) => {
            for (const one of new Set([before?.service, after?.service])) if (one !== undefined) heard(one);
          },
        }),
    },
    slicesComplete: doorReady,
    clock,
    random,
    telemetry: announceTelemetry(wiring, service),
  });
  part = made;
  return made;
}

/** Sets the gauges of announcing, when somebody asks for the metrics. */
export function setAnnounceGauges(metrics: Metrics, part: AnnouncePart): void {
  const held = { IPv4: 0, IPv6: 0 };
  for (const address of part.held()) held[address.includes(':') ? 'IPv6' : 'IPv4'] += 1;
  metrics.set('announceHeld', { ip_family: 'IPv4' }, held.IPv4);
  metrics.set('announceHeld', { ip_family: 'IPv6' }, held.IPv6);
  const { right, seen, known } = part.standing;
  metrics.set('announceMembers', { state: 'heard' }, seen);
  metrics.set('announceMembers', { state: 'known' }, known);
  metrics.set('announceRight', {}, right.kind === 'none' || right.kind === 'grace' ? 0 : 1);
}

const rightWords = {
  majority: 'hears a majority of the agents',
  lease: 'has the Lease that breaks ties',
  'last-resort': 'has the Lease, and all other agents have let their registrations lapse',
  grace: 'hears just half of the agents and contends for the Lease; what is held stays for a moment',
  none: 'hears no majority of the agents and does not have the Lease: it announces nothing',
} as const;

function announceTelemetry(
  { log, metrics, events, nodeName }: AnnounceWiring,
  service: (key: ObjectKey) => ServiceObject | undefined,
): AnnounceTelemetry {
  const onServices = (
    keys: readonly ObjectKey[],
    type: 'Normal' | 'Warning',
    reason: 'Announced' | 'AnnounceRefused' | 'AddressContested',
    note: string,
  ): void => {
    for (const key of keys) {
      const object = service(key);
      if (object !== undefined) events.event(object, { type, reason, action: 'Announce', note });
    }
  };
  return {
    event: (event, services) => {
      switch (event.kind) {
        case 'taken':
          metrics.count('announceTaken', { reason: event.reason });
          log.info('takes an address', { address: event.address, reason: event.reason });
          break;
        case 'up':
          metrics.time('announceSeconds', {}, event.ms);
          log.info('answers for an address', { address: event.address, ms: Number(event.ms.toFixed(1)) });
          onServices(services, 'Normal', 'Announced', `node ${nodeName} answers for ${event.address}`);
          break;
        case 'given-up':
          metrics.count('announceGivenUp', { reason: event.reason });
          log.info('lets go of an address', { address: event.address, reason: event.reason });
          break;
        case 'refused':
          metrics.count('announceRefused', { code: event.error.code });
          log.error('an address cannot be held', { address: event.address, error: event.error });
          onServices(
            services,
            'Warning',
            'AnnounceRefused',
            `node ${nodeName} cannot hold ${event.address}: ${event.error.message}`,
          );
          break;
        case 'contested':
          metrics.count('announceContested', {});
          log.warn('another host says that an address of ours is its own', {
            address: event.address,
            mac: event.mac,
          });
          onServices(
            services,
            'Warning',
            'AddressContested',
            `${event.mac} says that ${event.address} is its own; node ${nodeName} answers for it too`,
          );
          break;
        case 'standing': {
          const { right, seen, known } = event.standing;
          const fields = { heard: seen, known, right: right.kind };
          if (right.kind === 'majority') log.info(`this node ${rightWords.majority}`, fields);
          else log.warn(`this node ${rightWords[right.kind]}`, fields);
          break;
        }
        case 'members':
          log.info('agents heard', { live: event.live, paused: event.paused });
          break;
        case 'bad-packet':
          metrics.count('heartbeatsBad', { code: event.error.code });
          log.debug('a heartbeat was thrown away', { error: event.error });
          break;
        case 'engine-failed':
          log.error('the announcer failed; it is asked again', { error: event.error });
          break;
        case 'decided':
          metrics.time('announceDecideSeconds', {}, event.ms);
          log.debug('decided', {
            addresses: event.addresses,
            acts: event.acts,
            ms: Number(event.ms.toFixed(2)),
          });
          break;
      }
    },
    asked: (_address, count) => metrics.count('announceQuestions', {}, count),
    trouble: (what, error) => log.error(what, { error }),
    reader: (event) => {
      if (event.kind === 'failed')
        log.warn(`reading ${event.reader} failed`, { error: event.error, retryInMs: event.retryInMs });
      else if (event.kind !== 'listed')
        log.error(`reading ${event.reader}: ${event.kind}`, { error: event.error });
      else log.debug(`listed ${event.reader}`, { objects: event.objects, ms: Math.round(event.ms) });
    },
  };
}
