/**
 * Watches every call of a run and says at once when one breaks an invariant (field notes, faults I1 to I7).
 *
 * - I2: nothing without our mark is changed; a held Service is left alone.
 * - I4: at most ten writes a minute and Service while nothing happens.
 * - I5: the finalizer is stored before the first cloud write for a Service and goes after the last.
 * - I6: an address is shown only while it is an active balancer of that very Service.
 * - I7: nothing healthy that is still wanted is taken out of traffic.
 * - L: only the holder of the lease writes to the cloud.
 *
 * What the controller could not know yet is forgiven: a fact counts once it has been true for longer than
 * the picture may lag (`lagMs`). I1, I3 and the rest of I4 are judged at the end (judge.ts).
 */
import type { RawService } from '../../src/kube/raw.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';
import type { ApiCall } from './api-client.ts';
import type { ApiServer } from './api-server.ts';
import type { Aim, Cloud, CloudCall, SimAccount } from './cloud.ts';
import { Facts } from './facts.ts';
import { clusterId, clusterTag, uidTag } from './marks.ts';
import { Traffic } from './traffic.ts';
import { finalizer, type ServiceTruth } from './truth.ts';

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'L' | 'crash';

export interface Violation {
  readonly invariant: Invariant;
  readonly at: number;
  readonly message: string;
}

export interface MonitorParts {
  readonly clock: VirtualClock;
  readonly server: ApiServer;
  readonly cloud: Cloud;
  readonly account: SimAccount;
  /** How old the controller's picture may be at this moment, in milliseconds. */
  readonly lagMs: () => number;
  /** How long ago the live look may be that goes before a removal, in milliseconds. */
  readonly liveLagMs: () => number;
  /** Reads have lied (empty, short or stale answers) so recently that the controller may have believed it. */
  readonly liedTo: () => boolean;
  readonly trace: (line: string) => void;
}

const minute = 60_000;
const writesAMinute = 10;

export class Monitor {
  readonly violations: Violation[] = [];
  readonly facts: Facts;
  readonly #parts: MonitorParts;
  readonly #traffic: Traffic;
  /** Address → its balancer, the UID that it is for, and when it went. */
  readonly #balancers = new Map<string, { id: string; uid: string; goneAt: number | undefined }>();
  /** Service → times of writes that concern it and had no effect, or are to its object. */
  readonly #writes = new Map<string, number[]>();
  /** Service → every address that it has shown. */
  readonly #shown = new Map<string, Set<string>>();
  /** Balancer → when it was protected by hand. */
  readonly #protected = new Map<string, number>();
  /** Processes and the Services that they have left to others. */
  readonly #greetings = new Set<string>();
  #lastEventAt = 0;
  #brokenAt = Number.NEGATIVE_INFINITY;
  #seq = 0;
  #apiWrites = 0;
  #cloudWrites = 0;

  constructor(parts: MonitorParts) {
    this.#parts = parts;
    const { account, server, cloud, clock, lagMs, liveLagMs, liedTo } = parts;
    this.facts = new Facts(clock, server, cloud);
    const report = (message: string): void => this.report('I7', message);
    this.#traffic = new Traffic({ facts: this.facts, account, lagMs, liveLagMs, liedTo, report });
    account.faults.order({
      id: 'monitor',
      match: { mutating: true },
      times: 'until-cleared',
      effect: {
        kind: 'hook',
        before: ({ operation, input }) => {
          this.#catchUp();
          const aim = account.aimOf(operation, input);
          if (aim !== undefined) this.#beforeWrite(operation, aim);
        },
        after: () => this.#catchUp(),
      },
    });
  }

  /** Writes so far: patches and events of the controller's, and mutating cloud calls. */
  get writes(): number {
    return this.#apiWrites + this.#cloudWrites;
  }

  get truths(): ReadonlyMap<string, ServiceTruth> {
    return this.facts.truths;
  }

  /** Something happens from outside: writes are to be expected. */
  eventHappened(): void {
    this.#lastEventAt = this.#parts.clock.now();
  }

  report(invariant: Invariant, message: string): void {
    this.#parts.trace(`!! ${invariant} broken: ${message}`);
    if (this.violations.length < 20)
      this.violations.push({ invariant, at: this.#parts.clock.now(), message });
  }

  /** A request of a process to the API server, just after its effect. */
  apiCall(call: ApiCall): void {
    if (!call.write || call.resource.startsWith('leases')) return;
    if (!this.#isGreeting(call)) this.#apiWrites += 1;
    this.#checkNews(call);
    if (call.service !== undefined) this.#countWrite(call.service, `${call.method} ${call.path}`);
    if (call.method !== 'PATCH' || !call.resource.startsWith('services') || call.code !== 200) return;
    const entry = this.#parts.server.journal('services').at(-1);
    if (entry === undefined) return;
    const before: RawService | undefined = entry.before;
    const after: RawService = entry.object;
    if ((after.metadata?.namespace ?? '') + '/' + (after.metadata?.name ?? '') !== call.service) return;
    const had = before?.metadata?.finalizers?.includes(finalizer) ?? false;
    const has = after.metadata?.finalizers?.includes(finalizer) ?? false;
    if (had && !has) this.#checkReleased(after.metadata?.uid ?? '', call.service);
    if (call.path.endsWith('/status')) this.#checkAddresses(after, before);
  }

  /** What an event says is so. */
  #checkNews(call: ApiCall): void {
    const { reason } = (call.body ?? {}) as { reason?: string };
    if (reason !== 'LoadBalancerRecreated' || call.service === undefined) return;
    const shown = this.#shown.get(call.service);
    if (shown !== undefined && shown.size < 2)
      this.report('I6', `${call.service} is told of a new address, and it has had ${shown.size}`);
  }

  /**
   * That a Service is left to somebody else: nothing can be noted on an object that is not ours, so that each
   * process says it once, as a part of its start.
   */
  #isGreeting({ by, method, resource, service, body }: ApiCall): boolean {
    const { action } = (body ?? {}) as { action?: string };
    if (method !== 'POST' || !resource.startsWith('events') || action !== 'Claim') return false;
    const greeting = `${by} ${service}`;
    if (this.#greetings.has(greeting)) return false;
    this.#greetings.add(greeting);
    return true;
  }

  /** Our resources by UID: what bears the cluster's mark. */
  marked(): readonly { readonly kind: string; readonly name: string; readonly uid: string }[] {
    return this.#parts.account
      .resources()
      .filter(({ tags }) => tags[clusterTag] === clusterId)
      .map(({ kind, name, tags }) => ({ kind, name, uid: tags[uidTag] ?? '' }));
  }

  #checkReleased(uid: string, service: string): void {
    if (this.#parts.liedTo()) return;
    const left = this.marked().filter((one) => one.uid === uid);
    if (left.length === 0) return;
    const names = left.map(({ kind, name }) => `${kind} ${name}`).join(', ');
    this.report('I5', `the finalizer of ${service} (${uid}) was removed while ${names} exist`);
  }

  #checkAddresses(after: RawService, before: RawService | undefined): void {
    this.#catchUp();
    const uid = after.metadata?.uid ?? '';
    const key = `${after.metadata?.namespace}/${after.metadata?.name}`;
    const old = new Set(addressesOf(before));
    for (const address of addressesOf(after)) {
      if (old.has(address)) continue;
      this.#shown.set(key, (this.#shown.get(key) ?? new Set()).add(address));
      const balancer = this.#balancers.get(address);
      const goneMs = balancer?.goneAt === undefined ? undefined : this.#parts.clock.now() - balancer.goneAt;
      if (balancer === undefined || balancer.uid !== uid) {
        this.report('I6', `${key} shows ${address}, which is no balancer of its own`);
      } else if (goneMs !== undefined && goneMs > this.#parts.lagMs()) {
        this.report('I6', `${key} shows ${address}, which went ${goneMs} ms ago`);
      } else if (goneMs === undefined && !this.#carries(balancer.id) && !this.#justBroken()) {
        this.report('I6', `${key} shows ${address}, which is not active yet`);
      }
    }
  }

  /** One that a fault hides from us as well is taken to. */
  #carries(id: string): boolean {
    const found = this.#parts.account.balancers().find((one) => one.id === id);
    return found === undefined || found.state === 'active';
  }

  /** Somebody took a listener away so recently that the controller could not know. */
  #justBroken(): boolean {
    return this.#parts.clock.now() - this.#brokenAt <= this.#parts.lagMs();
  }

  #beforeWrite(operation: string, aim: Aim): void {
    this.#traffic.check(aim);
    // What was protected between our look and our write could not be seen by anybody.
    const since = aim.kind === 'protect' && !aim.on ? this.#protected.get(aim.balancer) : undefined;
    if (since !== undefined && this.#parts.clock.now() - since > this.#parts.liveLagMs())
      this.report('I2', `${operation} lifts a protection that somebody else set`);
    if (aim.kind !== 'create listener') return;
    const tags = this.#parts.account.resources().find(({ id }) => id === aim.balancer)?.tags;
    if (tags !== undefined && tags[clusterTag] !== clusterId)
      this.report('I2', `${operation} on ${aim.balancer}, which does not bear our mark`);
  }

  /** Takes in what was called since: hands do not announce themselves. */
  #catchUp(): void {
    const calls = this.#parts.account.calls(this.#seq);
    this.#seq = calls.at(-1)?.seq ?? this.#seq;
    for (const call of calls) if (call.mutating) this.#judge(call);
  }

  #judge(call: CloudCall): void {
    for (const { kind, id, change, tags } of call.touched) {
      if (kind === 'balancer') this.#noteBalancer(id, change, tags[uidTag] ?? '', call.at);
    }
    if (call.by === 'hand') return this.#noteHand(call);
    this.#cloudWrites += 1;
    const uids = new Set<string>();
    for (const { kind, id, change, tags } of call.touched) {
      const uid = tags[uidTag];
      if (tags[clusterTag] !== clusterId || uid === undefined) {
        this.report('I2', `${call.operation} ${change} ${kind} ${id}, which does not bear our mark`);
        continue;
      }
      uids.add(uid);
    }
    const named = call.named[uidTag];
    if (named !== undefined) uids.add(named);
    for (const uid of uids) {
      if (!this.facts.wasFinalized(uid))
        this.report('I5', `${call.operation} for ${uid} before its finalizer was stored`);
      const truth = this.truths.get(uid);
      const held = truth?.ours && truth.held && this.facts.old(`${uid}|held`, this.#parts.lagMs());
      if (held && call.touched.length > 0)
        this.report('I2', `${call.operation} for ${truth.key}, which is to be left alone`);
      if (call.touched.length === 0) this.#countWrite(truth?.key ?? uid, call.operation);
    }
  }

  #noteHand(call: CloudCall): void {
    if (call.touched.some(({ kind, change }) => kind === 'listener' && change === 'deleted'))
      this.#brokenAt = call.at;
    const aim = this.#parts.account.aimOf(call.operation, call.input);
    if (aim?.kind !== 'protect' || call.refusal !== undefined) return;
    if (aim.on) this.#protected.set(aim.balancer, call.at);
    else this.#protected.delete(aim.balancer);
  }

  #noteBalancer(id: string, change: 'created' | 'changed' | 'deleted', uid: string, at: number): void {
    if (change === 'created') {
      const made = this.#parts.account.balancers().find((one) => one.id === id);
      if (made !== undefined) this.#balancers.set(made.address, { id, uid, goneAt: undefined });
    } else if (change === 'deleted') {
      for (const balancer of this.#balancers.values()) if (balancer.id === id) balancer.goneAt ??= at;
    }
  }

  #countWrite(service: string, what: string): void {
    const now = this.#parts.clock.now();
    const times = this.#writes.get(service) ?? [];
    this.#writes.set(service, times);
    times.push(now);
    while ((times[0] ?? now) <= now - minute) times.shift();
    if (now - this.#lastEventAt <= minute || times.length <= writesAMinute) return;
    this.report(
      'I4',
      `${times.length} writes for ${service} within a minute in which nothing happened, the last ${what}`,
    );
    times.length = 0;
  }
}

function addressesOf(service: RawService | undefined): readonly string[] {
  return (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ hostname, ip }) => hostname ?? ip ?? []);
}
